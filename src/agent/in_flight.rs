//! The calls that have begun and not returned: what hangs right now.

use coral_ebpf_common::{Frame, FrameKey, thread_depth};
use coral_model::{FunctionId, InFlightCall};

use super::stacks;
use super::tally::Tally;
use super::watched::Watched;
use crate::probe::{Engine, LiveStack, monotonic_ns};

/// How many goroutines and threads are looked at.
const STACKS_MAX: usize = 2_000;
/// How many calls a snapshot shows: the oldest.
const SHOWN: usize = 100;
/// How many goroutines and threads are asked where they hang: their memory is read.
const HANGING_MAX: usize = 32;
/// Calls younger than this do not hang.
const HANGING_NS: u64 = 100_000_000;
/// Calls shorter than this are on their way, not hanging.
const AGE_MIN_NS: u64 = 1_000_000;

/// The calls that go on, oldest first.
pub(super) fn read(engine: &Engine, tally: &Tally, watched: &Watched) -> Vec<InFlightCall> {
    let now_ns = monotonic_ns();
    let age_ns = |frame: &Frame| now_ns.saturating_sub(frame.entry_ns);
    let mut stacks = engine.live_stacks(STACKS_MAX);
    stacks.retain(|stack| {
        stack
            .frames
            .first()
            .is_some_and(|oldest| age_ns(oldest) >= AGE_MIN_NS)
    });
    stacks.sort_by_key(|stack| std::cmp::Reverse(stack.frames.first().map(age_ns)));
    let mut calls = Vec::new();
    for (index, stack) in stacks.iter_mut().enumerate() {
        forget_left(stack, watched);
        let is_hanging = stack
            .frames
            .first()
            .is_some_and(|oldest| age_ns(oldest) >= HANGING_NS);
        let hanging = match is_hanging && index < HANGING_MAX {
            true => stacks::of_hanging(watched, &stack.key),
            false => None,
        };
        if let Some(functions) = hanging
            .as_ref()
            .and_then(|hanging| hanging.functions.as_ref())
        {
            forget_absent(stack, tally, functions);
        }
        let mut of_stack = of_stack(stack, tally, now_ns);
        let innermost = of_stack.last_mut().filter(|call| call.is_innermost);
        if let (Some(innermost), Some(hanging)) = (innermost, hanging) {
            innermost.stack = hanging.frames;
        }
        calls.append(&mut of_stack);
    }
    calls.sort_by_key(|call| std::cmp::Reverse(call.age_ns));
    calls.truncate(SHOWN);
    calls
}

/// Takes away the calls that were left without passing an exit, by a panic or a longjmp, where
/// nothing was probed since: the stack is not that deep any more.
fn forget_left(stack: &mut LiveStack, watched: &Watched) {
    if let Some(depth) = depth_now(stack, watched) {
        stack.frames.retain(|frame| frame.depth <= depth);
    }
}

/// The same where other calls have made the stack as deep again. Only Go's functions are in one
/// piece, so that one which is not on the stack does not run.
fn forget_absent(stack: &mut LiveStack, tally: &Tally, functions: &[FunctionId]) {
    if stack.key.tid == 0 {
        let is_present = |id: FunctionId| functions.contains(&id);
        stack
            .frames
            .retain(|frame| tally.id(frame.slot).is_none_or(is_present));
    }
}

/// How deep the stack is, as frames count it, if it waits and can be looked at.
fn depth_now(stack: &LiveStack, watched: &Watched) -> Option<u64> {
    let FrameKey { tgid, tid, g } = stack.key;
    let process = watched.processes().find(|process| process.pid() == tgid)?;
    if tid == 0 {
        let in_use = process.goroutine_in_use(g)?;
        return Some(in_use.end - in_use.start);
    }
    let sp = process.thread_sp(tid)?;
    // Elsewhere it is on another stack right now.
    stack.bounds.contains(&sp).then(|| thread_depth(sp))
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
            goroutine: (stack.key.tid == 0).then_some(stack.goroutine),
            callers: callers.map(function).collect(),
            is_innermost: !stack.frames[index + 1..].iter().any(has_exits),
            stack: Vec::new(),
        });
    }
    calls
}
