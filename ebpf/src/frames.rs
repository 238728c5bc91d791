//! The frames of goroutines and threads, where the kernel keeps them, and what a call's begin and
//! end do. The rule by which they are paired is in `coral_ebpf_common`.

use core::hint::black_box;

use aya_ebpf::cty::c_void;
use aya_ebpf::helpers::generated::{bpf_get_prandom_u32, bpf_ktime_get_ns, bpf_loop};
use coral_ebpf_common::{
    Entered, FRAME_HAS_VALUES, FRAME_IS_ROOT, FRAME_IS_SAMPLED, FRAME_IS_TRACED, FRAME_MATCHES,
    FUNCTION_HAS_DETAIL, FUNCTION_IS_ROOT, Frame, FrameKey, FrameStack, INLINE_FRAMES, PlaceKey,
    RDI, Stack, drop_one,
};

use crate::count::Stripe;
use crate::{Hit, future, maps, outcome, record, registers, stacks, tree, values};

const DROPS_MAX: u32 = 1 << 17;
const BPF_NOEXIST: u64 = 1;

/// A call begins.
#[inline(always)]
pub(crate) fn enter(hit: &Hit) {
    let slot = hit.cookie.slot();
    let Some(stack) = stack_of(hit) else {
        hit.stripe.count_map_full(slot);
        return;
    };
    let mut frames = Frames::new(hit, stack);
    let comes_twice = hit.cookie.may_refire() || hit.config.handover != 0;
    // Another goroutine has nothing of the frames that the one before it left.
    let left = hit.depth & !is_of_another(hit, stack);
    let Entered::Call { parent } = coral_ebpf_common::enter(&mut frames, left, slot, comes_twice)
    else {
        hit.stripe.count_refired();
        return;
    };
    frames.add_to_top(0, hit.cost_ns());
    let mut flags = inherited(hit, parent.as_ref());
    let mut address = 0;
    if hit.function.flags & FUNCTION_HAS_DETAIL != 0 {
        flags |= values::enter(hit, &frames.next_place());
        address = address_of(hit);
    } else {
        flags |= FRAME_MATCHES;
    }
    if is_root(hit, flags) {
        flags |= FRAME_IS_TRACED | FRAME_IS_ROOT;
    }
    let (node, recurs) = tree::node_of(hit, parent.as_ref(), flags);
    let frame = Frame {
        depth: hit.depth,
        slot,
        node,
        flags: flags | recurs,
        address,
        // Taken last, so that a call's duration does not hold what its entry costs.
        entry_ns: unsafe { bpf_ktime_get_ns() },
        ..Frame::default()
    };
    if frames.push(&frame) {
        frames.count_traced(&frame);
        hit.stripe.count_call(slot, node);
    } else {
        frames.forget_values(&frame, &frames.next_place());
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
    let mut frames = Frames::new(hit, stack);
    let Some(frame) = coral_ebpf_common::leave(&mut frames, hit.depth, slot) else {
        if hit.config.handover != 0 && frames.just_left(hit) {
            hit.stripe.count_refired();
        } else {
            hit.stripe.count_unmatched_exit(slot);
        }
        return;
    };
    if hit.config.handover != 0 {
        frames.note_left(hit);
    }
    let duration_ns = now_ns.saturating_sub(frame.entry_ns);
    let has_results = hit.function.flags & FUNCTION_HAS_DETAIL != 0 && !hit.cookie.is_tail_call();
    let failed = has_results && outcome::failed(hit, frame.address);
    hit.stripe.count_return(&frame, duration_ns, failed);
    frames.add_to_top(duration_ns, frame.probes_ns + hit.cost_ns());
    if frame.address != 0 {
        future::leave(hit, frame.address, now_ns, duration_ns);
    }
    let place = frames.next_place();
    record::offer(hit, &frames, &frame, &place, duration_ns, failed);
    frames.forget_values(&frame, &place);
}

/// What the frame's address is to be.
#[inline(always)]
fn address_of(hit: &Hit) -> u64 {
    match maps::DETAILS.get(hit.cookie.slot()) {
        Some(detail) if detail.future.enabled != 0 => future::enter(hit, &detail.future),
        Some(_) => registers::one(hit.regs, RDI).unwrap_or(0),
        None => 0,
    }
}

/// All bits if the stack's frames are of a goroutine that has ended, none otherwise; from now on
/// they are of this one. No branch depends on it, because the verifier would walk all that follows
/// twice.
#[inline(always)]
fn is_of_another(hit: &Hit, stack: *mut Stack) -> u64 {
    // SAFETY: the pointer comes from a map lookup, and one thread at a time runs a goroutine.
    let known = unsafe { (*stack).goid };
    let offset = hit.function.goid_offset;
    let goid = if offset != 0 && hit.key.tid == 0 {
        let address = hit.key.g.wrapping_add(u64::from(offset));
        registers::word_at(address).unwrap_or(known)
    } else {
        known
    };
    unsafe { (*stack).goid = goid };
    let difference = black_box(goid ^ known);
    ((difference | difference.wrapping_neg()) as i64 >> 63) as u64
}

/// What a call takes over from its caller; where it has none, chance decides for the whole tree.
#[inline(always)]
fn inherited(hit: &Hit, parent: Option<&Frame>) -> u32 {
    match parent {
        Some(parent) => parent.flags & (FRAME_IS_SAMPLED | FRAME_IS_TRACED),
        None => {
            let rate = hit.config.sample_rate;
            let is_sampled =
                rate == 1 || (rate > 1 && unsafe { bpf_get_prandom_u32() } % rate == 0);
            if is_sampled { FRAME_IS_SAMPLED } else { 0 }
        }
    }
}

#[inline(always)]
fn is_root(hit: &Hit, flags: u32) -> bool {
    hit.config.trace != 0
        && hit.function.flags & FUNCTION_IS_ROOT != 0
        && flags & FRAME_IS_TRACED == 0
        && flags & FRAME_MATCHES != 0
}

/// The stack of that key, made if it is new.
#[inline(always)]
fn stack_of(hit: &Hit) -> Option<*mut Stack> {
    if let Some(stack) = maps::STACKS.get_ptr_mut(&hit.key) {
        return Some(stack);
    }
    let empty = maps::EMPTY_STACK.get(0)?;
    // A failure shows in the look-up that follows.
    let _ = maps::STACKS.insert(&hit.key, empty, BPF_NOEXIST);
    let stack = maps::STACKS.get_ptr_mut(&hit.key)?;
    stacks::note_bounds(&hit.key, stack, hit.entry_sp);
    Some(stack)
}

/// The frames of one stack, in the maps.
pub(crate) struct Frames {
    stack: *mut Stack,
    key: FrameKey,
    stripe: Stripe,
}

impl Frames {
    #[inline(always)]
    fn new(hit: &Hit, stack: *mut Stack) -> Self {
        Self {
            stack,
            key: hit.key,
            stripe: hit.stripe,
        }
    }

    /// How many there are.
    #[inline(always)]
    pub(crate) fn len(&self) -> u32 {
        unsafe { (*self.stack).len }
    }

    /// When the root of the trace began, and how many calls there were in it so far.
    #[inline(always)]
    pub(crate) fn trace(&self) -> (u64, u32) {
        unsafe { ((*self.stack).trace_id, (*self.stack).trace_calls) }
    }

    /// The place of the frame that is pushed next, or was popped last.
    #[inline(always)]
    fn next_place(&self) -> PlaceKey {
        PlaceKey {
            stack: self.key,
            index: self.len(),
            padding: 0,
        }
    }

    /// The goroutine, by its number, or by its `g` where that is not known; 0 for a thread.
    #[inline(always)]
    pub(crate) fn goroutine(&self) -> u64 {
        if self.key.tid != 0 {
            return 0;
        }
        match unsafe { (*self.stack).goid } {
            0 => self.key.g,
            goid => goid,
        }
    }

    #[inline(always)]
    fn count_traced(&self, frame: &Frame) {
        // SAFETY: the pointer comes from a map lookup.
        unsafe {
            if frame.flags & FRAME_IS_ROOT != 0 {
                (*self.stack).trace_id = frame.entry_ns;
                (*self.stack).trace_calls = 1;
            } else if frame.flags & FRAME_IS_TRACED != 0 {
                (*self.stack).trace_calls += 1;
            }
        }
    }

    #[inline(always)]
    fn note_left(&self, hit: &Hit) {
        unsafe {
            (*self.stack).last_exit_depth = hit.depth;
            (*self.stack).last_exit_slot = hit.cookie.slot();
        }
    }

    #[inline(always)]
    fn just_left(&self, hit: &Hit) -> bool {
        unsafe {
            (*self.stack).last_exit_depth == hit.depth
                && (*self.stack).last_exit_slot == hit.cookie.slot()
        }
    }

    #[inline(always)]
    fn forget_values(&self, frame: &Frame, place: &PlaceKey) {
        if frame.flags & FRAME_HAS_VALUES != 0 {
            let _ = maps::VALUES.remove(place);
        }
    }

    /// Where the innermost frame lies.
    #[inline(always)]
    fn top_ptr(&self) -> Option<*mut Frame> {
        let index = self.len().wrapping_sub(1);
        if (index as usize) < INLINE_FRAMES {
            return Some(self.inline_frame(index));
        }
        if index == u32::MAX {
            return None;
        }
        maps::OVERFLOW.get_ptr_mut(&self.place(index))
    }

    #[inline(always)]
    fn inline_frame(&self, index: u32) -> *mut Frame {
        // SAFETY: callers have compared the index with `INLINE_FRAMES`; the verifier checks it.
        unsafe {
            (&raw mut (*self.stack).frames)
                .cast::<Frame>()
                .add(index as usize)
        }
    }

    #[inline(always)]
    fn place(&self, index: u32) -> PlaceKey {
        PlaceKey {
            stack: self.key,
            index,
            padding: 0,
        }
    }

    /// Adds a frame; false if there is no room for it.
    #[inline(always)]
    fn push(&mut self, frame: &Frame) -> bool {
        let index = self.len();
        if (index as usize) < INLINE_FRAMES {
            unsafe { *self.inline_frame(index) = *frame };
        } else if maps::OVERFLOW.insert(&self.place(index), frame, 0).is_err() {
            return false;
        }
        unsafe { (*self.stack).len = index + 1 };
        true
    }
}

impl FrameStack for Frames {
    #[inline(always)]
    fn top(&self) -> Option<Frame> {
        self.top_ptr().map(|frame| unsafe { *frame })
    }

    #[inline(always)]
    fn pop(&mut self) {
        let len = self.len();
        if len == 0 {
            return;
        }
        let index = len - 1;
        unsafe { (*self.stack).len = index };
        if (index as usize) >= INLINE_FRAMES {
            let _ = maps::OVERFLOW.remove(&self.place(index));
        }
    }

    #[inline(always)]
    fn add_to_top(&mut self, children_ns: u64, probes_ns: u64) {
        if let Some(frame) = self.top_ptr() {
            // SAFETY: the pointer comes from a map lookup, and one thread at a time runs here.
            unsafe {
                (*frame).children_ns += children_ns;
                (*frame).probes_ns += probes_ns;
            }
        }
    }

    #[inline(always)]
    fn unwound(&mut self, frame: &Frame) {
        self.forget_values(frame, &self.next_place());
        self.stripe.count_unwound(frame);
    }

    /// Most hits drop nothing; the others do it in a loop of the kernel's, because a panic out of
    /// a deep recursion drops thousands.
    #[inline(always)]
    fn drop_all(&mut self, depth: u64) {
        match self.top_ptr() {
            // SAFETY: the pointer comes from a map lookup.
            Some(top) if unsafe { (*top).depth } >= depth => {}
            _ => return,
        }
        let mut context = DropContext {
            frames: Frames {
                stack: self.stack,
                key: self.key,
                stripe: self.stripe,
            },
            depth,
        };
        // SAFETY: the callback takes what is passed here, and the kernel calls it only during the
        // loop.
        unsafe {
            bpf_loop(
                DROPS_MAX,
                drop_in_loop as *mut c_void,
                (&raw mut context).cast(),
                0,
            );
        }
    }
}

#[repr(C)]
struct DropContext {
    frames: Frames,
    depth: u64,
}

extern "C" fn drop_in_loop(_index: u32, context: *mut c_void) -> i64 {
    // SAFETY: `drop_all` passes this very type.
    let context = unsafe { &mut *context.cast::<DropContext>() };
    i64::from(!drop_one(&mut context.frames, context.depth))
}
