//! Where the bytes of a value are, and how the kernel program gets at them.

use coral_ebpf_common::{STEPS_MAX, ValueKind, ValueSpec};

use super::Unreadable;

/// The place in [`ValueSpec::offsets`] that holds the size in bytes of one element of a slice that
/// is read as a string, 0 for a string. Such a value's length counts elements. A program that
/// knows nothing of it reads fewer elements than there are, but none wrongly.
pub const ELEMENT_BYTES: usize = STEPS_MAX;

/// So many bytes are kept of strings, slices and memory.
const KEPT_BYTES: u32 = coral_ebpf_common::VALUE_BYTES as u32;

/// Where the bytes of a value are.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Place {
    /// In pieces; bytes that are in none of them are lost.
    Pieces(Vec<Piece>),
    /// One after the other in memory, at what a register holds (or the stack pointer at the
    /// function's entry) plus an offset.
    Memory { base: u8, offset: i64 },
    /// It can not be read.
    Unreadable(Unreadable),
}

/// Some bytes of a value.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Piece {
    /// Where they are in the value.
    pub(super) offset: u64,
    pub(super) size: u64,
    pub(super) part: Part,
}

/// Where a piece is.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum Part {
    /// By its DWARF number.
    Register(u8),
    FloatRegister,
    /// In memory, as in [`Place::Memory`].
    Memory {
        base: u8,
        offset: i64,
    },
}

impl Place {
    /// A value in one register.
    pub(super) fn register(register: u8, size: u64) -> Self {
        Self::Pieces(vec![Piece {
            offset: 0,
            size,
            part: Part::Register(register),
        }])
    }

    /// Where some bytes of the value are.
    pub(super) fn part(&self, offset: u64, size: u64) -> Result<Part, Unreadable> {
        match self {
            Self::Unreadable(reason) => Err(*reason),
            Self::Memory {
                base,
                offset: start,
            } => {
                let offset = i64::try_from(offset).ok();
                let offset = offset.and_then(|offset| start.checked_add(offset));
                let offset = offset.ok_or(Unreadable::Type)?;
                Ok(Part::Memory {
                    base: *base,
                    offset,
                })
            }
            Self::Pieces(pieces) => {
                let holds =
                    |piece: &&Piece| piece.offset <= offset && offset - piece.offset < piece.size;
                let piece = pieces.iter().find(holds);
                let piece = piece.ok_or(Unreadable::OptimizedOut)?;
                let skipped = offset - piece.offset;
                if piece.part == Part::FloatRegister {
                    return Err(Unreadable::FloatRegister);
                }
                if size > piece.size - skipped {
                    return Err(Unreadable::Split);
                }
                match piece.part {
                    Part::Memory { base, offset } => Ok(Part::Memory {
                        base,
                        offset: offset.checked_add(skipped as i64).ok_or(Unreadable::Type)?,
                    }),
                    _ if skipped != 0 => Err(Unreadable::PartOfRegister),
                    part => Ok(part),
                }
            }
        }
    }
}

/// Reads a number of 1, 2, 4 or 8 bytes.
pub(super) fn word(part: Part, size: u64, is_signed: bool) -> Result<ValueSpec, Unreadable> {
    if ![1, 2, 4, 8].contains(&size) {
        return Err(Unreadable::Type);
    }
    let kind = if is_signed {
        ValueKind::SignedWord
    } else {
        ValueKind::Word
    };
    chain(part, kind, size as u32, &[])
}

/// Reads what lies at an address that is in a register or in memory, plus an offset.
pub(super) fn pointee(part: Part, kind: ValueKind, offset: u64) -> Result<ValueSpec, Unreadable> {
    let offset = i64::try_from(offset).map_err(|_| Unreadable::Type)?;
    chain(part, kind, KEPT_BYTES, &[offset])
}

/// Reads bytes that are in memory.
pub(super) fn memory(part: Part, kind: ValueKind, size: u64) -> Result<ValueSpec, Unreadable> {
    let Part::Memory { base, offset } = part else {
        return Err(Unreadable::Type);
    };
    let len = size.min(u64::from(KEPT_BYTES)) as u32;
    let mut spec = chain(Part::Register(base), kind, len, &[offset])?;
    spec.base = base;
    Ok(spec)
}

/// Reads an address and a length (or two words of an interface) that are two parts of a value.
pub(super) fn two_words(
    first: Part,
    second: Part,
    kinds: [ValueKind; 2],
    element_bytes: u32,
) -> Result<ValueSpec, Unreadable> {
    let [in_registers, in_memory] = kinds;
    let mut spec = match (first, second) {
        (Part::Register(base), Part::Register(second)) => ValueSpec {
            kind: in_registers as u8,
            base,
            second,
            len: KEPT_BYTES,
            ..ValueSpec::default()
        },
        (
            Part::Memory { base, offset },
            Part::Memory {
                base: second_base,
                offset: second_offset,
            },
        ) if base == second_base && offset.checked_add(8) == Some(second_offset) => {
            memory(first, in_memory, u64::from(KEPT_BYTES))?
        }
        _ => return Err(Unreadable::Split),
    };
    if element_bytes > 1 {
        spec.offsets[ELEMENT_BYTES] = i32::try_from(element_bytes).map_err(|_| Unreadable::Type)?;
    }
    Ok(spec)
}

/// A chain that begins with a part: a register's content, or 8 bytes of memory.
fn chain(part: Part, kind: ValueKind, len: u32, then: &[i64]) -> Result<ValueSpec, Unreadable> {
    let mut spec = ValueSpec {
        kind: kind as u8,
        len,
        ..ValueSpec::default()
    };
    let mut offsets = Vec::with_capacity(2);
    match part {
        Part::FloatRegister => return Err(Unreadable::FloatRegister),
        Part::Register(register) => spec.base = register,
        Part::Memory { base, offset } => {
            spec.base = base;
            spec.steps = 1;
            offsets.push(offset);
        }
    }
    offsets.extend(then);
    for (place, offset) in spec.offsets.iter_mut().zip(offsets) {
        *place = i32::try_from(offset).map_err(|_| Unreadable::Type)?;
    }
    Ok(spec)
}
