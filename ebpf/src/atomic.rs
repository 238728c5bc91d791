//! Atomic operations on map values. The core library offers none for this machine, the compiler
//! does.

use core::intrinsics::{AtomicOrdering, atomic_xadd, atomic_xchg};

/// Adds to a counter in a map.
#[inline(always)]
pub(crate) fn add(counter: *mut u64, amount: u64) {
    // SAFETY: the pointer comes from a map lookup and is aligned; the verifier checks both.
    unsafe { atomic_xadd::<u64, u64, { AtomicOrdering::Relaxed }>(counter, amount) };
}

/// Raises a value in a map to `candidate`, if it is lower.
///
/// What the exchange takes out and is higher than what it put in goes back in the next round, so
/// the highest of all values survives whoever interferes; a round fails only then, and a few
/// rounds settle even a crowd.
#[inline(always)]
pub(crate) fn raise(value: *mut u64, mut candidate: u64) {
    // SAFETY: as in `add`.
    if candidate <= unsafe { core::ptr::read_volatile(value) } {
        return;
    }
    for _ in 0..8 {
        // SAFETY: as in `add`.
        let previous = unsafe { atomic_xchg::<u64, { AtomicOrdering::Relaxed }>(value, candidate) };
        if previous <= candidate {
            return;
        }
        candidate = previous;
    }
}

/// Takes one from a balance, unless it is used up.
///
/// Not relaxed: for a relaxed addition the compiler emits the instruction that returns nothing,
/// even where its result is asked for.
#[inline(always)]
pub(crate) fn take(balance: *const i64) -> bool {
    // SAFETY: as in `add`; the first read spares the shared line when there is nothing to take.
    unsafe {
        core::ptr::read_volatile(balance) > 0
            && atomic_xadd::<i64, i64, { AtomicOrdering::SeqCst }>(balance.cast_mut(), -1) > 0
    }
}

/// Adds to a number and returns what it was; not relaxed, for the reason named at [`take`].
#[inline(always)]
pub(crate) fn fetch_add(number: *mut u64, amount: u64) -> u64 {
    // SAFETY: as in `add`.
    unsafe { atomic_xadd::<u64, u64, { AtomicOrdering::SeqCst }>(number, amount) }
}
