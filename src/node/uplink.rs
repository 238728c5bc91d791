//! The link to the colony: the agent dials it, and serves its calls over what it has dialled.

use std::future::Future;
use std::io;
use std::sync::Arc;
use std::time::Duration;

use coral_model::{Diagnostic, Escaped};
use coral_proto::colony::v1::agent_link_client::AgentLinkClient;
use coral_proto::colony::v1::{Greeting, OpenLinkRequest};
use tokio::sync::{mpsc, watch};
use tokio::time::{Instant, sleep, timeout};
use tokio_stream::StreamExt;
use tokio_stream::wrappers::ReceiverStream;
use tonic::Status;
use tonic::body::Body;
use tonic::service::Routes;
use tonic::transport::Server;
use tower::util::MapRequestLayer;

use crate::access::grpc::note_path;
use crate::access::{
    AccessError, AuthorizedChannel, Connection, KEEP_ALIVE_EVERY, KEEP_ALIVE_MAX, connect,
    read_token,
};
use crate::config::UplinkConfig;
use crate::serving::tunnel::{self, CHUNKS_MAX, Ended};
use crate::source::remote::BackOff;

/// A colony that does not welcome the agent by then has none to give.
const WELCOME_MAX: Duration = Duration::from_secs(10);
/// A link that has lasted so long was a good one.
const LASTING: Duration = Duration::from_secs(5);
/// How many requests are served at the same time.
const REQUESTS_MAX: usize = 64;

/// Says what has become of the link, in a line.
pub type Say = Arc<dyn Fn(&str) + Send + Sync>;

/// The way to a colony.
pub(super) trait Way: Send + Sync {
    /// Where it leads to.
    fn to(&self) -> String;

    /// Connects to it.
    fn connect(&self) -> impl Future<Output = Result<AuthorizedChannel, Cut>> + Send;
}

impl Way for UplinkConfig {
    fn to(&self) -> String {
        self.url.to_string()
    }

    async fn connect(&self) -> Result<AuthorizedChannel, Cut> {
        let token = self.token_file.as_deref().map(read_token).transpose()?;
        Ok(connect(&self.url, Some(&self.tls()), token.as_deref()).await?)
    }
}

/// What it takes to be linked to a colony.
pub(super) struct Uplink<W> {
    pub(super) way: W,
    pub(super) greeting: Greeting,
    /// The agent's own calls, behind its guard.
    pub(super) routes: Routes,
    pub(super) say: Say,
    /// When the colony is dialled again.
    pub(super) back_off: BackOff,
}

/// Why there is no link.
#[derive(Debug, thiserror::Error)]
pub(super) enum Cut {
    #[error("{} ({})", .0, .0.code())]
    Access(#[from] AccessError),
    #[error("{}", reason(.0))]
    Status(#[from] Status),
    #[error("it does not answer")]
    Silent,
    #[error("it says something else than a welcome")]
    NoWelcome,
    #[error("it does not answer any more")]
    Lost,
}

impl<W: Way> Uplink<W> {
    /// Keeps the link until the agent ends: dials again whenever it is gone.
    pub(super) async fn keep(mut self, mut closed: watch::Receiver<bool>) {
        let mut last_said = String::new();
        loop {
            let opened = tokio::select! {
                biased;
                opened = self.dial() => opened,
                _ = closed.wait_for(|is_closed| *is_closed) => return,
            };
            let cut = match opened {
                Err(cut) => cut,
                Ok((connection, ended)) => {
                    (self.say)(&format!("colony: connected to {}", self.way.to()));
                    last_said.clear();
                    let opened_at = Instant::now();
                    let cut = self.serve(connection, ended, closed.clone()).await;
                    // A colony that ends every link at once is not dialled ever faster.
                    if opened_at.elapsed() > LASTING {
                        self.back_off.reset();
                    }
                    cut
                }
            };
            if *closed.borrow() {
                return;
            }
            let wait = self.back_off.wait();
            let why = cut.to_string();
            // One line for each change, and not for each try.
            if why != last_said {
                let seconds = wait.as_secs_f64();
                (self.say)(&format!("colony: cut off ({why}); again in {seconds:.1} s"));
                last_said = why;
            }
            tokio::select! {
                biased;
                () = sleep(wait) => {}
                _ = closed.wait_for(|is_closed| *is_closed) => return,
            }
        }
    }

    async fn dial(&self) -> Result<(Connection, Ended), Cut> {
        let channel = self.way.connect().await?;
        let welcomed = timeout(WELCOME_MAX, self.open(AgentLinkClient::new(channel)));
        welcomed.await.map_err(|_| Cut::Silent)?
    }

    /// Says who it is, and waits to be welcome.
    async fn open(
        &self,
        mut colony: AgentLinkClient<AuthorizedChannel>,
    ) -> Result<(Connection, Ended), Cut> {
        let (outgoing, messages) = mpsc::channel(CHUNKS_MAX);
        let greeting = OpenLinkRequest {
            greeting: Some(self.greeting.clone()),
            data: Vec::new(),
        };
        // There is room: nothing was sent yet.
        let _ = outgoing.try_send(greeting);
        let opened = colony.open_link(ReceiverStream::new(messages)).await?;
        let mut incoming = opened.into_inner();
        let first = incoming.message().await?.ok_or(Cut::NoWelcome)?;
        first.welcome.ok_or(Cut::NoWelcome)?;
        Ok(tunnel::agent_end(incoming, outgoing))
    }

    /// Serves the colony's calls until the link or the agent ends; why the link did.
    async fn serve(
        &self,
        connection: Connection,
        ended: Ended,
        mut closed: watch::Receiver<bool>,
    ) -> Cut {
        let (over, is_over) = watch::channel(None);
        let until_over = async move {
            tokio::select! {
                biased;
                status = ended.wait() => { over.send_replace(status); }
                // It is closed as well where nobody can say so any more.
                _ = closed.wait_for(|is_closed| *is_closed) => {}
            }
        };
        let one = tokio_stream::once(Ok::<_, io::Error>(connection));
        let serving = Server::builder()
            .concurrency_limit_per_connection(REQUESTS_MAX)
            .http2_keepalive_interval(Some(KEEP_ALIVE_EVERY))
            .http2_keepalive_timeout(Some(KEEP_ALIVE_MAX))
            .layer(MapRequestLayer::new(note_path::<Body>))
            .add_routes(self.routes.clone())
            .serve_with_incoming_shutdown(one.chain(tokio_stream::pending()), until_over);
        // The stream of connections does not fail.
        let _ = serving.await;
        let status = is_over.borrow().clone();
        status.map_or(Cut::Lost, Cut::Status)
    }
}

/// What a status says, in one line.
fn reason(status: &Status) -> String {
    Escaped(status.message()).to_string()
}
