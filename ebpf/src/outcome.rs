//! Whether a call failed, told at its exit.

use coral_ebpf_common::{BASE_RESULT, ErrorTest};

use crate::registers::{lowest, one, word_at};
use crate::{Hit, maps};

/// Whether the call that ends here returned an error. `result` is where a result in memory lies.
#[inline(always)]
pub(crate) fn failed(hit: &Hit, result: u64) -> bool {
    let Some(detail) = maps::DETAILS.get(hit.cookie.slot()) else {
        return false;
    };
    let test: &ErrorTest = &detail.error;
    if test.kind == 0 {
        return false;
    }
    let base = if test.register == BASE_RESULT {
        Some(result)
    } else {
        one(hit.regs, test.register)
    };
    let Some(mut word) = base else {
        return false;
    };
    if test.kind == 2 {
        let Some(read) = word_at(word.wrapping_add(i64::from(test.offset) as u64)) else {
            return false;
        };
        word = read;
    }
    let is_equal = lowest(word, u32::from(test.size)) == test.value;
    is_equal == (test.unless == 0)
}
