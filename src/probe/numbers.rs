//! The counters of the kernel, summed over their stripes.

use coral_ebpf_common::{BUCKETS, FunctionCounters, HitCounters};
use coral_model::{Bucket, Histogram};

use super::mapped::MappedArray;

/// The exact numbers of one function.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct FunctionNumbers {
    /// Entries.
    pub calls: u64,
    /// Exits that were paired with their entry.
    pub returns: u64,
    /// Calls that were left without passing an exit.
    pub unwound: u64,
    /// Exits whose entry was not seen.
    pub unmatched_exits: u64,
    /// Entries that found no room for their frame; they are not in `calls`.
    pub map_full: u64,
    /// The sum of the durations of the paired calls.
    pub total_ns: u64,
    /// The shortest of them; 0 if there is none.
    pub min_ns: u64,
    /// The longest of them.
    pub max_ns: u64,
    /// Paired calls that returned an error.
    pub errors: u64,
    /// What the paired calls took without the probed calls that they made.
    pub self_ns: u64,
    /// What probes inside of the paired calls cost, by calibration.
    pub probes_ns: u64,
    /// The longest call that was wanted as one of the slowest and made no record.
    pub missed_max_ns: u64,
    /// Of joined calls: the sum of the durations of their polls.
    pub busy_ns: u64,
    /// Of joined calls: how many polls they took.
    pub polls: u64,
}

/// Where the hits of a session went.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[allow(missing_docs)] // documented at `coral_ebpf_common::HitCounters`
pub struct HitNumbers {
    pub hits: u64,
    pub refired: u64,
    pub records: u64,
    pub sampled_out: u64,
    pub filtered_out: u64,
    pub throttled: u64,
    pub ring_full: u64,
    pub tree_full: u64,
    /// Roots of traces that were left without passing an exit.
    pub roots_unwound: u64,
}

/// How the counters lie in their arrays.
#[derive(Clone, Copy, Debug)]
pub(super) struct Layout {
    pub(super) stripes: usize,
    pub(super) capacity: usize,
    pub(super) nodes: usize,
}

impl Layout {
    pub(super) fn function_elements(self) -> usize {
        self.stripes * self.capacity
    }

    pub(super) fn histogram_elements(self) -> usize {
        self.function_elements() * BUCKETS as usize
    }

    pub(super) fn node_elements(self) -> usize {
        self.stripes * self.nodes
    }

    fn places(self, slot: u32) -> impl Iterator<Item = usize> {
        (0..self.stripes).map(move |stripe| stripe * self.capacity + slot as usize)
    }

    pub(super) fn function(
        self,
        counters: &MappedArray<FunctionCounters>,
        slot: u32,
    ) -> FunctionNumbers {
        let mut sum = FunctionNumbers::default();
        let mut min_complement_ns = 0;
        for part in self.places(slot).map(|place| counters.read(place)) {
            sum.calls += part.calls;
            sum.returns += part.returns;
            sum.unwound += part.unwound;
            sum.unmatched_exits += part.unmatched_exits;
            sum.map_full += part.map_full;
            sum.total_ns += part.total_ns;
            sum.max_ns = sum.max_ns.max(part.max_ns);
            sum.errors += part.errors;
            sum.self_ns += part.self_ns;
            sum.probes_ns += part.probes_ns;
            sum.missed_max_ns = sum.missed_max_ns.max(part.missed_max_ns);
            sum.busy_ns += part.busy_ns;
            sum.polls += part.polls;
            min_complement_ns = min_complement_ns.max(part.min_complement_ns);
        }
        if min_complement_ns != 0 {
            sum.min_ns = !min_complement_ns;
        }
        sum
    }

    pub(super) fn histogram(
        self,
        histograms: &MappedArray<u64>,
        slot: u32,
        numbers: &FunctionNumbers,
    ) -> Histogram {
        let mut buckets = Vec::new();
        for bucket in 0..BUCKETS {
            let count = self
                .places(slot)
                .map(|place| histograms.read(place * BUCKETS as usize + bucket as usize))
                .sum();
            if count > 0 {
                buckets.push(Bucket {
                    index: bucket as u16,
                    count,
                });
            }
        }
        Histogram {
            buckets,
            total_ns: numbers.total_ns,
            min_ns: numbers.min_ns,
            max_ns: numbers.max_ns,
        }
    }

    pub(super) fn hits(self, hits: &MappedArray<HitCounters>) -> HitNumbers {
        let mut sum = HitNumbers::default();
        for part in (0..self.stripes).map(|stripe| hits.read(stripe)) {
            sum.hits += part.hits;
            sum.refired += part.refired;
            sum.records += part.records;
            sum.sampled_out += part.sampled_out;
            sum.filtered_out += part.filtered_out;
            sum.throttled += part.throttled;
            sum.ring_full += part.ring_full;
            sum.tree_full += part.tree_full;
            sum.roots_unwound += part.roots_unwound;
        }
        sum
    }
}

#[cfg(test)]
mod tests {
    use coral_ebpf_common::bucket_of;
    use coral_model::bucket_range_ns;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn the_kernels_bucket_is_the_models_bucket(bits in 0u32..41, value: u64) {
            let value = value >> (63 - bits);
            let range = bucket_range_ns(bucket_of(value) as u16);
            prop_assert!(range.contains(&value), "{value} is not in {range:?}");
        }
    }
}
