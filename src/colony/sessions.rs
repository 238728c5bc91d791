//! The sessions of this colony, whoever has started them.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use coral_model::{EndReason, SessionId, SessionInfo, SessionState, Snapshot};
use coral_proto::agent::v1::StartSessionResponse;
use jiff::{SignedDuration, Timestamp};
use tokio::sync::{mpsc, oneshot, watch};
use tonic::{Code, Status};

use super::session::{Answer, Command, NewSession, SessionTask};
use crate::serving::claims::{Claimed, Claims, RequestName};
use crate::serving::{Owner, status};

/// So many sessions are remembered, live or ended; ended ones go first.
const REMEMBERED_MAX: usize = 1_000;
/// What is asked of a session and it has not heard.
const COMMANDS_MAX: usize = 16;

/// The sessions, oldest first.
#[derive(Debug)]
pub(super) struct Sessions {
    held: Mutex<VecDeque<Arc<Held>>>,
    remembered_for: Duration,
    starting: Claims,
}

/// A session, and for whom it was started.
#[derive(Debug)]
pub(super) struct Held {
    pub(super) id: SessionId,
    pub(super) service: String,
    pub(super) owner: Owner,
    /// As its client named it.
    pub(super) request_id: String,
    /// Whether its records hold what calls receive or return.
    pub(super) holds_values: bool,
    /// What who asked for it was told; set once it has begun.
    answer: watch::Sender<Option<Result<StartSessionResponse, Status>>>,
    commands: mpsc::Sender<Command>,
    snapshots: watch::Receiver<Arc<Snapshot>>,
    ready: watch::Receiver<bool>,
}

impl Sessions {
    pub(super) fn new(remembered_for: Duration) -> Self {
        Self {
            held: Mutex::default(),
            remembered_for,
            starting: Claims::default(),
        }
    }

    /// The right to start what a request asks for; nothing while the same one is being worked on.
    pub(super) fn claim(&self, owner: &Owner, request_id: &str) -> Option<Claimed> {
        self.starting.claim(&RequestName {
            owner: owner.clone(),
            id: request_id.to_owned(),
        })
    }

    /// Begins a session; the answer to who asked for it is not known yet.
    pub(super) fn begin(
        &self,
        session: NewSession,
        owner: Owner,
        request_id: String,
        holds_values: bool,
    ) -> (
        Arc<Held>,
        oneshot::Receiver<Vec<coral_proto::agent::v1::ReplicaStart>>,
    ) {
        let (sender, commands) = mpsc::channel(COMMANDS_MAX);
        let (id, service) = (session.info.id.clone(), session.info.target.service.clone());
        let (task, told) = SessionTask::new(session);
        tokio::spawn(task.run(commands));
        let held = Arc::new(Held {
            id,
            service,
            owner,
            request_id,
            holds_values,
            answer: watch::Sender::new(None),
            commands: sender,
            snapshots: told.snapshots,
            ready: told.is_ready,
        });
        let mut all = self.locked();
        all.push_back(Arc::clone(&held));
        self.forget(&mut all);
        (held, told.start)
    }

    /// The session of the same request, if it came before.
    pub(super) fn of_request(&self, owner: &Owner, request_id: &str) -> Option<Arc<Held>> {
        let all = self.locked();
        let mut same = all
            .iter()
            .filter(|held| !request_id.is_empty() && held.request_id == request_id);
        same.find(|held| held.owner == *owner).cloned()
    }

    pub(super) fn get(&self, id: &str) -> Option<Arc<Held>> {
        self.locked().iter().find(|held| held.id.0 == id).cloned()
    }

    /// All that are remembered, oldest first.
    pub(super) fn all(&self) -> Vec<Arc<Held>> {
        self.locked().iter().cloned().collect()
    }

    pub(super) fn live(&self) -> usize {
        self.locked().iter().filter(|held| held.is_live()).count()
    }

    fn forget(&self, all: &mut VecDeque<Arc<Held>>) {
        let age = SignedDuration::try_from(self.remembered_for).unwrap_or(SignedDuration::MAX);
        let oldest = Timestamp::now().checked_sub(age).unwrap_or(Timestamp::MIN);
        all.retain(|held| {
            held.info()
                .ended_at
                .is_none_or(|ended_at| ended_at > oldest)
        });
        while all.len() > REMEMBERED_MAX {
            let Some(ended) = all.iter().position(|held| !held.is_live()) else {
                break;
            };
            all.remove(ended);
        }
    }

    /// What it guards is whole at any time, so a panic spoils nothing.
    fn locked(&self) -> MutexGuard<'_, VecDeque<Arc<Held>>> {
        self.held.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Held {
    pub(super) fn info(&self) -> SessionInfo {
        self.snapshots.borrow().session.clone()
    }

    pub(super) fn snapshots(&self) -> watch::Receiver<Arc<Snapshot>> {
        self.snapshots.clone()
    }

    /// Waits until it has found its replicas again, after the colony started anew.
    pub(super) async fn ready(&self) {
        // A task that failed tells nothing more.
        let _ = self.ready.clone().wait_for(|is_ready| *is_ready).await;
    }

    pub(super) fn is_live(&self) -> bool {
        self.snapshots.borrow().session.state == SessionState::Active
    }

    /// Tells who asked for it what came of that.
    pub(super) fn set_answer(&self, answer: Result<StartSessionResponse, Status>) {
        self.answer.send_replace(Some(answer));
    }

    /// What who asked for it is told, once it is known.
    pub(super) async fn answer(&self) -> Result<StartSessionResponse, Status> {
        let mut answers = self.answer.subscribe();
        let answer = answers.wait_for(Option::is_some).await;
        let answer = answer.map(|answer| answer.clone());
        answer.ok().flatten().unwrap_or_else(|| Err(ended()))
    }

    /// Asks something of it.
    ///
    /// # Errors
    /// If the session is over, or an agent refuses.
    pub(super) async fn ask<T>(
        &self,
        command: impl FnOnce(Answer<T>) -> Command,
    ) -> Result<T, Status> {
        let (sender, answer) = oneshot::channel();
        let sent = self.commands.send(command(sender)).await;
        sent.map_err(|_| ended())?;
        answer.await.map_err(|_| ended())?
    }

    /// Ends it, if nothing has yet, and waits until that is done.
    pub(super) async fn end(&self, reason: EndReason) {
        // It is over already where it cannot be asked.
        let _ = self.ask(|answer| Command::End(reason, answer)).await;
        let is_over = |latest: &Arc<Snapshot>| latest.session.state != SessionState::Active;
        let _ = self.snapshots.clone().wait_for(is_over).await;
    }
}

fn ended() -> Status {
    let message = "the session is over";
    let help = "start another one";
    status::with(Code::FailedPrecondition, "session-ended", message, help)
}
