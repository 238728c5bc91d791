//! A real server behind a guard, whose one service answers everything with nothing; and clients.

use std::convert::Infallible;
use std::future::{Ready, ready};
use std::sync::{Arc, Mutex};
use std::task::{Context, Poll};

use coral_tui::access::audit::{Entry, Outcome, Who};
use coral_tui::access::grpc::{Guard, identity};
use coral_tui::access::{
    Endpoint, Gate, Listen, Listener, PeerAddress, Role, Settings, TlsConfig, connect,
};
use tokio::task::JoinHandle;
use tonic::body::Body;
use tonic::codegen::http;
use tonic::server::NamedService;
use tonic::service::interceptor::InterceptedService;
use tonic::transport::Server as Transport;
use tonic::{Code, Request, Status};
use tower::{Service, ServiceExt};

/// The service that the server asks the role for.
pub(crate) const SERVICE: &str = "shop";

/// A running server; it stops when it is dropped.
pub(crate) struct Server {
    pub(crate) listen: Listen,
    refused: Arc<Mutex<Vec<String>>>,
    serving: JoinHandle<()>,
}

impl Server {
    /// Serves to those who have a role for the service.
    pub(crate) async fn start(listen: &str, settings: Settings, role: Role) -> Self {
        let listener = Listener::bind(&listen.parse().unwrap(), &settings)
            .await
            .unwrap();
        let listen = listener.listen().clone();
        let refused = Arc::new(Mutex::new(Vec::new()));
        let note = {
            let refused = Arc::clone(&refused);
            move |address: PeerAddress, reason: String| {
                let outcome = Outcome::Refused(reason);
                let entry = Entry::new(Who::unidentified(address), "connect", outcome);
                refused.lock().unwrap().push(format!("{:?}", entry.outcome));
            }
        };
        let note_handshake = note.clone();
        let incoming =
            listener.incoming(move |address, error| note_handshake(address, error.to_string()));
        let gate = Arc::new(Gate::new(settings).unwrap());
        let guard = Guard::new(gate, move |address, denied| note(address, denied.reason()));
        let check = move |request: Request<()>| -> Result<Request<()>, Status> {
            identity(request.extensions())?.check(role, SERVICE)?;
            Ok(request)
        };
        let service = InterceptedService::new(InterceptedService::new(Nothing, check), guard);
        let serving = tokio::spawn(async move {
            let server = Transport::builder().serve_with_incoming(service, incoming);
            server.await.unwrap();
        });
        Self {
            listen,
            refused,
            serving,
        }
    }

    /// What the server noted of those whom it could not identify.
    pub(crate) fn refused(&self) -> Vec<String> {
        self.refused.lock().unwrap().clone()
    }

    /// Where clients find it, by TLS or not.
    pub(crate) fn endpoint(&self, is_tls: bool) -> String {
        match &self.listen {
            Listen::Unix(path) => format!("unix:{}", path.display()),
            Listen::Tcp(address) if is_tls => format!("https://localhost:{}", address.port()),
            Listen::Tcp(address) => format!("http://127.0.0.1:{}", address.port()),
        }
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.serving.abort();
    }
}

/// What a client gets: the code of the answer, or the code of the error before there is one.
pub(crate) async fn ask(
    endpoint: &str,
    tls: Option<&TlsConfig>,
    token: Option<&str>,
) -> Result<Code, String> {
    use coral_model::Diagnostic;
    let endpoint: Endpoint = endpoint.parse().unwrap();
    let channel = connect(&endpoint, tls, token)
        .await
        .map_err(|error| error.code().to_owned())?;
    let path = format!("/{}/Do", Nothing::NAME);
    let request = http::Request::post(path).body(Body::empty()).unwrap();
    Ok(match channel.oneshot(request).await {
        Ok(response) => Status::from_header_map(response.headers()).unwrap().code(),
        Err(_) => Code::Unavailable,
    })
}

/// Answers everything with nothing.
#[derive(Clone)]
struct Nothing;

impl NamedService for Nothing {
    const NAME: &'static str = "coral.test.Nothing";
}

impl Service<http::Request<Body>> for Nothing {
    type Response = http::Response<Body>;
    type Error = Infallible;
    type Future = Ready<Result<http::Response<Body>, Infallible>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, _: http::Request<Body>) -> Self::Future {
        ready(Ok(Status::new(Code::Ok, "").into_http()))
    }
}
