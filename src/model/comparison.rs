//! Whether two histograms differ by more than noise, without assuming how durations are
//! distributed.
//!
//! Of `n` durations, the number below the true percentile `p` is binomial. Hence the durations of
//! two ranks enclose the percentile with a known probability, whatever the distribution, and two
//! such intervals that do not overlap mean that the percentiles differ.

use std::ops::RangeInclusive;

use crate::{Histogram, bucket_range_ns};

/// The probability with which a percentile may lie beyond one end of its interval: together 5 %.
const TAIL: f64 = 0.025;

/// Below this mean, the binomial distribution is summed up; above, the normal one is as good.
const SUMMED_MEAN_MAX: f64 = 400.0;

/// What can be said of a difference.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// The 95 % intervals do not overlap.
    Real,
    /// They overlap: the difference may be chance.
    Noise,
    /// There are too few durations to enclose the percentile.
    TooFew,
}

/// Compares a percentile of two histograms.
pub fn compare_percentile(a: &Histogram, b: &Histogram, percent: f64) -> Verdict {
    match (
        percentile_interval_ns(a, percent),
        percentile_interval_ns(b, percent),
    ) {
        (Some(a), Some(b)) if a.end() < b.start() || b.end() < a.start() => Verdict::Real,
        (Some(_), Some(_)) => Verdict::Noise,
        _ => Verdict::TooFew,
    }
}

/// The durations between which the true percentile lies in at least 95 of 100 cases, in
/// nanoseconds; `None` where there are too few to tell.
pub(crate) fn percentile_interval_ns(
    histogram: &Histogram,
    percent: f64,
) -> Option<RangeInclusive<u64>> {
    let count = histogram.count();
    let share = percent / 100.0;
    if count == 0 || !(0.0..1.0).contains(&share) || share == 0.0 {
        return None;
    }
    // The upper end counts from the slow side, where the same argument holds.
    let low = rank_below(count, share)?;
    let high = count + 1 - rank_below(count, 1.0 - share)?;
    let (low, high) = (
        histogram.bucket_of_rank(low)?,
        histogram.bucket_of_rank(high)?,
    );
    let low_ns = bucket_range_ns(low).start.max(histogram.min_ns);
    let high_ns = (bucket_range_ns(high).end - 1).min(histogram.max_ns);
    Some(low_ns..=high_ns.max(low_ns))
}

/// The highest rank that is above the percentile with a probability of [`TAIL`] at most; `None` if
/// even the first one is above it more often.
fn rank_below(count: u64, share: f64) -> Option<u64> {
    let rank = if count as f64 * share.min(1.0 - share) > SUMMED_MEAN_MAX {
        normal_rank(count, share)
    } else if share <= 0.5 {
        summed_rank(count, share)
    } else {
        // Few of the durations are beyond the percentile: those are counted instead.
        count - summed_rank_of_rest(count, 1.0 - share)
    };
    (rank >= 1).then_some(rank)
}

/// The most `k` with `P(B < k) <= TAIL` for a binomial `B`, by its sum.
fn summed_rank(count: u64, share: f64) -> u64 {
    let below = distribution(count, share);
    below.take_while(|&below| below <= TAIL).count() as u64
}

/// The least `k` with `P(B > k) <= TAIL`.
fn summed_rank_of_rest(count: u64, share: f64) -> u64 {
    let below = distribution(count, share);
    below.take_while(|&below| 1.0 - below > TAIL).count() as u64
}

/// `P(B <= k)` for k = 0, 1, 2 and so on. The first term is large enough to be written, because
/// the mean is bounded and `share` is at most a half.
fn distribution(count: u64, share: f64) -> impl Iterator<Item = f64> {
    let odds = share / (1.0 - share);
    let mut term = (count as f64 * (-share).ln_1p()).exp();
    let mut sum = 0.0;
    (0..=count).map(move |k| {
        sum += term;
        term *= (count - k) as f64 / (k + 1) as f64 * odds;
        // The last step is 1, whatever was lost by rounding.
        if k == count { 1.0 } else { sum }
    })
}

/// The same by the normal distribution, one rank further out for its error.
fn normal_rank(count: u64, share: f64) -> u64 {
    const DEVIATIONS: f64 = 1.959_964;
    let mean = count as f64 * share;
    let deviation = (mean * (1.0 - share)).sqrt();
    (mean - DEVIATIONS * deviation - 1.5).floor().max(0.0) as u64
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// Durations of two modes, far from any distribution of a textbook, by a generator of
    /// pseudo-random numbers; and the percentile that they truly have.
    struct Durations(u64);

    impl Durations {
        fn share(&mut self) -> f64 {
            self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
            let mut mixed = self.0;
            mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
            mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
            ((mixed ^ (mixed >> 31)) >> 11) as f64 / (1u64 << 53) as f64
        }

        fn quantile(share: f64) -> u64 {
            if share < 0.8 {
                (100_000.0 * (1.0 + share)) as u64
            } else {
                (2_000_000.0 / (1.000_001 - share).sqrt()) as u64
            }
        }

        fn histogram(&mut self, count: u32) -> Histogram {
            let mut histogram = Histogram::default();
            (0..count).for_each(|_| histogram.record(Self::quantile(self.share())));
            histogram
        }
    }

    #[test]
    fn ranks_are_those_of_the_tables() {
        // Order statistics for a confidence of 95 %, as textbooks list them for the median.
        for (count, rank) in [
            (5, None),
            (6, Some(1)),
            (10, Some(2)),
            (25, Some(8)),
            (100, Some(40)),
        ] {
            assert_eq!(rank_below(count, 0.5), rank, "{count}");
        }
        // 0.999 to the power of n is 2.5 % at 3,688.
        assert_eq!(rank_below(3_687, 0.001), None);
        assert_eq!(rank_below(3_688, 0.001), Some(1));
    }

    #[test]
    fn both_ways_to_a_rank_agree() {
        for share in [0.5, 0.9, 0.1, 0.01] {
            let count = (SUMMED_MEAN_MAX / f64::min(share, 1.0 - share)) as u64;
            let summed = if share <= 0.5 {
                summed_rank(count, share)
            } else {
                count - summed_rank_of_rest(count, 1.0 - share)
            };
            let normal = normal_rank(count, share);
            assert!(
                normal <= summed && summed - normal <= 3,
                "{share}: {normal}, {summed}"
            );
        }
    }

    #[test]
    fn a_shift_is_real_only_with_enough_durations() {
        let verdict = |count: u32| {
            let mut durations = Durations(7);
            let before = durations.histogram(count);
            let mut after = Histogram::default();
            (0..count).for_each(|_| after.record(Durations::quantile(durations.share()) * 3 / 2));
            compare_percentile(&before, &after, 50.0)
        };
        assert_eq!(verdict(5), Verdict::TooFew);
        assert_eq!(verdict(8), Verdict::Noise);
        assert_eq!(verdict(2_000), Verdict::Real);
        let empty = Histogram::default();
        assert_eq!(compare_percentile(&empty, &empty, 50.0), Verdict::TooFew);
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(12))]
        #[test]
        fn intervals_hold_the_true_percentile_as_often_as_they_say(
            seed: u64,
            count in 400u32..2_000,
            percent in prop::sample::select(vec![10.0, 50.0, 90.0, 95.0, 99.0]),
        ) {
            const RUNS: u32 = 400;
            let mut durations = Durations(seed);
            let truth = Durations::quantile(percent / 100.0);
            let held = (0..RUNS)
                .filter(|_| {
                    let histogram = durations.histogram(count);
                    let interval = percentile_interval_ns(&histogram, percent);
                    interval.is_some_and(|interval| interval.contains(&truth))
                })
                .count();
            // 95 %, less four deviations of 400 runs.
            prop_assert!(held >= 362, "{held} of {RUNS}");
        }

        #[test]
        fn samples_of_the_same_rarely_differ(seed: u64, count in 400u32..2_000) {
            const RUNS: usize = 200;
            let mut durations = Durations(seed);
            let verdicts: Vec<Verdict> = (0..RUNS)
                .map(|_| {
                    let (a, b) = (durations.histogram(count), durations.histogram(count));
                    compare_percentile(&a, &b, 90.0)
                })
                .collect();
            let of = |verdict| verdicts.iter().filter(|&&it| it == verdict).count();
            let real = of(Verdict::Real);
            prop_assert!(real <= 10, "{real} of {RUNS}");
            prop_assert_eq!(of(Verdict::Noise), RUNS - real);
        }
    }
}
