//! Exact counters and histograms, on the stripe of the processor that the hit is on.

use aya_ebpf::helpers::generated::bpf_get_smp_processor_id;
use coral_ebpf_common::{BUCKETS, Config, FunctionCounters, HitCounters, bucket_of};

use crate::{atomic, maps};

/// A share of the counters that only a few processors use, so that they do not wait for each
/// other.
#[derive(Clone, Copy)]
pub(crate) struct Stripe {
    number: u32,
    capacity: u32,
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
    }

    function_counter! {
        count_call: calls,
        count_unwound: unwound,
        count_unmatched_exit: unmatched_exits,
        count_map_full: map_full,
    }

    /// Counts a paired call into everything that durations go into.
    #[inline(always)]
    pub(crate) fn count_return(self, slot: u32, duration_ns: u64) {
        let Some(counters) = self.counters(slot) else {
            return;
        };
        // SAFETY: the pointer comes from a map lookup.
        unsafe {
            atomic::add(&raw mut (*counters).returns, 1);
            atomic::add(&raw mut (*counters).total_ns, duration_ns);
            atomic::raise(&raw mut (*counters).max_ns, duration_ns);
            atomic::raise(&raw mut (*counters).min_complement_ns, !duration_ns);
        }
        let bucket = self.place(slot) * BUCKETS + bucket_of(duration_ns);
        if let Some(count) = maps::HISTOGRAMS.get_ptr_mut(bucket) {
            atomic::add(count, 1);
        }
    }

    #[inline(always)]
    fn counters(self, slot: u32) -> Option<*mut FunctionCounters> {
        maps::COUNTERS.get_ptr_mut(self.place(slot))
    }

    #[inline(always)]
    fn place(self, slot: u32) -> u32 {
        self.number * self.capacity + slot
    }
}
