//! From the kernel's records of single calls to the model's.

use coral_ebpf_common::RECORD_FAILED;
use coral_model::{CallRecord, CallValue, FunctionId, InnerCall, InnerCalls};
use jiff::Timestamp;

use super::nesting::{Inside, Nested, self_ns};
use super::values::Values;
use crate::probe::KernelRecord;

/// The time of day against the kernel's monotonic clock, as it was when the session began.
#[derive(Clone, Copy, Debug)]
pub(super) struct Clock {
    offset_ns: i128,
}

impl Clock {
    pub(super) fn new() -> Self {
        let monotonic_ns = i128::from(crate::probe::monotonic_ns());
        Self {
            offset_ns: Timestamp::now().as_nanosecond() - monotonic_ns,
        }
    }

    /// The time of day at a moment of the monotonic clock.
    pub(super) fn time_of_day(self, monotonic_ns: u64) -> Timestamp {
        let ns = i128::from(monotonic_ns) + self.offset_ns;
        Timestamp::from_nanosecond(ns).unwrap_or_default()
    }
}

/// The call of a record.
pub(super) fn call(
    record: &KernelRecord,
    function: FunctionId,
    clock: Clock,
    values: &Values,
) -> CallRecord {
    let call = &record.call;
    let (arguments, results) = values_of(record, values);
    CallRecord {
        pid: call.tgid,
        tid: call.tid,
        // A thread's other stacks are named by their ends.
        goroutine: (call.goroutine != 0).then_some(call.goroutine),
        failed: call.flags & RECORD_FAILED != 0,
        arguments,
        results,
        ..CallRecord::new(function, clock.time_of_day(call.entry_ns), call.duration_ns)
    }
}

/// What a call spent its time in.
pub(super) fn inner_calls(
    outer: &KernelRecord,
    inside: &Inside<'_>,
    function: impl Fn(u32) -> Option<FunctionId>,
    values: &Values,
) -> InnerCalls {
    let inner = |nested: &Nested<'_>| {
        let record = nested.record;
        let call = &record.call;
        let (arguments, results) = values_of(record, values);
        Some(InnerCall {
            function: function(call.slot)?,
            depth: nested.depth,
            parent_missing: nested.parent_missing,
            started_after_ns: call.entry_ns.saturating_sub(outer.call.entry_ns),
            duration_ns: call.duration_ns,
            self_ns: self_ns(call),
            failed: call.flags & RECORD_FAILED != 0,
            arguments,
            results,
        })
    };
    InnerCalls {
        calls: inside.calls.iter().filter_map(inner).collect(),
        left_out: inside.left_out,
        self_ns: self_ns(&outer.call),
        missing_ns: inside.missing_ns,
    }
}

/// What a call received and returned, as far as it was captured.
fn values_of(record: &KernelRecord, values: &Values) -> (Vec<CallValue>, Vec<CallValue>) {
    let detail = record.detail.as_deref();
    detail.map_or_else(Default::default, |detail| {
        values.of_call(record.call.slot, detail)
    })
}
