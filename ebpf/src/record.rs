//! Single-call records: wanted ones are written to the ring, the others are counted by cause.

use aya_ebpf::bindings::BPF_RB_NO_WAKEUP;
use aya_ebpf::helpers::generated::bpf_get_prandom_u32;
use coral_ebpf_common::CallRecord;

use crate::{Hit, atomic, maps};

/// Writes a record of a completed call, if one is wanted and there is room for it.
#[inline(always)]
pub(crate) fn offer(hit: &Hit, entry_ns: u64, duration_ns: u64) {
    let config = hit.config;
    if config.sample_rate == 0 {
        return;
    }
    if duration_ns < config.record_min_ns || duration_ns > config.record_max_ns {
        hit.stripe.count_filtered_out();
    } else if config.sample_rate > 1 && unsafe { bpf_get_prandom_u32() } % config.sample_rate != 0 {
        hit.stripe.count_sampled_out();
    } else if !atomic::take(&raw const config.record_tokens) {
        hit.stripe.count_throttled();
    } else if let Some(mut entry) = maps::RECORDS.reserve::<CallRecord>(0) {
        entry.write(CallRecord {
            entry_ns,
            duration_ns,
            g: hit.key.g,
            slot: hit.cookie.slot(),
            tgid: hit.key.tgid,
            tid: hit.tid,
            padding: 0,
        });
        // The agent looks at the ring at its own pace: waking it would cost more than the call.
        entry.submit(u64::from(BPF_RB_NO_WAKEUP));
        hit.stripe.count_record();
    } else {
        hit.stripe.count_ring_full();
    }
}
