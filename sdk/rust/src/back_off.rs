//! When to try again, so that a thousand applications do not do it at once.

use std::collections::hash_map::RandomState;
use std::hash::{BuildHasher, Hasher};
use std::time::Duration;

const FIRST: Duration = Duration::from_millis(500);
const MAX: Duration = Duration::from_secs(30);

/// Waits that double after every failure.
#[derive(Debug)]
pub(crate) struct BackOff {
    next: Duration,
}

impl BackOff {
    pub(crate) fn new() -> Self {
        Self { next: FIRST }
    }

    /// After a success the waits begin anew.
    pub(crate) fn reset(&mut self) {
        self.next = FIRST;
    }

    /// How long to wait now.
    pub(crate) fn wait(&mut self) -> Duration {
        let wait = jittered(self.next);
        self.next = (self.next * 2).min(MAX);
        wait
    }
}

/// A duration between half of `duration` and all of it.
pub(crate) fn jittered(duration: Duration) -> Duration {
    // The standard library's only randomness, which is good enough to spread.
    let random = RandomState::new().build_hasher().finish();
    let share = (random >> 11) as f64 / (1_u64 << 53) as f64;
    duration.mul_f64(0.5 + share / 2.0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn waits_double_up_to_a_limit_and_begin_anew() {
        let mut back_off = BackOff::new();
        let mut longest = FIRST;
        for _ in 0..20 {
            let wait = back_off.wait();
            assert!(
                longest / 2 <= wait && wait <= longest,
                "{wait:?} of {longest:?}"
            );
            longest = (longest * 2).min(MAX);
        }
        back_off.reset();
        assert!(back_off.wait() <= FIRST);
    }

    #[test]
    fn waits_differ() {
        let waits: std::collections::HashSet<_> = (0..100).map(|_| jittered(MAX)).collect();
        assert!(waits.len() > 90);
    }
}
