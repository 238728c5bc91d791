//! Joins the polls of a Rust future into one call, by where the future lies.

use coral_ebpf_common::{FutureKey, FutureSpec, FutureState};

use crate::registers::{lowest, one, word_at};
use crate::{Hit, maps};

/// The future's number while it has not begun, and when it is done; larger ones mean waiting.
const NOT_BEGUN: u64 = 0;
const DONE: u64 = 1;

/// A poll begins: the address of its future, or 0 if that cannot be told.
#[inline(always)]
pub(crate) fn enter(hit: &Hit, spec: &FutureSpec) -> u64 {
    // No instruction before the entry's site has changed an argument.
    let Some(address) = one(hit.regs, spec.register) else {
        return 0;
    };
    if address == 0 || progress(spec, address) != Some(NOT_BEGUN) {
        return address;
    }
    let key = key(hit, address);
    let call_slot = hit.function.call_slot;
    if unsafe { maps::FUTURES.get(&key) }.is_some() {
        // It was dropped before it was done, and another lies there now.
        hit.stripe.count_dropped(call_slot);
    }
    let state = FutureState {
        first_poll_ns: hit.now_ns,
        ..FutureState::default()
    };
    if maps::FUTURES.insert(&key, &state, 0).is_ok() {
        hit.stripe.count_entry(call_slot);
    } else {
        hit.stripe.count_map_full(call_slot);
    }
    address
}

/// A poll ends, if the call was one.
#[inline(always)]
pub(crate) fn leave(hit: &Hit, address: u64, now_ns: u64, duration_ns: u64) {
    let Some(detail) = maps::DETAILS.get(hit.cookie.slot()) else {
        return;
    };
    if detail.future.enabled == 0 {
        return;
    }
    let key = key(hit, address);
    let call_slot = hit.function.call_slot;
    let Some(state) = maps::FUTURES.get_ptr_mut(&key) else {
        // It began before the session did.
        hit.stripe.count_unmatched_exit(call_slot);
        return;
    };
    let state: *mut FutureState = state;
    // SAFETY: the pointer comes from a map lookup, and one thread at a time polls a future.
    let (first_poll_ns, busy_ns, polls) = unsafe {
        (*state).busy_ns += duration_ns;
        (*state).polls += 1;
        ((*state).first_poll_ns, (*state).busy_ns, (*state).polls)
    };
    if progress(&detail.future, address) == Some(DONE) {
        let _ = maps::FUTURES.remove(&key);
        let elapsed_ns = now_ns.saturating_sub(first_poll_ns);
        hit.stripe
            .count_joined(call_slot, elapsed_ns, busy_ns, polls);
    }
}

#[inline(always)]
fn key(hit: &Hit, address: u64) -> FutureKey {
    FutureKey {
        address,
        tgid: hit.key.tgid,
        slot: hit.cookie.slot(),
    }
}

/// How far the future has come.
#[inline(always)]
fn progress(spec: &FutureSpec, address: u64) -> Option<u64> {
    let word = word_at(address.wrapping_add(u64::from(spec.offset)))?;
    Some(lowest(word, u32::from(spec.size)))
}
