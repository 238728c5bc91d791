//! What the terminal reports: keys, clicks, pasted text, sizes.

use std::io;
use std::thread;

use crossterm::event::{Event, read};
use tokio::sync::mpsc::{self, Receiver};

/// Events that may wait; more wait in the terminal.
const EVENTS_MAX: usize = 64;

/// Begins to read. The thread is this program's to its end.
///
/// A thread, because crossterm reads a terminal that was closed for ever and ever: the loop must
/// still hear the signal that tells of it.
pub(super) fn events() -> Receiver<io::Result<Event>> {
    let (sender, events) = mpsc::channel(EVENTS_MAX);
    thread::spawn(move || {
        loop {
            let event = read();
            let is_last = event.is_err();
            if sender.blocking_send(event).is_err() || is_last {
                return;
            }
        }
    });
    events
}
