//! Whether a call is wanted: the kernel program and the tests run the same code.
//!
//! The verifier walks every path. So each step leaves a number that it knows nothing about but
//! its range, whichever way it was come by, and all ways join again; with branches that leave a 0
//! or a 1, eight predicates would be 256 ways through the rest of the program.

use core::hint::black_box;

use crate::{
    Captured, Filter, PREDICATE_BYTES, PREDICATES_MAX, Predicate, STATUS_FAULT, STATUS_OK, Test,
    ValueKind,
};

const SIGN: u64 = 1 << 63;

/// Whether a call with these arguments is wanted.
///
/// It is not, whatever the filter, if a value that a predicate looks at is not among them or could
/// not be read far enough.
#[inline(always)]
pub fn filter_matches(filter: &Filter, arguments: &[Captured]) -> bool {
    if filter.len == 0 {
        return true;
    }
    let mut outcomes = 0;
    let mut place = 0;
    while place < PREDICATES_MAX && place < filter.len as usize {
        let Some(predicate) = filter.predicates.get(place) else {
            return false;
        };
        let Some(value) = arguments.get(predicate.value as usize) else {
            return false;
        };
        if !is_readable(predicate, value) {
            return false;
        }
        outcomes |= outcome(predicate, value) << place;
        // The compiler may not know: unrolled, this outgrows the kernel's stack.
        place = black_box(place + 1);
    }
    let [word, bit] = [outcomes >> 6 & 3, outcomes & 63];
    match filter.table.get(word as usize) {
        Some(word) => word >> bit & 1 != 0,
        None => false,
    }
}

/// Whether enough of the value is there to be compared.
#[inline(always)]
fn is_readable(predicate: &Predicate, value: &Captured) -> bool {
    value.kind != ValueKind::None as u8
        && value.status != STATUS_FAULT
        && (!compares_bytes(predicate)
            || value.status == STATUS_OK
            || value.len >= u16::from(predicate.len))
}

#[inline(always)]
fn compares_bytes(predicate: &Predicate) -> bool {
    predicate.test >= Test::BytesEqual as u8
}

/// 1 if the predicate holds, and 0 if not.
#[inline(always)]
fn outcome(predicate: &Predicate, value: &Captured) -> u64 {
    if compares_bytes(predicate) {
        // Only bytes that could all be read can end where the constant ends.
        let is_whole = u64::from(value.status) ^ u64::from(STATUS_OK);
        let difference = if predicate.test == Test::BytesEqual as u8 {
            is_whole | u64::from(value.len) ^ u64::from(predicate.len)
        } else {
            below(u64::from(value.len), u64::from(predicate.len))
        };
        return equal(difference | bytes_difference(predicate, value), 0);
    }
    // Both words with their signs turned are in the same order without sign.
    let sign = if predicate.test == Test::SignedBelow as u8 {
        SIGN
    } else {
        0
    };
    if predicate.test == Test::Equal as u8 {
        equal(value.word, predicate.constant)
    } else {
        below(value.word ^ sign, predicate.constant ^ sign)
    }
}

/// What differs between the constant bytes and as many of the value's.
#[inline(always)]
fn bytes_difference(predicate: &Predicate, value: &Captured) -> u64 {
    let mut difference = 0;
    for place in 0..PREDICATE_BYTES / WORD_BYTES {
        let compared = u64::from(predicate.len).saturating_sub((place * WORD_BYTES) as u64);
        difference |= (word_at(predicate.bytes.as_flattened(), place)
            ^ word_at(&value.bytes, place))
            & low_bytes(compared);
    }
    difference
}

const WORD_BYTES: usize = size_of::<u64>();

/// The bytes of a place, the first as the lowest.
#[inline(always)]
fn word_at(bytes: &[u8], place: usize) -> u64 {
    match bytes.as_chunks().0.get(place) {
        Some(word) => u64::from_le_bytes(*word),
        None => 0,
    }
}

/// The bits of the lowest `count` bytes of a word; all for more than it has.
#[inline(always)]
fn low_bytes(count: u64) -> u64 {
    let count = if count < WORD_BYTES as u64 {
        count
    } else {
        WORD_BYTES as u64
    };
    // In two halves, because a shift by all bits of a word is none.
    !(u64::MAX << (4 * count) << (4 * count))
}

/// 1 if both are equal.
#[inline(always)]
fn equal(a: u64, b: u64) -> u64 {
    let difference = a ^ b;
    (difference >> 32 | difference & 0xffff_ffff).wrapping_sub(1) >> 63
}

/// 1 if `a` is below `b`, both without sign: the borrow of their difference.
#[inline(always)]
fn below(a: u64, b: u64) -> u64 {
    (!a & b | (!a | b) & a.wrapping_sub(b)) >> 63
}
