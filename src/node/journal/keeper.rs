//! Writes down what a session measures: every recorded call, and now and then the whole session.

use std::sync::{Arc, Weak};
use std::time::Duration;

use coral_model::{CallRecord, EndReason, SessionState, Snapshot};
use coral_proto::agent::v1::{JournalCall, SessionUpdate};
use coral_proto::convert::{SessionUpdates, journal_call};
use prost::Message;
use tokio::runtime::Handle;
use tokio::sync::watch;
use tokio::task::spawn_blocking;
use tokio::time::{Instant, sleep, sleep_until, timeout_at};

use super::on_disk;
use super::spool::{Spool, SpoolError, Writer};
use crate::access::BackOff;
use crate::agent::{CallStream, Watched};
use crate::node::sessions::Held;

/// Calls wait so long for others that go into the same entry.
const BATCH_MAX: Duration = Duration::from_millis(200);
const BATCH_CALLS_MAX: usize = 500;
/// An entry is no longer, in bytes.
const ENTRY_BYTES_MAX: usize = 512 << 10;
/// One call is no longer: some fit into an entry.
const CALL_BYTES_MAX: usize = 64 << 10;
/// How often the whole session is written down.
const CHECKPOINT_EVERY: Duration = Duration::from_secs(10);
/// How long it is waited before the end is tried again where the disk has no room for it.
const RETRY_AFTER_MAX: Duration = Duration::from_secs(10);
/// After that the end is left to the next start of the agent.
const RETRIED_FOR: Duration = Duration::from_hours(1);

/// Keeps the journal of a session.
#[derive(Debug)]
pub(super) struct Keeper {
    writer: Writer,
    watched: Arc<Watched>,
    snapshots: watch::Receiver<Arc<Snapshot>>,
    calls: CallStream,
    /// How many calls found no room in the stream, and are counted already.
    left_out: u64,
    is_failing: bool,
    session: Weak<Held>,
}

impl Keeper {
    /// Begins the journal: when this returns, the session stands in it.
    pub(super) fn begin(
        spool: &Arc<Spool>,
        request_id: &str,
        calls: CallStream,
        held: &Arc<Held>,
    ) -> Self {
        let mut keeper = Self {
            writer: spool.begin(&held.info().id.0, request_id),
            watched: Arc::clone(&held.watched),
            snapshots: held.snapshots(),
            calls,
            left_out: 0,
            is_failing: false,
            session: Arc::downgrade(held),
        };
        keeper.write_checkpoint();
        keeper
    }

    /// Keeps it until its last entry is on the disk, and says then that it is done. Needs to run
    /// within the runtime.
    pub(super) fn keep(mut self, done: watch::Sender<bool>) {
        let runtime = Handle::current();
        spawn_blocking(move || {
            let last = runtime.block_on(async {
                self.write_calls().await;
                self.last().await
            });
            if self.write_end(&last) {
                done.send_replace(true);
            } else {
                // Without a thread: all sessions that end while the disk is full would have one.
                runtime.spawn(self.write_end_later(last, done));
            }
        });
    }

    /// Writes calls and checkpoints until the session records no more.
    async fn write_calls(&mut self) {
        let mut checkpoint_at = Instant::now() + CHECKPOINT_EVERY;
        loop {
            let first = tokio::select! {
                call = self.calls.next() => call,
                () = sleep_until(checkpoint_at) => {
                    self.write_checkpoint();
                    checkpoint_at = Instant::now() + CHECKPOINT_EVERY;
                    continue;
                }
            };
            let Some(first) = first else { return };
            let batch = self.batch(first).await;
            self.write_batch(&batch);
        }
    }

    /// A call, and those that follow it soon.
    async fn batch(&mut self, first: CallRecord) -> Vec<CallRecord> {
        let until = Instant::now() + BATCH_MAX;
        let mut batch = vec![first];
        while batch.len() < BATCH_CALLS_MAX {
            match timeout_at(until, self.calls.next()).await {
                Ok(Some(call)) => batch.push(call),
                Ok(None) | Err(_) => break,
            }
        }
        batch
    }

    fn write_batch(&mut self, batch: &[CallRecord]) {
        let (mut calls, mut bytes): (Vec<JournalCall>, usize) = (Vec::new(), 0);
        for call in batch {
            let function = self.watched.table().get(call.function);
            let name = function.map_or("", |function| function.name);
            let call = journal_call(call, name, CALL_BYTES_MAX);
            let call_bytes = call.encoded_len() + 8;
            if bytes + call_bytes > ENTRY_BYTES_MAX {
                let full = std::mem::take(&mut calls);
                let written = self.writer.calls(full);
                self.tell(written);
                bytes = 0;
            }
            bytes += call_bytes;
            calls.push(call);
        }
        self.count_left_out();
        let written = self.writer.calls(calls);
        self.tell(written);
    }

    fn write_checkpoint(&mut self) {
        self.count_left_out();
        let snapshot = Arc::clone(&self.snapshots.borrow());
        let written = self.writer.checkpoint(whole(&snapshot), false);
        self.tell(written);
    }

    /// The session as it was at its end.
    async fn last(&mut self) -> Arc<Snapshot> {
        let is_over = |latest: &Arc<Snapshot>| latest.session.state != SessionState::Active;
        let last = self.snapshots.wait_for(is_over).await;
        let last = last.map(|last| Arc::clone(&last));
        last.unwrap_or_else(|_| failed(&self.snapshots.borrow()))
    }

    /// Writes the last entry; returns whether there is no use in trying again.
    fn write_end(&mut self, last: &Arc<Snapshot>) -> bool {
        self.count_left_out();
        match self.writer.checkpoint(whole(last), true) {
            Err(SpoolError::Unwritten(_)) => self.writer.is_closed(),
            // It stands there, even where the disk may lose it: nothing comes behind it.
            Ok(()) | Err(SpoolError::Unsynced(_) | SpoolError::Gone) => true,
        }
    }

    /// Tries the last entry again and again, until there is room for it.
    async fn write_end_later(mut self, last: Arc<Snapshot>, done: watch::Sender<bool>) {
        let until = Instant::now() + RETRIED_FOR;
        let mut back_off = BackOff::up_to(RETRY_AFTER_MAX);
        while Instant::now() < until {
            sleep(back_off.wait()).await;
            if on_disk(|| self.write_end(&last)) {
                done.send_replace(true);
                return;
            }
        }
    }

    fn count_left_out(&mut self) {
        let left_out = self.calls.left_out();
        if left_out > self.left_out {
            self.writer.leave_out(left_out - self.left_out);
            self.left_out = left_out;
        }
    }

    /// Says in the session that its journal cannot be written, and when it can be again.
    fn tell(&mut self, written: Result<(), SpoolError>) {
        let notice = match (written, self.is_failing) {
            (Err(error @ SpoolError::Unsynced(_)), false) => {
                format!("the journal is lost if the machine fails now: {error}")
            }
            (Err(error), false) => {
                format!("the journal cannot be written, and calls are left out of it: {error}")
            }
            (Ok(()), true) => "the journal is written again".to_owned(),
            _ => return,
        };
        self.is_failing = !self.is_failing;
        if let Some(session) = self.session.upgrade() {
            session.notify(notice);
        }
    }
}

/// The whole session, for somebody who knows nothing of it.
fn whole(snapshot: &Arc<Snapshot>) -> Vec<SessionUpdate> {
    SessionUpdates::with_bytes_max(ENTRY_BYTES_MAX).next(snapshot)
}

/// A session whose thread has failed, as far as it had come.
fn failed(snapshot: &Arc<Snapshot>) -> Arc<Snapshot> {
    let mut snapshot = Arc::clone(snapshot);
    Arc::make_mut(&mut snapshot).session.state = SessionState::Ended(EndReason::Failed);
    snapshot
}
