//! Numbers of a whole session, and which of them can be.

use std::sync::Arc;

use coral_model::{Accounting, CallNode, CallTree, FunctionStats, Overhead};

use super::ConvertError;
use super::number::{check_sum, figure};
use crate::agent::v1 as wire;

impl From<&Accounting> for wire::Accounting {
    fn from(accounting: &Accounting) -> Self {
        Self {
            hits: accounting.hits,
            aggregated: accounting.aggregated,
            events_stored: accounting.events_stored,
            sampled_out: accounting.sampled_out,
            filtered_out: accounting.filtered_out,
            throttled: accounting.throttled,
            ring_full: accounting.ring_full,
            map_full: accounting.map_full,
            unmatched_exits: accounting.unmatched_exits,
        }
    }
}

impl TryFrom<wire::Accounting> for Accounting {
    type Error = ConvertError;

    fn try_from(wire: wire::Accounting) -> Result<Self, ConvertError> {
        let causes = [
            wire.aggregated,
            wire.events_stored,
            wire.sampled_out,
            wire.filtered_out,
            wire.throttled,
            wire.ring_full,
            wire.map_full,
            wire.unmatched_exits,
        ];
        check_sum(causes, "accounting")?;
        Ok(Self {
            hits: wire.hits,
            aggregated: wire.aggregated,
            events_stored: wire.events_stored,
            sampled_out: wire.sampled_out,
            filtered_out: wire.filtered_out,
            throttled: wire.throttled,
            ring_full: wire.ring_full,
            map_full: wire.map_full,
            unmatched_exits: wire.unmatched_exits,
        })
    }
}

impl From<&Overhead> for wire::Overhead {
    fn from(overhead: &Overhead) -> Self {
        Self {
            hits_per_s: figure(overhead.hits_per_s).unwrap_or_default(),
            ns_per_hit: overhead.ns_per_hit.and_then(figure),
            cpu_percent: overhead.cpu_percent.and_then(figure),
        }
    }
}

impl From<wire::Overhead> for Overhead {
    fn from(wire: wire::Overhead) -> Self {
        Self {
            hits_per_s: figure(wire.hits_per_s).unwrap_or_default(),
            ns_per_hit: wire.ns_per_hit.and_then(figure),
            cpu_percent: wire.cpu_percent.and_then(figure),
        }
    }
}

/// Refuses numbers of functions that nobody could add up.
pub(super) fn check_functions(functions: &[Arc<FunctionStats>]) -> Result<(), ConvertError> {
    let sum = |number: fn(&FunctionStats) -> u64, field| {
        check_sum(functions.iter().map(|function| number(function)), field)
    };
    sum(|it| it.calls, "functions.calls")?;
    sum(|it| it.returns, "functions.returns")?;
    sum(|it| it.unwound, "functions.unwound")?;
    sum(|it| it.in_flight, "functions.in_flight")?;
    sum(|it| it.errors.unwrap_or_default(), "functions.errors")?;
    sum(|it| it.unmatched_exits, "functions.unmatched_exits")?;
    sum(|it| it.latency.total_ns, "functions.latency.total_ns")?;
    sum(|it| it.latency.count(), "functions.latency.count")?;
    sum(|it| it.self_ns, "functions.self_ns")?;
    sum(|it| it.probes_ns, "functions.probes_ns")
}

/// Refuses numbers of paths that nobody could add up.
pub(super) fn check_tree(tree: &CallTree) -> Result<(), ConvertError> {
    let sum = |number: fn(&CallNode) -> u64, field| check_sum(tree.nodes.iter().map(number), field);
    sum(|it| it.calls, "nodes.calls")?;
    sum(|it| it.returns, "nodes.returns")?;
    sum(|it| it.unwound, "nodes.unwound")?;
    sum(|it| it.errors, "nodes.errors")?;
    sum(|it| it.total_ns, "nodes.total_ns")?;
    sum(|it| it.self_ns, "nodes.self_ns")?;
    sum(|it| it.probes_ns, "nodes.probes_ns")?;
    let latency = |it: &CallNode| it.latency.as_ref().map_or(0, |it| it.count());
    sum(latency, "nodes.latency.count")
}
