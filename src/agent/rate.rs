//! How fast counters grow.

use std::collections::VecDeque;
use std::time::Duration;

/// How far back the rates reach.
pub(super) const RATE_WINDOW: Duration = Duration::from_secs(1);

/// How fast a counter grows, over the last [`RATE_WINDOW`].
#[derive(Debug, Default)]
pub(super) struct Rate {
    readings: VecDeque<(Duration, f64)>,
}

impl Rate {
    pub(super) fn add(&mut self, at: Duration, value: f64) {
        while self
            .readings
            .get(1)
            .is_some_and(|(second, _)| *second + RATE_WINDOW <= at)
        {
            self.readings.pop_front();
        }
        self.readings.push_back((at, value));
    }

    pub(super) fn per_s(&self) -> f64 {
        let (seconds, growth) = self.growth();
        if seconds > 0.0 { growth / seconds } else { 0.0 }
    }

    /// How much the counter grew in the window, however short that is yet. Where nobody has read it
    /// for longer, because this program stood still, what it grew in a window on average.
    pub(super) fn in_window(&self) -> f64 {
        let (seconds, growth) = self.growth();
        growth / (seconds / RATE_WINDOW.as_secs_f64()).max(1.0)
    }

    /// How long the readings reach back, in seconds, and how much the counter grew since.
    fn growth(&self) -> (f64, f64) {
        match (self.readings.front(), self.readings.back()) {
            (Some((first_at, first)), Some((last_at, last))) => {
                let seconds = last_at.saturating_sub(*first_at).as_secs_f64();
                (seconds, last - first)
            }
            _ => (0.0, 0.0),
        }
    }

    pub(super) fn mean_per_s(&self, elapsed: Duration) -> f64 {
        let last = self.readings.back().map_or(0.0, |(_, value)| *value);
        if elapsed.is_zero() {
            0.0
        } else {
            last / elapsed.as_secs_f64()
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_rate_is_that_of_the_last_second() {
        let mut rate = Rate::default();
        assert_eq!(rate.per_s(), 0.0);
        for tick in 0..=20u32 {
            rate.add(Duration::from_millis(200) * tick, f64::from(tick * tick));
        }
        // From 15 squared at 3.0 s to 20 squared at 4.0 s.
        assert_eq!(rate.per_s(), 175.0);
        assert_eq!(rate.in_window(), 175.0);
        assert_eq!(rate.mean_per_s(Duration::from_secs(4)), 100.0);
    }

    #[test]
    fn what_came_while_nobody_read_is_not_of_one_second() {
        let mut rate = Rate::default();
        rate.add(Duration::ZERO, 0.0);
        rate.add(Duration::from_millis(100), 10.0);
        assert_eq!(rate.in_window(), 10.0);
        rate.add(Duration::from_millis(4_000), 400.0);
        assert_eq!((rate.in_window(), rate.per_s()), (100.0, 100.0));
    }
}
