//! A session of an agent: asked over the link, and watched again whenever the link is back.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use coral_model::filter::Expression;
use coral_model::{Diagnostic, FunctionId, SessionId, SessionState, Target};
use coral_ui::{Failure, SourceEvent};

use super::link::{Connected, Link};
use crate::agent::Attached;
use crate::console::driver::Reports;
use crate::console::host::{self, HostSession, is_over};
use crate::source::remote::{RemoteAgent, RemoteError};

/// A stream that cannot be understood begins anew, but not more often than this in a row.
const ANEW_MAX: u32 = 3;

/// Why sessions of a colony are not watched any more, as the screens say it.
const RENUMBERED: &str = "the colony has begun anew, and numbers functions otherwise; the session \
                          goes on, and can be watched from the list of sessions";
const MISTAKEN: &str = "the colony had begun anew, and numbers functions otherwise; it was ended";

/// A session of an agent.
#[derive(Clone)]
pub(in crate::console) struct RemoteSession {
    id: SessionId,
    link: Link,
    shared: Arc<Shared>,
}

#[derive(Default)]
struct Shared {
    is_over: AtomicBool,
    /// It goes on, and its functions have other numbers than those of the screens.
    is_renumbered: AtomicBool,
    /// It is to be ended as soon as there is a way to it.
    is_unwanted: AtomicBool,
}

impl RemoteSession {
    /// A session that was just started on a process. Its snapshots are handed on from now on, the
    /// latest first, until its final one.
    pub(super) fn watched(id: String, target: Target, link: Link, reports: Reports) -> Self {
        let session = Self {
            id: SessionId(id),
            link,
            shared: Arc::default(),
        };
        let watcher = Watcher {
            session: session.clone(),
            target,
            reports,
            failures: 0,
            is_known: false,
        };
        tokio::spawn(watcher.run());
        session
    }

    fn set(&self, flag: impl Fn(&Shared) -> &AtomicBool) {
        flag(&self.shared).store(true, Ordering::Relaxed);
    }

    fn is(&self, flag: impl Fn(&Shared) -> &AtomicBool) -> bool {
        flag(&self.shared).load(Ordering::Relaxed)
    }
}

impl HostSession for RemoteSession {
    fn id(&self) -> &SessionId {
        &self.id
    }

    fn is_live(&self) -> bool {
        !self.is_over() && !self.is(|shared| &shared.is_renumbered)
    }

    fn is_over(&self) -> bool {
        self.is(|shared| &shared.is_over)
    }

    async fn add(&self, functions: &[FunctionId]) -> Result<Attached, Failure> {
        let call = async |mut agent: RemoteAgent| agent.add(&self.id.0, functions).await;
        self.link.call(call).await
    }

    async fn remove(&self, functions: &[FunctionId]) -> Result<(), Failure> {
        let call = async |mut agent: RemoteAgent| agent.remove(&self.id.0, functions).await;
        self.link.call(call).await
    }

    async fn extend(&self, by: Duration) -> Result<(), Failure> {
        let call = async |mut agent: RemoteAgent| agent.extend(&self.id.0, by).await;
        self.link.call(call).await
    }

    async fn set_filter(&self, filter: Option<Expression>) -> Result<(), Failure> {
        let call =
            async |mut agent: RemoteAgent| agent.set_filter(&self.id.0, filter.as_ref()).await;
        self.link.call(call).await
    }

    async fn end(self) -> Result<(), (Self, Failure)> {
        let call = async |mut agent: RemoteAgent| agent.end_session(&self.id.0).await;
        match self.link.call(call).await {
            Err(failure) if !is_over(&failure) => {
                self.set(|shared| &shared.is_unwanted);
                let kind = self.link.kind();
                let help = format!("it is ended as soon as the {kind} is back, or with its lease");
                Err((self, Failure { help, ..failure }))
            }
            _ => Ok(()),
        }
    }
}

/// Whether a session is one of a colony, which is on no process in particular.
fn is_service(target: &Target) -> bool {
    target.pid == 0
}

struct Watcher {
    session: RemoteSession,
    /// The process that the session is meant to be on.
    target: Target,
    reports: Reports,
    /// How often the stream could not be understood since it could be.
    failures: u32,
    /// Whether it was on that process once.
    is_known: bool,
}

/// Why a session is not watched any more.
enum Watched {
    /// Its final snapshot has come.
    ToTheEnd,
    /// It is on another process than the one that was opened.
    Elsewhere,
    /// Its functions have other numbers: the colony has begun anew.
    Renumbered,
    /// They had when it was asked for, so that its probes were on others than were meant.
    Mistaken,
}

impl Watcher {
    async fn run(mut self) {
        let mut link = self.session.link.clone();
        while !self.reports.is_closed() {
            let connected = link.connected().await;
            let watched = tokio::select! {
                watched = self.watch(&connected) => watched,
                () = link.changed() => continue,
            };
            let lost = match watched {
                Ok(Watched::ToTheEnd) => None,
                Ok(Watched::Renumbered) => Some(RENUMBERED.to_owned()),
                Ok(Watched::Mistaken) => Some(MISTAKEN.to_owned()),
                Ok(Watched::Elsewhere) => Some("the process is another one by now".to_owned()),
                Err(error) if error.is_of_link() => {
                    self.session.link.report_broken(&connected);
                    link.changed().await;
                    continue;
                }
                Err(RemoteError::Convert(_)) if self.failures < ANEW_MAX => {
                    self.failures += 1;
                    continue;
                }
                Err(error) if error.code() == "no-such-session" => {
                    Some(format!("the {} started anew", link.kind()))
                }
                Err(error) => Some(error.to_string()),
            };
            if !self.session.is(|shared| &shared.is_renumbered) {
                self.session.set(|shared| &shared.is_over);
            }
            if let Some(why) = lost {
                let session = self.session.id.clone();
                self.report(SourceEvent::SessionLost { session, why }).await;
            }
            return;
        }
    }

    async fn watch(&mut self, connected: &Connected) -> Result<Watched, RemoteError> {
        let mut agent = connected.agent.clone();
        let id = self.session.id.0.clone();
        if self.session.is(|shared| &shared.is_unwanted) {
            agent.end_session(&id).await?;
        }
        let mut watching = agent.watch(&id).await?;
        while let Some(snapshot) = watching.next().await? {
            self.failures = 0;
            let target = &snapshot.session.target;
            let is_service = is_service(target);
            if *target != self.target {
                if is_service && self.is_known {
                    self.session.set(|shared| &shared.is_renumbered);
                    return Ok(Watched::Renumbered);
                }
                agent.end_session(&id).await?;
                return Ok(match is_service {
                    true => Watched::Mistaken,
                    false => Watched::Elsewhere,
                });
            }
            self.is_known = true;
            let is_over = snapshot.session.state != SessionState::Active;
            if is_over {
                self.session.set(|shared| &shared.is_over);
            }
            for report in host::reports(snapshot) {
                self.report(report).await;
            }
            if is_over {
                return Ok(Watched::ToTheEnd);
            }
        }
        Err(RemoteError::LinkLost)
    }

    async fn report(&self, report: SourceEvent) {
        // The screens are gone: so will this task be.
        let _ = self.reports.send(report).await;
    }
}
