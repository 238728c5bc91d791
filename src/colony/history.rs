//! What the colony remembers: sessions as they begin and end, and what agents have written into
//! their journals, each entry once.
//!
//! A history that cannot be written holds nothing up: what is live goes on, agents keep their
//! journals, and both are caught up with when it can be.

mod archive;
pub(super) mod collect;
mod entries;
mod listeners;
mod notes;
mod past;
mod queries;

use std::fs;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use coral_model::SessionId;
use jiff::Timestamp;
use tokio::sync::mpsc;
use tokio::time::{Instant, MissedTickBehavior, interval};

use super::registry::Registry;
use crate::config::ColonyDebug;
use crate::outlets::{Parquet, Warn};
use crate::store::sql::{SqlSettings, SqlWorkers};
use crate::store::{Opened, Store, StoreError, StoreSettings};
use archive::Outlets;
pub(super) use archive::{Archive, Trouble};
use collect::{Collector, Shelf};
pub(super) use listeners::RecordedCall;
pub(super) use notes::{Note, Notes};
pub(super) use past::stored_info;

/// How often what is too old is deleted.
const RETAIN_EVERY: Duration = Duration::from_secs(600);
/// When so many calls wait for an export that should be deleted, it is told: they take some 100 MB.
const OVERDUE_MAX: u64 = 1_000_000;

/// The history, and who fills it.
#[derive(Debug)]
pub(super) struct History {
    store: Store,
    workers: SqlWorkers,
    collector: Arc<Collector<Shelf>>,
    /// Until it runs.
    parquet: Mutex<Option<Parquet>>,
    warn: Warn,
}

impl History {
    /// Opens the file; it has to be configured.
    ///
    /// # Errors
    /// If it cannot be opened.
    fn open(config: &ColonyDebug) -> Result<(Store, SqlWorkers, Opened), StoreError> {
        let storage = &config.storage;
        let path = storage.path.as_ref().ok_or(StoreError::Closed)?;
        let settings = StoreSettings {
            events_retention: storage.events_retention,
            sessions_retention: storage.sessions_retention,
            keeps_unexported: config.export.parquet.is_some(),
            ..StoreSettings::at(path)
        };
        // Where it cannot be made, opening the file says why.
        let _ = path.parent().map(fs::create_dir_all);
        let sql = SqlSettings::of(&settings);
        let (store, opened) = Store::open(settings)?;
        let workers = SqlWorkers::new(store.clone(), sql)?;
        Ok((store, workers, opened))
    }

    /// The history of an open file.
    fn new(store: Store, workers: SqlWorkers, outlets: Outlets, warn: Warn) -> Self {
        Self {
            collector: Arc::new(Collector::new(Shelf {
                store: store.clone(),
                otlp: outlets.otlp,
            })),
            store,
            workers,
            parquet: Mutex::new(outlets.parquet),
            warn,
        }
    }

    /// Collects journals from every agent that is connected, exports them, and deletes what is too
    /// old, for ever.
    async fn run(self: Arc<Self>, registry: Arc<Registry>) {
        if let Some(parquet) = self.take_parquet() {
            tokio::spawn(parquet.run(self.store.clone()));
        }
        tokio::select! {
            () = Arc::clone(&self.collector).run(registry) => {}
            () = self.retain_all() => {}
        }
    }

    async fn retain_all(&self) {
        let (began, began_at) = (Instant::now(), Timestamp::now());
        let mut retain = interval(RETAIN_EVERY);
        retain.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let mut overdue = 0;
        loop {
            retain.tick().await;
            let now = steady(began_at, began.elapsed(), Timestamp::now());
            self.retain(now, &mut overdue).await;
        }
    }

    /// Deletes what is too old; `overdue` is how many calls were told to be in the way of that.
    async fn retain(&self, now: Timestamp, overdue: &mut u64) {
        // It says itself where it cannot be written.
        let Ok(calls) = self.store.retain(now).await else {
            return;
        };
        if calls < OVERDUE_MAX {
            *overdue = 0;
        } else if calls >= overdue.saturating_mul(2) {
            *overdue = calls;
            self.warn.say(&format!(
                "the history keeps {calls} calls that are too old, because no export has them yet"
            ));
        }
    }

    /// Closes the file, when what was asked for before is done.
    async fn close(&self) {
        if let Some(otlp) = self.collector.journals().otlp() {
            otlp.close().await;
        }
        self.store.clone().close().await;
    }

    /// A session has begun on an agent: its journal is to be read.
    fn poke(&self) {
        self.collector.poke();
    }

    /// The recorded calls of a session that is to begin. They end early for who does not take them.
    pub(super) fn calls(&self, session: SessionId) -> mpsc::Receiver<RecordedCall> {
        self.collector.listeners.listen(session)
    }

    fn take_parquet(&self) -> Option<Parquet> {
        let mut parquet = self.parquet.lock().unwrap_or_else(PoisonError::into_inner);
        parquet.take()
    }
}

/// The time, unless the clock was set ahead meanwhile: all of the history would be too old then.
fn steady(began_at: Timestamp, elapsed: Duration, now: Timestamp) -> Timestamp {
    let passed = began_at.checked_add(elapsed).unwrap_or(Timestamp::MAX);
    now.min(passed)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_clock_that_is_set_ahead_makes_nothing_old() {
        let began_at = Timestamp::UNIX_EPOCH;
        let after = |seconds| began_at + jiff::SignedDuration::from_secs(seconds);
        let hour = Duration::from_secs(3_600);
        assert_eq!(steady(began_at, hour, after(3_600)), after(3_600));
        assert_eq!(steady(began_at, hour, after(400_000)), after(3_600));
        assert_eq!(steady(began_at, hour, after(-400_000)), after(-400_000));
    }
}
