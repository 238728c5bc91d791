//! An agent and its colony, which is played here: the link, who asks over it, and the journals.

use std::collections::HashSet;
use std::time::{Duration, Instant};

use coral_model::{EndReason, SessionState, Snapshot};
use coral_proto::ON_BEHALF_OF;
use coral_proto::agent::v1 as wire;
use coral_proto::agent::v1::agent_client::AgentClient;
use coral_proto::colony::v1::agent_link_server::{AgentLink, AgentLinkServer};
use coral_proto::colony::v1::{Greeting, OpenLinkRequest, OpenLinkResponse, Welcome};
use coral_proto::convert::Assembled;
use coral_tui::access::connect;
use coral_tui::serving::tunnel::{self, CHUNKS_MAX};
use rustix::process::Signal;
use tempfile::TempDir;
use tokio::sync::mpsc;
use tokio::time::timeout;
use tokio_stream::wrappers::ReceiverStream;
use tonic::transport::server::TcpIncoming;
use tonic::transport::{Channel, Server};
use tonic::{Request, Response, Status, Streaming};

use crate::calls::session_on;
use crate::common::lines::{DEADLINE, eventually};
use crate::common::target::Target;
use crate::common::{compile, need, rights};
use crate::daemon::{Daemon, Setup};
use crate::proxy::Proxy;

/// A half-open link is found, and the colony dialled again, within this.
const HALF_OPEN_MAX: Duration = Duration::from_secs(15);

/// A colony that welcomes everybody.
struct Colony {
    links: mpsc::Receiver<(Greeting, AgentClient<Channel>)>,
    way: Proxy,
    spool: TempDir,
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
    fn start() -> Self {
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
    fn key(&self) -> String {
        format!(
            "colony: {{url: 'http://{}', spool: {{path: '{}', max_mb: 64}}}}",
            self.way.address,
            self.spool.path().join("spool").display()
        )
    }

    fn agent(&self) -> Daemon {
        Daemon::start_with(&Setup {
            loopback_roles: "'debug:read', 'debug:attach'",
            keys: &["id: node-7", &self.key()],
            ..Setup::default()
        })
    }

    /// The next link that an agent has opened.
    async fn link(&mut self) -> (Greeting, AgentClient<Channel>) {
        let link = timeout(DEADLINE, self.links.recv()).await;
        link.expect("the agent dials").unwrap()
    }
}

fn journalled(target: &Target, request_id: &str) -> wire::StartSessionRequest {
    wire::StartSessionRequest {
        request_id: request_id.into(),
        journal: true,
        ..session_on(target.pid(), &["pay"])
    }
}

async fn start(agent: &mut AgentClient<Channel>, target: &Target) -> String {
    let started = agent.start_session(journalled(target, "of colony")).await;
    started.unwrap().into_inner().session_id
}

async fn end(agent: &mut AgentClient<Channel>, session_id: &str) {
    let request = wire::EndSessionsRequest {
        session_id: session_id.to_owned(),
        ..wire::EndSessionsRequest::default()
    };
    agent.end_sessions(request).await.unwrap();
}

async fn journals(agent: &mut AgentClient<Channel>) -> wire::ListJournalsResponse {
    let listed = agent.list_journals(wire::ListJournalsRequest {}).await;
    listed.unwrap().into_inner()
}

/// What is stored of a journal.
#[derive(Default)]
struct Stored {
    session_id: String,
    epoch: u64,
    entries: Vec<wire::JournalEntry>,
}

impl Stored {
    fn of(session_id: &str, epoch: u64) -> Self {
        Self {
            session_id: session_id.to_owned(),
            epoch,
            entries: Vec::new(),
        }
    }

    fn last_sequence(&self) -> u64 {
        self.entries.last().map_or(0, |entry| entry.sequence)
    }

    /// Reads on until that holds, or the last entry has come.
    async fn read(&mut self, agent: &mut AgentClient<Channel>, is_enough: impl Fn(&Self) -> bool) {
        let request = wire::ReadJournalRequest {
            session_id: self.session_id.clone(),
            epoch: self.epoch,
            after_sequence: self.last_sequence(),
        };
        let mut entries = agent.read_journal(request).await.unwrap().into_inner();
        while !is_enough(self) {
            let next = timeout(DEADLINE, entries.message()).await;
            let Some(entry) = next.expect("an entry comes").unwrap() else {
                break;
            };
            assert_eq!(entry.sequence, self.last_sequence() + 1);
            assert_eq!(entry.gap, None);
            self.entries.push(entry);
        }
    }

    async fn read_to_end(&mut self, agent: &mut AgentClient<Channel>) {
        self.read(agent, |_| false).await;
        assert!(self.entries.last().unwrap().is_last);
    }

    /// When and how long each recorded call was.
    fn calls(&self) -> Vec<(String, u32, u64)> {
        let calls = self.entries.iter().flat_map(|entry| &entry.calls);
        calls
            .map(|call| {
                assert_eq!(call.function, "pay");
                let record = call.record.as_ref().unwrap();
                let started_at = format!("{:?}", record.started_at.unwrap());
                (started_at, record.tid, record.duration_ns)
            })
            .collect()
    }

    /// The session as it was at last.
    fn session(&self) -> std::sync::Arc<Snapshot> {
        let mut session = Assembled::new();
        let updates = self.entries.iter().filter_map(|it| it.checkpoint.clone());
        let snapshots = updates.filter_map(|update| session.apply(update).unwrap());
        snapshots.last().unwrap()
    }
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
        epoch: 1,
    };
    assert_eq!(greeting, expected);
    daemon
        .coral
        .await_line("colony: connected to http://127.0.0.1:");
    let listed = agent.list_services(wire::ListServicesRequest {}).await;
    let mut own = daemon.client().await;
    let own = own.list_services(wire::ListServicesRequest {}).await;
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
    assert_eq!(journals(&mut agent).await.epoch, 1);
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

#[tokio::test(flavor = "multi_thread")]
async fn a_journal_has_every_call_once_and_the_final_numbers() {
    need!(rights::probes());
    let binary = need!(compile::e2e_c(&["-O2"]));
    let mut colony = Colony::start();
    let _daemon = colony.agent();
    let mut target = Target::spawn(&binary);
    let (_, mut agent) = colony.link().await;
    let session_id = start(&mut agent, &target).await;
    let calls = target.run("pay").functions["pay"].calls;
    end(&mut agent, &session_id).await;
    let mut stored = Stored::of(&session_id, 1);
    stored.read_to_end(&mut agent).await;
    let session = stored.session();
    assert_eq!(
        session.session.state,
        SessionState::Ended(EndReason::Detached)
    );
    assert_eq!(session.functions[0].calls, calls);
    assert_eq!(session.accounting.events_stored, calls);
    let recorded = stored.calls();
    assert_eq!(recorded.len() as u64, calls);
    assert_eq!(
        recorded.iter().collect::<HashSet<_>>().len(),
        recorded.len()
    );

    let listed = journals(&mut agent).await.journals;
    let journal = wire::Journal {
        session_id: session_id.clone(),
        epoch: 1,
        request_id: "of colony".into(),
        first_sequence: 1,
        last_sequence: stored.last_sequence(),
        is_complete: true,
    };
    assert_eq!(listed, [journal]);
    let all = wire::AcknowledgeJournalRequest {
        session_id,
        epoch: 1,
        sequence: stored.last_sequence(),
    };
    agent.acknowledge_journal(all).await.unwrap();
    assert_eq!(journals(&mut agent).await.journals, []);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_cut_link_repeats_nothing_and_loses_nothing() {
    need!(rights::probes());
    let binary = need!(compile::e2e_c(&["-O2"]));
    let mut colony = Colony::start();
    let mut daemon = colony.agent();
    let mut target = Target::spawn(&binary);
    let (_, mut agent) = colony.link().await;
    let session_id = start(&mut agent, &target).await;
    let mut calls = target.run("pay").functions["pay"].calls;
    let mut stored = Stored::of(&session_id, 1);
    stored
        .read(&mut agent, |it| it.calls().len() as u64 == calls)
        .await;
    colony.way.cut();
    daemon.coral.await_line("colony: cut off (");
    calls += target.run("pay").functions["pay"].calls;
    colony.way.heal();
    let (greeting, mut agent) = colony.link().await;
    assert_eq!(greeting.epoch, 1);
    stored
        .read(&mut agent, |it| it.calls().len() as u64 == calls)
        .await;
    calls += target.run("pay").functions["pay"].calls;
    end(&mut agent, &session_id).await;
    stored.read_to_end(&mut agent).await;
    let recorded = stored.calls();
    assert_eq!(recorded.len() as u64, calls);
    assert_eq!(
        recorded.iter().collect::<HashSet<_>>().len(),
        recorded.len()
    );
    assert_eq!(stored.session().functions[0].calls, calls);
    drop(agent);
    drop(daemon);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_killed_agent_leaves_its_journals_and_their_ends() {
    need!(rights::probes());
    let binary = need!(compile::e2e_c(&["-O2"]));
    let mut colony = Colony::start();
    let daemon = colony.agent();
    let mut target = Target::spawn(&binary);
    let (_, mut agent) = colony.link().await;
    let session_id = start(&mut agent, &target).await;
    let calls = target.run("pay").functions["pay"].calls;
    let mut stored = Stored::of(&session_id, 1);
    stored
        .read(&mut agent, |it| it.calls().len() as u64 == calls)
        .await;
    daemon.coral.signal(Signal::KILL);
    let Daemon {
        coral,
        folder,
        loopback,
    } = daemon;
    assert_eq!(coral.wait().status.code(), None);
    let key = colony.key();
    let setup = Setup {
        keys: &["id: node-7", &key],
        ..Setup::default()
    };
    let _daemon = Daemon::start_in(folder, &loopback, &setup);
    let (greeting, mut agent) = colony.link().await;
    assert_eq!(greeting.epoch, 2);
    let listed = journals(&mut agent).await;
    assert_eq!(listed.epoch, 2);
    let [journal] = &listed.journals[..] else {
        panic!("{listed:#?}");
    };
    assert_eq!((&journal.session_id, journal.epoch), (&session_id, 1));
    assert!(journal.is_complete);
    stored.read_to_end(&mut agent).await;
    assert_eq!(stored.calls().len() as u64, calls);
    let session = stored.session();
    assert_eq!(
        session.session.state,
        SessionState::Ended(EndReason::Failed)
    );
    let notices: Vec<_> = session.notices.iter().map(|it| &it.text).collect();
    assert!(notices[0].starts_with("the agent ended"), "{notices:?}");
    // A session of the new start has a journal beside it.
    let other = start(&mut agent, &target).await;
    end(&mut agent, &other).await;
    Stored::of(&other, 2).read_to_end(&mut agent).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_agent_that_is_told_to_end_ends_its_journals_first() {
    need!(rights::probes());
    let binary = need!(compile::e2e_c(&["-O2"]));
    let mut colony = Colony::start();
    let daemon = colony.agent();
    let mut target = Target::spawn(&binary);
    let (_, mut agent) = colony.link().await;
    let session_id = start(&mut agent, &target).await;
    let calls = target.run("pay").functions["pay"].calls;
    let key = colony.key();
    let setup = Setup {
        keys: &["id: node-7", &key],
        ..Setup::default()
    };
    let _daemon = daemon.restart(&setup);
    let (_, mut agent) = colony.link().await;
    let mut stored = Stored::of(&session_id, 1);
    stored.read_to_end(&mut agent).await;
    assert_eq!(stored.calls().len() as u64, calls);
    let session = stored.session();
    assert_eq!(
        session.session.state,
        SessionState::Ended(EndReason::Detached)
    );
    assert_eq!(session.functions[0].calls, calls);
}

/// Nobody says that the link is gone: no packet comes any more, in either direction.
#[tokio::test(flavor = "multi_thread")]
async fn a_half_open_link_is_found_and_the_colony_is_dialled_again() {
    let mut colony = Colony::start();
    let mut daemon = colony.agent();
    let (_, mut agent) = colony.link().await;
    colony.way.silence();
    let silent_since = Instant::now();
    let (_, mut again) = colony.link().await;
    assert!(
        silent_since.elapsed() < HALF_OPEN_MAX,
        "{:?}",
        silent_since.elapsed()
    );
    daemon.coral.await_line("colony: cut off (");
    assert_eq!(journals(&mut again).await.epoch, 1);
    // The colony has found it, too.
    let refused = agent.list_services(wire::ListServicesRequest {}).await;
    assert_eq!(refused.unwrap_err().code(), tonic::Code::Unavailable);
}

/// A session goes on where its journal cannot be kept, and says so.
#[tokio::test(flavor = "multi_thread")]
async fn a_session_goes_on_without_a_place_for_its_journal() {
    need!(rights::probes());
    let binary = need!(compile::e2e_c(&["-O2"]));
    let mut colony = Colony::start();
    std::fs::write(colony.spool.path().join("spool"), "no folder").unwrap();
    let daemon = colony.agent();
    let mut target = Target::spawn(&binary);
    let (greeting, mut agent) = colony.link().await;
    assert_eq!(greeting.epoch, 0);
    let session_id = start(&mut agent, &target).await;
    let calls = target.run("pay").functions["pay"].calls;
    end(&mut agent, &session_id).await;
    let watch = wire::WatchSessionRequest {
        session_id,
        interval: None,
    };
    let mut updates = agent.watch_session(watch).await.unwrap().into_inner();
    let (mut assembled, mut session) = (Assembled::new(), None);
    while let Some(update) = updates.message().await.unwrap() {
        session = assembled.apply(update).unwrap().or(session);
    }
    let session = session.unwrap();
    assert_eq!(session.functions[0].calls, calls);
    let notices: Vec<_> = session.notices.iter().map(|it| &it.text).collect();
    assert!(
        notices
            .iter()
            .any(|text| text.starts_with("there is no journal")),
        "{notices:?}"
    );
    assert!(eventually(|| daemon.audit_text().contains("session.start")));
}
