//! Carries out what the screens ask for on a live process: one thread that owns the process, the
//! agent and the session, so that requests are done in the order they were made.

use std::sync::Arc;
use std::sync::mpsc::{self, Receiver, SyncSender, TrySendError};
use std::thread;
use std::time::Duration;

use coral_model::{EndReason, FunctionId, Limits, SessionState, Snapshot};
use coral_ui::{Effect, Failure, Level, Notice, SourceEvent};
use tokio::sync::mpsc as async_mpsc;
use tokio::sync::watch;

use super::event_loop::Backend;
use super::{exports, source_files, views};
use crate::agent::{Agent, AgentError, AttachRequest, Attached, Capture, Session, Watched};
use crate::probe::Calibration;
use crate::source::local;
use crate::symbols::{Symbols, list_processes};

/// Requests that may wait; more would mean that the thread hangs.
const REQUESTS_MAX: usize = 64;
/// Reports that may wait for the screens.
const REPORTS_MAX: usize = 64;
/// How often the process is looked at while no session does.
const WATCH_INTERVAL: Duration = Duration::from_millis(500);
/// A session that is begun by hand has room for so many functions.
const SESSION_ROOM: usize = 1_024;
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

type Reports = async_mpsc::Sender<SourceEvent>;

/// The handle that the loop holds.
pub(super) struct Driver {
    requests: SyncSender<Request>,
    reports: Reports,
}

enum Request {
    Effect(Effect),
    /// The functions of the open process with all that can be known of them.
    Completed(u32, Symbols),
}

impl Driver {
    /// Starts the thread. With `attach_at_start`, the first process that is opened is the sample
    /// service, and its functions are attached at once.
    pub(super) fn start(
        limits: Limits,
        attach_at_start: bool,
    ) -> (Self, async_mpsc::Receiver<SourceEvent>) {
        let (requests, received) = mpsc::sync_channel(REQUESTS_MAX);
        let (reports, to_screens) = async_mpsc::channel(REPORTS_MAX);
        let worker = Worker {
            agent: Agent::new(limits),
            requests: requests.clone(),
            reports: reports.clone(),
            watched: None,
            session: None,
            attach_at_start,
            capture: Capture::default(),
        };
        thread::spawn(move || worker.run(&received));
        (Self { requests, reports }, to_screens)
    }
}

impl Backend for Driver {
    fn perform(&mut self, effect: Effect) -> Option<Effect> {
        if matches!(
            effect,
            Effect::Quit | Effect::Suspend | Effect::Copy(_) | Effect::Edit { .. }
        ) {
            return Some(effect);
        }
        if let Err(TrySendError::Full(_) | TrySendError::Disconnected(_)) =
            self.requests.try_send(Request::Effect(effect))
        {
            let notice = Notice {
                level: Level::Error,
                code: Some("busy".into()),
                message: "the request was dropped: too many wait already".into(),
                help: "wait a moment and ask again; Ctrl-C ends everything at once".into(),
            };
            // Full as well: then the screens are behind, and will show what they can.
            let _ = self.reports.try_send(SourceEvent::Notice(notice));
        }
        None
    }
}

struct Worker {
    agent: Agent,
    requests: SyncSender<Request>,
    reports: Reports,
    watched: Option<Arc<Watched>>,
    session: Option<Session>,
    attach_at_start: bool,
    /// What is read of calls in the sessions to come.
    capture: Capture,
}

impl Worker {
    fn run(mut self, requests: &Receiver<Request>) {
        loop {
            match requests.recv_timeout(WATCH_INTERVAL) {
                Ok(Request::Effect(effect)) => self.perform(effect),
                Ok(Request::Completed(pid, symbols)) => self.complete(pid, symbols),
                Err(mpsc::RecvTimeoutError::Timeout) => self.look_at_target(),
                Err(mpsc::RecvTimeoutError::Disconnected) => return,
            }
            if self.reports.is_closed() {
                return;
            }
        }
    }

    fn perform(&mut self, effect: Effect) {
        match effect {
            Effect::ListProcesses => {
                self.report(SourceEvent::Processes(list_processes().into()));
            }
            Effect::Open { pid } => self.open(pid),
            Effect::Attach {
                functions,
                duration,
            } => self.attach(functions, duration),
            Effect::Detach { functions } => self.detach(functions),
            Effect::DetachAll => self.detach_all(),
            Effect::Extend { by } => self.extend(by),
            Effect::ExportView(view) => self.report(exports::view(&view)),
            Effect::SaveView(view) => self.report(views::save(&view)),
            Effect::ExportSession(snapshot) => self.report(exports::session(&snapshot)),
            Effect::ReadSource { file, line } => self.report(source_files::read(&file, line)),
            Effect::Copy(_) | Effect::Edit { .. } | Effect::Suspend | Effect::Quit => {}
        }
    }

    fn open(&mut self, pid: u32) {
        self.detach_all();
        self.watched = None;
        self.capture = Capture::default();
        self.report(SourceEvent::Opening { pid });
        let watched = match local::open(pid, &[]) {
            Ok(watched) => Arc::new(watched),
            Err(error) => return self.report(SourceEvent::OpenFailed(Failure::from(&error))),
        };
        self.report_functions(&watched, false);
        self.watched = Some(Arc::clone(&watched));
        // Both take a moment that nobody should have to wait for.
        thread::spawn(Calibration::measure_once);
        let requests = self.requests.clone();
        thread::spawn(move || {
            let symbols = watched.symbols.completed();
            // The driver is gone: so are the screens that would show it.
            let _ = requests.send(Request::Completed(pid, symbols));
        });
        if std::mem::take(&mut self.attach_at_start) {
            self.attach_sample();
        }
    }

    fn complete(&mut self, pid: u32, symbols: Symbols) {
        let Some(watched) = self.watched.as_ref().filter(|open| open.target.pid == pid) else {
            return;
        };
        let completed = Arc::new(Watched {
            symbols,
            ..Watched::clone(watched)
        });
        self.report_functions(&completed, true);
        self.watched = Some(completed);
    }

    fn report_functions(&self, watched: &Watched, complete: bool) {
        self.report(SourceEvent::Functions {
            target: watched.target.clone(),
            table: Arc::clone(watched.table()),
            complete,
        });
    }

    fn attach_sample(&mut self) {
        let Some(watched) = &self.watched else { return };
        let is_sample = |name: &str| {
            let last = name.rsplit("::").next().unwrap_or(name);
            name.starts_with("checkout::") && SAMPLE_FUNCTIONS.contains(&last)
        };
        let functions: Vec<FunctionId> = watched
            .table()
            .iter()
            .filter(|function| is_sample(function.name))
            .map(|function| function.id)
            .collect();
        // The sample service has no secrets.
        self.capture = Capture {
            arguments: true,
            results: true,
        };
        self.attach(functions, self.agent.limits().duration);
    }

    fn attach(&mut self, functions: Vec<FunctionId>, duration: Duration) {
        let Some(watched) = self.watched.clone() else {
            return;
        };
        let result = match &self.session {
            Some(session) => session.add(functions.clone()),
            None => Err(AgentError::Ended),
        };
        let result = match result {
            Err(AgentError::Ended) => self.begin_session(watched, functions.clone(), duration),
            other => other,
        };
        match result {
            Ok(attached) => self.report_attached(attached),
            Err(error) => self.report(SourceEvent::AttachFailed {
                functions,
                failure: Failure::from(&error),
            }),
        }
    }

    fn begin_session(
        &mut self,
        watched: Arc<Watched>,
        functions: Vec<FunctionId>,
        duration: Duration,
    ) -> Result<Attached, AgentError> {
        let request = AttachRequest {
            duration,
            room: SESSION_ROOM,
            capture: self.capture,
            ..AttachRequest::new(functions, local::user_name())
        };
        let (session, attached) = self.agent.attach(watched, &request)?;
        let snapshots = session.snapshots();
        let reports = self.reports.clone();
        thread::spawn(move || forward(snapshots, &reports));
        self.session = Some(session);
        Ok(attached)
    }

    fn report_attached(&self, attached: Attached) {
        for refused in attached.refused {
            self.report(SourceEvent::AttachFailed {
                functions: vec![refused.function],
                failure: Failure {
                    code: "not-probeable".into(),
                    message: refused.reason,
                    help: "choose a function that calls it, or that it calls".into(),
                },
            });
        }
        self.report(SourceEvent::Attached {
            functions: attached.functions,
            probes: attached.probes,
        });
    }

    fn detach(&mut self, functions: Vec<FunctionId>) {
        if let Some(session) = &self.session {
            // An error means that the session is over, and every probe gone.
            let _ = session.remove(functions.clone());
        }
        self.report(SourceEvent::Detached { functions });
    }

    fn detach_all(&mut self) {
        if let Some(session) = self.session.take() {
            // The final snapshot comes the way all of them come.
            session.detach();
        }
    }

    fn extend(&mut self, by: Duration) {
        if let Some(session) = &self.session {
            // The next snapshot says how long it still runs, or that it is over.
            let _ = session.extend(by);
        }
    }

    fn look_at_target(&mut self) {
        if self
            .watched
            .as_ref()
            .is_some_and(|watched| watched.process.has_exited())
        {
            self.watched = None;
            self.session = None;
            self.report(SourceEvent::TargetExited);
        }
    }

    fn report(&self, report: SourceEvent) {
        // The screens are gone: so will this thread be.
        let _ = self.reports.blocking_send(report);
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
