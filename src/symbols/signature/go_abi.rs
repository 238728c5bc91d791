//! Go's internal ABI since 1.17 (`abi-internal.md` in Go's sources): which registers, or which
//! part of the stack, arguments and results are assigned to.

use coral_ebpf_common::{BASE_STACK, ErrorTest, ValueKind, ValueSpec};

use super::place::{Part, Piece, Place};
use super::types::{Kind, Type};
use super::{Shape, Signature, SignatureSource, Unreadable, Variable};

/// RAX RBX RCX RDI RSI R8 R9 R10 R11, by their DWARF numbers.
pub(super) const REGISTERS: [u8; 9] = [0, 3, 2, 5, 4, 8, 9, 10, 11];
const REGISTER_NAMES: [&str; 9] = ["rax", "rbx", "rcx", "rdi", "rsi", "r8", "r9", "r10", "r11"];
/// X0 to X14.
const FLOAT_REGISTERS: usize = 15;
/// What is on the stack lies behind the return address.
const STACK_START: u64 = 8;
/// RDI, by its DWARF number.
const RDI: u8 = 5;

/// How the path of the request is read at the entry of `net/http.serverHandler.ServeHTTP`: the
/// receiver is in RAX, the response writer in RBX and RCX, the `*Request` in RDI; its `URL` is at
/// 16, and that one's `Path` at 56 (Go 1.8 and later).
pub fn go_http_path() -> ValueSpec {
    ValueSpec {
        kind: ValueKind::StringAt as u8,
        base: RDI,
        second: 0,
        steps: 1,
        len: coral_ebpf_common::VALUE_BYTES as u32,
        offsets: [16, 56, 0, 0],
    }
}

/// An argument or a result.
pub(super) struct Assignee<'t> {
    pub(super) kind: &'t Type,
    /// The register that DWARF says it begins in. Go 1.21 does not list arguments that are called
    /// `_`: they show by the registers that those behind them begin in.
    pub(super) begins_in: Option<u8>,
}

/// Where arguments and results are, in their order. `is_unlisted`: there may be an argument
/// anywhere among them that is not listed.
pub(super) fn assign(
    arguments: &[Assignee<'_>],
    is_unlisted: bool,
    results: &[Assignee<'_>],
) -> (Vec<Place>, Vec<Place>) {
    let mut stack = STACK_START;
    let arguments = assign_list(arguments, is_unlisted, &mut stack);
    stack = stack.checked_next_multiple_of(8).unwrap_or(stack);
    let results = assign_list(results, false, &mut stack);
    (arguments, results)
}

/// The registers of a function of which nothing else is known.
pub(super) fn raw() -> Signature {
    let registers = REGISTERS.iter().zip(REGISTER_NAMES);
    let registers: Vec<Variable> = registers
        .take(coral_ebpf_common::VALUES_MAX)
        .map(|(&register, name)| Variable {
            name: name.to_owned(),
            type_name: String::new(),
            shape: Shape::Raw,
            read: super::place::word(Part::Register(register), 8, false),
        })
        .collect();
    Signature {
        arguments: registers.clone(),
        results: registers,
        error: None::<ErrorTest>,
        future: None,
        source: SignatureSource::Abi,
    }
}

fn assign_list(assignees: &[Assignee<'_>], mut is_unlisted: bool, stack: &mut u64) -> Vec<Place> {
    let mut registers = Registers::default();
    let mut is_unknown = false;
    let mut first_skip = assignees.len();
    let places = assignees.iter().enumerate().map(|(index, assignee)| {
        let kind = assignee.kind;
        let expected = assignee.begins_in.and_then(index_of);
        if expected.is_some_and(|expected| expected > registers.integers) {
            is_unlisted = true;
            first_skip = first_skip.min(index);
        }
        is_unknown |= expected.is_some_and(|expected| expected < registers.integers);
        registers.integers = expected.unwrap_or(registers.integers);
        let mut pieces = Vec::new();
        let before = registers;
        match registers.assign(kind, 0, &mut pieces) {
            // What follows something of unknown size may be anywhere.
            Assigned::Unknown => is_unknown = true,
            Assigned::Registers => {}
            Assigned::Stack => registers = before,
        }
        if is_unknown {
            return Place::Unreadable(Unreadable::Convention);
        }
        let is_told = assignee.begins_in.is_some() || kind.size == 0;
        if is_unlisted && !is_told {
            return Place::Unreadable(Unreadable::OptimizedOut);
        }
        if registers != before || kind.size == 0 {
            return Place::Pieces(pieces);
        }
        let start = stack.checked_next_multiple_of(kind.align().min(8));
        let start = start.unwrap_or(u64::MAX);
        *stack = start.saturating_add(kind.size);
        Place::Memory {
            base: BASE_STACK,
            offset: i64::try_from(start).unwrap_or(i64::MAX),
        }
    });
    let mut places: Vec<Place> = places.collect();
    if is_unknown {
        // What seemed to be behind an argument that is not listed may be where DWARF has a
        // variable that was given the value of another argument.
        places[first_skip..].fill(Place::Unreadable(Unreadable::Convention));
    }
    places
}

fn index_of(register: u8) -> Option<usize> {
    REGISTERS.iter().position(|&other| other == register)
}

/// How many registers are taken.
#[derive(Clone, Copy, Default, PartialEq)]
struct Registers {
    integers: usize,
    floats: usize,
}

#[derive(PartialEq)]
enum Assigned {
    Registers,
    Stack,
    Unknown,
}

impl Registers {
    fn assign(&mut self, value: &Type, at: u64, pieces: &mut Vec<Piece>) -> Assigned {
        match &value.kind {
            Kind::Unknown | Kind::Union(_) => Assigned::Unknown,
            Kind::Scalar(_) | Kind::Pointer(_) => self.integer(at, value.size, pieces),
            Kind::Float => self.float(at, value.size, pieces),
            Kind::Complex => {
                let half = value.size / 2;
                match self.float(at, half, pieces) {
                    Assigned::Registers => self.float(at.saturating_add(half), half, pieces),
                    other => other,
                }
            }
            Kind::GoString | Kind::GoInterface(_) => self.integers(at, 2, pieces),
            Kind::GoSlice(_) => self.integers(at, 3, pieces),
            Kind::Struct(data) => {
                for field in &data.fields {
                    let at = at.saturating_add(field.offset);
                    match self.assign(&field.value, at, pieces) {
                        Assigned::Registers => {}
                        other => return other,
                    }
                }
                Assigned::Registers
            }
            Kind::Array { len: 0, .. } => Assigned::Registers,
            Kind::Array { element, len: 1 } => self.assign(element, at, pieces),
            Kind::Array { .. } => Assigned::Stack,
        }
    }

    fn integers(&mut self, at: u64, count: u64, pieces: &mut Vec<Piece>) -> Assigned {
        for index in 0..count {
            if self.integer(at.saturating_add(8 * index), 8, pieces) == Assigned::Stack {
                return Assigned::Stack;
            }
        }
        Assigned::Registers
    }

    fn integer(&mut self, offset: u64, size: u64, pieces: &mut Vec<Piece>) -> Assigned {
        let Some(&register) = REGISTERS.get(self.integers) else {
            return Assigned::Stack;
        };
        self.integers += 1;
        pieces.push(Piece {
            offset,
            size,
            part: Part::Register(register),
        });
        Assigned::Registers
    }

    fn float(&mut self, offset: u64, size: u64, pieces: &mut Vec<Piece>) -> Assigned {
        if self.floats == FLOAT_REGISTERS {
            return Assigned::Stack;
        }
        self.floats += 1;
        pieces.push(Piece {
            offset,
            size,
            part: Part::FloatRegister,
        });
        Assigned::Registers
    }
}
