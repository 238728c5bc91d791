//! One replica in one session: attached to, and followed over however many links come and go.

use std::sync::Arc;
use std::time::Duration;

use coral_model::{FunctionId, Snapshot, Target};
use coral_proto::agent::v1 as wire;
use coral_proto::convert::duration_to_wire;
use coral_proto::{ERROR_CODE, ERROR_HELP};
use tokio::sync::{mpsc, watch};
use tokio::time::{Instant, timeout};
use tonic::{Code, Status};

use super::catalog::{Catalog, cut_off};
use super::changes::Changes;
use super::registry::{Link, Registry, ReplicaProcess, timed};
use crate::serving::status;
use crate::source::remote::{RemoteError, Watching};

/// Reading the symbols of a large program takes seconds.
const START_MAX: Duration = Duration::from_secs(60);
/// A session sends several updates a second: one that is quiet for longer is not heard of.
const QUIET_MAX: Duration = Duration::from_secs(5);
/// Less is not worth attaching for.
const REMAINING_MIN: Duration = Duration::from_millis(100);

/// A replica to attach to, or to find again.
#[derive(Clone)]
pub(super) struct Follower {
    pub(super) registry: Arc<Registry>,
    pub(super) catalog: Arc<Catalog>,
    pub(super) process: ReplicaProcess,
    /// Its place in the session.
    pub(super) place: usize,
    /// Names the request: asked for again, it is the same session on the agent.
    pub(super) request_id: String,
    /// What it is to be like by now.
    pub(super) wish: watch::Receiver<Wish>,
    /// Its session on its agent, if it was started before.
    pub(super) agent_session: Option<AgentSession>,
    pub(super) news: mpsc::Sender<News>,
}

/// What is attached on every replica.
#[derive(Clone, Debug)]
pub(super) struct Wish {
    /// Without the process, the functions' numbers and the duration.
    pub(super) request: wire::StartSessionRequest,
    /// Functions by their numbers in the service's catalog.
    pub(super) functions: Vec<FunctionId>,
    pub(super) requested_by: String,
    /// When the session's lease ends.
    pub(super) deadline: Instant,
    pub(super) changes: Changes,
}

/// A session of an agent.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct AgentSession {
    pub(super) id: String,
    /// The start of the agent that it belongs to.
    pub(super) epoch: u64,
}

/// What has become of a replica.
pub(super) struct News {
    pub(super) place: usize,
    pub(super) what: What,
}

pub(super) enum What {
    /// Its probes are live.
    Started {
        session: AgentSession,
        attached: wire::Attached,
    },
    /// It is not attached to, for good.
    Refused(Status),
    Measured(Arc<Snapshot>),
    /// Nothing is heard of it.
    Silent(String),
    /// Its session is gone, and nobody will say how it ended.
    Gone(String),
}

impl Follower {
    /// Follows it to its end.
    pub(super) async fn run(mut self) {
        loop {
            let link = self.connected().await;
            let ended = tokio::select! {
                ended = self.follow(&link) => ended,
                () = link.down() => Err(Status::unavailable("its agent is cut off")),
            };
            match ended {
                Ok(()) => return,
                Err(status) if is_of_link(&status) => {
                    let why = status.message().to_owned();
                    if !self.tell(What::Silent(why)).await {
                        return;
                    }
                    // What failed was perhaps this call alone.
                    let _ = timeout(Duration::from_secs(1), link.down()).await;
                }
                Err(status) => {
                    let what = match self.agent_session {
                        None => What::Refused(status),
                        Some(_) => What::Gone(status.message().to_owned()),
                    };
                    self.tell(what).await;
                    return;
                }
            }
        }
    }

    /// Waits until the agent is connected.
    async fn connected(&self) -> Link {
        let mut changes = self.registry.changes();
        loop {
            changes.borrow_and_update();
            if let Some(link) = self.registry.link(&self.process.agent_id) {
                return link;
            }
            if changes.changed().await.is_err() {
                // The colony ends, and this task with it.
                std::future::pending::<()>().await;
            }
        }
    }

    /// Until the session has ended, over one link.
    async fn follow(&mut self, link: &Link) -> Result<(), Status> {
        let session = match &self.agent_session {
            Some(session) if session.epoch != link.epoch => {
                let code = Code::NotFound;
                return Err(Status::new(code, "its agent started anew"));
            }
            Some(session) => session.clone(),
            None => self.start(link).await?,
        };
        let mut calls = link.calls(Some(&self.wish().requested_by));
        let request = wire::WatchSessionRequest {
            session_id: session.id,
            interval: None,
        };
        let mut watching = Watching::of(calls.watch_session(request).await?.into_inner());
        loop {
            let next = timeout(QUIET_MAX, watching.next()).await;
            let next = next.map_err(|_| Status::unavailable("its agent does not answer"))?;
            match next {
                Ok(Some(snapshot)) => {
                    let is_over = snapshot.session.ended_at.is_some();
                    self.tell(What::Measured(snapshot)).await;
                    if is_over {
                        return Ok(());
                    }
                }
                Ok(None) => return Err(Status::unavailable("its agent went away")),
                Err(RemoteError::Refused(status)) => return Err(status),
                // The stream begins anew.
                Err(error) => return Err(Status::unavailable(error.to_string())),
            }
        }
    }

    async fn start(&mut self, link: &Link) -> Result<AgentSession, Status> {
        let wish = self.wish();
        let remaining = wish.deadline.saturating_duration_since(Instant::now());
        if remaining < REMAINING_MIN {
            let message = "the session's lease ran out before it was attached to";
            let help = "ask for a longer session";
            let code = Code::FailedPrecondition;
            return Err(status::with(code, "session-ended", message, help));
        }
        let request = self.request(&wish, remaining).await?;
        let mut calls = link.calls(Some(&wish.requested_by));
        let started = calls.start_session(timed(START_MAX, request)).await?;
        let started = started.into_inner();
        let session = AgentSession {
            id: started.session_id,
            epoch: link.epoch,
        };
        self.agent_session = Some(session.clone());
        let attached = started.attached.unwrap_or_default();
        let told = session.clone();
        self.tell(What::Started {
            session: told,
            attached,
        })
        .await;
        Ok(session)
    }

    async fn request(
        &self,
        wish: &Wish,
        remaining: Duration,
    ) -> Result<wire::StartSessionRequest, Status> {
        let mut request = replica_request(&wish.request, self.process.process.pid);
        request.request_id.clone_from(&self.request_id);
        request.journal = true;
        let settings = request.settings.get_or_insert_default();
        settings.duration = Some(duration_to_wire(remaining));
        if let Some(filter) = &wish.changes.filter {
            settings.filter.clone_from(filter);
        }
        if !wish.functions.is_empty() {
            let functions = &wish.functions;
            let in_build = self
                .catalog
                .in_build(&self.registry, &self.process, functions);
            request.function_ids = in_build.await?.into_iter().map(|id| id.0).collect();
            if request.function_ids.is_empty() && request.patterns.is_empty() {
                let message = "its build has none of these functions";
                return Err(Status::not_found(message));
            }
        }
        Ok(request)
    }

    fn wish(&self) -> Wish {
        self.wish.borrow().clone()
    }

    /// Whether anybody listens.
    async fn tell(&self, what: What) -> bool {
        let place = self.place;
        self.news.send(News { place, what }).await.is_ok()
    }
}

/// The request for one process of a service.
pub(super) fn replica_request(
    request: &wire::StartSessionRequest,
    pid: u32,
) -> wire::StartSessionRequest {
    let libraries = request.target.as_ref();
    wire::StartSessionRequest {
        target: Some(wire::TargetRef {
            pids: vec![pid],
            libraries: libraries.map_or_else(Vec::new, |target| target.libraries.clone()),
            ..wire::TargetRef::default()
        }),
        function_ids: Vec::new(),
        ..request.clone()
    }
}

/// What an agent says of why a replica is not measured.
pub(super) fn start_of(
    target: &Target,
    result: Result<&wire::Attached, &Status>,
) -> wire::ReplicaStart {
    let replica = Some(wire::ReplicaRef {
        agent_id: target.agent_id.clone(),
        pid: target.pid,
    });
    match result {
        Ok(attached) => wire::ReplicaStart {
            replica,
            functions: attached.function_ids.len() as u32,
            probes: attached.probes,
            ..wire::ReplicaStart::default()
        },
        Err(status) => {
            let metadata = |key| {
                let value = status.metadata().get(key)?;
                value.to_str().ok().map(str::to_owned)
            };
            wire::ReplicaStart {
                replica,
                error_code: metadata(ERROR_CODE).unwrap_or_else(|| "agent-failed".into()),
                error: status.message().to_owned(),
                help: metadata(ERROR_HELP).unwrap_or_default(),
                ..wire::ReplicaStart::default()
            }
        }
    }
}

/// Whether a call failed because of the way to the agent, and may be made again.
fn is_of_link(status: &Status) -> bool {
    match status.metadata().get(ERROR_CODE) {
        // The agent is still busy with the same request, which came before the link was lost.
        Some(code) => code == "in-progress" || status.message() == cut_off().message(),
        None => matches!(
            status.code(),
            // A deadline of this side is told as cancelled.
            Code::Unavailable
                | Code::DeadlineExceeded
                | Code::Cancelled
                | Code::Unknown
                | Code::Aborted
        ),
    }
}
