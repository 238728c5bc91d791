//! What applications say about their own functions, and whether it is true.
//!
//! The agent finds functions by itself, in the process's own executable. A list that an application
//! gives is held against that: one wrong offset, and the application is not listened to again for
//! as long as it lives. What is right can name functions that a stripped executable does not name.

mod grpc;
mod http;
#[cfg(test)]
mod tests;
mod verify;

use std::collections::HashMap;
use std::sync::{Mutex, MutexGuard, PoisonError};

use serde_json::json;
use tokio::task::spawn_blocking;
use tokio::time::timeout;

use super::services::Services;
use crate::access::audit::{Entry, Outcome, Who};
use crate::agent::Watched;
use crate::config::SdkApi;
use crate::serving::Audit;
use crate::symbols::{executable_path, listening_ports};
pub(super) use grpc::Notice;
use verify::Verified;

/// Functions of one application that are looked at.
const FUNCTIONS_MAX: usize = 1_000_000;
/// Bytes of names that are kept of one application.
const NAMES_BYTES_MAX: usize = 64 << 20;
/// Longer names are no functions'.
const NAME_BYTES_MAX: usize = 4 << 10;
/// Applications whose word is remembered before those that are gone are forgotten.
const VERDICTS_MAX: usize = 1_000;

/// What an application says of a function.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Hint {
    name: String,
    /// Where it begins, in bytes from the beginning of the executable file.
    offset: u64,
}

/// What an application says of itself.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
struct Told {
    /// Of the executable; empty if it does not say.
    build_id: String,
    hints: Vec<Hint>,
    names_bytes: usize,
}

/// Why an application's word is not used.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
enum HintError {
    /// It could not be asked.
    #[error("{0}")]
    NoAnswer(String),
    /// It has said something wrong: it is not asked again.
    #[error("{0}")]
    Wrong(String),
}

/// What came of asking an application.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Verdict {
    /// All that it says is so: of so many functions, of which so many had no name before.
    Agrees { functions: usize, named: usize },
    /// It has said something wrong.
    Refused(String),
    /// It could not be asked.
    NoAnswer(String),
}

/// Asks applications, and remembers which are not to be asked again.
#[derive(Debug)]
pub(super) struct Hints {
    api: SdkApi,
    /// By process id, and by when the process started.
    verdicts: Mutex<HashMap<(u32, u64), Verdict>>,
}

/// Where an application answers.
#[derive(Clone, Debug)]
enum Source {
    Grpc(String),
    Http(String),
}

impl Told {
    /// Adds a function; an error if there are too many.
    fn add(&mut self, name: String, offset: u64) -> Result<(), HintError> {
        if name.is_empty() || name.len() > NAME_BYTES_MAX {
            return Ok(());
        }
        self.names_bytes += name.len();
        self.hints.push(Hint { name, offset });
        if self.hints.len() > FUNCTIONS_MAX || self.names_bytes > NAMES_BYTES_MAX {
            return Err(HintError::Wrong("its list does not end".into()));
        }
        Ok(())
    }
}

impl Hints {
    pub(super) fn new(api: SdkApi) -> Self {
        Self {
            api,
            verdicts: Mutex::default(),
        }
    }

    /// The processes, with the names that their application gives to functions without one.
    pub(super) async fn apply(
        &self,
        services: &Services,
        watched: Watched,
        audit: &Audit,
    ) -> Watched {
        let key = (watched.target.pid, watched.target.start_ticks);
        if matches!(self.verdicts().get(&key), Some(Verdict::Refused(_))) {
            return watched;
        }
        let Some(source) = self.source(services, key.0) else {
            return watched;
        };
        match self.names(&source, &watched).await {
            Ok(Verified { agreed, names }) => {
                let (functions, named) = (agreed, names.len());
                self.remember(key, Verdict::Agrees { functions, named });
                let symbols = watched.symbols.with_names(&names);
                Watched { symbols, ..watched }
            }
            Err(HintError::NoAnswer(why)) => {
                self.remember(key, Verdict::NoAnswer(why));
                watched
            }
            Err(HintError::Wrong(why)) => {
                let outcome = Outcome::Refused(why.clone());
                audit.note(Entry {
                    service: Some(watched.target.service.clone()),
                    settings: json!({ "pid": key.0 }),
                    ..Entry::new(Who::coral(), "sdk.distrust", outcome)
                });
                self.remember(key, Verdict::Refused(why));
                watched
            }
        }
    }

    /// What came of asking a process, for people; nothing if it was not asked.
    pub(super) fn verdict(&self, pid: u32) -> Option<String> {
        let verdicts = self.verdicts();
        let (_, verdict) = verdicts.iter().find(|((of, _), _)| *of == pid)?;
        Some(match verdict {
            Verdict::Agrees { functions, named } => {
                format!("agrees on {functions} functions, names {named}")
            }
            Verdict::Refused(why) => format!("refused: {why}"),
            Verdict::NoAnswer(why) => format!("no answer: {why}"),
        })
    }

    /// Tells an application that it is measured; for its log, so nothing waits for it.
    pub(super) fn notify(&self, services: &Services, pid: u32, session: Notice) {
        let is_it = |((of, _), it): (&(u32, u64), &Verdict)| {
            *of == pid && matches!(it, Verdict::Refused(_))
        };
        let is_refused = self.verdicts().iter().any(is_it);
        let Some(address) = services.sdk_address(pid).filter(|_| !is_refused) else {
            return;
        };
        let time_max = self.api.timeout;
        tokio::spawn(async move { timeout(time_max, grpc::notify(&address, session)).await });
    }

    async fn names(&self, source: &Source, watched: &Watched) -> Result<Verified, HintError> {
        let pid = watched.target.pid;
        let asking = async {
            match source {
                Source::Grpc(address) => grpc::ask(address).await,
                Source::Http(address) => http::ask(address, pid).await,
            }
        };
        let late = |_| HintError::NoAnswer("it does not answer in time".into());
        let told = timeout(self.api.timeout, asking).await.map_err(late)??;
        let watched = watched.clone();
        let verified = spawn_blocking(move || verify::verify(&told, &watched)).await;
        verified.map_err(|_| HintError::NoAnswer("its list cannot be compared".into()))?
    }

    fn source(&self, services: &Services, pid: u32) -> Option<Source> {
        if let Some(address) = services.sdk_address(pid) {
            return Some(Source::Grpc(address));
        }
        let ports = listening_ports(pid);
        let listens = |address: &str| {
            let port = address
                .rsplit_once(':')
                .and_then(|(_, port)| port.parse().ok());
            port.is_some_and(|port| ports.contains(&port))
        };
        let (sdk, http) = (&self.api.listen_addr, &self.api.http_addr);
        if listens(sdk) {
            return Some(Source::Grpc(sdk.clone()));
        }
        listens(http).then(|| Source::Http(http.clone()))
    }

    fn remember(&self, key: (u32, u64), verdict: Verdict) {
        let mut verdicts = self.verdicts();
        if verdicts.len() >= VERDICTS_MAX {
            // Process ids come again; what matters is kept for those that still run.
            verdicts.retain(|(pid, _), _| executable_path(*pid).is_some());
        }
        verdicts.retain(|(pid, _), _| *pid != key.0);
        verdicts.insert(key, verdict);
    }

    fn verdicts(&self) -> MutexGuard<'_, HashMap<(u32, u64), Verdict>> {
        self.verdicts.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
