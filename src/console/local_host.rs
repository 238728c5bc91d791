//! Processes of this node, with an agent inside this program.

use std::sync::Arc;
use std::thread;
use std::time::Duration;

use coral_model::filter::Expression;
use coral_model::{
    Capture, ExpectedCost, FunctionId, Limits, Redaction, SessionId, SessionSettings, SessionState,
    Snapshot,
};
use coral_ui::{Attach, AttachTo, Failure, OpenTarget, SourceEvent};
use tokio::sync::{mpsc, watch};
use tokio::time::{Interval, interval};

use super::driver::Reports;
use super::host::{self, Host, HostSession, News, ROOM_FOR_MORE, Started};
use crate::agent::{Agent, AttachRequest, Attached, Session, Watched};
use crate::probe::Calibration;
use crate::source::local;
use crate::symbols::{Symbols, list_processes};

/// How often the process is looked at.
const WATCH_INTERVAL: Duration = Duration::from_millis(500);
/// What the sample service's functions are called.
const SAMPLE_FUNCTIONS: [&str; 7] = [
    "handleCheckout",
    "validateCart",
    "checkInventory",
    "processPayment",
    "validateCard",
    "callExternalAPI",
    "sendConfirmation",
];

/// The open process, and the agent for its sessions.
pub(super) struct LocalHost {
    agent: Agent,
    redaction: Redaction,
    reports: Reports,
    watched: Option<Arc<Watched>>,
    /// The functions of a process with all that can be known of them.
    completed: mpsc::Receiver<(u32, Symbols)>,
    completing: mpsc::Sender<(u32, Symbols)>,
    look: Interval,
    attach_at_start: bool,
}

/// A session of the agent.
pub(super) struct LocalSession {
    id: SessionId,
    session: Session,
}

impl LocalHost {
    /// With `attach_at_start`, the first process that is opened is the sample service, and its
    /// functions are attached at once.
    pub(super) fn new(
        limits: Limits,
        redaction: Redaction,
        reports: Reports,
        attach_at_start: bool,
    ) -> Self {
        let (completing, completed) = mpsc::channel(1);
        Self {
            agent: Agent::new(limits),
            redaction,
            reports,
            watched: None,
            completed,
            completing,
            look: interval(WATCH_INTERVAL),
            attach_at_start,
        }
    }

    fn request(&self, attach: &Attach) -> AttachRequest {
        AttachRequest {
            settings: attach.settings.clone(),
            redaction: self.redaction.clone(),
            room: attach.functions.len() + ROOM_FOR_MORE,
            ..AttachRequest::new(attach.functions.clone(), local::user_name())
        }
    }

    fn watched(&self) -> Result<&Arc<Watched>, Failure> {
        self.watched.as_ref().ok_or_else(|| Failure {
            code: "target-gone".into(),
            message: "the process has ended".into(),
            help: "choose another one".into(),
        })
    }

    fn complete(&mut self, pid: u32, symbols: Symbols) -> Option<SourceEvent> {
        let watched = self.watched.as_ref();
        let watched = watched.filter(|open| open.target.pid == pid)?;
        let completed = Arc::new(Watched {
            symbols,
            ..Watched::clone(watched)
        });
        let report = functions(&completed, true);
        self.watched = Some(completed);
        Some(report)
    }
}

impl Host for LocalHost {
    type Session = LocalSession;

    async fn processes(&mut self) -> Option<SourceEvent> {
        Some(SourceEvent::Processes(list_processes().into()))
    }

    async fn open(&mut self, what: &OpenTarget) -> Option<SourceEvent> {
        let pid = match what {
            OpenTarget::Process(pid) => *pid,
            OpenTarget::Service(name) => return Some(no_services(name)),
        };
        self.watched = None;
        let watched = match local::open(pid, &[]) {
            Ok(watched) => Arc::new(watched),
            Err(error) => return Some(SourceEvent::OpenFailed(Failure::from(&error))),
        };
        let report = functions(&watched, false);
        self.watched = Some(Arc::clone(&watched));
        // Both take a moment that nobody should have to wait for.
        thread::spawn(Calibration::measure_once);
        let completing = self.completing.clone();
        thread::spawn(move || {
            let symbols = watched.symbols.completed();
            // The driver is gone: so are the screens that would show it.
            let _ = completing.blocking_send((pid, symbols));
        });
        Some(report)
    }

    fn attach_at_start(&mut self) -> Option<Attach> {
        if !std::mem::take(&mut self.attach_at_start) {
            return None;
        }
        let is_sample = |name: &str| {
            let last = name.rsplit("::").next().unwrap_or(name);
            name.starts_with("checkout::") && SAMPLE_FUNCTIONS.contains(&last)
        };
        let functions = self.watched.as_ref()?.table().iter();
        Some(Attach {
            functions: functions
                .filter(|function| is_sample(function.name))
                .map(|function| function.id)
                .collect(),
            settings: SessionSettings {
                duration: Limits::default().duration,
                // The sample service has no secrets.
                capture: Capture {
                    arguments: true,
                    results: true,
                },
                ..SessionSettings::default()
            },
            session: AttachTo::New,
            is_confirmed: true,
        })
    }

    async fn callees(&mut self, function: FunctionId) -> Result<Vec<FunctionId>, Failure> {
        Ok(self.watched()?.symbols.callees(function).direct)
    }

    async fn expected(&mut self, attach: &Attach) -> Result<ExpectedCost, Failure> {
        let expected = self.agent.expected(self.watched()?, &self.request(attach));
        expected.map_err(|error| Failure::from(&error))
    }

    async fn start(
        &mut self,
        attach: &Attach,
        asks: bool,
    ) -> Result<Started<LocalSession>, Failure> {
        let watched = Arc::clone(self.watched()?);
        if asks {
            let expected = self.expected(attach).await?;
            if expected.is_over(attach.settings.budget_percent) {
                return Ok(Started::Costly(expected));
            }
        }
        let started = self.agent.attach(watched, &self.request(attach));
        let (session, attached) = started.map_err(|error| Failure::from(&error))?;
        let (snapshots, reports) = (session.snapshots(), self.reports.clone());
        thread::spawn(move || forward(snapshots, &reports));
        let id = session.id().clone();
        Ok(Started::Live(LocalSession { id, session }, attached))
    }

    async fn news(&mut self) -> News {
        loop {
            tokio::select! {
                Some((pid, symbols)) = self.completed.recv() => {
                    if let Some(report) = self.complete(pid, symbols) {
                        return News::Report(report);
                    }
                }
                _ = self.look.tick() => {
                    let watched = self.watched.as_ref();
                    if watched.is_some_and(|watched| watched.process.has_exited()) {
                        self.watched = None;
                        return News::TargetExited;
                    }
                }
            }
        }
    }
}

impl HostSession for LocalSession {
    fn id(&self) -> &SessionId {
        &self.id
    }

    fn is_live(&self) -> bool {
        self.session.snapshots().borrow().session.state == SessionState::Active
    }

    async fn add(&self, functions: &[FunctionId]) -> Result<Attached, Failure> {
        let added = self.session.add(functions.to_vec());
        added.map_err(|error| Failure::from(&error))
    }

    async fn remove(&self, functions: &[FunctionId]) -> Result<(), Failure> {
        let removed = self.session.remove(functions.to_vec());
        removed.map_err(|error| Failure::from(&error))
    }

    async fn extend(&self, by: Duration) -> Result<(), Failure> {
        let extended = self.session.extend(by);
        extended.map(drop).map_err(|error| Failure::from(&error))
    }

    async fn set_filter(&self, filter: Option<Expression>) -> Result<(), Failure> {
        let set = self.session.set_filter(filter);
        set.map_err(|error| Failure::from(&error))
    }

    async fn end(self) -> Result<(), (Self, Failure)> {
        self.session.detach();
        Ok(())
    }
}

fn functions(watched: &Watched, complete: bool) -> SourceEvent {
    SourceEvent::Functions {
        target: watched.target.clone(),
        table: Arc::clone(watched.table()),
        complete,
    }
}

/// Hands a session's snapshots on, the latest first, until its final one.
fn forward(mut snapshots: watch::Receiver<Arc<Snapshot>>, reports: &Reports) {
    let runtime = tokio::runtime::Builder::new_current_thread().build();
    let Ok(runtime) = runtime else { return };
    loop {
        let snapshot = snapshots.borrow_and_update().clone();
        let is_over = snapshot.session.state != SessionState::Active;
        for report in host::reports(snapshot) {
            if reports.blocking_send(report).is_err() {
                return;
            }
        }
        if is_over || runtime.block_on(snapshots.changed()).is_err() {
            return;
        }
    }
}

/// Says that services are known to a colony alone.
fn no_services(name: &str) -> SourceEvent {
    SourceEvent::OpenFailed(Failure {
        code: "no-such-service".into(),
        message: format!("{name} is a service, and there is no colony to ask for it"),
        help: "choose a process".into(),
    })
}
