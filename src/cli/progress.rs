//! How far a session is, in one line of a terminal that is written again and again.

use std::io::{self, IsTerminal, Write};

use coral_model::{Snapshot, format_count, format_duration, format_duration_ns};

/// How wide the bar is.
const CELLS: usize = 20;

/// The line; nothing where stderr is no terminal.
pub(super) struct Progress {
    is_shown: bool,
}

impl Progress {
    /// A line that is written where somebody sees it.
    pub(super) fn new() -> Self {
        Self {
            is_shown: io::stderr().is_terminal(),
        }
    }

    /// Writes it for what is measured by now.
    pub(super) fn show(&self, snapshot: &Snapshot) {
        if self.is_shown {
            // Where stderr is closed nobody sees it.
            let _ = write!(io::stderr(), "\r\x1b[K{}", line(snapshot));
            let _ = io::stderr().flush();
        }
    }

    /// Removes it, so that other lines can be said.
    pub(super) fn clear(&self) {
        if self.is_shown {
            let _ = write!(io::stderr(), "\r\x1b[K");
        }
    }
}

fn line(snapshot: &Snapshot) -> String {
    let session = &snapshot.session;
    let whole = session.elapsed + session.remaining;
    let share = match whole.is_zero() {
        true => 1.0,
        false => session.elapsed.as_secs_f64() / whole.as_secs_f64(),
    };
    let full = ((share * CELLS as f64) as usize).min(CELLS);
    let bar = format!("{}{}", "#".repeat(full), "-".repeat(CELLS - full));
    let calls: u64 = snapshot.functions.iter().map(|it| it.calls).sum();
    let slowest = snapshot
        .functions
        .iter()
        .filter_map(|it| it.latency.percentile_ns(99.0))
        .max();
    let p99 = slowest.map_or(String::new(), |ns| {
        format!(", p99 {}", format_duration_ns(ns))
    });
    format!(
        "[{bar}] {} of {}, {} calls{p99} (Ctrl-C ends it)",
        format_duration(session.elapsed),
        format_duration(whole),
        format_count(calls as f64),
    )
}
