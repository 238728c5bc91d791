//! Single-call records: wanted ones are written to the ring, the others are counted by cause.

use aya_ebpf::bindings::BPF_RB_NO_WAKEUP;
use aya_ebpf::cty::c_void;
use aya_ebpf::helpers::generated::{bpf_get_stack, bpf_probe_read_kernel};
use coral_ebpf_common::{
    CallRecord, CapturedValues, DetailRecord, FRAME_HAS_VALUES, FRAME_IS_ROOT, FRAME_IS_SAMPLED,
    FRAME_IS_TRACED, FRAME_MATCHES, FUNCTION_HAS_DETAIL, FUNCTION_IS_ROOT, Frame, FunctionConfig,
    PlaceKey, RECORD_FAILED, RECORD_HAS_DETAIL, RECORD_IS_TOP, STACK_ADDRESSES, TRACE_CALLS_MAX,
};

use crate::frames::Frames;
use crate::registers::word_at;
use crate::{Hit, atomic, maps, values};

const BPF_F_USER_STACK: u64 = 1 << 8;

/// Writes a record of a completed call, if one is wanted and there is room for it.
#[inline(always)]
pub(crate) fn offer(
    hit: &Hit,
    frames: &Frames,
    frame: &Frame,
    place: &PlaceKey,
    duration_ns: u64,
    failed: bool,
) {
    let config = hit.config;
    if config.sample_rate == 0 {
        return;
    }
    let is_top = duration_ns >= hit.function.top_ns;
    if config.trace != 0 {
        if !is_traced(hit, frames, frame) {
            return;
        }
    } else if frame.flags & FRAME_MATCHES == 0
        || duration_ns < config.record_min_ns
        || duration_ns > config.record_max_ns
    {
        hit.stripe.count_filtered_out();
        return;
    } else if frame.flags & FRAME_IS_SAMPLED == 0
        && duration_ns < config.slow_ns
        && !failed
        && !is_top
    {
        hit.stripe.count_sampled_out();
        return;
    } else if !take_token(hit, is_top) {
        hit.stripe.count_throttled();
        if is_top {
            hit.stripe.note_missed(hit.cookie.slot(), duration_ns);
        }
        return;
    }
    let mut flags = frame.flags;
    if failed {
        flags |= RECORD_FAILED;
    }
    if is_top {
        flags |= RECORD_IS_TOP;
    }
    let (trace_id, trace_calls) = frames.trace();
    let call = CallRecord {
        entry_ns: frame.entry_ns,
        duration_ns,
        children_ns: frame.children_ns,
        goroutine: frames.goroutine(),
        trace_id,
        slot: hit.cookie.slot(),
        tgid: hit.key.tgid,
        tid: hit.tid,
        flags,
        frame_index: frames.len(),
        trace_calls,
    };
    let is_slow = is_top || duration_ns >= config.slow_ns;
    let is_written = if is_slow || hit.function.flags & FUNCTION_HAS_DETAIL != 0 {
        write_detail(hit, frame, place, &call)
    } else {
        write(&call)
    };
    if is_written {
        hit.stripe.count_record();
    } else {
        hit.stripe.count_ring_full();
        if is_top {
            hit.stripe.note_missed(hit.cookie.slot(), duration_ns);
        }
    }
}

/// Whether the call is of a trace, and the trace not too long for it; its cause if it is not.
#[inline(always)]
fn is_traced(hit: &Hit, frames: &Frames, frame: &Frame) -> bool {
    if frame.flags & FRAME_IS_TRACED == 0 {
        if hit.function.flags & FUNCTION_IS_ROOT != 0 {
            hit.stripe.count_filtered_out();
        }
        return false;
    }
    if frames.trace().1 > TRACE_CALLS_MAX && frame.flags & FRAME_IS_ROOT == 0 {
        hit.stripe.count_throttled();
        return false;
    }
    true
}

/// Calls among the slowest have tokens of their own, so that no others take them away.
#[inline(always)]
fn take_token(hit: &Hit, is_top: bool) -> bool {
    let function: *const FunctionConfig = hit.function;
    // SAFETY: the pointer comes from a map lookup.
    unsafe {
        (is_top && atomic::take(&raw const (*function).top_tokens))
            || atomic::take(&raw const (*function).record_tokens)
    }
}

#[inline(always)]
fn write(call: &CallRecord) -> bool {
    let Some(mut entry) = maps::RECORDS.reserve::<CallRecord>(0) else {
        return false;
    };
    entry.write(*call);
    // The agent looks at the ring at its own pace: waking it would cost more than the call.
    entry.submit(u64::from(BPF_RB_NO_WAKEUP));
    true
}

#[inline(always)]
fn write_detail(hit: &Hit, frame: &Frame, place: &PlaceKey, call: &CallRecord) -> bool {
    let Some(mut entry) = maps::RECORDS.reserve::<DetailRecord>(0) else {
        return false;
    };
    let record: *mut DetailRecord = entry.as_mut_ptr();
    // SAFETY: the ring has reserved this room. What is not written is from older records of the
    // same session, and the lengths keep it from being read.
    unsafe {
        (*record).call = *call;
        (*record).call.flags |= RECORD_HAS_DETAIL;
        (*record).arguments.len = 0;
        (*record).results.len = 0;
        (*record).stack_len = write_stack(hit, (&raw mut (*record).stack).cast());
        if frame.flags & FRAME_HAS_VALUES != 0 {
            if let Some(values) = maps::VALUES.get_ptr_mut(place) {
                bpf_probe_read_kernel(
                    (&raw mut (*record).arguments).cast::<c_void>(),
                    size_of::<CapturedValues>() as u32,
                    values.cast::<c_void>(),
                );
            }
        }
        if let Some(detail) = maps::DETAILS.get(hit.cookie.slot()) {
            if detail.results_len > 0 && !hit.cookie.is_tail_call() {
                let results = &raw mut (*record).results;
                let (specs, len) = (detail.results.as_ptr(), detail.results_len);
                values::read_all(hit, specs, len, frame.address, results);
            }
        }
    }
    entry.submit(u64::from(BPF_RB_NO_WAKEUP));
    true
}

/// Writes where the call ended and the return addresses of its callers; how many there are.
///
/// At a return the frame is gone already and the caller's address is on top of the stack, where
/// the kernel's walk along the frame pointers does not look.
#[inline(always)]
unsafe fn write_stack(hit: &Hit, to: *mut u64) -> u32 {
    // SAFETY: `to` has room for `STACK_ADDRESSES` words.
    unsafe {
        let walked = bpf_get_stack(
            hit.regs.cast(),
            to.add(1).cast::<c_void>(),
            (STACK_ADDRESSES as u32 - 1) * 8,
            BPF_F_USER_STACK,
        );
        if walked < 8 {
            return 0;
        }
        // The first walked address is the place itself: it moves to the front.
        *to = (*hit.regs).rip;
        *to.add(1) = match word_at(hit.entry_sp) {
            Some(caller) => caller,
            None => 0,
        };
        walked as u32 / 8 + 1
    }
}
