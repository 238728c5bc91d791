//! Whether a call is wanted: the kernel program and the tests run the same code.

use core::hint::black_box;

use crate::{
    Captured, Filter, PREDICATE_BYTES, Predicate, STATUS_FAULT, STATUS_OK, STATUS_TRUNCATED, Test,
    ValueKind,
};

const SIGN: u64 = 1 << 63;

/// Whether a call with these arguments is wanted.
///
/// It is not, whatever the filter, if a value that a predicate looks at is not among them or could
/// not be read far enough.
pub fn filter_matches(filter: &Filter, arguments: &[Captured]) -> bool {
    let mut outcomes = 0;
    let predicates = filter.predicates.iter().take(filter.len as usize);
    for (place, predicate) in predicates.enumerate() {
        let value = arguments.get(predicate.value as usize);
        match value.and_then(|value| predicate_outcome(predicate, value)) {
            Some(outcome) => outcomes |= outcome << place,
            None => return false,
        }
    }
    filter.len == 0 || filter_decides(filter, outcomes)
}

/// What a filter says when its predicates have these outcomes, the first in the lowest bit.
#[inline(always)]
pub fn filter_decides(filter: &Filter, outcomes: u64) -> bool {
    let [word, bit] = [outcomes >> 6 & 3, outcomes & 63];
    match filter.table.get(word as usize) {
        Some(word) => word >> bit & 1 != 0,
        None => false,
    }
}

/// 1 if the predicate holds for the value, 0 if not; `None` if not enough of it could be read.
#[inline(always)]
pub fn predicate_outcome(predicate: &Predicate, value: &Captured) -> Option<u64> {
    is_readable(predicate, value).then(|| outcome(predicate, value))
}

/// Whether enough of the value is there to be compared.
#[inline(always)]
fn is_readable(predicate: &Predicate, value: &Captured) -> bool {
    value.kind != ValueKind::None as u8
        && value.status != STATUS_FAULT
        && (!compares_bytes(predicate)
            || value.status != STATUS_TRUNCATED
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
    let mut place = 0;
    while place < PREDICATE_BYTES / WORD_BYTES {
        let compared = u64::from(predicate.len).saturating_sub((place * WORD_BYTES) as u64);
        difference |= (word_at(predicate.bytes.as_flattened(), place)
            ^ word_at(&value.bytes, place))
            & low_bytes(compared);
        // The compiler may not know: unrolled, this outgrows the kernel's stack.
        place = black_box(place + 1);
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
