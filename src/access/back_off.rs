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
    random: u64,
}

impl BackOff {
    /// The first wait comes next; none is longer than 5 s.
    pub fn new() -> Self {
        Self::up_to(MAX)
    }

    /// The same with another longest wait.
    pub fn up_to(max: Duration) -> Self {
        // The standard library's only randomness, which is good enough to spread.
        let random = RandomState::new().build_hasher().finish();
        Self {
            next: FIRST,
            max,
            random,
        }
    }

    /// As [`Self::new`]; the same seed gives the same waits.
    pub fn seeded(seed: u64) -> Self {
        Self {
            next: FIRST,
            max: MAX,
            random: seed,
        }
    }

    /// After a success the waits begin anew.
    pub fn reset(&mut self) {
        self.next = FIRST;
    }

    /// How long to wait now: between half of what is due and all of it.
    pub fn wait(&mut self) -> Duration {
        let due = self.next;
        self.next = (due * 2).min(self.max);
        let share = (self.random() >> 11) as f64 / (1_u64 << 53) as f64;
        due.mul_f64(0.5 + share / 2.0)
    }

    /// The next number of SplitMix64.
    fn random(&mut self) -> u64 {
        self.random = self.random.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mixed = (self.random ^ (self.random >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
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

    #[test]
    fn waits_are_spread_and_those_of_a_seed_are_the_same() {
        let waits = |seed| {
            let mut back_off = BackOff::seeded(seed);
            [back_off.wait(), back_off.wait(), back_off.wait()]
        };
        assert_eq!(waits(1), waits(1));
        assert_ne!(waits(1), waits(2));
        let [first, second, _] = waits(1);
        assert_ne!(first * 2, second);
    }
}
