//! From the kernel's records of single calls to the model's.

use coral_ebpf_common::RECORD_FAILED;
use coral_model::{CallRecord, FunctionId};
use jiff::Timestamp;

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
    let (arguments, results) = match &record.detail {
        Some(detail) => values.of_call(call.slot, detail),
        None => (Vec::new(), Vec::new()),
    };
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
