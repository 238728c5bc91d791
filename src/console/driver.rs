//! Carries out what the screens ask for on a live process: one thread that owns the process, the
//! agent and the session, so that requests are done in the order they were made.

use std::sync::Arc;
use std::sync::mpsc::{self, Receiver, SyncSender, TrySendError};
use std::thread;
use std::time::Duration;

use coral_model::{Capture, FunctionId, Limits, Redaction, SessionSettings};
use coral_ui::{Attach, AttachTo, Effect, Failure, Level, Notice, SourceEvent};
use tokio::sync::mpsc as async_mpsc;

use super::event_loop::Backend;
use super::sessions::Sessions;
use super::{exports, source_files, views};
use crate::agent::Watched;
use crate::probe::Calibration;
use crate::source::local;
use crate::symbols::{Symbols, list_processes};

/// Requests that may wait; more would mean that the thread hangs.
const REQUESTS_MAX: usize = 64;
/// Reports that may wait for the screens.
const REPORTS_MAX: usize = 64;
/// How often the process is looked at while no session does.
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

pub(super) type Reports = async_mpsc::Sender<SourceEvent>;

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
        redaction: Redaction,
        attach_at_start: bool,
    ) -> (Self, async_mpsc::Receiver<SourceEvent>) {
        let (requests, received) = mpsc::sync_channel(REQUESTS_MAX);
        let (reports, to_screens) = async_mpsc::channel(REPORTS_MAX);
        let worker = Worker {
            sessions: Sessions::new(limits, redaction, reports.clone()),
            requests: requests.clone(),
            reports: reports.clone(),
            watched: None,
            attach_at_start,
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
    sessions: Sessions,
    requests: SyncSender<Request>,
    reports: Reports,
    watched: Option<Arc<Watched>>,
    attach_at_start: bool,
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
            Effect::Attach(attach) => self.attach(attach),
            Effect::FindCallees { function } => self.find_callees(function),
            Effect::SetFilter { session, filter } => {
                let notice = self.sessions.set_filter(&session, filter);
                self.report(SourceEvent::Notice(notice));
            }
            Effect::Detach { functions } => self.detach(functions),
            Effect::DetachAll => self.sessions.detach_all(),
            Effect::Extend { by } => self.sessions.extend(by),
            Effect::ExportView(view) => self.report(exports::view(&view)),
            Effect::SaveView(view) => self.report(views::save(&view)),
            Effect::ExportSession(snapshot) => self.report(exports::session(&snapshot)),
            Effect::ReadSource { file, line } => self.report(source_files::read(&file, line)),
            Effect::Copy(_) | Effect::Edit { .. } | Effect::Suspend | Effect::Quit => {}
        }
    }

    fn open(&mut self, pid: u32) {
        self.sessions.detach_all();
        self.watched = None;
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
        let settings = SessionSettings {
            duration: Limits::default().duration,
            // The sample service has no secrets.
            capture: Capture {
                arguments: true,
                results: true,
            },
            ..SessionSettings::default()
        };
        self.attach(Attach {
            functions,
            settings,
            session: AttachTo::New,
            is_confirmed: true,
        });
    }

    fn attach(&mut self, attach: Attach) {
        let Some(watched) = self.watched.clone() else {
            return;
        };
        for report in self.sessions.attach(&watched, attach) {
            self.report(report);
        }
    }

    fn find_callees(&self, function: FunctionId) {
        let Some(watched) = &self.watched else { return };
        let callees = watched.symbols.callees(function).direct;
        self.report(SourceEvent::Callees { function, callees });
    }

    fn detach(&mut self, functions: Vec<FunctionId>) {
        self.sessions.remove(&functions);
        self.report(SourceEvent::Detached { functions });
    }

    fn look_at_target(&mut self) {
        if self
            .watched
            .as_ref()
            .is_some_and(|watched| watched.process.has_exited())
        {
            self.watched = None;
            self.sessions.forget();
            self.report(SourceEvent::TargetExited);
        }
    }

    fn report(&self, report: SourceEvent) {
        // The screens are gone: so will this thread be.
        let _ = self.reports.blocking_send(report);
    }
}
