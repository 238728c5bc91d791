//! Where processes and sessions live: in this program, or with an agent. The driver asks both the
//! same way.

use std::sync::Arc;
use std::time::Duration;

use coral_model::filter::Expression;
use coral_model::{EndReason, ExpectedCost, FunctionId, SessionId, SessionState, Snapshot};
use coral_ui::{Attach, Effect, Failure, OpenTarget, SourceEvent};

use crate::agent::Attached;

/// A session has room for so many functions that are added to it by hand.
pub(super) const ROOM_FOR_MORE: usize = 200;

/// What a host has to say without being asked.
pub(super) enum News {
    /// It is for the screens.
    Report(SourceEvent),
    /// The open process has ended.
    TargetExited,
    /// The functions of the open service have other numbers from now on.
    Renumbered,
}

/// What came of a request for a session.
pub(super) enum Started<S> {
    /// It would cost more than its budget, and was not started.
    Costly(ExpectedCost),
    /// It was started, and its snapshots are on their way to the screens.
    Live(S, Attached),
}

/// Where processes and sessions live.
pub(super) trait Host {
    type Session: HostSession;

    /// The processes; `None` where nothing can be said now.
    async fn processes(&mut self) -> Option<SourceEvent>;

    /// Begins to open a process or a service; what is known of it at once is returned, the rest is
    /// news.
    async fn open(&mut self, what: &OpenTarget) -> Option<SourceEvent>;

    /// What is to be attached now that a process is open, without anybody asking for it.
    fn attach_at_start(&mut self) -> Option<Attach> {
        None
    }

    /// What a function calls, as far as its code tells.
    async fn callees(&mut self, function: FunctionId) -> Result<Vec<FunctionId>, Failure>;

    /// What attaching would cost.
    async fn expected(&mut self, attach: &Attach) -> Result<ExpectedCost, Failure>;

    /// Starts a session on the open process. With `asks`, not if that would cost too much.
    async fn start(
        &mut self,
        attach: &Attach,
        asks: bool,
    ) -> Result<Started<Self::Session>, Failure>;

    /// Begins to ask for what is remembered of sessions, where something is; the answer is reported.
    fn ask_history(&mut self, _effect: Effect) {}

    /// Waits for what it has to say. Nothing is lost if the waiting is given up.
    async fn news(&mut self) -> News;
}

/// A session, as who has started it acts on it.
pub(super) trait HostSession: Sized {
    fn id(&self) -> &SessionId;

    /// Whether something can be asked of it.
    fn is_live(&self) -> bool;

    /// Whether there is nothing left to end.
    fn is_over(&self) -> bool {
        !self.is_live()
    }

    async fn add(&self, functions: &[FunctionId]) -> Result<Attached, Failure>;

    async fn remove(&self, functions: &[FunctionId]) -> Result<(), Failure>;

    async fn extend(&self, by: Duration) -> Result<(), Failure>;

    async fn set_filter(&self, filter: Option<Expression>) -> Result<(), Failure>;

    /// Ends it; its final snapshot comes the way all of them come. Where that cannot be done, the
    /// session is given back.
    async fn end(self) -> Result<(), (Self, Failure)>;
}

/// Whether what was asked of a session came too late.
pub(super) fn is_over(failure: &Failure) -> bool {
    ["session-ended", "no-such-session"].contains(&failure.code.as_str())
}

/// What a snapshot is to the screens; a session's final one says what became of the process. A
/// service does not end with its processes: it has none for a while.
pub(super) fn reports(snapshot: Arc<Snapshot>) -> Vec<SourceEvent> {
    match snapshot.session.state {
        SessionState::Active => vec![SourceEvent::Snapshot(snapshot)],
        SessionState::Ended(EndReason::TargetExited) if snapshot.session.target.pid != 0 => vec![
            SourceEvent::SessionEnded(snapshot),
            SourceEvent::TargetExited,
        ],
        SessionState::Ended(_) => vec![SourceEvent::SessionEnded(snapshot)],
    }
}

#[cfg(test)]
mod tests {
    use coral_model::{Accounting, Language, Overhead, SessionInfo, SessionSettings, Target};

    use super::*;

    /// The final snapshot of a session whose process is gone, or whose processes are.
    fn gone(pid: u32) -> Arc<Snapshot> {
        let session = SessionInfo {
            id: SessionId("dbg-1".into()),
            target: Target {
                agent_id: String::new(),
                service: "shop".into(),
                pid,
                exe: String::new(),
                build_id: None,
                language: Language::Go,
                start_ticks: 7,
            },
            other_pids: Vec::new(),
            started_at: jiff::Timestamp::UNIX_EPOCH,
            ended_at: None,
            requested_by: String::new(),
            elapsed: Duration::ZERO,
            remaining: Duration::ZERO,
            state: SessionState::Ended(EndReason::TargetExited),
            probes: 0,
            settings: SessionSettings::default(),
        };
        Arc::new(Snapshot {
            session,
            functions: Vec::new(),
            replicas: Vec::new(),
            call_tree: Arc::default(),
            slow_calls: Vec::new(),
            in_flight: Vec::new(),
            notices: Vec::new(),
            accounting: Accounting::default(),
            overhead: Overhead::default(),
        })
    }

    #[test]
    fn a_process_ends_and_a_service_does_not() {
        let process = reports(gone(42));
        assert!(matches!(
            process[..],
            [SourceEvent::SessionEnded(_), SourceEvent::TargetExited]
        ));
        let service = reports(gone(0));
        assert!(matches!(service[..], [SourceEvent::SessionEnded(_)]));
    }
}
