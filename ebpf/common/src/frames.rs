//! How frames pair entries with exits. The kernel program and the model that tests it run this
//! very code; only where the frames lie differs.
//!
//! The rule is "pop deeper": at an entry at depth d, every frame at d or deeper is gone; at an
//! exit, every frame deeper than d is. That heals everything that leaves a call without passing
//! its exit: panics, exceptions, longjmp, ended goroutines. "No pair" is honest, "wrong pair" is
//! not.

use crate::Frame;

/// The frames of one goroutine or thread.
pub trait FrameStack {
    /// The innermost frame.
    fn top(&self) -> Option<Frame>;
    /// Takes the innermost frame away.
    fn pop(&mut self);
    /// Adds time to what the innermost frame's callees took, and to what their probes cost.
    fn add_to_top(&mut self, children_ns: u64, probes_ns: u64);
    /// A frame was dropped: its call ended without passing an exit.
    fn unwound(&mut self, frame: &Frame);
    /// Calls [`drop_one`] until it returns false.
    fn drop_all(&mut self, depth: u64);
}

/// The depth of a thread's frame by its stack pointer: any falling function serves, and the highest
/// bit keeps it positive.
#[inline(always)]
pub const fn thread_depth(sp: u64) -> u64 {
    (1 << 63) - sp
}

/// What an entry means.
pub enum Entered {
    /// It is a call that has begun already: its entry fired again.
    Again,
    /// A call begins, below that frame.
    Call {
        /// The innermost frame that is left.
        parent: Option<Frame>,
    },
}

/// An entry of `slot` at `depth`. The caller pushes the new frame.
#[inline(always)]
pub fn enter<S: FrameStack>(stack: &mut S, depth: u64, slot: u32, may_refire: bool) -> Entered {
    if may_refire {
        stack.drop_all(depth + 1);
        if matches!(stack.top(), Some(top) if top.depth == depth && top.slot == slot) {
            return Entered::Again;
        }
    }
    stack.drop_all(depth);
    Entered::Call {
        parent: stack.top(),
    }
}

/// An exit of `slot` at `depth`: the frame that it ends, if its entry was seen.
#[inline(always)]
pub fn leave<S: FrameStack>(stack: &mut S, depth: u64, slot: u32) -> Option<Frame> {
    stack.drop_all(depth + 1);
    let top = stack.top()?;
    if top.depth != depth || top.slot != slot {
        return None;
    }
    stack.pop();
    Some(top)
}

/// Drops the innermost frame if it is at `depth` or deeper; whether it was.
///
/// What its callees took goes to the frame below, so that no time is taken for that frame's own
/// which is known not to be.
#[inline(always)]
pub fn drop_one<S: FrameStack>(stack: &mut S, depth: u64) -> bool {
    match stack.top() {
        Some(top) if top.depth >= depth => {
            stack.pop();
            stack.add_to_top(top.children_ns, top.probes_ns);
            stack.unwound(&top);
            true
        }
        _ => false,
    }
}
