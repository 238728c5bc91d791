//! What the terminal reports: keys, clicks, pasted text, sizes.

use std::io;
use std::sync::{Condvar, Mutex, PoisonError};
use std::thread;
use std::time::Duration;

use crossterm::event::{Event, poll, read};
use tokio::sync::mpsc::{self, Receiver};
use tokio::sync::oneshot;

use super::background::{AnswerFilter, Background};

/// Events that may wait; more wait in the terminal.
const EVENTS_MAX: usize = 64;
/// How long somebody who wants the terminal's input waits at most.
const POLL_INTERVAL: Duration = Duration::from_millis(100);

static GATE: Gate = Gate {
    state: Mutex::new(State {
        is_held: false,
        is_reading: false,
    }),
    changed: Condvar::new(),
};

/// Begins to read; what the terminal says of its background comes on a way of its own. The thread
/// is this program's to its end.
///
/// A thread, because crossterm reads a terminal that was closed for ever and ever: the loop must
/// still hear the signal that tells of it.
pub(super) fn events() -> (Receiver<io::Result<Event>>, oneshot::Receiver<Background>) {
    let (sender, events) = mpsc::channel(EVENTS_MAX);
    let (mut filter, answer) = AnswerFilter::new();
    thread::spawn(move || {
        loop {
            let events = match next() {
                Ok(Some(event)) => filter.take(event),
                Ok(None) => filter.give_up(),
                Err(error) => {
                    // Whether somebody hears it or not: there is nothing more to read.
                    let _ = sender.blocking_send(Err(error));
                    return;
                }
            };
            for event in events {
                if sender.blocking_send(Ok(event)).is_err() {
                    return;
                }
            }
        }
    });
    (events, answer)
}

/// Waits for an event, or until others have had their turn.
fn next() -> io::Result<Option<Event>> {
    GATE.begin();
    let event = poll(POLL_INTERVAL).and_then(|is_there| match is_there {
        true => read().map(Some),
        false => Ok(None),
    });
    GATE.end();
    event
}

/// Leaves the terminal's input to another program until the value is dropped.
pub(super) fn hold() -> Held {
    GATE.hold();
    Held
}

/// See [`hold`].
pub(super) struct Held;

impl Drop for Held {
    fn drop(&mut self) {
        GATE.release();
    }
}

/// Keeps the thread from reading what is meant for another program.
struct Gate {
    state: Mutex<State>,
    changed: Condvar,
}

struct State {
    is_held: bool,
    is_reading: bool,
}

impl Gate {
    fn begin(&self) {
        let state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        let state = self.changed.wait_while(state, |state| state.is_held);
        state.unwrap_or_else(PoisonError::into_inner).is_reading = true;
    }

    fn end(&self) {
        self.state
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .is_reading = false;
        self.changed.notify_all();
    }

    fn hold(&self) {
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        state.is_held = true;
        drop(self.changed.wait_while(state, |state| state.is_reading));
    }

    fn release(&self) {
        self.state
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .is_held = false;
        self.changed.notify_all();
    }
}
