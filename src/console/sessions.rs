//! The sessions that the console has started on its process.

use std::collections::HashSet;
use std::sync::Arc;
use std::thread;
use std::time::Duration;

use coral_model::filter::Expression;
use coral_model::{
    EndReason, ExpectedCost, FunctionId, Limits, Redaction, SessionId, SessionState, Snapshot,
};
use coral_ui::{Attach, AttachTo, Failure, Level, Notice, SourceEvent};
use tokio::sync::watch;

use super::driver::Reports;
use crate::agent::{Agent, AgentError, AttachRequest, Attached, Session, Watched};
use crate::source::local;

/// A session has room for so many functions that are added to it by hand.
const ROOM_FOR_MORE: usize = 200;

/// The live sessions, the newest last.
pub(super) struct Sessions {
    agent: Agent,
    redaction: Redaction,
    reports: Reports,
    held: Vec<Held>,
    /// The functions whose calls were counted before, or whose cost was agreed to.
    known: HashSet<FunctionId>,
}

/// A session, and what its probes are on.
struct Held {
    session: Session,
    functions: HashSet<FunctionId>,
}

impl Sessions {
    pub(super) fn new(limits: Limits, redaction: Redaction, reports: Reports) -> Self {
        Self {
            agent: Agent::new(limits),
            redaction,
            reports,
            held: Vec::new(),
            known: HashSet::new(),
        }
    }

    /// Attaches, unless that would cost more than its budget and nobody has agreed to it; returns
    /// what is to be reported.
    pub(super) fn attach(&mut self, watched: &Arc<Watched>, attach: Attach) -> Vec<SourceEvent> {
        let request = AttachRequest {
            settings: attach.settings.clone(),
            redaction: self.redaction.clone(),
            room: attach.functions.len() + ROOM_FOR_MORE,
            ..AttachRequest::new(attach.functions.clone(), local::user_name())
        };
        let is_known = |id: &FunctionId| self.known.contains(id);
        if !attach.is_confirmed && !attach.functions.iter().all(is_known) {
            match self.agent.expected(watched, &request) {
                Ok(expected) if is_over(&expected, &request) => {
                    let attach = Box::new(attach);
                    return vec![SourceEvent::Costly { attach, expected }];
                }
                Ok(_) => {}
                Err(error) => return vec![failed(&attach, &error)],
            }
        }
        self.known.extend(&attach.functions);
        let result = match self.held.last_mut() {
            Some(newest) if attach.session == AttachTo::Newest => newest.add(&attach.functions),
            _ => Err(AgentError::Ended),
        };
        let result = match result {
            Err(AgentError::Ended) => self.begin(watched, &request),
            other => other,
        };
        match result {
            // Why functions were left out, the session's own notices say.
            Ok(attached) => vec![SourceEvent::Attached {
                left_out: attached.refused.iter().map(|it| it.function).collect(),
                functions: attached.functions,
                probes: attached.probes,
            }],
            Err(error) => vec![failed(&attach, &error)],
        }
    }

    fn begin(
        &mut self,
        watched: &Arc<Watched>,
        request: &AttachRequest,
    ) -> Result<Attached, AgentError> {
        self.held.retain(Held::is_live);
        let (session, attached) = self.agent.attach(Arc::clone(watched), request)?;
        // Two sessions would have every hit cost twice.
        self.remove(&attached.functions);
        self.held.retain_mut(|held| !held.functions.is_empty());
        let snapshots = session.snapshots();
        let reports = self.reports.clone();
        thread::spawn(move || forward(snapshots, &reports));
        self.held.push(Held {
            session,
            functions: attached.functions.iter().copied().collect(),
        });
        Ok(attached)
    }

    /// Detaches from functions, whichever session they are in.
    pub(super) fn remove(&mut self, functions: &[FunctionId]) {
        for held in &mut self.held {
            let here: Vec<FunctionId> = functions
                .iter()
                .copied()
                .filter(|id| held.functions.remove(id))
                .collect();
            if !here.is_empty() {
                // An error means that the session is over, and every probe gone.
                let _ = held.session.remove(here);
            }
        }
    }

    /// Ends all sessions; their final snapshots come the way all of them come.
    pub(super) fn detach_all(&mut self) {
        for held in self.held.drain(..) {
            held.session.detach();
        }
    }

    /// Makes all leases longer.
    pub(super) fn extend(&self, by: Duration) {
        for held in &self.held {
            // The next snapshot says how long it still runs, or that it is over.
            let _ = held.session.extend(by);
        }
    }

    /// Changes the filter of a session, and says what came of it.
    pub(super) fn set_filter(&self, id: &SessionId, filter: Option<Expression>) -> Notice {
        let held = self.held.iter().find(|held| held.session.id() == id);
        let result = match held {
            Some(held) => held.session.set_filter(filter.clone()),
            None => Err(AgentError::Ended),
        };
        match result {
            Ok(()) => Notice {
                level: Level::Info,
                code: None,
                message: match filter {
                    Some(filter) => format!("Calls are recorded where {filter}"),
                    None => "All calls are recorded".to_owned(),
                },
                help: String::new(),
            },
            Err(error) => Failure::from(&error).into(),
        }
    }

    /// The process is gone, and its sessions end by themselves.
    pub(super) fn forget(&mut self) {
        self.held.clear();
        self.known.clear();
    }
}

impl Held {
    fn add(&mut self, functions: &[FunctionId]) -> Result<Attached, AgentError> {
        let attached = self.session.add(functions.to_vec())?;
        self.functions.extend(&attached.functions);
        Ok(attached)
    }

    fn is_live(&self) -> bool {
        self.session.snapshots().borrow().session.state == SessionState::Active
    }
}

/// Whether probes would cost more than they may.
fn is_over(expected: &ExpectedCost, request: &AttachRequest) -> bool {
    let budget = request.settings.budget_percent;
    matches!((expected.cpu_percent, budget), (Some(percent), Some(budget)) if percent > budget)
}

fn failed(attach: &Attach, error: &AgentError) -> SourceEvent {
    SourceEvent::AttachFailed {
        functions: attach.functions.clone(),
        failure: Failure::from(error),
    }
}

/// Hands a session's snapshots on, the latest first, until its final one.
fn forward(mut snapshots: watch::Receiver<Arc<Snapshot>>, reports: &Reports) {
    let runtime = tokio::runtime::Builder::new_current_thread().build();
    let Ok(runtime) = runtime else { return };
    loop {
        let snapshot = snapshots.borrow_and_update().clone();
        let state = snapshot.session.state;
        let report = match state {
            SessionState::Active => SourceEvent::Snapshot(snapshot),
            SessionState::Ended(_) => SourceEvent::SessionEnded(snapshot),
        };
        if reports.blocking_send(report).is_err() {
            return;
        }
        if state == SessionState::Ended(EndReason::TargetExited) {
            let _ = reports.blocking_send(SourceEvent::TargetExited);
        }
        let is_over = state != SessionState::Active;
        if is_over || runtime.block_on(snapshots.changed()).is_err() {
            return;
        }
    }
}
