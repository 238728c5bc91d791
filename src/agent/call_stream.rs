//! Recorded calls one by one, for who wants each of them and not only the slowest.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use coral_model::CallRecord;
use tokio::sync::mpsc;

/// Where a session puts its recorded calls.
#[derive(Clone, Debug)]
pub struct CallSink {
    sender: mpsc::Sender<CallRecord>,
    left_out: Arc<AtomicU64>,
}

/// Where they come out.
#[derive(Debug)]
pub struct CallStream {
    receiver: mpsc::Receiver<CallRecord>,
    left_out: Arc<AtomicU64>,
}

/// A stream with room for so many calls; a session never waits for who reads it.
pub fn call_stream(room: usize) -> (CallSink, CallStream) {
    let (sender, receiver) = mpsc::channel(room);
    let left_out = Arc::<AtomicU64>::default();
    let sink = CallSink {
        sender,
        left_out: Arc::clone(&left_out),
    };
    (sink, CallStream { receiver, left_out })
}

impl CallSink {
    pub(super) fn put(&self, call: CallRecord) {
        if self.sender.try_send(call).is_err() {
            self.left_out.fetch_add(1, Ordering::Relaxed);
        }
    }
}

impl CallStream {
    /// The next call; `None` when the session is over.
    pub async fn next(&mut self) -> Option<CallRecord> {
        self.receiver.recv().await
    }

    /// How many calls found no room here, because they were not read fast enough.
    pub fn left_out(&self) -> u64 {
        self.left_out.load(Ordering::Relaxed)
    }
}
