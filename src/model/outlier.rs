//! The odd one out: which of several replicas is clearly slower or faster than the others.
//!
//! A replica is held against the median of the others, which a second slow one among them does not
//! move. It has to differ by a factor, so that it matters, and by more than chance would explain
//! with so many calls, so that nothing flickers.

use std::cell::LazyCell;
use std::fmt;
use std::ops::RangeInclusive;

use crate::Histogram;
use crate::comparison::percentile_interval_ns;

/// A percentile has to be so many times that of the others.
const FACTOR_MIN: f64 = 2.0;

/// Fewer durations than this say nothing of a replica.
const CALLS_MIN: u64 = 30;

/// The typical call, and the slow one.
const PERCENTS: [f64; 2] = [50.0, 99.0];

/// How a replica differs from the others, and by which factor; of several differences the largest.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Outlier {
    /// Its calls take so many times as long.
    Slow(f64),
    /// The calls of the others take so many times as long.
    Fast(f64),
}

impl Outlier {
    /// How many times as long the one takes as the other.
    pub fn factor(self) -> f64 {
        match self {
            Self::Slow(factor) | Self::Fast(factor) => factor,
        }
    }

    /// The one that matters more: what is slow, then what differs more.
    pub fn or_worse(self, other: Option<Self>) -> Self {
        let rank = |it: Self| (matches!(it, Self::Slow(_)), it.factor());
        match other {
            Some(other) if rank(other) > rank(self) => other,
            _ => self,
        }
    }
}

impl fmt::Display for Outlier {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (word, factor) = match self {
            Self::Slow(factor) => ("slow", factor),
            Self::Fast(factor) => ("fast", factor),
        };
        let decimals = usize::from(*factor < 9.95);
        write!(formatter, "{word} {factor:.decimals$}x")
    }
}

/// Which replicas differ clearly from the others, each at its place in the list; `None` in the list
/// is a replica that has not measured the function.
pub fn outliers(latencies: &[Option<&Histogram>]) -> Vec<Option<Outlier>> {
    let mut outliers = vec![None; latencies.len()];
    let counted = latencies.iter().enumerate().filter_map(|(place, latency)| {
        let latency = latency.filter(|latency| latency.count() >= CALLS_MIN)?;
        Some((place, latency))
    });
    let counted: Vec<(usize, &Histogram)> = counted.collect();
    for percent in PERCENTS {
        let found = differing(&counted, percent);
        for ((place, _), found) in counted.iter().zip(found) {
            let Some(found) = found else { continue };
            outliers[*place] = Some(found.or_worse(outliers[*place]));
        }
    }
    outliers
}

/// Which of the replicas differ in one percentile.
fn differing(counted: &[(usize, &Histogram)], percent: f64) -> Vec<Option<Outlier>> {
    let values = counted
        .iter()
        .map(|(_, latency)| latency.percentile_ns(percent));
    let values: Vec<u64> = values.map(Option::unwrap_or_default).collect();
    let values = Ranked::new(values);
    // Looked at only where the values differ, which is rare.
    let intervals = LazyCell::new(|| {
        let intervals = counted
            .iter()
            .map(|(_, latency)| percentile_interval_ns(latency, percent));
        let intervals: Option<Vec<RangeInclusive<u64>>> = intervals.collect();
        intervals.map(|all| {
            let ends = |end: fn(&RangeInclusive<u64>) -> &u64| {
                Ranked::new(all.iter().map(end).copied().collect())
            };
            (ends(RangeInclusive::start), ends(RangeInclusive::end))
        })
    });
    let outlier = |place: usize| {
        let value = values.all[place] as f64;
        let (low, high) = values.middle_of_others(place)?;
        if value >= FACTOR_MIN * high as f64 && high > 0 {
            let (starts, ends) = intervals.as_ref()?;
            let is_clear = starts.all[place] > ends.middle_of_others(place)?.1;
            return is_clear.then_some(Outlier::Slow(value / high as f64));
        }
        // Of two, the slow one is the odd one.
        if counted.len() > 2 && value > 0.0 && FACTOR_MIN * value <= low as f64 {
            let (starts, ends) = intervals.as_ref()?;
            let is_clear = ends.all[place] < starts.middle_of_others(place)?.0;
            return is_clear.then_some(Outlier::Fast(low as f64 / value));
        }
        None
    };
    (0..counted.len()).map(outlier).collect()
}

/// Values, and what they are in order.
struct Ranked {
    all: Vec<u64>,
    sorted: Vec<u64>,
}

impl Ranked {
    fn new(all: Vec<u64>) -> Self {
        let mut sorted = all.clone();
        sorted.sort_unstable();
        Self { all, sorted }
    }

    /// The median of all others; of an even number of them, both in the middle.
    fn middle_of_others(&self, place: usize) -> Option<(u64, u64)> {
        let others = self.sorted.len().checked_sub(2)? + 1;
        let rank = self
            .sorted
            .partition_point(|value| *value < self.all[place]);
        let other = |index: usize| self.sorted[index + usize::from(index >= rank)];
        Some((other((others - 1) / 2), other(others / 2)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// So many calls of a duration in microseconds, and so many of another one.
    fn latency(modes: &[(u64, u64)]) -> Histogram {
        let mut histogram = Histogram::default();
        for &(calls, us) in modes {
            (0..calls).for_each(|_| histogram.record(us * 1_000));
        }
        histogram
    }

    fn found(replicas: &[&[(u64, u64)]]) -> Vec<String> {
        let latencies: Vec<Histogram> = replicas.iter().map(|modes| latency(modes)).collect();
        let latencies: Vec<Option<&Histogram>> = latencies.iter().map(Some).collect();
        let words = |outlier: Option<Outlier>| outlier.map_or("-".into(), |it| it.to_string());
        outliers(&latencies).into_iter().map(words).collect()
    }

    #[test]
    fn the_slow_one_is_found_among_three_and_among_two() {
        assert_eq!(
            found(&[&[(100, 200)], &[(100, 210)], &[(100, 840)]]),
            ["-", "-", "slow 4.0x"]
        );
        assert_eq!(found(&[&[(40, 2_000)], &[(40, 100)]]), ["slow 20x", "-"]);
    }

    #[test]
    fn a_second_slow_one_hides_neither() {
        let (usual, slow): (&[_], &[_]) = (&[(500, 100)], &[(500, 450)]);
        assert_eq!(
            found(&[usual, slow, usual, usual, slow]),
            ["-", "slow 4.5x", "-", "-", "slow 4.5x"]
        );
    }

    #[test]
    fn what_fails_fast_is_found_among_the_others() {
        assert_eq!(
            found(&[&[(100, 900)], &[(100, 900)], &[(100, 100)], &[(100, 900)]]),
            ["-", "-", "fast 9.0x", "-"]
        );
    }

    #[test]
    fn a_tail_is_found_once_there_are_enough_calls_to_tell() {
        let replicas = |calls: u64| {
            let usual = [(calls, 100)];
            let tailed = [(calls * 9 / 10, 100), (calls / 10, 5_000)];
            found(&[&usual, &usual, &tailed])
        };
        assert_eq!(
            replicas(100),
            ["-", "-", "-"],
            "the 99th percentile of 100 may be chance"
        );
        assert_eq!(replicas(2_000), ["-", "-", "slow 50x"]);
    }

    #[test]
    fn few_calls_small_differences_and_none_are_no_outliers() {
        assert_eq!(found(&[&[(100, 100)], &[(29, 900)]]), ["-", "-"]);
        assert_eq!(found(&[&[(100, 100)], &[(30, 900)]]), ["-", "slow 9.0x"]);
        assert_eq!(found(&[&[(900, 100)], &[(900, 190)]]), ["-", "-"]);
        assert_eq!(found(&[&[(900, 100)]]), ["-"]);
        assert_eq!(found(&[]), [""; 0]);
        let one = latency(&[(100, 900)]);
        assert_eq!(outliers(&[None, Some(&one), None]), [None, None, None]);
        let (zero, some) = (latency(&[(100, 0)]), latency(&[(100, 10)]));
        assert_eq!(
            outliers(&[Some(&zero), Some(&some)]),
            [None, None],
            "no factor of nothing"
        );
    }
}
