//! Holds captured arguments against a filter.

use coral_ebpf_common::{Captured, CapturedValues, Filter, VALUES_MAX, filter_matches};

use crate::maps;

/// Whether the values pass that filter.
#[inline(always)]
pub(crate) fn matches(number: u32, values: *const CapturedValues) -> bool {
    match maps::FILTERS.get(number - 1) {
        // SAFETY: the pointer comes from a map lookup.
        Some(filter) => evaluate(filter, unsafe { &(*values).values }) != 0,
        None => true,
    }
}

/// A function of its own, because the caller's stack has no room for it.
#[inline(never)]
fn evaluate(filter: &Filter, values: &[Captured; VALUES_MAX]) -> u64 {
    u64::from(filter_matches(filter, values))
}
