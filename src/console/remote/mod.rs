//! Processes of another node, or of this one, with an agent that is another program.
//!
//! The link is kept by a task of its own; each session is watched by one, and so is a process that
//! is being opened. So nothing waits for an agent that does not answer but what asks it something,
//! and that no longer than until the link is found to be broken.

mod history;
mod link;
mod session;

use std::sync::Arc;
use std::time::Duration;

use coral_model::{ExitStatus, ExpectedCost, FunctionId, FunctionTable, Target};
use coral_ui::{Attach, Effect, Failure, OpenTarget, SourceEvent};
use tokio::sync::mpsc;
use tokio::task::AbortHandle;
use tokio::time::{Interval, MissedTickBehavior, interval, timeout};

use super::driver::Reports;
use super::host::{Host, News, ROOM_FOR_MORE, Started};
use crate::connection::AgentAddress;
use crate::source::AttachWish;
pub(super) use crate::source::remote::RemoteTarget;
use crate::source::remote::{Listed, RemoteAgent, RemoteError, RemoteRequest, RemoteStart};
use history::History;
use link::Link;
pub(super) use link::try_once;
use session::RemoteSession;

/// How often the open process is asked for.
const LOOK_EVERY: Duration = Duration::from_secs(2);
/// What was asked for before the link broke is asked for again if it is back within this time.
const AGAIN_WITHIN: Duration = Duration::from_secs(5);
/// What other tasks have found out and nobody has taken yet.
const FOUND_MAX: usize = 4;

/// The open process, and the way to the agent that knows it.
pub(super) struct RemoteHost {
    link: Link,
    reports: Reports,
    open: Option<Open>,
    opening: Option<Opening>,
    found: mpsc::Receiver<Found>,
    finding: mpsc::Sender<Found>,
    look: Interval,
    looking: Option<AbortHandle>,
    history: History,
}

/// A process whose functions are known.
struct Open {
    meant: RemoteTarget,
    target: Target,
}

/// A process whose functions are on their way.
struct Opening {
    meant: RemoteTarget,
    task: AbortHandle,
}

/// What tasks of this host have found out.
enum Found {
    Opened(RemoteTarget, Result<(Target, FunctionTable), RemoteError>),
    TargetGone(Target),
}

impl RemoteHost {
    /// Begins to connect, and to open what is to be opened first.
    pub(super) fn new(
        address: AgentAddress,
        reports: Reports,
        first: Option<RemoteTarget>,
    ) -> Self {
        let (finding, found) = mpsc::channel(FOUND_MAX);
        let mut look = interval(LOOK_EVERY);
        look.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let link = Link::start(address, reports.clone());
        let mut host = Self {
            history: History::new(link.clone(), reports.clone()),
            link,
            reports,
            open: None,
            opening: None,
            found,
            finding,
            look,
            looking: None,
        };
        if let Some(first) = first {
            host.begin_to_open(first);
        }
        host
    }

    fn begin_to_open(&mut self, meant: RemoteTarget) {
        if let Some(opening) = self.opening.take() {
            opening.task.abort();
        }
        self.open = None;
        let (link, reports) = (self.link.clone(), self.reports.clone());
        let (finding, wanted) = (self.finding.clone(), meant.clone());
        let task = tokio::spawn(async move {
            let functions = functions(link, &wanted, &reports).await;
            // The host is gone: so are the screens that would show it.
            let _ = finding.send(Found::Opened(wanted, functions)).await;
        });
        let task = task.abort_handle();
        self.opening = Some(Opening { meant, task });
    }

    /// Looks whether the open process is still that one, beside everything else.
    fn begin_to_look(&mut self) {
        let is_looking = self.looking.as_ref().is_some_and(|it| !it.is_finished());
        let Some(open) = self.open.as_ref().filter(|_| !is_looking) else {
            return;
        };
        let (link, finding) = (self.link.clone(), self.finding.clone());
        let (meant, target) = (open.meant.clone(), open.target.clone());
        let looking = tokio::spawn(async move {
            let call = async |mut agent: RemoteAgent| agent.look_at(&meant).await;
            let is_gone = match link.call(call).await {
                Ok(found) => found != target,
                Err(failure) => ["no-such-process", "target-gone"].contains(&&*failure.code),
            };
            if is_gone {
                let _ = finding.send(Found::TargetGone(target)).await;
            }
        });
        self.looking = Some(looking.abort_handle());
    }

    fn take(&mut self, found: Found) -> Option<News> {
        match found {
            Found::Opened(meant, functions) => {
                // Meanwhile it may be another one that is wanted.
                self.opening.take_if(|opening| opening.meant == meant)?;
                let report = match functions {
                    Ok((target, table)) => {
                        self.open = Some(Open {
                            meant,
                            target: target.clone(),
                        });
                        SourceEvent::Functions {
                            target,
                            table: Arc::new(table),
                            complete: true,
                        }
                    }
                    Err(error) => SourceEvent::OpenFailed(Failure::from(&error)),
                };
                Some(News::Report(report))
            }
            // A service does not end; a colony that has begun anew numbers its functions again.
            Found::TargetGone(target) if target.pid == 0 => {
                let open = self.open.take_if(|open| open.target == target)?;
                self.begin_to_open(open.meant);
                Some(News::Renumbered)
            }
            Found::TargetGone(target) => {
                let is_open = self.open.as_ref().is_some_and(|open| open.target == target);
                is_open.then(|| {
                    self.open = None;
                    News::TargetExited
                })
            }
        }
    }

    fn opened(&self) -> Result<&Open, Failure> {
        self.open.as_ref().ok_or_else(|| Failure {
            code: "target-gone".into(),
            message: "the process is not open".into(),
            help: "choose another one".into(),
        })
    }

    fn request(&self, attach: &Attach) -> Result<RemoteRequest, Failure> {
        let meant = self.opened()?.meant.clone();
        Ok(RemoteRequest {
            wish: AttachWish {
                functions: attach.functions.clone(),
                room: ROOM_FOR_MORE,
                ..AttachWish::default()
            },
            ..RemoteRequest::new(meant, attach.settings.clone())
        })
    }

    /// Asks for a session; once more if the link broke over it, which is the same request.
    async fn ask(&mut self, request: &RemoteRequest) -> Result<RemoteStart, Failure> {
        if !self.link.is_up() {
            return Err(self.link.cut_off());
        }
        let call = async |mut agent: RemoteAgent| agent.start(request).await;
        match self.link.call(call).await {
            Err(failure) if failure == self.link.cut_off() => {
                let back = timeout(AGAIN_WITHIN, self.link.connected()).await;
                if back.is_err() {
                    return Err(failure);
                }
                self.link.call(call).await
            }
            result => result,
        }
    }
}

impl Host for RemoteHost {
    type Session = RemoteSession;

    async fn processes(&mut self) -> Option<SourceEvent> {
        let call = async |mut agent: RemoteAgent| agent.listed().await;
        match self.link.call(call).await {
            Ok(Listed::Processes(processes)) => Some(SourceEvent::Processes(processes.into())),
            Ok(Listed::Services(services, agents)) => Some(SourceEvent::Services {
                services: services.into(),
                agents: agents.into(),
            }),
            // The header says so already.
            Err(failure) if failure == self.link.cut_off() => None,
            Err(failure) => Some(SourceEvent::Notice(failure.into())),
        }
    }

    async fn open(&mut self, what: &OpenTarget) -> Option<SourceEvent> {
        let meant = match what {
            OpenTarget::Process(pid) => RemoteTarget {
                pids: vec![*pid],
                ..RemoteTarget::default()
            },
            OpenTarget::Service(name) => RemoteTarget {
                service: Some(name.clone()),
                ..RemoteTarget::default()
            },
        };
        self.begin_to_open(meant);
        None
    }

    async fn callees(&mut self, function: FunctionId) -> Result<Vec<FunctionId>, Failure> {
        let meant = &self.opened()?.meant;
        let call = async |mut agent: RemoteAgent| agent.callees(meant, function).await;
        self.link.call(call).await
    }

    async fn expected(&mut self, attach: &Attach) -> Result<ExpectedCost, Failure> {
        let request = self.request(attach)?;
        let call = async |mut agent: RemoteAgent| agent.expected(&request).await;
        self.link.call(call).await
    }

    async fn start(
        &mut self,
        attach: &Attach,
        asks: bool,
    ) -> Result<Started<RemoteSession>, Failure> {
        let mut request = self.request(attach)?;
        request.refuse_over_budget = asks;
        let (session, attached) = match self.ask(&request).await? {
            RemoteStart::Costly(expected) => return Ok(Started::Costly(expected)),
            RemoteStart::Started { session, attached } => (session, attached),
        };
        let target = self.opened()?.target.clone();
        let (link, reports) = (self.link.clone(), self.reports.clone());
        let live = RemoteSession::watched(session, target, link, reports);
        Ok(Started::Live(live, attached))
    }

    fn ask_history(&mut self, effect: Effect) {
        self.history.perform(effect);
    }

    async fn news(&mut self) -> News {
        loop {
            tokio::select! {
                Some(found) = self.found.recv() => {
                    if let Some(news) = self.take(found) {
                        return news;
                    }
                }
                _ = self.look.tick() => self.begin_to_look(),
            }
        }
    }
}

/// The functions of a process, told as they come. Where the link breaks it begins anew.
async fn functions(
    mut link: Link,
    meant: &RemoteTarget,
    reports: &Reports,
) -> Result<(Target, FunctionTable), RemoteError> {
    loop {
        let connected = link.connected().await;
        let mut agent = connected.agent.clone();
        let progress = |functions, total| {
            // The next page says more.
            let _ = reports.try_send(SourceEvent::Reading { functions, total });
        };
        let result = tokio::select! {
            result = agent.functions(meant, progress) => result,
            () = link.changed() => continue,
        };
        match result {
            Err(error) if error.is_of_link() => {
                link.report_broken(&connected);
                link.changed().await;
            }
            result => return result,
        }
    }
}

/// Says what becomes of sessions that could not be ended.
pub(super) fn of_leaving(peer: &AgentAddress, failure: &Failure) -> crate::failure::Failure {
    let option = link::kind(peer);
    let endpoint = &peer.endpoint;
    crate::failure::Failure::new(
        failure.code.clone(),
        format!("the sessions could not be ended: {}", failure.message),
        format!(
            "they end with their lease; `coral debug detach --all --{option} {endpoint}` ends them"
        ),
        ExitStatus::Failure,
    )
}
