//! The System V ABI for x86-64 (3.2.3, parameter passing), as C and C++ use it.

use coral_ebpf_common::{BASE_RESULT, BASE_STACK};

use super::Unreadable;
use super::place::{Part, Piece, Place};
use super::types::{Field, Kind, Type};

/// RDI RSI RDX RCX R8 R9, by their DWARF numbers.
pub(super) const REGISTERS: [u8; 6] = [5, 4, 1, 2, 8, 9];
/// XMM0 to XMM7.
const FLOAT_REGISTERS: usize = 8;
/// RAX and RDX.
pub(super) const RESULT_REGISTERS: [u8; 2] = [0, 1];
/// Arguments on the stack lie behind the return address.
pub(super) const STACK_START: u64 = 8;
/// Arrays and structures of more elements than this are larger than what registers hold.
const LEAVES_MAX: usize = 64;

/// How the two halves of a value are passed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Class {
    None,
    Integer,
    Float,
}

/// How a whole value is passed.
enum Passed {
    Registers(Vec<Class>),
    Memory,
    /// A pointer to it is passed.
    Reference,
    Unknown,
}

/// Where arguments are at the entry. `is_reference` tells which of them are known to be passed by
/// a reference.
pub(super) fn arguments(types: &[(&Type, bool)], result: Option<&Type>) -> Vec<Place> {
    let mut state = Arguments::default();
    match result.map(passed) {
        None | Some(Passed::Registers(_)) => {}
        // The address of the memory for the result is the first argument.
        Some(Passed::Memory | Passed::Reference) => state.integers = 1,
        Some(Passed::Unknown) => state.is_unknown = true,
    }
    types
        .iter()
        .map(|&(kind, is_reference)| state.assign(kind, is_reference))
        .collect()
}

/// Where a result is at the return.
pub(super) fn result(kind: &Type) -> Place {
    match passed(kind) {
        Passed::Memory | Passed::Reference => Place::Memory {
            base: BASE_RESULT,
            offset: 0,
        },
        Passed::Unknown => Place::Unreadable(Unreadable::Convention),
        Passed::Registers(classes) => {
            let mut registers = RESULT_REGISTERS.into_iter();
            let pieces = classes.iter().enumerate().filter_map(|(half, class)| {
                let part = match class {
                    Class::None => return None,
                    Class::Float => Part::FloatRegister,
                    Class::Integer => Part::Register(registers.next()?),
                };
                Some(half_of(kind, half, part))
            });
            Place::Pieces(pieces.collect())
        }
    }
}

#[derive(Default)]
struct Arguments {
    integers: usize,
    floats: usize,
    stack: u64,
    is_unknown: bool,
}

impl Arguments {
    fn assign(&mut self, kind: &Type, is_reference: bool) -> Place {
        if self.is_unknown {
            return Place::Unreadable(Unreadable::Convention);
        }
        let passed = if is_reference {
            Passed::Reference
        } else {
            passed(kind)
        };
        match passed {
            Passed::Unknown => {
                self.is_unknown = true;
                Place::Unreadable(Unreadable::Convention)
            }
            Passed::Memory => self.on_stack(kind),
            Passed::Reference => match REGISTERS.get(self.integers) {
                Some(&base) => {
                    self.integers += 1;
                    Place::Memory { base, offset: 0 }
                }
                None => {
                    self.stack = self.stack.saturating_add(8);
                    Place::Unreadable(Unreadable::Split)
                }
            },
            Passed::Registers(classes) => self.in_registers(kind, &classes),
        }
    }

    /// A value of which a half finds no register goes to the stack whole.
    fn in_registers(&mut self, kind: &Type, classes: &[Class]) -> Place {
        let count = |wanted| classes.iter().filter(|&&class| class == wanted).count();
        let (integers, floats) = (count(Class::Integer), count(Class::Float));
        if self.integers + integers > REGISTERS.len() || self.floats + floats > FLOAT_REGISTERS {
            return self.on_stack(kind);
        }
        self.floats += floats;
        let pieces = classes.iter().enumerate().filter_map(|(half, class)| {
            let part = match class {
                Class::None => return None,
                Class::Float => Part::FloatRegister,
                Class::Integer => {
                    self.integers += 1;
                    Part::Register(REGISTERS[self.integers - 1])
                }
            };
            Some(half_of(kind, half, part))
        });
        Place::Pieces(pieces.collect())
    }

    fn on_stack(&mut self, kind: &Type) -> Place {
        let align = kind.align().max(8);
        let start = self.stack.checked_next_multiple_of(align).unwrap_or(0);
        self.stack = start.saturating_add(kind.size.max(1));
        self.stack = self
            .stack
            .checked_next_multiple_of(8)
            .unwrap_or(u64::MAX - 7);
        Place::Memory {
            base: BASE_STACK,
            offset: i64::try_from(start.saturating_add(STACK_START)).unwrap_or(i64::MAX),
        }
    }
}

fn half_of(kind: &Type, half: usize, part: Part) -> Piece {
    let offset = 8 * half as u64;
    Piece {
        offset,
        size: kind.size.saturating_sub(offset).min(8),
        part,
    }
}

fn passed(kind: &Type) -> Passed {
    match &kind.kind {
        Kind::Unknown => return Passed::Unknown,
        Kind::Struct(data) if data.by_reference => return Passed::Reference,
        _ => {}
    }
    if kind.size > 16 {
        return Passed::Memory;
    }
    let mut classes = vec![Class::None; kind.size.div_ceil(8) as usize];
    let mut leaves_left = LEAVES_MAX;
    match classify(kind, 0, &mut classes, &mut leaves_left) {
        Some(true) => Passed::Registers(classes),
        Some(false) => Passed::Memory,
        None => Passed::Unknown,
    }
}

/// Merges a value's leaves into the classes of the halves; false if it is passed in memory, `None`
/// if that can not be told.
fn classify(kind: &Type, at: u64, classes: &mut [Class], leaves_left: &mut usize) -> Option<bool> {
    let mut of_fields = |fields: &[Field]| {
        for field in fields {
            let at = at.checked_add(field.offset)?;
            if !classify(&field.value, at, classes, leaves_left)? {
                return Some(false);
            }
        }
        Some(true)
    };
    match &kind.kind {
        Kind::Struct(data) if data.variants.is_some() => None,
        Kind::Struct(data) => of_fields(&data.fields),
        Kind::Union(fields) => of_fields(fields),
        Kind::Array { element, len } => {
            for index in 0..*len {
                *leaves_left = leaves_left.checked_sub(1)?;
                let at = at.checked_add(index.checked_mul(element.size)?)?;
                if !classify(element, at, classes, leaves_left)? {
                    return Some(false);
                }
            }
            Some(true)
        }
        leaf => {
            *leaves_left = leaves_left.checked_sub(1)?;
            let class = match leaf {
                // A `long double` has registers of its own, and never these.
                Kind::Float | Kind::Complex if kind.size > 8 && leaf == &Kind::Float => {
                    return Some(false);
                }
                Kind::Float | Kind::Complex => Class::Float,
                _ => Class::Integer,
            };
            if !at.is_multiple_of(kind.align()) {
                return Some(false);
            }
            let halves = at / 8..at.checked_add(kind.size)?.div_ceil(8);
            for half in halves {
                let merged = classes.get_mut(usize::try_from(half).ok()?)?;
                if *merged != Class::Integer {
                    *merged = class;
                }
            }
            Some(true)
        }
    }
}
