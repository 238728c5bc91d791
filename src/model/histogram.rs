//! Log-linear latency histograms: 16 buckets for each power of two.
//!
//! The kernel counts into the same buckets (`coral-ebpf-common` turns a duration into an index; a
//! test holds the two against each other), so nothing is lost on the way to the screen. A bucket
//! is at most 1/16 of its lower bound wide, hence a percentile, reported as a bucket's middle, is
//! within 1/32 (3.125 %) of the true value.

use std::ops::Range;

use serde::{Deserialize, Serialize};

const SUB_BUCKET_BITS: u32 = 4;
const SUB_BUCKETS: u64 = 1 << SUB_BUCKET_BITS;

/// The percentiles that documents and screens show, with their names.
pub const PERCENTILES: [(f64, &str); 5] = [
    (50.0, "p50"),
    (90.0, "p90"),
    (95.0, "p95"),
    (99.0, "p99"),
    (99.9, "p99.9"),
];

/// The durations that the bucket of that index counts, in nanoseconds: `low <= d < high`.
pub fn bucket_range_ns(index: u16) -> Range<u64> {
    let index = u64::from(index);
    if index < SUB_BUCKETS {
        return index..index + 1;
    }
    let octave = (index >> SUB_BUCKET_BITS) - 1;
    let low = (SUB_BUCKETS + index % SUB_BUCKETS) << octave;
    low..low + (1 << octave)
}

/// The index of the bucket that counts that duration.
fn bucket_index(duration_ns: u64) -> u16 {
    if duration_ns < SUB_BUCKETS {
        return duration_ns as u16;
    }
    let octave = duration_ns.ilog2() - SUB_BUCKET_BITS;
    // The shifted duration lies between 16 and 31, so this is below 1,024.
    (u64::from(octave) * SUB_BUCKETS + (duration_ns >> octave)) as u16
}

/// One bucket that is not empty.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Bucket {
    /// Which bucket; see [`bucket_range_ns`].
    pub index: u16,
    /// How many durations fell into it.
    pub count: u64,
}

/// A histogram of durations with the exact count, sum, minimum and maximum beside it.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Histogram {
    /// The buckets that are not empty, by index.
    pub buckets: Vec<Bucket>,
    /// The sum of all durations, in nanoseconds.
    pub total_ns: u64,
    /// The shortest duration, in nanoseconds; 0 where there is none.
    pub min_ns: u64,
    /// The longest duration, in nanoseconds; 0 where there is none.
    pub max_ns: u64,
}

/// The usual percentiles of a histogram, in nanoseconds.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[allow(missing_docs)] // the names say it
pub struct Percentiles {
    pub p50_ns: u64,
    pub p90_ns: u64,
    pub p95_ns: u64,
    pub p99_ns: u64,
    pub p999_ns: u64,
}

impl Histogram {
    /// Counts one duration.
    pub fn record(&mut self, duration_ns: u64) {
        let is_first = self.buckets.is_empty();
        self.min_ns = if is_first {
            duration_ns
        } else {
            self.min_ns.min(duration_ns)
        };
        self.max_ns = self.max_ns.max(duration_ns);
        self.total_ns = self.total_ns.saturating_add(duration_ns);
        let index = bucket_index(duration_ns);
        match self
            .buckets
            .binary_search_by_key(&index, |bucket| bucket.index)
        {
            Ok(place) => self.buckets[place].count += 1,
            Err(place) => self.buckets.insert(place, Bucket { index, count: 1 }),
        }
    }

    /// How many durations were counted.
    pub fn count(&self) -> u64 {
        self.buckets.iter().map(|bucket| bucket.count).sum()
    }

    /// The mean in nanoseconds, if there is any duration.
    pub fn mean_ns(&self) -> Option<f64> {
        let count = self.count();
        (count > 0).then(|| self.total_ns as f64 / count as f64)
    }

    /// The value below which `percent` of the durations lie, if there is any.
    ///
    /// It is the middle of the bucket that holds the duration of that rank, but never outside of
    /// the exact minimum and maximum.
    pub fn percentile_ns(&self, percent: f64) -> Option<u64> {
        let count = self.count();
        if count == 0 {
            return None;
        }
        let rank = ((percent / 100.0 * count as f64).ceil() as u64).clamp(1, count);
        if rank == count {
            return Some(self.max_ns);
        }
        let range = bucket_range_ns(self.bucket_of_rank(rank)?);
        let middle = range.start + (range.end - range.start) / 2;
        Some(middle.clamp(self.min_ns, self.max_ns.max(self.min_ns)))
    }

    /// The usual percentiles, if there is any duration.
    pub fn percentiles(&self) -> Option<Percentiles> {
        Some(Percentiles {
            p50_ns: self.percentile_ns(50.0)?,
            p90_ns: self.percentile_ns(90.0)?,
            p95_ns: self.percentile_ns(95.0)?,
            p99_ns: self.percentile_ns(99.0)?,
            p999_ns: self.percentile_ns(99.9)?,
        })
    }

    /// Adds another histogram to this one; exact, because the buckets are the same.
    pub fn merge(&mut self, other: &Self) {
        if other.buckets.is_empty() {
            return;
        }
        self.min_ns = if self.buckets.is_empty() {
            other.min_ns
        } else {
            self.min_ns.min(other.min_ns)
        };
        self.max_ns = self.max_ns.max(other.max_ns);
        self.total_ns += other.total_ns;
        let mut merged = Vec::with_capacity(self.buckets.len().max(other.buckets.len()));
        let (mut ours, mut theirs) = (
            self.buckets.iter().copied().peekable(),
            other.buckets.iter().copied().peekable(),
        );
        while let Some(next) = match (ours.peek(), theirs.peek()) {
            (Some(a), Some(b)) if a.index == b.index => {
                let sum = Bucket {
                    index: a.index,
                    count: a.count + b.count,
                };
                theirs.next();
                ours.next();
                Some(sum)
            }
            (Some(a), Some(b)) if a.index < b.index => ours.next(),
            (_, Some(_)) => theirs.next(),
            (_, None) => ours.next(),
        } {
            merged.push(next);
        }
        self.buckets = merged;
    }

    /// What was counted since an earlier state of the same histogram: merged with that, it is this
    /// one again.
    ///
    /// Counts and the sum are exact. The shortest and the longest duration are exact where they are
    /// new ones; otherwise they are the bounds of their buckets, within what this one has seen.
    #[must_use]
    pub fn since(&self, earlier: &Self) -> Self {
        let buckets: Vec<Bucket> = self
            .buckets
            .iter()
            .map(|bucket| Bucket {
                count: bucket.count.saturating_sub(earlier.count_in(bucket.index)),
                ..*bucket
            })
            .filter(|bucket| bucket.count > 0)
            .collect();
        let (Some(first), Some(last)) = (buckets.first(), buckets.last()) else {
            return Self::default();
        };
        let is_first = earlier.buckets.is_empty();
        let min_ns = if is_first || self.min_ns < earlier.min_ns {
            self.min_ns
        } else {
            bucket_range_ns(first.index).start.max(self.min_ns)
        };
        let max_ns = if is_first || self.max_ns > earlier.max_ns {
            self.max_ns
        } else {
            (bucket_range_ns(last.index).end - 1).min(self.max_ns)
        };
        Self {
            total_ns: self.total_ns.saturating_sub(earlier.total_ns),
            min_ns,
            max_ns,
            buckets,
        }
    }

    /// The index of the bucket that holds the duration of that rank, counted from the shortest, the
    /// first; `None` where there are fewer.
    pub(crate) fn bucket_of_rank(&self, rank: u64) -> Option<u16> {
        let mut seen = 0;
        let bucket = self.buckets.iter().find(|bucket| {
            seen += bucket.count;
            seen >= rank
        })?;
        Some(bucket.index)
    }

    fn count_in(&self, index: u16) -> u64 {
        self.buckets
            .binary_search_by_key(&index, |bucket| bucket.index)
            .map_or(0, |place| self.buckets[place].count)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn index_of(value_ns: u64) -> u16 {
        (0..=u16::MAX)
            .find(|&index| bucket_range_ns(index).contains(&value_ns))
            .unwrap()
    }

    fn histogram_of(values: &[u64]) -> Histogram {
        let mut histogram = Histogram::default();
        for &value in values {
            histogram.merge(&Histogram {
                buckets: vec![Bucket {
                    index: index_of(value),
                    count: 1,
                }],
                total_ns: value,
                min_ns: value,
                max_ns: value,
            });
        }
        histogram
    }

    #[test]
    fn buckets_follow_each_other_without_gap() {
        for index in 0..600 {
            assert_eq!(bucket_range_ns(index).end, bucket_range_ns(index + 1).start);
        }
    }

    #[test]
    fn an_empty_histogram_has_no_percentiles() {
        assert_eq!(Histogram::default().percentiles(), None);
        assert_eq!(Histogram::default().mean_ns(), None);
    }

    #[test]
    fn the_shortest_of_an_octave_is_off_by_a_32nd() {
        for shift in 1..30 {
            let truth = SUB_BUCKETS << shift;
            let shown = histogram_of(&[truth - 1, truth, 2 * truth]).percentile_ns(50.0);
            assert_eq!(shown, Some(truth + truth / 32));
        }
    }

    proptest! {
        #[test]
        fn percentiles_are_within_half_a_bucket(
            values in prop::collection::vec(1u64..10_000_000_000, 1..200),
            percent in 0.1f64..100.0,
        ) {
            let histogram = histogram_of(&values);
            let mut sorted = values.clone();
            sorted.sort_unstable();
            let rank = ((percent / 100.0 * values.len() as f64).ceil() as usize).max(1);
            let truth = sorted[rank - 1];
            let shown = histogram.percentile_ns(percent).unwrap();
            prop_assert!(32 * shown.abs_diff(truth) <= truth, "{shown} for {truth}");
        }

        #[test]
        fn merging_is_the_histogram_of_both(
            a in prop::collection::vec(0u64..1_000_000, 0..50),
            b in prop::collection::vec(0u64..1_000_000, 0..50),
        ) {
            let mut merged = histogram_of(&a);
            merged.merge(&histogram_of(&b));
            let both: Vec<u64> = a.iter().chain(&b).copied().collect();
            prop_assert_eq!(merged, histogram_of(&both));
        }

        #[test]
        fn what_was_before_and_the_difference_are_what_is_now(
            before in prop::collection::vec(0u64..1_000_000, 0..50),
            after in prop::collection::vec(0u64..1_000_000, 0..50),
        ) {
            let earlier = histogram_of(&before);
            let mut later = earlier.clone();
            later.merge(&histogram_of(&after));
            let difference = later.since(&earlier);
            let truth = histogram_of(&after);
            prop_assert_eq!(&difference.buckets, &truth.buckets);
            prop_assert_eq!(difference.total_ns, truth.total_ns);
            prop_assert!(difference.min_ns <= truth.min_ns && truth.max_ns <= difference.max_ns);
            prop_assert_eq!(index_of(difference.min_ns), index_of(truth.min_ns));
            prop_assert_eq!(index_of(difference.max_ns), index_of(truth.max_ns));
            let mut sum = earlier;
            sum.merge(&difference);
            prop_assert_eq!(sum, later);
        }

        #[test]
        fn recording_is_the_histogram_of_all(
            values in prop::collection::vec((any::<u32>(), 0u32..30), 0..50),
        ) {
            let values: Vec<u64> = values
                .into_iter()
                .map(|(value, shift)| u64::from(value) << shift >> 15)
                .collect();
            let mut recorded = Histogram::default();
            values.iter().for_each(|&value| recorded.record(value));
            prop_assert_eq!(recorded, histogram_of(&values));
        }
    }
}
