//! What a recording's numbers must keep to, so that nobody who adds them up overflows.

use coral_model::{Accounting, FunctionStats, Histogram};

/// No real count comes near: a million a second would take nine years.
const COUNT_MAX: u64 = 1 << 48;
/// No real duration or sum of durations comes near: 36 years.
const DURATION_MAX_NS: u64 = 1 << 60;
/// 16 buckets for each power of two that a duration can have.
const BUCKETS_MAX: u16 = 60 * 16;

/// Whether the numbers of a function can be used.
pub(super) fn stats(stats: &FunctionStats) -> Result<(), &'static str> {
    histogram(&stats.latency)?;
    counts(&[
        stats.calls,
        stats.returns,
        stats.unwound,
        stats.in_flight,
        stats.errors.unwrap_or(0),
        stats.unmatched_exits,
    ])
}

/// Whether the counts of hits can be used.
pub(super) fn accounting(accounting: &Accounting) -> Result<(), &'static str> {
    counts(&[
        accounting.hits,
        accounting.aggregated,
        accounting.events_stored,
        accounting.sampled_out,
        accounting.filtered_out,
        accounting.throttled,
        accounting.ring_full,
        accounting.map_full,
        accounting.unmatched_exits,
    ])
}

fn counts(counts: &[u64]) -> Result<(), &'static str> {
    let is_possible = counts.iter().all(|&count| count <= COUNT_MAX);
    is_possible
        .then_some(())
        .ok_or("a count is impossibly high")
}

fn histogram(histogram: &Histogram) -> Result<(), &'static str> {
    let buckets = &histogram.buckets;
    if buckets
        .windows(2)
        .any(|pair| pair[0].index >= pair[1].index)
    {
        return Err("the buckets of a histogram are not in order");
    }
    if buckets
        .iter()
        .any(|bucket| bucket.index >= BUCKETS_MAX || bucket.count > COUNT_MAX)
    {
        return Err("a bucket of a histogram is impossible");
    }
    if histogram.min_ns > histogram.max_ns
        || histogram.max_ns > DURATION_MAX_NS
        || histogram.total_ns > DURATION_MAX_NS
    {
        return Err("the durations of a histogram are impossible");
    }
    Ok(())
}
