//! Agents without nodes: each keeps a real link to a colony, and answers it from memory.

use std::collections::BTreeMap;
use std::future::Future;
use std::io;
use std::pin::Pin;
use std::sync::atomic::{AtomicBool, AtomicU32, AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use coral_proto::agent::v1 as wire;
use coral_proto::agent::v1::agent_server::{Agent, AgentServer};
use coral_proto::colony::v1::agent_link_client::AgentLinkClient;
use coral_proto::colony::v1::{Greeting, OpenLinkRequest};
use coral_tui::access::{Endpoint, connect};
use coral_tui::serving::tunnel::{self, CHUNKS_MAX};
use tokio::sync::{mpsc, watch};
use tokio::task::JoinSet;
use tokio::time::{sleep, timeout};
use tokio_stream::wrappers::ReceiverStream;
use tokio_stream::{Stream, StreamExt};
use tonic::transport::Server;
use tonic::{Request, Response, Status};

use super::made::Made;
use crate::Result;

/// The service of which every node has a replica.
pub(crate) const SERVICE: &str = "shop";
/// Messages that wait for the colony on each stream.
const WAITING_MAX: usize = 2;

/// The nodes. Dropping them ends their links.
pub(crate) struct Nodes {
    pub(crate) shared: Arc<Shared>,
    _links: JoinSet<()>,
}

/// What all nodes do, and what has come of it.
pub(crate) struct Shared {
    made: Made,
    /// Between two updates of a session, in milliseconds; with 0 as fast as they are taken.
    pub(crate) update_every_ms: AtomicU64,
    /// How many of the nodes write into their journals, as fast as it is taken from them.
    pub(crate) writers: AtomicU32,
    /// Whether they write checkpoints; single calls if they do not.
    pub(crate) writes_checkpoints: AtomicBool,
    /// The processes that each of them says it has; its sessions are of the first one.
    pub(crate) processes: AtomicU32,
    /// Updates that have been sent.
    pub(crate) updates: AtomicU64,
    /// Entries that the colony has acknowledged.
    pub(crate) entries: AtomicU64,
    /// The nodes whose session has ended, and the place of its last update.
    pub(crate) ended: Mutex<BTreeMap<u32, u64>>,
}

impl Nodes {
    /// So many agents, each with one process of the service and so many functions.
    pub(crate) async fn connect(count: u32, functions: u32, colony: &Endpoint) -> Result<Self> {
        let shared = Arc::new(Shared {
            made: Made::of(functions),
            update_every_ms: AtomicU64::new(200),
            writers: AtomicU32::new(0),
            processes: AtomicU32::new(1),
            updates: AtomicU64::new(0),
            writes_checkpoints: AtomicBool::new(false),
            entries: AtomicU64::new(0),
            ended: Mutex::default(),
        });
        let mut links = JoinSet::new();
        for number in 0..count {
            let node = Node {
                number,
                name: format!("node-{number:03}"),
                shared: Arc::clone(&shared),
                sessions: Mutex::default(),
            };
            let channel = connect(colony, None, None).await?;
            let (outgoing, messages) = mpsc::channel(CHUNKS_MAX);
            outgoing
                .send(OpenLinkRequest {
                    greeting: Some(Greeting {
                        agent_id: node.name.clone(),
                        version: "made".into(),
                        host: node.name.clone(),
                        epoch: 1,
                    }),
                    data: Vec::new(),
                })
                .await?;
            let mut client = AgentLinkClient::new(channel);
            let opened = client.open_link(ReceiverStream::new(messages)).await?;
            let mut incoming = opened.into_inner();
            incoming.message().await?.ok_or("no welcome")?;
            let (connection, ended) = tunnel::agent_end(incoming, outgoing);
            let one = tokio_stream::once(Ok::<_, io::Error>(connection));
            links.spawn(async move {
                let ended = async { drop(ended.wait().await) };
                let served = Server::builder()
                    .add_service(AgentServer::new(node))
                    .serve_with_incoming_shutdown(one.chain(tokio_stream::pending()), ended);
                // It ends with its link.
                let _ = served.await;
            });
        }
        Ok(Self {
            shared,
            _links: links,
        })
    }
}

/// One of them.
struct Node {
    number: u32,
    name: String,
    shared: Arc<Shared>,
    /// The requests' names by their sessions'.
    sessions: Mutex<BTreeMap<String, Journal>>,
}

#[derive(Default)]
struct Journal {
    request_id: String,
    acknowledged: u64,
    is_over: watch::Sender<bool>,
}

type Answer<T> = std::result::Result<Response<T>, Status>;
type Messages<T> = Pin<Box<dyn Stream<Item = std::result::Result<T, Status>> + Send>>;

/// Calls that no colony makes here, as `async_trait` would write them: it does not look into macros.
macro_rules! unasked {
    ($($call:ident($request:ident) -> $response:ty;)*) => {$(
        fn $call<'node, 'answer>(
            &'node self,
            _: Request<wire::$request>,
        ) -> Pin<Box<dyn Future<Output = Answer<$response>> + Send + 'answer>>
        where
            'node: 'answer,
            Self: 'answer,
        {
            Box::pin(async { Err(Status::unimplemented(stringify!($call))) })
        }
    )*};
}

#[tonic::async_trait]
impl Agent for Node {
    type AttachUprobeStream = Messages<wire::UprobeEvent>;
    type WatchSessionStream = ReceiverStream<std::result::Result<wire::SessionUpdate, Status>>;
    type DownloadRecordingStream = Messages<wire::DownloadRecordingResponse>;
    type DownloadTracesStream = Messages<wire::DownloadTracesResponse>;
    type ReadJournalStream = ReceiverStream<std::result::Result<wire::JournalEntry, Status>>;

    async fn get_capabilities(
        &self,
        _: Request<wire::GetCapabilitiesRequest>,
    ) -> Answer<wire::GetCapabilitiesResponse> {
        Ok(Response::new(wire::GetCapabilitiesResponse {
            agent_id: self.name.clone(),
            can_debug_uprobes: true,
            ..wire::GetCapabilitiesResponse::default()
        }))
    }

    async fn list_services(
        &self,
        _: Request<wire::ListServicesRequest>,
    ) -> Answer<wire::ListServicesResponse> {
        let count = self.shared.processes.load(Ordering::Relaxed);
        let service = wire::Service {
            name: SERVICE.into(),
            processes: self.shared.made.processes(count).collect(),
            ..wire::Service::default()
        };
        Ok(Response::new(wire::ListServicesResponse {
            services: vec![service],
            ..wire::ListServicesResponse::default()
        }))
    }

    async fn list_functions(
        &self,
        _: Request<wire::ListFunctionsRequest>,
    ) -> Answer<wire::ListFunctionsResponse> {
        Ok(Response::new(self.shared.made.functions()))
    }

    async fn start_session(
        &self,
        request: Request<wire::StartSessionRequest>,
    ) -> Answer<wire::StartSessionResponse> {
        let mut sessions = self.sessions.lock().unwrap();
        let session_id = format!("{}-{}", self.name, sessions.len());
        let journal = Journal {
            request_id: request.into_inner().request_id,
            ..Journal::default()
        };
        sessions.insert(session_id.clone(), journal);
        Ok(Response::new(wire::StartSessionResponse {
            session_id,
            attached: Some(self.shared.made.attached()),
            ..wire::StartSessionResponse::default()
        }))
    }

    async fn watch_session(
        &self,
        request: Request<wire::WatchSessionRequest>,
    ) -> Answer<Self::WatchSessionStream> {
        let id = request.into_inner().session_id;
        let mut is_over = match self.sessions.lock().unwrap().get(&id) {
            Some(journal) => journal.is_over.subscribe(),
            None => return Err(Status::not_found("no such session")),
        };
        let (shared, number) = (Arc::clone(&self.shared), self.number);
        let (sender, updates) = mpsc::channel(WAITING_MAX);
        tokio::spawn(async move {
            for place in 0.. {
                let is_last = *is_over.borrow();
                let update = match is_last {
                    true => shared.made.last(place, &id),
                    false => shared.made.update(place, &id),
                };
                if is_last {
                    shared.ended.lock().unwrap().insert(number, place);
                }
                if sender.send(Ok(update)).await.is_err() || is_last {
                    return;
                }
                shared.updates.fetch_add(1, Ordering::Relaxed);
                let wait_ms = shared.update_every_ms.load(Ordering::Relaxed);
                // Whoever ends it does not wait.
                let ended = is_over.wait_for(|is_over| *is_over);
                let _ = timeout(Duration::from_millis(wait_ms), ended).await;
            }
        });
        Ok(Response::new(ReceiverStream::new(updates)))
    }

    async fn list_journals(
        &self,
        _: Request<wire::ListJournalsRequest>,
    ) -> Answer<wire::ListJournalsResponse> {
        let sessions = self.sessions.lock().unwrap();
        let journals = sessions.iter().map(|(id, journal)| wire::Journal {
            session_id: id.clone(),
            epoch: 1,
            request_id: journal.request_id.clone(),
            first_sequence: journal.acknowledged + 1,
            last_sequence: journal.acknowledged,
            is_complete: false,
        });
        Ok(Response::new(wire::ListJournalsResponse {
            epoch: 1,
            journals: journals.collect(),
        }))
    }

    async fn read_journal(
        &self,
        request: Request<wire::ReadJournalRequest>,
    ) -> Answer<Self::ReadJournalStream> {
        let after = request.into_inner().after_sequence;
        let number = self.number;
        let shared = Arc::clone(&self.shared);
        let (sender, entries) = mpsc::channel(WAITING_MAX);
        tokio::spawn(async move {
            let mut sequence = after;
            loop {
                if number >= shared.writers.load(Ordering::Relaxed) {
                    sleep(Duration::from_millis(50)).await;
                    if sender.is_closed() {
                        return;
                    }
                    continue;
                }
                sequence += 1;
                let entry = match shared.writes_checkpoints.load(Ordering::Relaxed) {
                    true => shared.made.checkpoint(sequence),
                    false => shared.made.entry(sequence),
                };
                if sender.send(Ok(entry)).await.is_err() {
                    return;
                }
            }
        });
        Ok(Response::new(ReceiverStream::new(entries)))
    }

    async fn acknowledge_journal(
        &self,
        request: Request<wire::AcknowledgeJournalRequest>,
    ) -> Answer<wire::AcknowledgeJournalResponse> {
        let request = request.into_inner();
        let mut sessions = self.sessions.lock().unwrap();
        let journal = sessions.get_mut(&request.session_id);
        let journal = journal.ok_or_else(|| Status::not_found("no such journal"))?;
        let entries = request.sequence.saturating_sub(journal.acknowledged);
        journal.acknowledged += entries;
        self.shared.entries.fetch_add(entries, Ordering::Relaxed);
        Ok(Response::new(wire::AcknowledgeJournalResponse {}))
    }

    async fn end_sessions(
        &self,
        request: Request<wire::EndSessionsRequest>,
    ) -> Answer<wire::EndSessionsResponse> {
        let id = request.into_inner().session_id;
        if let Some(journal) = self.sessions.lock().unwrap().get(&id) {
            journal.is_over.send_replace(true);
        }
        Ok(Response::new(wire::EndSessionsResponse::default()))
    }

    unasked! {
        attach_uprobe(AttachUprobeRequest) -> Self::AttachUprobeStream;
        detach_uprobe(DetachUprobeRequest) -> wire::DetachUprobeResponse;
        list_processes(ListProcessesRequest) -> wire::ListProcessesResponse;
        list_callees(ListCalleesRequest) -> wire::ListCalleesResponse;
        list_sessions(ListSessionsRequest) -> wire::ListSessionsResponse;
        add_functions(AddFunctionsRequest) -> wire::AddFunctionsResponse;
        remove_functions(RemoveFunctionsRequest) -> wire::RemoveFunctionsResponse;
        update_filter(UpdateFilterRequest) -> wire::UpdateFilterResponse;
        extend_session(ExtendSessionRequest) -> wire::ExtendSessionResponse;
        download_recording(DownloadRecordingRequest) -> Self::DownloadRecordingStream;
        download_traces(DownloadTracesRequest) -> Self::DownloadTracesStream;
        register_service(RegisterServiceRequest) -> wire::RegisterServiceResponse;
    }
}
