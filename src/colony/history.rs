//! What the colony remembers: sessions as they begin and end, and what agents have written into
//! their journals, each entry once.
//!
//! A history that cannot be written holds nothing up: what is live goes on, agents keep their
//! journals, and both are caught up with when it can be.

mod archive;
mod collect;
mod notes;
mod past;
mod queries;

use std::collections::HashSet;
use std::fs;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use coral_model::SessionId;
use jiff::Timestamp;
use tokio::sync::{Notify, Semaphore, broadcast};
use tokio::time::{MissedTickBehavior, interval};

use super::registry::{Link, Registry};
use crate::config::Storage;
use crate::store::sql::{SqlSettings, SqlWorkers};
use crate::store::{JournalKey, Opened, Store, StoreError, StoreSettings, StoredCall};
pub(super) use archive::{Archive, Trouble};
pub(super) use notes::{Note, Notes};
pub(super) use past::stored_info;

/// How often what is too old is deleted.
const RETAIN_EVERY: Duration = Duration::from_secs(600);
/// Batches that are in memory at the same time.
const BATCHES_MAX: usize = 32;
/// Calls that whoever listens has not taken yet.
const CALLS_MAX: usize = 4_096;

/// The history, and who fills it.
#[derive(Debug)]
pub(super) struct History {
    store: Store,
    workers: SqlWorkers,
    /// Journals that are being read.
    collecting: Mutex<HashSet<JournalKey>>,
    /// For batches on their way into the store: hundreds of agents come back at once.
    places: Semaphore,
    /// There may be a new journal.
    poke: Notify,
    calls: broadcast::Sender<RecordedCall>,
}

/// A call that an agent has handed over.
#[derive(Clone, Debug)]
pub(super) struct RecordedCall {
    pub(super) session: SessionId,
    pub(super) agent_id: String,
    pub(super) call: StoredCall,
}

impl History {
    /// Opens the file; it has to be configured.
    ///
    /// # Errors
    /// If it cannot be opened.
    fn open(storage: &Storage) -> Result<(Arc<Self>, Opened), StoreError> {
        let path = storage.path.as_ref().ok_or(StoreError::Closed)?;
        let settings = StoreSettings {
            events_retention: storage.events_retention,
            sessions_retention: storage.sessions_retention,
            ..StoreSettings::at(path)
        };
        // Where it cannot be made, opening the file says why.
        let _ = path.parent().map(fs::create_dir_all);
        let sql = SqlSettings::of(&settings);
        let (store, opened) = Store::open(settings)?;
        let history = Self {
            workers: SqlWorkers::new(store.clone(), sql)?,
            store,
            collecting: Mutex::default(),
            places: Semaphore::new(BATCHES_MAX),
            poke: Notify::new(),
            calls: broadcast::Sender::new(CALLS_MAX),
        };
        Ok((Arc::new(history), opened))
    }

    /// Collects journals from every agent that is connected, and deletes what is too old, for
    /// ever.
    async fn run(self: Arc<Self>, registry: Arc<Registry>) {
        let mut changes = registry.changes();
        let mut retain = interval(RETAIN_EVERY);
        retain.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let mut served: Vec<Link> = Vec::new();
        loop {
            served.retain(Link::is_up);
            for link in registry.links() {
                if !served.iter().any(|it| it.is(&link)) {
                    served.push(link.clone());
                    tokio::spawn(Arc::clone(&self).collect_all(link));
                }
            }
            tokio::select! {
                changed = changes.changed() => if changed.is_err() {
                    return;
                },
                _ = retain.tick() => {
                    // It says itself where it cannot be written.
                    let _ = self.store.retain(Timestamp::now()).await;
                }
            }
        }
    }

    /// A session has begun on an agent: its journal is to be read.
    fn poke(&self) {
        self.poke.notify_waiters();
    }

    /// The recorded calls of all sessions, from now on.
    pub(super) fn calls(&self) -> broadcast::Receiver<RecordedCall> {
        self.calls.subscribe()
    }

    /// Whether nobody else reads that journal; until it is given back.
    fn claim(&self, journal: &JournalKey) -> bool {
        let mut collecting = self
            .collecting
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        collecting.insert(journal.clone())
    }

    fn give_back(&self, journal: &JournalKey) {
        let mut collecting = self
            .collecting
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        collecting.remove(journal);
    }
}
