//! Where DWARF says that a parameter is when its function is entered.

use gimli::{Encoding, EndianSlice, Expression, Format, LittleEndian, Operation};

use coral_ebpf_common::BASE_STACK;

use super::debug_info::{DebugInfo, Entry, Value};
use super::place::{Part, Piece, Place};
use crate::symbols::dwarf_units::Reader;

/// The frame's address lies so much above the stack pointer at the entry.
const FRAME_ABOVE_STACK: i64 = 8;
/// RSP, by its DWARF number; behind the general registers come RIP and XMM0 to XMM15.
const RSP: u16 = 7;
const GENERAL_REGISTERS: u16 = 16;
const FLOAT_REGISTERS: std::ops::RangeInclusive<u16> = 17..=32;
/// Longer expressions are not evaluated.
const OPERATIONS_MAX: usize = 64;
/// Only operations that are not looked at depend on it.
const ENCODING: Encoding = Encoding {
    address_size: 8,
    format: Format::Dwarf32,
    version: 5,
};

/// What DWARF says of a parameter.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Told {
    /// It is there at the entry.
    Here(Place),
    /// It is there from a later address on.
    Later(Place),
    /// The function will store it in its frame; until then it is where the convention says.
    Stored {
        /// What will be stored is its address.
        by_reference: bool,
    },
    /// It is nowhere, or where its value can not be read.
    Nowhere,
}

/// A function's frame.
#[derive(Clone, Copy, Debug)]
pub(super) struct Frame {
    /// Where its code begins.
    pub(super) start: u64,
    /// Where its entry is probed.
    pub(super) probe: u64,
    /// Whether places in the frame are relative to the address that the caller had on its stack
    /// pointer before the call.
    pub(super) is_canonical: bool,
}

/// What DWARF says of a parameter of that size.
pub(super) fn at_entry(
    info: &mut DebugInfo<'_>,
    parameter: &Entry,
    size: u64,
    frame: Frame,
) -> Told {
    match parameter.value(gimli::DW_AT_location) {
        Some(Value::Expression(bytes)) => evaluate(bytes, size, frame, true),
        Some(Value::LocationList(list)) => {
            let all = info.locations(parameter, *list);
            let at = |address| all.iter().find(|(range, _)| range.contains(&address));
            // No argument register changes between the two, but only at the first is the stack
            // pointer known.
            if let Some((_, bytes)) = at(frame.start) {
                evaluate(bytes, size, frame, true)
            } else if let Some((_, bytes)) = at(frame.probe) {
                evaluate(bytes, size, frame, false)
            } else {
                let first = all.iter().min_by_key(|(range, _)| range.start);
                match first.map(|(_, bytes)| evaluate(bytes, size, frame, false)) {
                    Some(Told::Here(place)) => Told::Later(place),
                    _ => Told::Nowhere,
                }
            }
        }
        _ => Told::Nowhere,
    }
}

/// Whether an expression is the address that the caller had on its stack pointer.
pub(super) fn is_canonical_frame(expression: &[u8]) -> bool {
    let mut operations = operations(expression);
    operations.next() == Some(Operation::CallFrameCFA) && operations.next().is_none()
}

/// What the operations so far have led to.
#[derive(Clone, Copy, PartialEq)]
enum State {
    Empty,
    Part(Part),
    /// A register plus an offset: an address, unless it turns out to be the value.
    Address {
        base: u8,
        offset: i64,
    },
    Stored {
        by_reference: bool,
    },
    Lost,
}

fn evaluate(bytes: &[u8], size: u64, frame: Frame, knows_stack: bool) -> Told {
    let mut state = State::Empty;
    let mut pieces = Vec::new();
    let mut in_pieces = false;
    let mut offset = 0_u64;
    for operation in operations(bytes).take(OPERATIONS_MAX) {
        if let Operation::Piece { size_in_bits, .. } = operation {
            in_pieces = true;
            let size = size_in_bits / 8;
            let part = match state {
                State::Part(part) => Some(part),
                State::Address { base, offset } => Some(Part::Memory { base, offset }),
                State::Stored { by_reference } => return Told::Stored { by_reference },
                State::Empty | State::Lost => None,
            };
            pieces.extend(part.map(|part| Piece { offset, size, part }));
            offset = offset.saturating_add(size);
            state = State::Empty;
        } else {
            state = state.after(&operation, frame, knows_stack);
        }
    }
    if in_pieces {
        return Told::Here(Place::Pieces(pieces));
    }
    match state {
        State::Part(part) => Told::Here(Place::Pieces(vec![Piece {
            offset: 0,
            size,
            part,
        }])),
        State::Address { base, offset } => Told::Here(Place::Memory { base, offset }),
        State::Stored { by_reference } => Told::Stored { by_reference },
        State::Empty | State::Lost => Told::Nowhere,
    }
}

impl State {
    fn after(self, operation: &Operation<Reader<'_>>, frame: Frame, knows_stack: bool) -> Self {
        let address = |register: u16, offset: i64| match register {
            RSP if knows_stack => Self::Address {
                base: BASE_STACK,
                offset,
            },
            RSP => Self::Lost,
            register if register < GENERAL_REGISTERS => Self::Address {
                base: register as u8,
                offset,
            },
            _ => Self::Lost,
        };
        match (self, operation) {
            (Self::Empty, Operation::Register { register }) => match register.0 {
                number if number < GENERAL_REGISTERS => Self::Part(Part::Register(number as u8)),
                number if FLOAT_REGISTERS.contains(&number) => Self::Part(Part::FloatRegister),
                _ => Self::Lost,
            },
            (
                Self::Empty,
                Operation::RegisterOffset {
                    register, offset, ..
                },
            ) => address(register.0, *offset),
            // At the entry that is what the register holds.
            (Self::Empty, Operation::EntryValue { expression }) => {
                match operations(expression.slice()).next() {
                    Some(Operation::Register { register }) => address(register.0, 0),
                    _ => Self::Lost,
                }
            }
            (Self::Empty, Operation::CallFrameCFA) => Self::Address {
                base: BASE_STACK,
                offset: FRAME_ABOVE_STACK,
            },
            (Self::Empty, Operation::FrameOffset { offset }) => {
                if frame.is_canonical && *offset >= 0 {
                    Self::Address {
                        base: BASE_STACK,
                        offset: offset.saturating_add(FRAME_ABOVE_STACK),
                    }
                } else {
                    Self::Stored {
                        by_reference: false,
                    }
                }
            }
            (Self::Stored { .. }, Operation::Deref { .. }) => Self::Stored { by_reference: true },
            // The upper part is cut off by these: only as many bytes as the type has are read.
            (
                Self::Address { .. },
                Operation::UnsignedConstant { .. }
                | Operation::And
                | Operation::Convert { .. }
                | Operation::Reinterpret { .. },
            ) => self,
            (Self::Address { base, offset: 0 }, Operation::StackValue) if base != BASE_STACK => {
                Self::Part(Part::Register(base))
            }
            _ => Self::Lost,
        }
    }
}

fn operations(bytes: &[u8]) -> impl Iterator<Item = Operation<Reader<'_>>> {
    let expression = Expression(EndianSlice::new(bytes, LittleEndian));
    let mut operations = expression.operations(ENCODING);
    // An expression that is damaged ends there.
    std::iter::from_fn(move || operations.next().ok().flatten())
}
