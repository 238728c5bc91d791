//! The calls that have begun and not returned: what hangs right now.

use coral_ebpf_common::Frame;
use coral_model::{FunctionId, InFlightCall};

use super::tally::Tally;
use crate::probe::{Engine, LiveStack, monotonic_ns};

/// How many goroutines and threads are looked at.
const STACKS_MAX: usize = 2_000;
/// How many calls a snapshot shows: the oldest.
const SHOWN: usize = 100;
/// Calls shorter than this are on their way, not hanging.
const AGE_MIN_NS: u64 = 1_000_000;

/// The calls that go on, oldest first.
pub(super) fn read(engine: &Engine, tally: &Tally) -> Vec<InFlightCall> {
    let now_ns = monotonic_ns();
    let mut calls: Vec<InFlightCall> = engine
        .live_stacks(STACKS_MAX)
        .iter()
        .flat_map(|stack| of_stack(stack, tally, now_ns))
        .collect();
    calls.sort_by_key(|call| std::cmp::Reverse(call.age_ns));
    calls.truncate(SHOWN);
    calls
}

fn of_stack(stack: &LiveStack, tally: &Tally, now_ns: u64) -> Vec<InFlightCall> {
    let function = |frame: &Frame| tally.id(frame.slot).unwrap_or(FunctionId(u32::MAX));
    let has_exits = |frame: &Frame| tally.has_exits(frame.slot);
    let mut calls = Vec::new();
    for (index, frame) in stack.frames.iter().enumerate() {
        let age_ns = now_ns.saturating_sub(frame.entry_ns);
        // Where exits are not seen, nobody knows whether the call still runs.
        if age_ns < AGE_MIN_NS || !has_exits(frame) {
            continue;
        }
        let callers = stack.frames[..index]
            .iter()
            .filter(|frame| has_exits(frame));
        calls.push(InFlightCall {
            function: function(frame),
            age_ns,
            pid: stack.key.tgid,
            tid: (stack.key.tid != 0).then_some(stack.key.tid),
            goroutine: (stack.key.tid == 0).then_some(stack.key.g),
            callers: callers.map(function).collect(),
            is_innermost: !stack.frames[index + 1..].iter().any(has_exits),
            stack: Vec::new(),
        });
    }
    calls
}
