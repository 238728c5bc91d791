//! Carries out what the screens ask for: one thread that owns the host of processes and sessions,
//! so that requests are done in the order they were made.

use std::io;
use std::thread;
use std::time::Duration;

use coral_model::FunctionId;
use coral_ui::{Attach, Effect, Failure, Level, Notice, OpenTarget, SourceEvent};
use tokio::sync::mpsc::{self, Receiver, Sender};
use tokio::sync::oneshot;
use tokio::time::timeout;

use super::event_loop::Backend;
use super::host::{Host, News};
use super::sessions::Sessions;
use super::{exports, source_files, views};

/// Requests that may wait; more would mean that the thread hangs.
const REQUESTS_MAX: usize = 64;
/// Reports that may wait for the screens.
const REPORTS_MAX: usize = 64;

pub(super) type Reports = Sender<SourceEvent>;

/// The handle that the loop holds.
pub(super) struct Driver {
    requests: Sender<Effect>,
    reports: Reports,
    left: oneshot::Receiver<Result<(), Failure>>,
    /// Whether there may be sessions.
    has_attached: bool,
}

impl Driver {
    /// Starts the thread, with a host that is made there.
    pub(super) fn start<H: Host>(
        host: impl FnOnce(Reports) -> H + Send + 'static,
    ) -> io::Result<(Self, Receiver<SourceEvent>)> {
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()?;
        let (requests, received) = mpsc::channel(REQUESTS_MAX);
        let (reports, to_screens) = mpsc::channel(REPORTS_MAX);
        let (leaving, left) = oneshot::channel();
        let to_host = reports.clone();
        thread::spawn(move || {
            let result = runtime.block_on(async {
                let worker = Worker {
                    sessions: Sessions::new(),
                    host: host(to_host.clone()),
                    reports: to_host,
                };
                worker.run(received).await
            });
            // Nobody may wait for it.
            let _ = leaving.send(result);
        });
        let driver = Self {
            requests,
            reports,
            left,
            has_attached: false,
        };
        Ok((driver, to_screens))
    }

    /// There will be a session that nobody has asked for.
    pub(super) fn expect_session(&mut self) {
        self.has_attached = true;
    }

    /// Ends all sessions, and waits so long for that.
    ///
    /// # Errors
    /// If it is not certain that they have ended.
    pub(super) async fn leave(self, time_max: Duration) -> Result<(), Failure> {
        drop(self.requests);
        if !self.has_attached {
            return Ok(());
        }
        match timeout(time_max, self.left).await {
            Ok(Ok(result)) => result,
            Ok(Err(_)) | Err(_) => Err(Failure {
                code: "agent-unreachable".into(),
                message: format!("nothing was heard for {} s", time_max.as_secs()),
                help: String::new(),
            }),
        }
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
        self.has_attached |= matches!(effect, Effect::Attach(_));
        if self.requests.try_send(effect).is_err() {
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

struct Worker<H: Host> {
    host: H,
    sessions: Sessions<H::Session>,
    reports: Reports,
}

impl<H: Host> Worker<H> {
    /// Works until nobody asks for anything any more; then every session ends.
    async fn run(mut self, mut requests: Receiver<Effect>) -> Result<(), Failure> {
        loop {
            tokio::select! {
                effect = requests.recv() => match effect {
                    Some(effect) => self.perform(effect).await,
                    None => return self.sessions.detach_all().await,
                },
                news = self.host.news() => self.take(news).await,
            }
        }
    }

    async fn take(&mut self, news: News) {
        match news {
            News::Report(report) => self.report(report).await,
            News::TargetExited => {
                self.sessions.forget();
                self.report(SourceEvent::TargetExited).await;
            }
            News::Renumbered => self.sessions.renumbered(),
        }
    }

    async fn perform(&mut self, effect: Effect) {
        match effect {
            Effect::ListProcesses => {
                let processes = self.host.processes().await;
                self.report_all(processes).await;
            }
            Effect::Open(what) => self.open(what).await,
            Effect::Attach(attach) => self.attach(attach).await,
            Effect::FindCallees { function } => self.find_callees(function).await,
            Effect::SetFilter { session, filter } => {
                let notice = self.sessions.set_filter(&session, filter).await;
                self.report(SourceEvent::Notice(notice)).await;
            }
            Effect::Detach { functions } => self.detach(functions).await,
            Effect::DetachAll => {
                let result = self.sessions.detach_all().await;
                self.report_failure(result).await;
            }
            Effect::Extend { by } => {
                let result = self.sessions.extend(by).await;
                self.report_failure(result).await;
            }
            Effect::ExportView(view) => self.report(exports::view(&view)).await,
            Effect::SaveView(view) => self.report(views::save(&view)).await,
            Effect::ExportSession(snapshot) => self.report(exports::session(&snapshot)).await,
            Effect::ReadSource { file, line } => {
                self.report(source_files::read(&file, line)).await;
            }
            Effect::ListHistory
            | Effect::OpenSession { .. }
            | Effect::CloseSession { .. }
            | Effect::ReadSqlSchema
            | Effect::RunSql { .. }
            | Effect::CancelSql { .. } => self.host.ask_history(effect),
            Effect::Copy(_) | Effect::Edit { .. } | Effect::Suspend | Effect::Quit => {}
        }
    }

    async fn open(&mut self, what: OpenTarget) {
        let result = self.sessions.detach_all().await;
        self.report_failure(result).await;
        self.sessions.forget();
        self.report(SourceEvent::Opening(what.clone())).await;
        let opened = self.host.open(&what).await;
        self.report_all(opened).await;
        if let Some(attach) = self.host.attach_at_start() {
            self.attach(attach).await;
        }
    }

    async fn attach(&mut self, attach: Attach) {
        let reports = self.sessions.attach(&mut self.host, attach).await;
        self.report_all(reports).await;
    }

    async fn find_callees(&mut self, function: FunctionId) {
        let report = match self.host.callees(function).await {
            Ok(callees) => SourceEvent::Callees { function, callees },
            Err(failure) => SourceEvent::Notice(failure.into()),
        };
        self.report(report).await;
    }

    async fn detach(&mut self, functions: Vec<FunctionId>) {
        let report = match self.sessions.remove(&functions).await {
            Ok(()) => SourceEvent::Detached { functions },
            Err(failure) => SourceEvent::AttachFailed { functions, failure },
        };
        self.report(report).await;
    }

    async fn report_failure(&self, result: Result<(), Failure>) {
        let failure = result.err().map(Notice::from);
        self.report_all(failure.map(SourceEvent::Notice)).await;
    }

    async fn report_all(&self, reports: impl IntoIterator<Item = SourceEvent>) {
        for report in reports {
            self.report(report).await;
        }
    }

    async fn report(&self, report: SourceEvent) {
        // The screens are gone: so will this thread be.
        let _ = self.reports.send(report).await;
    }
}
