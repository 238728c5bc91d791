//! When a server is tried again: soon at first, and not by all clients at once.

use std::collections::hash_map::RandomState;
use std::hash::{BuildHasher, Hasher};
use std::time::Duration;

const FIRST: Duration = Duration::from_millis(250);
const MAX: Duration = Duration::from_secs(5);

/// Waits that double after every failure.
#[derive(Debug)]
pub struct BackOff {
    next: Duration,
    max: Duration,
}

impl BackOff {
    /// The first wait comes next; none is longer than 5 s.
    pub fn new() -> Self {
        Self::up_to(MAX)
    }

    /// The same with another longest wait.
    pub fn up_to(max: Duration) -> Self {
        Self { next: FIRST, max }
    }

    /// After a success the waits begin anew.
    pub fn reset(&mut self) {
        self.next = FIRST;
    }

    /// How long to wait now: between half of what is due and all of it.
    pub fn wait(&mut self) -> Duration {
        let due = self.next;
        self.next = (due * 2).min(self.max);
        // The standard library's only randomness, which is good enough to spread.
        let random = RandomState::new().build_hasher().finish();
        let share = (random >> 11) as f64 / (1_u64 << 53) as f64;
        due.mul_f64(0.5 + share / 2.0)
    }
}

impl Default for BackOff {
    fn default() -> Self {
        Self::new()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn waits_double_up_to_a_limit_and_begin_anew() {
        let mut back_off = BackOff::new();
        let mut due = FIRST;
        for _ in 0..10 {
            let wait = back_off.wait();
            assert!(due / 2 <= wait && wait <= due, "{wait:?} of {due:?}");
            due = (due * 2).min(MAX);
        }
        assert_eq!(due, MAX);
        back_off.reset();
        assert!(back_off.wait() <= FIRST);
    }
}
