//! What happens in a simulation, in order.

use std::sync::{Arc, Mutex};

/// What has happened, and what of it must not.
#[derive(Clone, Default)]
pub(super) struct Story(Arc<Mutex<Told>>);

#[derive(Default)]
struct Told {
    lines: Vec<String>,
    wrongs: Vec<String>,
}

impl Story {
    /// Something happens now.
    pub(super) fn tell(&self, who: &str, what: &str) {
        let at = turmoil::sim_elapsed().unwrap_or_default();
        self.tell_at(at.as_millis(), who, what);
    }

    /// Something happens from outside.
    pub(super) fn tell_at(&self, at_ms: u128, who: &str, what: &str) {
        let mut told = self.0.lock().unwrap();
        told.lines.push(format!("{at_ms:>7} {who}: {what}"));
    }

    /// Something is not as it has to be.
    pub(super) fn wrong(&self, what: &str) {
        let mut told = self.0.lock().unwrap();
        told.lines.push(format!("WRONG {what}"));
        told.wrongs.push(what.to_owned());
    }

    pub(super) fn lines(&self) -> Vec<String> {
        self.0.lock().unwrap().lines.clone()
    }

    pub(super) fn wrongs(&self) -> Vec<String> {
        self.0.lock().unwrap().wrongs.clone()
    }

    /// What is wrong, and the last lines of what happened.
    pub(super) fn shown(&self, lines_max: usize) -> String {
        let told = self.0.lock().unwrap();
        let last = told.lines.len().saturating_sub(lines_max);
        format!(
            "{}\n\n{}",
            told.wrongs.join("\n"),
            told.lines[last..].join("\n")
        )
    }
}
