//! Holds captured arguments against a filter.

use aya_ebpf::cty::c_void;
use aya_ebpf::helpers::generated::bpf_loop;
use coral_ebpf_common::{
    Captured, CapturedValues, Filter, PREDICATES_MAX, Predicate, VALUES_MAX, filter_decides,
    predicate_outcome,
};

use crate::maps;

#[repr(C)]
struct TestContext {
    filter: *const Filter,
    values: *const CapturedValues,
    outcomes: u64,
    is_readable: u64,
}

/// Whether the values pass that filter.
#[inline(always)]
pub(crate) fn matches(number: u32, values: *const CapturedValues) -> bool {
    let Some(filter) = maps::FILTERS.get(number - 1) else {
        return true;
    };
    let mut context = TestContext {
        filter,
        values,
        outcomes: 0,
        is_readable: 1,
    };
    // A loop of the kernel's, whose body the verifier looks at once and not once a predicate.
    // SAFETY: the callback takes what is passed here, and the kernel calls it only during the loop.
    unsafe {
        bpf_loop(
            filter.len,
            test_in_loop as *mut c_void,
            (&raw mut context).cast(),
            0,
        );
    }
    context.is_readable != 0 && filter_decides(filter, context.outcomes)
}

extern "C" fn test_in_loop(index: u32, context: *mut c_void) -> i64 {
    // SAFETY: `matches` passes this very type; both indices are compared with the lengths.
    unsafe {
        let context = &mut *context.cast::<TestContext>();
        if index as usize >= PREDICATES_MAX {
            return 1;
        }
        let predicate = (&raw const (*context.filter).predicates)
            .cast::<Predicate>()
            .add(index as usize);
        let place = (*predicate).value as usize;
        if place >= VALUES_MAX {
            context.is_readable = 0;
            return 1;
        }
        let value = (&raw const (*context.values).values)
            .cast::<Captured>()
            .add(place);
        match predicate_outcome(&*predicate, &*value) {
            Some(outcome) => context.outcomes |= outcome << index,
            None => {
                context.is_readable = 0;
                return 1;
            }
        }
    }
    0
}
