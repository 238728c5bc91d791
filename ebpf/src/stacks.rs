//! Which stack a hit is on.
//!
//! Go keeps the running goroutine's `g` in R14, and `g` begins with the stack's bounds. Elsewhere
//! the thread names the stack, and the mapping that its stack pointer is in tells whether it has
//! left that for another: a signal's own stack, a coroutine's. Stacks that lie in one mapping
//! cannot be told apart; there frames are found unwound, and none is paired wrongly.

use aya_ebpf::bindings::{pt_regs, task_struct};
use aya_ebpf::cty::c_void;
use aya_ebpf::helpers::bpf_probe_read_user;
use aya_ebpf::helpers::generated::{bpf_find_vma, bpf_get_current_task_btf};
use coral_ebpf_common::{Cookie, FrameKey, Stack, thread_depth};

use crate::maps;

/// Which stack the hit is on, and how deep in it the frame lies of the function that was entered
/// with that stack pointer.
#[inline(always)]
pub(crate) fn locate(
    regs: *mut pt_regs,
    entry_sp: u64,
    cookie: Cookie,
    tgid: u32,
    tid: u32,
) -> (FrameKey, u64) {
    if cookie.goroutine() {
        let g = unsafe { (*regs).r14 };
        if let Ok([low, high]) = unsafe { bpf_probe_read_user(g as *const [u64; 2]) } {
            // Elsewhere R14 holds something else: in a signal handler, in C code.
            if low < entry_sp && entry_sp <= high {
                return (FrameKey { tgid, tid: 0, g }, high - entry_sp);
            }
        }
    }
    let mut key = FrameKey { tgid, tid, g: 0 };
    if let Some(stack) = maps::STACKS.get_ptr_mut(&key) {
        if is_elsewhere(stack, entry_sp) {
            key.g = other_stack(stack, entry_sp);
        }
    }
    (key, thread_depth(entry_sp))
}

/// Notes the bounds of a thread's stack that was seen for the first time.
#[inline(always)]
pub(crate) fn note_bounds(key: &FrameKey, stack: *mut Stack, entry_sp: u64) {
    if key.tid != 0 {
        let mapping = mapping_of(entry_sp);
        // SAFETY: the pointer comes from a map lookup.
        unsafe {
            (*stack).low = mapping.start;
            (*stack).high = mapping.end;
        }
    }
}

/// What names the stack that a thread has left `stack` for; 0 if it has not.
#[inline(always)]
fn other_stack(stack: *mut Stack, entry_sp: u64) -> u64 {
    let mapping = mapping_of(entry_sp);
    // SAFETY: the pointer comes from a map lookup.
    unsafe {
        if mapping.end == (*stack).high {
            // The same one, which has grown.
            (*stack).low = mapping.start;
            return 0;
        }
    }
    mapping.end
}

#[inline(always)]
fn is_elsewhere(stack: *const Stack, sp: u64) -> bool {
    // SAFETY: the pointer comes from a map lookup.
    let (low, high) = unsafe { ((*stack).low, (*stack).high) };
    high != 0 && (sp < low || sp > high)
}

#[repr(C)]
struct Mapping {
    start: u64,
    end: u64,
}

/// The mapping that an address of the target is in; zeros if that cannot be told right now.
#[inline(always)]
fn mapping_of(address: u64) -> Mapping {
    let mut mapping = Mapping { start: 0, end: 0 };
    // The stack pointer of an entry is above its return address, which may be the stack's last
    // word.
    // SAFETY: the callback takes what is passed here, and the kernel calls it only during the call.
    unsafe {
        bpf_find_vma(
            bpf_get_current_task_btf(),
            address - 8,
            found as *mut c_void,
            (&raw mut mapping).cast(),
            0,
        );
    }
    mapping
}

/// The kernel's record of a mapping begins with its bounds, in every version.
extern "C" fn found(_task: *mut task_struct, vma: *const [u64; 2], context: *mut c_void) -> i64 {
    // SAFETY: `mapping_of` passes this very type, and the kernel a mapping.
    unsafe {
        let mapping = &mut *context.cast::<Mapping>();
        mapping.start = (*vma)[0];
        mapping.end = (*vma)[1];
    }
    0
}
