//! The way to an agent or a colony: connected, watched, and connected anew when it breaks.

use std::future::pending;
use std::time::Duration;

use coral_model::Diagnostic;
use coral_ui::{Failure, Level, Link as LinkEvent, Notice, SourceEvent};
use tokio::sync::watch;
use tokio::time::{sleep, timeout};

use crate::connection::AgentAddress;
use crate::console::driver::Reports;
use crate::source::remote::BackOff;
use crate::source::remote::{Capabilities, RemoteAgent, RemoteError};

/// How often the agent is asked for a sign of life.
const SIGN_OF_LIFE_EVERY: Duration = Duration::from_secs(2);

/// A connection, and its number among those that were made.
#[derive(Clone)]
pub(super) struct Connected {
    pub(super) agent: RemoteAgent,
    number: u64,
}

/// The way to an agent or a colony, for those who use it.
#[derive(Clone)]
pub(super) struct Link {
    /// Which of the two it leads to, in a word.
    kind: &'static str,
    connected: watch::Receiver<Option<Connected>>,
    /// The number of the last connection that somebody found to be broken.
    broken: watch::Sender<u64>,
}

impl Link {
    /// Begins to connect, and reports how it goes until nobody listens any more.
    pub(super) fn start(address: AgentAddress, reports: Reports) -> Self {
        let (connecting, connected) = watch::channel(None);
        let (broken, found_broken) = watch::channel(0);
        let kind = kind(&address);
        let keeper = Keeper {
            address,
            kind,
            reports,
            connecting,
            found_broken,
            lacks: None,
        };
        tokio::spawn(keeper.keep());
        Self {
            kind,
            connected,
            broken,
        }
    }

    pub(super) fn kind(&self) -> &'static str {
        self.kind
    }

    pub(super) fn is_up(&self) -> bool {
        self.connected.borrow().is_some()
    }

    /// Waits for a connection; for ever, where the program is about to end.
    pub(super) async fn connected(&mut self) -> Connected {
        let connected = self.connected.wait_for(Option::is_some).await;
        let connected = connected.ok().and_then(|connected| connected.clone());
        match connected {
            Some(connected) => connected,
            None => pending().await,
        }
    }

    /// Waits until the connection that this link has waited for is another one, or none.
    pub(super) async fn changed(&mut self) {
        if self.connected.changed().await.is_err() {
            pending::<()>().await;
        }
    }

    /// Somebody has found a connection to be broken.
    pub(super) fn report_broken(&self, connected: &Connected) {
        self.broken.send_if_modified(|broken| {
            let is_news = *broken < connected.number;
            *broken = connected.number.max(*broken);
            is_news
        });
    }

    /// Asks the agent something, unless there is no way to it.
    pub(super) async fn call<T>(
        &self,
        call: impl AsyncFnOnce(RemoteAgent) -> Result<T, RemoteError>,
    ) -> Result<T, Failure> {
        let mut link = self.clone();
        let connected = link.connected.borrow_and_update().clone();
        let connected = connected.ok_or_else(|| self.cut_off())?;
        let result = tokio::select! {
            result = call(connected.agent.clone()) => result,
            () = link.changed() => return Err(self.cut_off()),
        };
        match result {
            Err(error) if error.is_of_link() => {
                self.report_broken(&connected);
                Err(self.cut_off())
            }
            result => result.map_err(|error| Failure::from(&error)),
        }
    }

    /// What is said where something would have been asked.
    pub(super) fn cut_off(&self) -> Failure {
        Failure {
            code: "agent-unreachable".into(),
            message: format!("the {} does not answer now", self.kind),
            help: "it is tried again by itself: ask again when it is back".into(),
        }
    }
}

/// What an address is that of, in a word.
pub(super) fn kind(address: &AgentAddress) -> &'static str {
    if address.is_colony { "colony" } else { "agent" }
}

struct Keeper {
    address: AgentAddress,
    kind: &'static str,
    reports: Reports,
    connecting: watch::Sender<Option<Connected>>,
    found_broken: watch::Receiver<u64>,
    /// What the agent lacks for probes, as it was told.
    lacks: Option<(String, String)>,
}

impl Keeper {
    async fn keep(mut self) {
        let mut back_off = BackOff::new();
        let mut number = 0;
        while !self.reports.is_closed() {
            let failure = match self.connect().await {
                Ok((agent, capabilities)) => {
                    back_off.reset();
                    number += 1;
                    let connected = Connected { agent, number };
                    self.connecting.send_replace(Some(connected.clone()));
                    self.tell(capabilities).await;
                    let failure = self.broken(connected).await;
                    self.connecting.send_replace(None);
                    failure
                }
                Err(error) => Failure::from(&error),
            };
            let retry_in = back_off.wait();
            let down = LinkEvent::Down { failure, retry_in };
            self.report(SourceEvent::Link(down)).await;
            sleep(retry_in).await;
        }
    }

    /// Connects. A connection is one when the agent has answered.
    async fn connect(&self) -> Result<(RemoteAgent, Capabilities), RemoteError> {
        let mut agent = self.address.connect().await?;
        let capabilities = agent.capabilities().await?;
        Ok((agent, capabilities))
    }

    async fn tell(&mut self, capabilities: Capabilities) {
        self.report(SourceEvent::Link(LinkEvent::Up)).await;
        self.report(SourceEvent::Limits(capabilities.limits)).await;
        if self.lacks == capabilities.lacks {
            return;
        }
        self.lacks = capabilities.lacks;
        if let Some((message, help)) = self.lacks.clone() {
            let notice = Notice {
                level: Level::Warning,
                code: None,
                message: format!("The {} can place no probes: {message}", self.kind),
                help,
            };
            self.report(SourceEvent::Notice(notice)).await;
        }
    }

    /// Waits until a connection is broken; returns how that showed.
    async fn broken(&mut self, connected: Connected) -> Failure {
        let Connected { mut agent, number } = connected;
        tokio::select! {
            _ = self.found_broken.wait_for(|&broken| broken >= number) => Failure {
                code: "agent-unreachable".into(),
                message: format!("the connection to the {} broke", self.kind),
                help: "its sessions go on until their lease ends; it is tried again by itself"
                    .into(),
            },
            error = no_sign_of_life(&mut agent) => Failure {
                help: format!("{}; it is tried again by itself", error.help()),
                ..Failure::from(&error)
            },
        }
    }

    async fn report(&self, report: SourceEvent) {
        // The screens are gone: so will this link be.
        let _ = self.reports.send(report).await;
    }
}

/// Waits until the agent gives no sign of life.
async fn no_sign_of_life(agent: &mut RemoteAgent) -> RemoteError {
    loop {
        sleep(SIGN_OF_LIFE_EVERY).await;
        if let Err(error) = agent.sign_of_life().await {
            return error;
        }
    }
}

/// Tries an agent once, so that what no second try makes better is said before the screens are
/// drawn: no certificate, a wrong token. An agent that does not answer soon is left to the link.
pub(in crate::console) async fn try_once(address: &AgentAddress) -> Result<(), RemoteError> {
    let attempt = async { address.connect().await?.capabilities().await };
    match timeout(TRY_MAX, attempt).await {
        Ok(Err(error)) if !error.is_of_link() => Err(error),
        _ => Ok(()),
    }
}

/// Nobody waits longer than that for the first screen.
const TRY_MAX: Duration = Duration::from_secs(1);
