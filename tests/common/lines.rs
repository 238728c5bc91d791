//! Lines from a child's pipe, each awaited with a deadline.

use std::io::{BufRead, BufReader, Read};
use std::sync::mpsc::{Receiver, channel};
use std::time::{Duration, Instant};

/// Long enough for the slowest step under full load; only a hang takes longer.
pub(crate) const DEADLINE: Duration = Duration::from_secs(60);

/// The lines that a thread reads from a pipe.
pub(crate) struct Lines {
    received: Receiver<String>,
    /// All lines that were taken so far.
    pub(crate) seen: Vec<String>,
}

/// No line came within the deadline.
#[derive(Debug)]
pub(crate) struct Hang;

impl Lines {
    pub(crate) fn of(pipe: impl Read + Send + 'static) -> Self {
        let (sender, received) = channel();
        std::thread::spawn(move || {
            for line in BufReader::new(pipe).split(b'\n').map_while(Result::ok) {
                let line = String::from_utf8_lossy(&line).into_owned();
                if sender.send(line).is_err() {
                    break;
                }
            }
        });
        Self {
            received,
            seen: Vec::new(),
        }
    }

    /// The next line, or `None` at the end.
    pub(crate) fn next(&mut self) -> Result<Option<String>, Hang> {
        use std::sync::mpsc::RecvTimeoutError::{Disconnected, Timeout};
        match self.received.recv_timeout(DEADLINE) {
            Ok(line) => {
                self.seen.push(line.clone());
                Ok(Some(line))
            }
            Err(Disconnected) => Ok(None),
            Err(Timeout) => Err(Hang),
        }
    }

    /// Takes all lines, to the end.
    pub(crate) fn drain(&mut self) -> Result<(), Hang> {
        while self.next()?.is_some() {}
        Ok(())
    }
}

/// Asks again and again until it is so, for states that no event announces; whether it came true.
pub(crate) fn eventually(is_so: impl Fn() -> bool) -> bool {
    let deadline = Instant::now() + Duration::from_secs(10);
    while !is_so() {
        if Instant::now() > deadline {
            return false;
        }
        std::thread::sleep(Duration::from_millis(1));
    }
    true
}
