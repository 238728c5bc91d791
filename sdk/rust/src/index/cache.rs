//! Keeps the list of functions for as long as somebody asks for it.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use tokio::sync::Notify;
use tokio::time::sleep_until;

use super::{Executable, Index, IndexError};

pub(crate) struct IndexCache {
    executable: Arc<Executable>,
    retention: Duration,
    held: Mutex<Option<Held>>,
    was_read: Notify,
}

struct Held {
    index: Arc<Index>,
    last_used: Instant,
}

impl IndexCache {
    pub(crate) fn new(executable: Arc<Executable>, retention: Duration) -> Self {
        Self {
            executable,
            retention,
            held: Mutex::new(None),
            was_read: Notify::new(),
        }
    }

    pub(crate) fn executable(&self) -> &Executable {
        &self.executable
    }

    /// The list, and whether it had to be read: that takes a while, at most seconds.
    pub(crate) fn get(&self) -> Result<(Arc<Index>, bool), IndexError> {
        let mut held = self.lock();
        let last_used = Instant::now();
        if let Some(held) = held.as_mut() {
            held.last_used = last_used;
            return Ok((Arc::clone(&held.index), false));
        }
        let index = Arc::new(Index::read(&self.executable)?);
        *held = Some(Held {
            index: Arc::clone(&index),
            last_used: Instant::now(),
        });
        self.was_read.notify_one();
        Ok((index, true))
    }

    /// Forgets the list: the next question reads it anew.
    pub(crate) fn forget(&self) {
        *self.lock() = None;
    }

    /// Forgets the list when it was read and then nobody has asked for a while. Until it is read,
    /// nothing wakes up.
    pub(crate) async fn forget_when_unused(&self) {
        self.was_read.notified().await;
        while let Some(end) = self.end_of_use() {
            if end <= Instant::now() {
                self.forget();
            } else {
                sleep_until(end.into()).await;
            }
        }
    }

    fn end_of_use(&self) -> Option<Instant> {
        let held = self.lock();
        held.as_ref().map(|held| held.last_used + self.retention)
    }

    /// What it guards is whole at any time, so a panic elsewhere spoils nothing.
    fn lock(&self) -> MutexGuard<'_, Option<Held>> {
        self.held.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
