//! Exact counters and histograms, on the stripe of the processor that the hit is on.

use aya_ebpf::helpers::generated::bpf_get_smp_processor_id;
use coral_ebpf_common::{
    BUCKETS, Config, FRAME_IS_ROOT, FRAME_RECURS, Frame, FunctionCounters, HitCounters, NODE_FIRST,
    NODE_NONE, NodeCounters, bucket_of,
};

use crate::{atomic, maps};

/// A share of the counters that only a few processors use, so that they do not wait for each
/// other.
#[derive(Clone, Copy)]
pub(crate) struct Stripe {
    number: u32,
    capacity: u32,
    nodes: u32,
    node_histograms: u32,
}

macro_rules! hit_counter {
    ($($function:ident: $field:ident,)*) => {$(
        #[inline(always)]
        pub(crate) fn $function(self) {
            if let Some(counters) = maps::HITS.get_ptr_mut(self.number) {
                let counters: *mut HitCounters = counters;
                atomic::add(unsafe { &raw mut (*counters).$field }, 1);
            }
        }
    )*};
}

macro_rules! function_counter {
    ($($function:ident: $field:ident,)*) => {$(
        #[inline(always)]
        pub(crate) fn $function(self, slot: u32) {
            if let Some(counters) = self.counters(slot) {
                atomic::add(unsafe { &raw mut (*counters).$field }, 1);
            }
        }
    )*};
}

impl Stripe {
    #[inline(always)]
    pub(crate) fn of_this_processor(config: &Config) -> Self {
        Self {
            number: unsafe { bpf_get_smp_processor_id() } & config.stripe_mask,
            capacity: config.capacity,
            nodes: config.nodes,
            node_histograms: config.node_histograms,
        }
    }

    hit_counter! {
        count_hit: hits,
        count_refired: refired,
        count_record: records,
        count_sampled_out: sampled_out,
        count_filtered_out: filtered_out,
        count_throttled: throttled,
        count_ring_full: ring_full,
        count_tree_full: tree_full,
        count_root_unwound: roots_unwound,
    }

    function_counter! {
        count_entry: calls,
        count_dropped: unwound,
        count_unmatched_exit: unmatched_exits,
        count_map_full: map_full,
    }

    /// Counts a call that begins at that node.
    #[inline(always)]
    pub(crate) fn count_call(self, slot: u32, node: u32) {
        self.count_entry(slot);
        if let Some(counters) = self.node_counters(node) {
            atomic::add(unsafe { &raw mut (*counters).calls }, 1);
        }
    }

    /// Counts a frame that was dropped.
    #[inline(always)]
    pub(crate) fn count_unwound(self, frame: &Frame) {
        self.count_dropped(frame.slot);
        if frame.flags & FRAME_IS_ROOT != 0 {
            self.count_root_unwound();
        }
        if let Some(counters) = self.node_counters(frame.node) {
            atomic::add(unsafe { &raw mut (*counters).unwound }, 1);
        }
    }

    /// Counts a paired call into everything that durations go into.
    #[inline(always)]
    pub(crate) fn count_return(self, frame: &Frame, duration_ns: u64, failed: bool) {
        let self_ns = duration_ns.saturating_sub(frame.children_ns);
        if let Some(counters) = self.counters(frame.slot) {
            // SAFETY: the pointer comes from a map lookup.
            unsafe {
                atomic::add(&raw mut (*counters).returns, 1);
                atomic::add(&raw mut (*counters).total_ns, duration_ns);
                atomic::add(&raw mut (*counters).self_ns, self_ns);
                atomic::raise(&raw mut (*counters).max_ns, duration_ns);
                atomic::raise(&raw mut (*counters).min_complement_ns, !duration_ns);
                if frame.probes_ns != 0 {
                    atomic::add(&raw mut (*counters).probes_ns, frame.probes_ns);
                }
                if failed {
                    atomic::add(&raw mut (*counters).errors, 1);
                }
            }
        }
        self.count_duration(frame.slot, duration_ns);
        self.count_node_return(frame, duration_ns, self_ns, failed);
    }

    /// Counts a call that was joined from its polls.
    #[inline(always)]
    pub(crate) fn count_joined(self, slot: u32, duration_ns: u64, busy_ns: u64, polls: u64) {
        let Some(counters) = self.counters(slot) else {
            return;
        };
        // SAFETY: the pointer comes from a map lookup.
        unsafe {
            atomic::add(&raw mut (*counters).returns, 1);
            atomic::add(&raw mut (*counters).total_ns, duration_ns);
            atomic::add(&raw mut (*counters).busy_ns, busy_ns);
            atomic::add(&raw mut (*counters).polls, polls);
            atomic::raise(&raw mut (*counters).max_ns, duration_ns);
            atomic::raise(&raw mut (*counters).min_complement_ns, !duration_ns);
        }
        self.count_duration(slot, duration_ns);
    }

    /// Notes that one of the slowest calls made no record.
    #[inline(always)]
    pub(crate) fn note_missed(self, slot: u32, duration_ns: u64) {
        if let Some(counters) = self.counters(slot) {
            atomic::raise(unsafe { &raw mut (*counters).missed_max_ns }, duration_ns);
        }
    }

    #[inline(always)]
    fn count_duration(self, slot: u32, duration_ns: u64) {
        let bucket = self.place(slot) * BUCKETS + bucket_of(duration_ns);
        if let Some(count) = maps::HISTOGRAMS.get_ptr_mut(bucket) {
            atomic::add(count, 1);
        }
    }

    #[inline(always)]
    fn count_node_return(self, frame: &Frame, duration_ns: u64, self_ns: u64, failed: bool) {
        let node = frame.node;
        let Some(counters) = self.node_counters(node) else {
            return;
        };
        // SAFETY: the pointer comes from a map lookup.
        unsafe {
            atomic::add(&raw mut (*counters).returns, 1);
            atomic::add(&raw mut (*counters).self_ns, self_ns);
            if frame.flags & FRAME_RECURS == 0 {
                atomic::add(&raw mut (*counters).total_ns, duration_ns);
                atomic::add(&raw mut (*counters).probes_ns, frame.probes_ns);
            }
            atomic::raise(&raw mut (*counters).max_ns, duration_ns);
            if failed {
                atomic::add(&raw mut (*counters).errors, 1);
            }
        }
        if node >= NODE_FIRST && node - NODE_FIRST < self.node_histograms {
            let bucket = (node - NODE_FIRST) * BUCKETS + bucket_of(duration_ns);
            if let Some(count) = maps::NODE_HISTOGRAMS.get_ptr_mut(bucket) {
                atomic::add(count, 1);
            }
        }
    }

    #[inline(always)]
    fn counters(self, slot: u32) -> Option<*mut FunctionCounters> {
        maps::COUNTERS.get_ptr_mut(self.place(slot))
    }

    #[inline(always)]
    fn node_counters(self, node: u32) -> Option<*mut NodeCounters> {
        if node == NODE_NONE {
            return None;
        }
        maps::NODE_COUNTERS.get_ptr_mut(self.number * self.nodes + node)
    }

    #[inline(always)]
    fn place(self, slot: u32) -> u32 {
        self.number * self.capacity + slot
    }
}
