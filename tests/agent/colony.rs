//! An agent and its colony, which is played here: the link, and who asks over it.

use std::collections::HashSet;
use std::time::{Duration, Instant};

use coral_proto::ON_BEHALF_OF;
use coral_proto::agent::v1 as wire;
use coral_proto::agent::v1::agent_client::AgentClient;
use coral_proto::colony::v1::agent_link_server::{AgentLink, AgentLinkServer};
use coral_proto::colony::v1::{Greeting, OpenLinkRequest, OpenLinkResponse, Welcome};
use coral_tui::access::connect;
use coral_tui::serving::tunnel::{self, CHUNKS_MAX};
use tempfile::TempDir;
use tokio::sync::mpsc;
use tokio::time::timeout;
use tokio_stream::wrappers::ReceiverStream;
use tonic::transport::server::TcpIncoming;
use tonic::transport::{Channel, Server};
use tonic::{Request, Response, Status, Streaming};

use crate::calls::session_on;
use crate::common::lines::DEADLINE;
use crate::common::target::Target;
use crate::common::{compile, need, rights};
use crate::daemon::{Daemon, Setup};
use crate::proxy::Proxy;

/// A half-open link is found, and the colony dialled again, within this.
const HALF_OPEN_MAX: Duration = Duration::from_secs(15);

/// A colony that welcomes everybody.
pub(crate) struct Colony {
    links: mpsc::Receiver<(Greeting, AgentClient<Channel>)>,
    pub(crate) way: Proxy,
    pub(crate) spool: TempDir,
}

/// Its side of the protocol.
struct Welcoming(mpsc::Sender<(Greeting, AgentClient<Channel>)>);

#[tonic::async_trait]
impl AgentLink for Welcoming {
    type OpenLinkStream = ReceiverStream<Result<OpenLinkResponse, Status>>;

    async fn open_link(
        &self,
        request: Request<Streaming<OpenLinkRequest>>,
    ) -> Result<Response<Self::OpenLinkStream>, Status> {
        let mut incoming = request.into_inner();
        let first = incoming.message().await?.unwrap();
        let (outgoing, messages) = mpsc::channel(CHUNKS_MAX);
        let welcome = OpenLinkResponse {
            welcome: Some(Welcome::default()),
            data: Vec::new(),
        };
        outgoing.send(Ok(welcome)).await.unwrap();
        let links = self.0.clone();
        tokio::spawn(async move {
            let (channel, _ended) = tunnel::colony_end(incoming, outgoing).await.unwrap();
            let link = (first.greeting.unwrap(), AgentClient::new(channel));
            // A test that has seen enough takes no more.
            let _ = links.send(link).await;
        });
        Ok(Response::new(ReceiverStream::new(messages)))
    }
}

impl Colony {
    pub(crate) fn start() -> Self {
        let incoming = TcpIncoming::bind("127.0.0.1:0".parse().unwrap()).unwrap();
        let address = incoming.local_addr().unwrap();
        let (sender, links) = mpsc::channel(1);
        let service = AgentLinkServer::new(Welcoming(sender));
        let server = Server::builder().add_service(service);
        tokio::spawn(server.serve_with_incoming(incoming));
        Self {
            links,
            way: Proxy::to(&address.to_string()),
            spool: tempfile::tempdir().unwrap(),
        }
    }

    /// The key of an agent's configuration that makes this its colony.
    pub(crate) fn key(&self) -> String {
        format!(
            "colony: {{url: 'http://{}', spool: {{path: '{}', max_mb: 64}}}}",
            self.way.address,
            self.spool.path().join("spool").display()
        )
    }

    pub(crate) fn agent(&self) -> Daemon {
        Daemon::start_with(&Setup {
            loopback_roles: "'debug:read', 'debug:attach'",
            keys: &["id: node-7", &self.key()],
            ..Setup::default()
        })
    }

    /// The next link that an agent has opened.
    pub(crate) async fn link(&mut self) -> (Greeting, AgentClient<Channel>) {
        let link = timeout(DEADLINE, self.links.recv()).await;
        link.expect("the agent dials").unwrap()
    }
}

pub(crate) fn journalled(target: &Target, request_id: &str) -> wire::StartSessionRequest {
    wire::StartSessionRequest {
        request_id: request_id.into(),
        journal: true,
        ..session_on(target.pid(), &["pay"])
    }
}

pub(crate) async fn journals(agent: &mut AgentClient<Channel>) -> wire::ListJournalsResponse {
    let listed = agent.list_journals(wire::ListJournalsRequest {}).await;
    listed.unwrap().into_inner()
}

#[tokio::test(flavor = "multi_thread")]
async fn an_agent_dials_its_colony_and_answers_it() {
    let mut colony = Colony::start();
    let mut daemon = colony.agent();
    let (greeting, mut agent) = colony.link().await;
    let capabilities = agent.get_capabilities(wire::GetCapabilitiesRequest {});
    let capabilities = capabilities.await.unwrap().into_inner();
    let expected = Greeting {
        agent_id: "node-7".into(),
        version: env!("CARGO_PKG_VERSION").into(),
        host: capabilities.host,
        epoch: greeting.epoch,
    };
    assert_eq!(greeting, expected);
    daemon
        .coral
        .await_line("colony: connected to http://127.0.0.1:");
    let listed = agent
        .list_services(wire::ListServicesRequest::default())
        .await;
    let mut own = daemon.client().await;
    let own = own
        .list_services(wire::ListServicesRequest::default())
        .await;
    let names = |response: Response<wire::ListServicesResponse>| {
        let services = response.into_inner().services.into_iter();
        services.map(|service| service.name).collect::<HashSet<_>>()
    };
    // Other tests' processes come and go meanwhile.
    assert!(!names(listed.unwrap()).is_disjoint(&names(own.unwrap())));
    // A process of the node says who it is, and not somebody elsewhere.
    let request = wire::RegisterServiceRequest {
        name: "bank".into(),
        pid: std::process::id(),
        ..wire::RegisterServiceRequest::default()
    };
    let refused = agent.register_service(request).await.unwrap_err();
    assert_eq!(refused.code(), tonic::Code::PermissionDenied);
    assert_eq!(journals(&mut agent).await.epoch, greeting.epoch);
}

#[tokio::test(flavor = "multi_thread")]
async fn only_over_its_link_is_a_colony_believed_for_whom_it_asks() {
    need!(rights::probes());
    let binary = need!(compile::e2e_c(&["-O2"]));
    let mut colony = Colony::start();
    let daemon = colony.agent();
    let target = Target::spawn(&binary);
    let (_, agent) = colony.link().await;
    let of_ann = |request: wire::StartSessionRequest| {
        let mut request = Request::new(request);
        request
            .metadata_mut()
            .insert(ON_BEHALF_OF, "ann".parse().unwrap());
        request
    };
    let mut over_link = agent.clone();
    over_link
        .start_session(of_ann(journalled(&target, "")))
        .await
        .unwrap();
    let loopback = connect(&daemon.loopback.parse().unwrap(), None, None).await;
    let mut over_tcp = AgentClient::new(loopback.unwrap());
    let request = session_on(target.pid(), &["hot"]);
    over_tcp.start_session(of_ann(request)).await.unwrap();
    let mut root = daemon.client().await;
    let listed = root.list_sessions(wire::ListSessionsRequest::default());
    let sessions = listed.await.unwrap().into_inner().sessions;
    let names: Vec<_> = sessions.iter().map(|it| it.requested_by.as_str()).collect();
    assert_eq!(names, ["ann (colony)", "loopback"]);
    let text = daemon.audit_text();
    assert!(
        text.contains(r#"{"name":"ann (colony)","source":"colony","peer":"colony"}"#),
        "{text}"
    );
    // Who is no colony has no journals either.
    let refused = over_tcp.start_session(journalled(&target, "")).await;
    assert_eq!(refused.unwrap_err().code(), tonic::Code::PermissionDenied);
}

/// Nobody says that the link is gone: no packet comes any more, in either direction.
#[tokio::test(flavor = "multi_thread")]
async fn a_half_open_link_is_found_and_the_colony_is_dialled_again() {
    let mut colony = Colony::start();
    let mut daemon = colony.agent();
    let (greeting, mut agent) = colony.link().await;
    colony.way.silence();
    let silent_since = Instant::now();
    let (_, mut again) = colony.link().await;
    assert!(
        silent_since.elapsed() < HALF_OPEN_MAX,
        "{:?}",
        silent_since.elapsed()
    );
    daemon.coral.await_line("colony: cut off (");
    assert_eq!(journals(&mut again).await.epoch, greeting.epoch);
    // The colony has found it, too.
    let refused = agent
        .list_services(wire::ListServicesRequest::default())
        .await;
    assert_eq!(refused.unwrap_err().code(), tonic::Code::Unavailable);
}
