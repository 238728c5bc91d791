//! Sums of numbers that replicas report. They saturate: what comes over a wire may not overflow.

use crate::{Accounting, FunctionStats, Histogram, JoinedCalls};

/// Where the hits of all went.
pub(super) fn accounting<'a>(parts: impl Iterator<Item = &'a Accounting>) -> Accounting {
    parts.fold(Accounting::default(), |sum, part| Accounting {
        hits: sum.hits.saturating_add(part.hits),
        aggregated: sum.aggregated.saturating_add(part.aggregated),
        events_stored: sum.events_stored.saturating_add(part.events_stored),
        sampled_out: sum.sampled_out.saturating_add(part.sampled_out),
        filtered_out: sum.filtered_out.saturating_add(part.filtered_out),
        throttled: sum.throttled.saturating_add(part.throttled),
        ring_full: sum.ring_full.saturating_add(part.ring_full),
        map_full: sum.map_full.saturating_add(part.map_full),
        unmatched_exits: sum.unmatched_exits.saturating_add(part.unmatched_exits),
    })
}

/// Adds the numbers of a function in one replica to those of the others.
pub(super) fn add(sum: &mut FunctionStats, part: &FunctionStats) {
    sum.attached |= part.attached;
    sum.calls = sum.calls.saturating_add(part.calls);
    sum.returns = sum.returns.saturating_add(part.returns);
    sum.unwound = sum.unwound.saturating_add(part.unwound);
    sum.in_flight = sum.in_flight.saturating_add(part.in_flight);
    // Where one replica cannot tell, nobody can for all of them.
    sum.errors = match (sum.errors, part.errors) {
        (Some(sum), Some(part)) => Some(sum.saturating_add(part)),
        _ => None,
    };
    sum.unmatched_exits = sum.unmatched_exits.saturating_add(part.unmatched_exits);
    add_histogram(&mut sum.latency, &part.latency);
    sum.self_ns = sum.self_ns.saturating_add(part.self_ns);
    sum.probes_ns = sum.probes_ns.saturating_add(part.probes_ns);
    sum.cost_percent = match (sum.cost_percent, part.cost_percent) {
        (Some(most), Some(one)) => Some(f64::max(most, one)),
        (most, one) => most.or(one),
    };
    sum.slowest_are_complete &= part.slowest_are_complete;
    match (&mut sum.joined, &part.joined) {
        (Some(sum), Some(part)) => add_joined(sum, part),
        (sum @ None, Some(part)) => *sum = Some(part.clone()),
        (_, None) => {}
    }
    sum.detached_because = match (&sum.detached_because, &part.detached_because) {
        (Some(because), Some(_)) => Some(because.clone()),
        // It is measured still, in the others.
        _ => None,
    };
    sum.calls_per_s += part.calls_per_s;
    add_recent(&mut sum.recent_calls_per_s, &part.recent_calls_per_s);
}

/// Adds durations; their sum may not overflow.
pub(super) fn add_histogram(sum: &mut Histogram, part: &Histogram) {
    let total_ns = sum.total_ns.saturating_add(part.total_ns);
    let mut part = part.clone();
    part.total_ns = 0;
    sum.merge(&part);
    sum.total_ns = total_ns;
}

fn add_joined(sum: &mut JoinedCalls, part: &JoinedCalls) {
    sum.calls = sum.calls.saturating_add(part.calls);
    sum.completed = sum.completed.saturating_add(part.completed);
    sum.dropped = sum.dropped.saturating_add(part.dropped);
    sum.polls = sum.polls.saturating_add(part.polls);
    sum.busy_ns = sum.busy_ns.saturating_add(part.busy_ns);
    add_histogram(&mut sum.latency, &part.latency);
}

/// Adds rates of the last moments, the latest to the latest.
fn add_recent(sum: &mut Vec<f64>, part: &[f64]) {
    if part.len() > sum.len() {
        let missing = part.len() - sum.len();
        sum.splice(0..0, std::iter::repeat_n(0.0, missing));
    }
    let offset = sum.len() - part.len();
    for (sum, part) in sum[offset..].iter_mut().zip(part) {
        *sum += part;
    }
}
