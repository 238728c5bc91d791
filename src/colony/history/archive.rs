//! The history as it can be used now: open and written to, or not, and why.

use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use coral_model::{Diagnostic, SessionId};
use tokio::sync::watch;
use tokio::task::spawn_blocking;
use tokio::time::sleep;

use super::notes::Notes;
use super::{History, Registry};
use crate::config::ColonyDebug;
use crate::outlets::{Otlp, Parquet, Warn};
use crate::serving::ServeError;
use crate::store::{NewSession, Opened, StoreError, StoreState};

/// How long to wait before a file that could not be opened is tried again.
const AGAIN_AFTER: Duration = Duration::from_secs(5);

/// Why the history is not open, or not written to; nothing while it is.
pub(in crate::colony) type Trouble = Option<Arc<StoreError>>;

/// A history that is opened as soon as it can be. What is live waits for none of it.
#[derive(Debug)]
pub(in crate::colony) struct Archive {
    config: ColonyDebug,
    /// Until the file is open.
    outlets: Mutex<Outlets>,
    warn: Warn,
    history: watch::Sender<Option<Arc<History>>>,
    trouble: watch::Sender<Trouble>,
}

/// Where the history goes besides its own file.
#[derive(Debug, Default)]
pub(super) struct Outlets {
    pub(super) otlp: Option<Otlp>,
    pub(super) parquet: Option<Parquet>,
}

impl Outlets {
    fn open(config: &ColonyDebug, history: &Path, warn: &Warn) -> Result<Self, ServeError> {
        let export = &config.export;
        let otlp = export.otlp.as_ref();
        let parquet = export.parquet.as_ref();
        let parquet = parquet.map(|config| Parquet::open(config, staging(history), warn));
        Ok(Self {
            otlp: otlp.map(|config| Otlp::open(config, warn)).transpose()?,
            parquet: parquet.transpose()?,
        })
    }
}

impl Archive {
    /// The history that is configured, which is not open yet; nothing where none is.
    ///
    /// # Errors
    /// If where it is to go besides cannot be used.
    pub(in crate::colony) fn of(
        config: &ColonyDebug,
        warn: &Warn,
    ) -> Result<Option<Arc<Self>>, ServeError> {
        let Some(path) = &config.storage.path else {
            return Ok(None);
        };
        Ok(Some(Arc::new(Self {
            config: config.clone(),
            outlets: Mutex::new(Outlets::open(config, path, warn)?),
            warn: warn.clone(),
            history: watch::Sender::new(None),
            trouble: watch::Sender::new(None),
        })))
    }

    /// Opens it, and says what was found.
    ///
    /// # Errors
    /// If it cannot be opened now.
    pub(in crate::colony) async fn open(&self) -> Result<Opened, Arc<StoreError>> {
        let config = self.config.clone();
        let opening = spawn_blocking(move || History::open(&config)).await;
        match opening.unwrap_or(Err(StoreError::Closed)) {
            Ok((store, workers, opened)) => {
                let mut outlets = self.outlets.lock().unwrap_or_else(PoisonError::into_inner);
                let outlets = std::mem::take(&mut *outlets);
                let history = History::new(store, workers, outlets, self.warn.clone());
                self.tell(None);
                self.history.send_replace(Some(Arc::new(history)));
                Ok(opened)
            }
            Err(error) => {
                let error = Arc::new(error);
                self.tell(Some(Arc::clone(&error)));
                Err(error)
            }
        }
    }

    /// Tries again and again until it is open.
    pub(in crate::colony) async fn open_at_last(&self) -> Opened {
        loop {
            sleep(AGAIN_AFTER).await;
            if let Ok(opened) = self.open().await {
                return opened;
            }
        }
    }

    /// Fills it from what agents have written, for ever, and tells when it cannot be written.
    pub(in crate::colony) async fn run(&self, registry: Arc<Registry>) {
        let history = self.opened().await;
        let mut states = history.store.watch_state();
        let telling = async {
            loop {
                let trouble = trouble_of(&states.borrow_and_update());
                if let Some(error) = &trouble {
                    self.warn.say(&format!("{error} ({})", error.code()));
                }
                self.tell(trouble);
                if states.changed().await.is_err() {
                    return;
                }
            }
        };
        tokio::join!(Arc::clone(&history).run(registry), telling);
    }

    /// The open history.
    ///
    /// # Errors
    /// Why it is not open.
    pub(in crate::colony) fn history(&self) -> Result<Arc<History>, Arc<StoreError>> {
        let history = self.history.borrow().clone();
        history.ok_or_else(|| {
            let trouble = self.trouble.borrow().clone();
            trouble.unwrap_or_else(|| Arc::new(StoreError::Closed))
        })
    }

    /// Tells what keeps it from being written.
    pub(in crate::colony) fn trouble(&self) -> watch::Receiver<Trouble> {
        self.trouble.subscribe()
    }

    /// Notes that a session begins, before it does.
    ///
    /// # Errors
    /// If it cannot be written now.
    pub(in crate::colony) async fn begin(
        &self,
        session: NewSession,
    ) -> Result<(), Arc<StoreError>> {
        let history = self.history()?;
        let begun = history.store.begin_session(session).await;
        begun.map_err(Arc::new)
    }

    /// Where a session leaves its notes. Each is tried until it is stored.
    pub(in crate::colony) fn notes(self: &Arc<Self>, session: &SessionId) -> Notes {
        let archive = Arc::clone(self);
        let opened = async move { archive.opened().await };
        let mut trouble = self.trouble();
        if trouble.borrow().is_some() {
            // What was so before is news for this session.
            trouble.mark_changed();
        }
        Notes::of(session, trouble, opened)
    }

    /// Closes the file, when what was asked for before is done.
    pub(in crate::colony) async fn close(&self) {
        if let Ok(history) = self.history() {
            history.close().await;
        }
    }

    fn tell(&self, trouble: Trouble) {
        let text = |trouble: &Trouble| trouble.as_ref().map(|error| error.to_string());
        self.trouble.send_if_modified(|last| {
            let is_news = text(last) != text(&trouble);
            *last = trouble;
            is_news
        });
    }

    /// Waits until it is open.
    async fn opened(&self) -> Arc<History> {
        let mut opened = self.history.subscribe();
        let history = opened.wait_for(Option::is_some).await;
        let history = history.ok().and_then(|history| history.clone());
        // The sender is here.
        history.expect("it is waited for until it is there")
    }
}

/// Where exports lie until they are elsewhere.
fn staging(history: &Path) -> PathBuf {
    let mut name = history.as_os_str().to_owned();
    name.push(".export");
    name.into()
}

fn trouble_of(state: &StoreState) -> Trouble {
    match state {
        StoreState::Writing => None,
        StoreState::Full => Some(Arc::new(StoreError::Full)),
        StoreState::Failed { why } => Some(Arc::new(StoreError::Failed { why: why.clone() })),
    }
}
