//! Reads arguments and results, as the agent has worked out how.

use aya_ebpf::cty::c_void;
use aya_ebpf::helpers::generated::{bpf_loop, bpf_probe_read_user_str};
use coral_ebpf_common::{
    BASE_RESULT, BASE_STACK, Captured, CapturedValues, FRAME_HAS_VALUES, FRAME_MATCHES, PlaceKey,
    REGISTERS, STATUS_FAULT, STATUS_NULL, STATUS_OK, STATUS_TRUNCATED, STEPS_MAX, VALUE_BYTES,
    VALUES_MAX, ValueKind, ValueSpec,
};

use crate::registers::{lowest, lowest_signed, read_user, word_at, write_all};
use crate::{Hit, filter, maps};

const BPF_NOEXIST: u64 = 1;
/// What an interface's data word points to lies behind it, and what that points to comes then.
const INNER: usize = 8;
const INNER_BYTES: usize = 24;
/// A longer string is none: the words are something else.
const INNER_LEN_MAX: u64 = 1 << 16;

/// Reads the arguments of a call that begins, and holds them against its filter; what its frame
/// is to remember of that.
#[inline(always)]
pub(crate) fn enter(hit: &Hit, place: &PlaceKey) -> u32 {
    let Some(detail) = maps::DETAILS.get(hit.cookie.slot()) else {
        return FRAME_MATCHES;
    };
    if detail.arguments_len == 0 {
        return FRAME_MATCHES;
    }
    let Some(values) = new_values(place) else {
        // Without values no filter can be held against them, and none is known to fail.
        return if hit.function.filter == 0 {
            FRAME_MATCHES
        } else {
            0
        };
    };
    read_all(
        hit,
        detail.arguments.as_ptr(),
        detail.arguments_len,
        0,
        values,
    );
    let matches = hit.function.filter == 0 || filter::matches(hit.function.filter, values);
    FRAME_HAS_VALUES | if matches { FRAME_MATCHES } else { 0 }
}

/// Room for the values of the call at that place.
#[inline(always)]
fn new_values(place: &PlaceKey) -> Option<*mut CapturedValues> {
    let empty = maps::EMPTY_VALUES.get(0)?;
    let _ = maps::VALUES.insert(place, empty, BPF_NOEXIST);
    maps::VALUES.get_ptr_mut(place)
}

#[repr(C)]
struct ReadContext {
    entry_sp: u64,
    result: u64,
    specs: *const ValueSpec,
    values: *mut CapturedValues,
}

/// Reads `len` values as `specs` say. `result` is where a result in memory lies.
#[inline(always)]
pub(crate) fn read_all(
    hit: &Hit,
    specs: *const ValueSpec,
    len: u32,
    result: u64,
    to: *mut CapturedValues,
) {
    let mut context = ReadContext {
        entry_sp: hit.entry_sp,
        result,
        specs,
        values: to,
    };
    // SAFETY: the pointer comes from a map lookup or from the ring.
    unsafe {
        (*to).len = len;
        write_all(hit.regs, &raw mut (*to).registers);
    }
    // SAFETY: the callback takes what is passed here, and the kernel calls it only during the loop.
    unsafe {
        bpf_loop(
            len,
            read_in_loop as *mut c_void,
            (&raw mut context).cast(),
            0,
        );
    }
}

extern "C" fn read_in_loop(index: u32, context: *mut c_void) -> i64 {
    let index = index as usize;
    if index >= VALUES_MAX {
        return 1;
    }
    // SAFETY: `read_all` passes this very type; the index was compared with the length.
    unsafe {
        let context = &*context.cast::<ReadContext>();
        let spec = *context.specs.add(index);
        let value = (&raw mut (*context.values).values)
            .cast::<Captured>()
            .add(index);
        (*value).kind = spec.kind;
        (*value).len = 0;
        (*value).status = match read(context, &spec, value) {
            Some(status) => status,
            None => STATUS_FAULT,
        };
    }
    0
}

/// Reads one value and returns its status; `None` if the memory could not be read.
#[inline(always)]
unsafe fn read(context: &ReadContext, spec: &ValueSpec, value: *mut Captured) -> Option<u8> {
    let address = chain(context, spec)?;
    let second = register(context, spec.second);
    let kind = spec.kind;
    // SAFETY: the pointer comes from the values that were made for this.
    unsafe {
        if kind == ValueKind::Word as u8 {
            (*value).word = lowest(address, spec.len);
            Some(STATUS_OK)
        } else if kind == ValueKind::SignedWord as u8 {
            (*value).word = lowest_signed(address, spec.len);
            Some(STATUS_OK)
        } else if kind == ValueKind::Memory as u8 {
            read_bytes(value, address, u64::from(spec.len), 1, spec.len)
        } else if kind == ValueKind::String as u8 {
            read_bytes(value, address, second, element_bytes(spec), spec.len)
        } else if kind == ValueKind::StringAt as u8 {
            let (from, len) = (word_at(address)?, word_at(address + 8)?);
            read_bytes(value, from, len, element_bytes(spec), spec.len)
        } else if kind == ValueKind::CString as u8 {
            read_c_string(value, address, spec.len)
        } else if kind == ValueKind::Interface as u8 {
            read_interface(value, address, second)
        } else {
            read_interface(value, word_at(address)?, word_at(address + 8)?)
        }
    }
}

/// Follows the chain of dereferences to an address or a word.
#[inline(always)]
fn chain(context: &ReadContext, spec: &ValueSpec) -> Option<u64> {
    let mut at = if spec.base == BASE_STACK {
        context.entry_sp
    } else if spec.base == BASE_RESULT {
        context.result
    } else {
        register(context, spec.base)
    };
    let [first, second, third, last] = spec.offsets;
    let mut offset = first;
    if spec.steps > 0 {
        at = word_at(plus(at, offset))?;
        offset = second;
    }
    if spec.steps > 1 {
        at = word_at(plus(at, offset))?;
        offset = third;
    }
    if spec.steps > 2 {
        at = word_at(plus(at, offset))?;
        offset = last;
    }
    Some(plus(at, offset))
}

#[inline(always)]
fn register(context: &ReadContext, number: u8) -> u64 {
    // SAFETY: the pointer comes from the values that were made for this; the number is masked.
    unsafe { (*context.values).registers[number as usize & (REGISTERS - 1)] }
}

#[inline(always)]
fn plus(address: u64, offset: i32) -> u64 {
    address.wrapping_add(i64::from(offset) as u64)
}

/// The size of what a string's length counts.
#[inline(always)]
fn element_bytes(spec: &ValueSpec) -> u64 {
    match spec.offsets[STEPS_MAX] {
        0 => 1,
        bytes => u64::from(bytes as u16),
    }
}

#[inline(always)]
unsafe fn read_bytes(
    value: *mut Captured,
    address: u64,
    len: u64,
    element_bytes: u64,
    len_max: u32,
) -> Option<u8> {
    let bytes = len.min(u64::from(u32::MAX)) * element_bytes;
    let kept = bytes.min(u64::from(len_max)).min(VALUE_BYTES as u64) as u32;
    // SAFETY: as in `read`.
    unsafe {
        (*value).word = len;
        if kept > 0 && !read_user((&raw mut (*value).bytes).cast(), kept, address) {
            return None;
        }
        (*value).len = kept as u16;
    }
    Some(if u64::from(kept) < bytes {
        STATUS_TRUNCATED
    } else {
        STATUS_OK
    })
}

#[inline(always)]
unsafe fn read_c_string(value: *mut Captured, address: u64, len_max: u32) -> Option<u8> {
    let room = len_max.min(VALUE_BYTES as u32);
    // SAFETY: as in `read`.
    unsafe {
        if address == 0 {
            (*value).word = 0;
            return Some(STATUS_NULL);
        }
        let to = (&raw mut (*value).bytes).cast::<c_void>();
        let len = bpf_probe_read_user_str(to, room, address as *const c_void);
        if len <= 0 {
            return None;
        }
        // The terminating zero is counted.
        let kept = len as u64 - 1;
        (*value).word = kept;
        (*value).len = kept as u16;
        Some(if len as u64 >= u64::from(room) {
            STATUS_TRUNCATED
        } else {
            STATUS_OK
        })
    }
}

#[inline(always)]
unsafe fn read_interface(value: *mut Captured, type_word: u64, data: u64) -> Option<u8> {
    // SAFETY: as in `read`; the offsets are inside of the bytes.
    unsafe {
        let bytes = (&raw mut (*value).bytes).cast::<u8>();
        (*value).word = type_word;
        bytes.cast::<u64>().write_unaligned(data);
        (*value).len = INNER as u16;
        if type_word == 0 || data == 0 || !read_user(bytes.add(INNER), 16, data) {
            return Some(STATUS_OK);
        }
        (*value).len = INNER_BYTES as u16;
        let text = bytes.add(INNER).cast::<u64>().read_unaligned();
        let len = bytes.add(INNER + 8).cast::<u64>().read_unaligned();
        if len == 0 || len > INNER_LEN_MAX {
            return Some(STATUS_OK);
        }
        let kept = len.min((VALUE_BYTES - INNER_BYTES) as u64) as u32;
        if !read_user(bytes.add(INNER_BYTES), kept, text) {
            return Some(STATUS_OK);
        }
        (*value).len = (INNER_BYTES as u32 + kept) as u16;
        Some(if u64::from(kept) < len {
            STATUS_TRUNCATED
        } else {
            STATUS_OK
        })
    }
}
