//! The calls that have begun and not returned: what hangs right now.

use std::sync::Arc;

use coral_ebpf_common::{Frame, FrameKey, thread_depth};
use coral_model::{FunctionId, InFlightCall};

use super::stacks;
use super::tally::Tally;
use super::watched::Watched;
use crate::probe::{Engine, LiveStack, monotonic_ns};
use crate::symbols::Process;

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

/// What is known of the calls that have begun and not passed an exit.
#[derive(Default)]
pub(super) struct Open {
    /// Those that go on, oldest first.
    pub(super) calls: Vec<InFlightCall>,
    /// Those that were left without passing an exit, where nothing was probed since that would have
    /// told the kernel: by stack and frame.
    pub(super) left: Vec<(FrameKey, Frame)>,
}

/// Looks at the calls that have begun and not passed an exit; before the end, at those that may
/// hang. Where more than [`STACKS_MAX`] goroutines and threads are in calls, which of them are
/// looked at is up to the kernel's map.
pub(super) fn read(engine: &Engine, tally: &Tally, watched: &Watched, is_end: bool) -> Open {
    let now_ns = monotonic_ns();
    let goid_offset = watched.symbols.goid_offset(0);
    let live: Vec<&Arc<Process>> = watched
        .processes()
        .filter(|process| !process.has_exited())
        .collect();
    let age_ns = |frame: &Frame| now_ns.saturating_sub(frame.entry_ns);
    let mut stacks = engine.live_stacks(STACKS_MAX);
    stacks.retain(|stack| {
        let oldest = stack.frames.first();
        is_end || oldest.is_some_and(|oldest| age_ns(oldest) >= AGE_MIN_NS)
    });
    stacks.sort_by_key(|stack| std::cmp::Reverse(stack.frames.first().map(age_ns)));
    let mut open = Open::default();
    for (index, stack) in stacks.iter_mut().enumerate() {
        let key = stack.key;
        let process = live
            .iter()
            .find(|process| process.pid() == key.tgid)
            .copied();
        let mut keep = Keep {
            stack,
            left: &mut open.left,
        };
        if has_ended(&key, process, goid_offset) {
            keep.only(|_| false);
            continue;
        }
        if let Some(depth) = process.and_then(|process| depth_now(keep.stack, process)) {
            keep.only(|frame| frame.depth <= depth);
        }
        let oldest = keep.stack.frames.first();
        let is_hanging = oldest.is_some_and(|oldest| age_ns(oldest) >= HANGING_NS);
        let hanging = process
            .filter(|_| is_hanging && index < HANGING_MAX)
            .and_then(|process| stacks::of_hanging(process, &watched.symbols, &key));
        // What is not on the stack is over: other calls have made the stack as deep again.
        let functions = hanging
            .as_ref()
            .and_then(|hanging| hanging.functions.as_ref());
        if let Some(functions) = functions {
            keep.only(|frame| {
                tally
                    .id(frame.slot)
                    .is_none_or(|id| functions.contains(&id))
            });
        }
        let mut of_stack = of_stack(stack, tally, now_ns);
        let innermost = of_stack.last_mut().filter(|call| call.is_innermost);
        if let (Some(innermost), Some(hanging)) = (innermost, hanging) {
            innermost.stack = hanging.frames;
        }
        open.calls.append(&mut of_stack);
    }
    open.calls
        .sort_by_key(|call| std::cmp::Reverse(call.age_ns));
    open.calls.truncate(SHOWN);
    open
}

/// Takes frames out of a stack, and remembers them.
struct Keep<'a> {
    stack: &'a mut LiveStack,
    left: &'a mut Vec<(FrameKey, Frame)>,
}

impl Keep<'_> {
    fn only(&mut self, is_open: impl Fn(&Frame) -> bool) {
        let key = self.stack.key;
        let left = self.stack.frames.extract_if(.., |frame| !is_open(frame));
        self.left.extend(left.map(|frame| (key, frame)));
    }
}

/// Whether a goroutine has ended, or its process; threads that have ended are swept.
fn has_ended(key: &FrameKey, live: Option<&Arc<Process>>, goid_offset: Option<u32>) -> bool {
    let is_dead = |process: &Arc<Process>| {
        goid_offset.is_some_and(|offset| process.goroutine_has_ended(key.g, offset))
    };
    key.tid == 0 && live.is_none_or(is_dead)
}

/// How deep the stack is, as frames count it, if it waits and can be looked at.
fn depth_now(stack: &LiveStack, process: &Process) -> Option<u64> {
    let FrameKey { tid, g, .. } = stack.key;
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
            replica: None,
        });
    }
    calls
}
