//! The sessions of this node, whoever has started them.

use std::collections::{HashSet, VecDeque};
use std::io;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use coral_model::{SessionId, SessionInfo, SessionState, Snapshot};
use coral_proto::agent::v1::StartSessionResponse;
use tokio::sync::watch;

use super::journal::NewJournal;
use super::recording::Recording;
use crate::agent::{
    Agent, AgentError, AttachRequest, Attached, Session, TraceRule, TracesHandle, Watched,
};
use crate::serving::Owner;
use crate::source::{TraceFormat, write_traces};

/// So many sessions are remembered, live or ended; ended ones go first.
const REMEMBERED_MAX: usize = 100;

/// The sessions, oldest first.
#[derive(Debug)]
pub(super) struct Sessions {
    agent: Agent,
    held: Mutex<VecDeque<Arc<Held>>>,
    /// Requests that are being worked on.
    starting: Arc<Mutex<HashSet<RequestName>>>,
}

/// A client's name for its request: the same again is the same session.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(super) struct RequestName {
    pub(super) owner: Owner,
    /// Empty where the client gives it no name.
    pub(super) id: String,
}

/// A session, and for whom it was started.
#[derive(Debug)]
pub(super) struct Held {
    request: RequestName,
    /// What who asked for it was told.
    pub(super) answer: StartSessionResponse,
    pub(super) watched: Arc<Watched>,
    pub(super) recording: Recording,
    /// Whether its journal, if it has one, is written to its end.
    is_kept: watch::Receiver<bool>,
    traces: TracesHandle,
    trace_rule: Option<TraceRule>,
    /// Taken when it is ended by a request.
    session: Mutex<Option<Session>>,
    snapshots: watch::Receiver<Arc<Snapshot>>,
}

/// What has become of a request.
pub(super) enum Claim {
    /// It is new.
    New(Claimed),
    /// It came before, and was done.
    Started(Arc<Held>),
}

/// A request that is being worked on, until this is dropped.
#[derive(Debug)]
pub(super) struct Claimed {
    name: RequestName,
    starting: Arc<Mutex<HashSet<RequestName>>>,
}

impl Drop for Claimed {
    fn drop(&mut self) {
        locked(&self.starting).remove(&self.name);
    }
}

impl Sessions {
    pub(super) fn new(agent: Agent) -> Self {
        Self {
            agent,
            held: Mutex::default(),
            starting: Arc::default(),
        }
    }

    pub(super) fn agent(&self) -> &Agent {
        &self.agent
    }

    /// Whether a request is new; nothing while the same one is being worked on.
    pub(super) fn claim(&self, name: &RequestName) -> Option<Claim> {
        // Both are looked at together, so that none slips through between them.
        let mut starting = locked(&self.starting);
        if !name.id.is_empty() {
            let all = locked(&self.held);
            if let Some(held) = all.iter().find(|held| held.request == *name) {
                return Some(Claim::Started(Arc::clone(held)));
            }
            if !starting.insert(name.clone()) {
                return None;
            }
        }
        Some(Claim::New(Claimed {
            name: name.clone(),
            starting: Arc::clone(&self.starting),
        }))
    }

    /// Starts a session. Blocks until its probes are live.
    ///
    /// # Errors
    /// As for [`Agent::attach`].
    pub(super) fn start(
        &self,
        watched: Arc<Watched>,
        request: &AttachRequest,
        claim: &Claimed,
        journal: Option<NewJournal>,
        answer: impl FnOnce(&SessionId, Attached) -> StartSessionResponse,
    ) -> Result<StartSessionResponse, AgentError> {
        let (session, attached) = self.agent.attach(Arc::clone(&watched), request)?;
        let answer = answer(session.id(), attached);
        let snapshots = session.snapshots();
        let (kept, is_kept) = watch::channel(false);
        let held = Arc::new(Held {
            request: claim.name.clone(),
            answer: answer.clone(),
            recording: Recording::start(&watched, snapshots.clone()),
            is_kept,
            traces: session.traces(),
            trace_rule: request.trace.clone(),
            watched,
            snapshots,
            session: Mutex::new(Some(session)),
        });
        if let Some(journal) = journal {
            journal.keep(&held, kept);
        }
        let mut all = locked(&self.held);
        all.push_back(held);
        if all.len() > REMEMBERED_MAX {
            let ended = all.iter().position(|held| !held.is_live());
            // Where all are live, none is forgotten: the agent's limit bounds them.
            ended.map(|place| all.remove(place));
        }
        Ok(answer)
    }

    pub(super) fn get(&self, id: &str) -> Option<Arc<Held>> {
        let all = locked(&self.held);
        all.iter().find(|held| held.info().id.0 == id).cloned()
    }

    /// All that are remembered, oldest first.
    pub(super) fn all(&self) -> Vec<Arc<Held>> {
        locked(&self.held).iter().cloned().collect()
    }
}

impl Held {
    pub(super) fn info(&self) -> SessionInfo {
        self.snapshots.borrow().session.clone()
    }

    pub(super) fn is_kept(&self) -> watch::Receiver<bool> {
        self.is_kept.clone()
    }

    /// Adds a notice, if it is not over.
    pub(super) fn notify(&self, text: String) {
        // Over it has nobody who would read it.
        let _ = self.ask(|session| session.notify(text));
    }

    pub(super) fn snapshots(&self) -> watch::Receiver<Arc<Snapshot>> {
        self.snapshots.clone()
    }

    /// Whether its records hold what calls receive or return, which not everybody may see.
    pub(super) fn holds_values(&self) -> bool {
        let capture = self.snapshot().session.settings.capture;
        capture.arguments || capture.results
    }

    /// The document of what it has traced; nothing if it traces nothing.
    pub(super) fn traces(&self, format: TraceFormat) -> Option<io::Result<Vec<u8>>> {
        let rule = self.trace_rule.as_ref()?;
        let (snapshot, traces) = (self.snapshot(), self.traces.get());
        Some(write_traces(
            &self.watched,
            &snapshot,
            rule,
            &traces,
            format,
        ))
    }

    pub(super) fn snapshot(&self) -> Arc<Snapshot> {
        Arc::clone(&self.snapshots.borrow())
    }

    /// Who has started it.
    pub(super) fn owner(&self) -> &Owner {
        &self.request.owner
    }

    pub(super) fn is_live(&self) -> bool {
        self.snapshots.borrow().session.state == SessionState::Active
    }

    /// Asks something of the session. Blocks until it is done.
    ///
    /// # Errors
    /// If the session is over, or refuses.
    pub(super) fn ask<T>(
        &self,
        question: impl FnOnce(&Session) -> Result<T, AgentError>,
    ) -> Result<T, AgentError> {
        let session = locked(&self.session);
        question(session.as_ref().ok_or(AgentError::Ended)?)
    }

    /// Ends it, if nothing has yet. Blocks until no probe is left.
    pub(super) fn end(&self) {
        let session = locked(&self.session).take();
        if let Some(session) = session {
            session.detach();
        }
    }
}

/// What it guards is whole at any time, so a panic spoils nothing.
fn locked<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
