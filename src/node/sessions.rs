//! The sessions of this node, whoever has started them.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, PoisonError};

use coral_model::{SessionInfo, SessionState, Snapshot};
use tokio::sync::watch;

use crate::agent::{Agent, AgentError, AttachRequest, Attached, Session, Watched};

/// So many sessions are remembered, live or ended; ended ones go first.
const REMEMBERED_MAX: usize = 100;

/// The sessions, oldest first.
#[derive(Debug)]
pub(super) struct Sessions {
    agent: Agent,
    held: Mutex<VecDeque<Arc<Held>>>,
}

/// A session, and for whom it was started.
#[derive(Debug)]
pub(super) struct Held {
    /// The client's name for its request: the same again is this session.
    request_id: String,
    owner: String,
    pub(super) watched: Arc<Watched>,
    /// Taken when it is ended by a request.
    session: Mutex<Option<Session>>,
    snapshots: watch::Receiver<Arc<Snapshot>>,
}

impl Sessions {
    pub(super) fn new(agent: Agent) -> Self {
        Self {
            agent,
            held: Mutex::default(),
        }
    }

    pub(super) fn agent(&self) -> &Agent {
        &self.agent
    }

    /// The session that was started by that very request, if there is one.
    pub(super) fn of_request(&self, owner: &str, request_id: &str) -> Option<Arc<Held>> {
        let of_request = |held: &&Arc<Held>| held.owner == owner && held.request_id == request_id;
        let held = self.held();
        let found = held
            .iter()
            .find(of_request)
            .filter(|_| !request_id.is_empty());
        found.cloned()
    }

    /// Starts a session. Blocks until its probes are live.
    ///
    /// # Errors
    /// As for [`Agent::attach`].
    pub(super) fn start(
        &self,
        watched: Arc<Watched>,
        request: &AttachRequest,
        request_id: String,
    ) -> Result<(Arc<Held>, Attached), AgentError> {
        let (session, attached) = self.agent.attach(Arc::clone(&watched), request)?;
        let held = Arc::new(Held {
            request_id,
            owner: request.requested_by.clone(),
            watched,
            snapshots: session.snapshots(),
            session: Mutex::new(Some(session)),
        });
        let mut all = self.held();
        all.push_back(Arc::clone(&held));
        if all.len() > REMEMBERED_MAX {
            let ended = all.iter().position(|held| !held.is_live());
            // Live sessions are fewer: the agent's limit is far below.
            ended.map(|place| all.remove(place));
        }
        Ok((held, attached))
    }

    pub(super) fn get(&self, id: &str) -> Option<Arc<Held>> {
        let held = self.held();
        held.iter().find(|held| held.info().id.0 == id).cloned()
    }

    /// All that are remembered, oldest first.
    pub(super) fn all(&self) -> Vec<Arc<Held>> {
        self.held().iter().cloned().collect()
    }

    fn held(&self) -> std::sync::MutexGuard<'_, VecDeque<Arc<Held>>> {
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
        let session = self.session.lock().unwrap_or_else(PoisonError::into_inner);
        question(session.as_ref().ok_or(AgentError::Ended)?)
    }

    /// Ends it, if nothing has yet. Blocks until no probe is left.
    pub(super) fn end(&self) {
        let session = self
            .session
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .take();
        if let Some(session) = session {
            session.detach();
        }
    }
}
