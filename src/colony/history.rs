//! What the colony remembers: sessions as they begin and end, and what agents have written into
//! their journals, each entry once.
//!
//! A history that cannot be written holds nothing up: what is live goes on, agents keep their
//! journals, and both are caught up with when it can be.

pub(super) mod collect;
mod entries;
mod notes;
mod past;
mod queries;

use std::fs;
use std::sync::Arc;
use std::time::Duration;

use jiff::Timestamp;
use tokio::sync::broadcast;
use tokio::time::{MissedTickBehavior, interval};

use super::registry::Registry;
use crate::config::Storage;
use crate::store::sql::{SqlSettings, SqlWorkers};
use crate::store::{Opened, Store, StoreError, StoreSettings};
use collect::Collector;
pub(super) use collect::RecordedCall;
pub(super) use notes::{Note, Notes};
pub(super) use past::stored_info;

/// How often what is too old is deleted.
const RETAIN_EVERY: Duration = Duration::from_secs(600);

/// The history, and who fills it.
#[derive(Debug)]
pub(super) struct History {
    store: Store,
    workers: SqlWorkers,
    collector: Arc<Collector<Store>>,
}

impl History {
    /// Opens it; nothing where none is configured.
    ///
    /// # Errors
    /// If it cannot be opened.
    pub(super) fn open(storage: &Storage) -> Result<Option<(Arc<Self>, Opened)>, StoreError> {
        let Some(path) = &storage.path else {
            return Ok(None);
        };
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
            collector: Arc::new(Collector::new(store.clone())),
            store,
        };
        Ok(Some((Arc::new(history), opened)))
    }

    /// Collects journals from every agent that is connected, and deletes what is too old, for
    /// ever.
    pub(super) async fn run(self: Arc<Self>, registry: Arc<Registry>) {
        tokio::select! {
            () = Arc::clone(&self.collector).run(registry) => {}
            () = self.retain() => {}
        }
    }

    async fn retain(&self) {
        let mut retain = interval(RETAIN_EVERY);
        retain.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            retain.tick().await;
            // It says itself where it cannot be written.
            let _ = self.store.retain(Timestamp::now()).await;
        }
    }

    /// Closes the file, when what was asked for before is done.
    pub(super) async fn close(&self) {
        self.store.clone().close().await;
    }

    /// A session has begun on an agent: its journal is to be read.
    pub(super) fn poke(&self) {
        self.collector.poke();
    }

    /// The recorded calls of all sessions, from now on.
    pub(super) fn calls(&self) -> broadcast::Receiver<RecordedCall> {
        self.collector.calls()
    }
}
