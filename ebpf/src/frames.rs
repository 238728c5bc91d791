//! Pairs entries with exits by depth, and heals everything that leaves a call without passing its
//! exit: panics, exceptions, longjmp, ended goroutines.
//!
//! The rule is "pop deeper": at an entry at depth d, every frame at d or deeper is gone; at an
//! exit, every frame deeper than d is. A frame dropped so counts as unwound. "No pair" is honest,
//! "wrong pair" is not.

use aya_ebpf::cty::c_void;
use aya_ebpf::helpers::generated::{bpf_ktime_get_ns, bpf_loop};
use coral_ebpf_common::{Frame, FrameKey, INLINE_FRAMES, OverflowKey, Stack};

use crate::count::Stripe;
use crate::{Hit, maps, record};

/// Drops done in line; a longer unwinding, such as a panic out of a deep recursion, goes on in a
/// loop of the kernel's.
const DROPS_INLINE: usize = 4;
const DROPS_MAX: u32 = 1 << 17;

const BPF_NOEXIST: u64 = 1;

/// A call begins.
#[inline(always)]
pub(crate) fn enter(hit: &Hit) {
    let slot = hit.cookie.slot();
    let Some(stack) = stack_of(&hit.key) else {
        hit.stripe.count_map_full(slot);
        return;
    };
    let drop_from = if hit.cookie.may_refire() && is_top(hit, stack) {
        hit.stripe.count_refired();
        return;
    } else {
        hit.depth
    };
    drop_frames(hit, stack, drop_from);
    // Taken last, so that a call's duration does not hold what its entry costs.
    let frame = Frame {
        entry_ns: unsafe { bpf_ktime_get_ns() },
        depth: hit.depth,
        slot,
        padding: 0,
    };
    if push(&hit.key, stack, &frame) {
        hit.stripe.count_call(slot);
    } else {
        hit.stripe.count_map_full(slot);
    }
}

/// A call ends.
#[inline(always)]
pub(crate) fn leave(hit: &Hit, now_ns: u64) {
    let slot = hit.cookie.slot();
    let Some(stack) = maps::STACKS.get_ptr_mut(&hit.key) else {
        hit.stripe.count_unmatched_exit(slot);
        return;
    };
    drop_frames(hit, stack, hit.depth + 1);
    match top(&hit.key, stack) {
        Some(frame) if frame.depth == hit.depth && frame.slot == slot => {
            pop(&hit.key, stack);
            let duration_ns = now_ns.saturating_sub(frame.entry_ns);
            hit.stripe.count_return(slot, duration_ns);
            record::offer(hit, frame.entry_ns, duration_ns);
        }
        _ => hit.stripe.count_unmatched_exit(slot),
    }
}

/// The stack of that key, made if it is new.
#[inline(always)]
fn stack_of(key: &FrameKey) -> Option<*mut Stack> {
    if let Some(stack) = maps::STACKS.get_ptr_mut(key) {
        return Some(stack);
    }
    let empty = maps::EMPTY_STACK.get(0)?;
    // A failure shows in the look-up that follows.
    let _ = maps::STACKS.insert(key, empty, BPF_NOEXIST);
    maps::STACKS.get_ptr_mut(key)
}

/// Whether the stack's innermost frame is this very call, seen again.
#[inline(always)]
fn is_top(hit: &Hit, stack: *mut Stack) -> bool {
    drop_frames(hit, stack, hit.depth + 1);
    matches!(top(&hit.key, stack),
        Some(frame) if frame.depth == hit.depth && frame.slot == hit.cookie.slot())
}

#[repr(C)]
struct DropContext {
    stack: *mut Stack,
    key: FrameKey,
    stripe: Stripe,
    depth: u64,
}

/// Drops every frame at `depth` or deeper.
#[inline(always)]
fn drop_frames(hit: &Hit, stack: *mut Stack, depth: u64) {
    let mut context = DropContext {
        stack,
        key: hit.key,
        stripe: hit.stripe,
        depth,
    };
    for _ in 0..DROPS_INLINE {
        if !drop_one(&context) {
            return;
        }
    }
    // SAFETY: the callback takes what is passed here, and the kernel calls it only during the loop.
    unsafe {
        bpf_loop(
            DROPS_MAX,
            drop_in_loop as *mut c_void,
            (&raw mut context).cast(),
            0,
        );
    }
}

extern "C" fn drop_in_loop(_index: u32, context: *mut c_void) -> i64 {
    // SAFETY: `drop_frames` passes this very type.
    let context = unsafe { &*context.cast::<DropContext>() };
    i64::from(!drop_one(context))
}

/// Drops the innermost frame if it is at the context's depth or deeper; whether it was.
#[inline(always)]
fn drop_one(context: &DropContext) -> bool {
    match top(&context.key, context.stack) {
        Some(frame) if frame.depth >= context.depth => {
            pop(&context.key, context.stack);
            context.stripe.count_unwound(frame.slot);
            true
        }
        _ => false,
    }
}

/// The innermost frame.
#[inline(always)]
fn top(key: &FrameKey, stack: *mut Stack) -> Option<Frame> {
    // Compared as it is used: verifiers before Linux 6.10 learn nothing about it from `len`.
    let index = unsafe { (*stack).len }.wrapping_sub(1);
    if (index as usize) < INLINE_FRAMES {
        return Some(unsafe {
            *(&raw const (*stack).frames)
                .cast::<Frame>()
                .add(index as usize)
        });
    }
    if index == u32::MAX {
        return None;
    }
    let key = overflow_key(key, index);
    unsafe { maps::OVERFLOW.get(&key) }.copied()
}

#[inline(always)]
fn pop(key: &FrameKey, stack: *mut Stack) {
    let len = unsafe { (*stack).len };
    if len == 0 {
        return;
    }
    let index = len - 1;
    unsafe { (*stack).len = index };
    if (index as usize) >= INLINE_FRAMES {
        let _ = maps::OVERFLOW.remove(&overflow_key(key, index));
    }
}

/// Adds a frame; false if there is no room for it.
#[inline(always)]
fn push(key: &FrameKey, stack: *mut Stack, frame: &Frame) -> bool {
    let index = unsafe { (*stack).len };
    if (index as usize) < INLINE_FRAMES {
        unsafe {
            *(&raw mut (*stack).frames)
                .cast::<Frame>()
                .add(index as usize) = *frame
        };
    } else if maps::OVERFLOW
        .insert(&overflow_key(key, index), frame, 0)
        .is_err()
    {
        return false;
    }
    unsafe { (*stack).len = index + 1 };
    true
}

#[inline(always)]
fn overflow_key(stack: &FrameKey, index: u32) -> OverflowKey {
    OverflowKey {
        stack: *stack,
        index,
        padding: 0,
    }
}
