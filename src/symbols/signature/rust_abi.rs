//! How rustc passes values between Rust functions on x86-64: by the layout of the value, not by
//! the System V classes. Found in `rustc_ty_utils::abi` and held against programs of rustc 1.98.
//!
//! One number goes to one register and two numbers to two; of anything else up to 8 bytes go to
//! one register, and more is passed by its address.

use coral_ebpf_common::{BASE_RESULT, BASE_STACK};

use super::Unreadable;
use super::place::{Part, Piece, Place};
use super::system_v::{REGISTERS, RESULT_REGISTERS, STACK_START};
use super::types::{Field, Kind, Struct, Type, Variants};

const FLOAT_REGISTERS: usize = 8;

/// A number in a value.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Number {
    offset: u64,
    size: u64,
    is_float: bool,
}

/// What the compiler takes a value for.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Layout {
    Nothing,
    One(Number),
    Two(Number, Number),
    Aggregate,
    Unknown,
}

/// Where arguments are at the entry.
pub(super) fn arguments(types: &[&Type], result: Option<&Type>) -> Vec<Place> {
    let mut state = Arguments::default();
    match result.map(place_of_result) {
        Some(Place::Memory { .. }) => state.integers = 1,
        Some(Place::Unreadable(_)) => state.is_unknown = true,
        _ => {}
    }
    types.iter().map(|kind| state.assign(kind)).collect()
}

/// Where a result is at the return.
pub(super) fn place_of_result(kind: &Type) -> Place {
    let numbers = match layout(kind) {
        Layout::Unknown => return Place::Unreadable(Unreadable::Convention),
        Layout::Nothing => Vec::new(),
        Layout::One(number) if number.size > 8 => return wide(kind, RESULT_REGISTERS),
        Layout::One(number) => vec![number],
        Layout::Two(first, second) => vec![first, second],
        Layout::Aggregate if kind.size <= 8 => {
            return Place::register(RESULT_REGISTERS[0], kind.size);
        }
        Layout::Aggregate => {
            return Place::Memory {
                base: BASE_RESULT,
                offset: 0,
            };
        }
    };
    let mut registers = RESULT_REGISTERS.into_iter();
    let pieces = numbers.into_iter().filter_map(|number| {
        let part = if number.is_float {
            Part::FloatRegister
        } else {
            Part::Register(registers.next()?)
        };
        Some(number.in_part(part))
    });
    Place::Pieces(pieces.collect())
}

impl Number {
    fn in_part(self, part: Part) -> Piece {
        Piece {
            offset: self.offset,
            size: self.size,
            part,
        }
    }
}

/// A number of 16 bytes in two registers.
fn wide(kind: &Type, registers: [u8; 2]) -> Place {
    if kind.size != 16 {
        return Place::Unreadable(Unreadable::Convention);
    }
    let pieces = [0, 8].into_iter().zip(registers);
    let pieces = pieces.map(|(offset, register)| Piece {
        offset,
        size: 8,
        part: Part::Register(register),
    });
    Place::Pieces(pieces.collect())
}

#[derive(Default)]
struct Arguments {
    integers: usize,
    floats: usize,
    stack: u64,
    is_unknown: bool,
}

impl Arguments {
    fn assign(&mut self, kind: &Type) -> Place {
        if self.is_unknown {
            return Place::Unreadable(Unreadable::Convention);
        }
        match layout(kind) {
            Layout::Nothing => Place::Pieces(Vec::new()),
            Layout::One(number) if number.size <= 8 => Place::Pieces(vec![self.number(number)]),
            Layout::Two(first, second) => {
                Place::Pieces(vec![self.number(first), self.number(second)])
            }
            Layout::Aggregate if kind.size <= 8 => {
                let whole = Number {
                    offset: 0,
                    size: kind.size,
                    is_float: false,
                };
                Place::Pieces(vec![self.number(whole)])
            }
            Layout::Aggregate => {
                let address = Number {
                    offset: 0,
                    size: 8,
                    is_float: false,
                };
                match self.number(address).part {
                    Part::Register(base) => Place::Memory { base, offset: 0 },
                    _ => Place::Unreadable(Unreadable::Split),
                }
            }
            Layout::One(_) => match REGISTERS.get(self.integers..self.integers + 2) {
                Some(&[low, high]) => {
                    self.integers += 2;
                    wide(kind, [low, high])
                }
                _ => self.lose(),
            },
            Layout::Unknown => self.lose(),
        }
    }

    fn lose(&mut self) -> Place {
        self.is_unknown = true;
        Place::Unreadable(Unreadable::Convention)
    }

    fn number(&mut self, number: Number) -> Piece {
        if number.is_float && self.floats < FLOAT_REGISTERS {
            self.floats += 1;
            return number.in_part(Part::FloatRegister);
        }
        if !number.is_float
            && let Some(&register) = REGISTERS.get(self.integers)
        {
            self.integers += 1;
            return number.in_part(Part::Register(register));
        }
        let offset = self.stack.saturating_add(STACK_START);
        self.stack = self.stack.saturating_add(8);
        number.in_part(Part::Memory {
            base: BASE_STACK,
            offset: i64::try_from(offset).unwrap_or(i64::MAX),
        })
    }
}

fn layout(kind: &Type) -> Layout {
    let number = |is_float| {
        Layout::One(Number {
            offset: 0,
            size: kind.size,
            is_float,
        })
    };
    match &kind.kind {
        // Types of nothing have no entries of their own.
        Kind::Unknown => Layout::Unknown,
        _ if kind.size == 0 => Layout::Nothing,
        Kind::Scalar(_) | Kind::Pointer(_) => number(false),
        Kind::Float => number(true),
        Kind::Array { .. } => Layout::Aggregate,
        Kind::Struct(data) => layout_of_struct(kind, data),
        Kind::Union(fields) => layout_of_union(kind, fields),
        _ => Layout::Unknown,
    }
}

fn layout_of_struct(whole: &Type, data: &Struct) -> Layout {
    if let Some(variants) = &data.variants {
        return layout_of_variants(whole, variants);
    }
    let fields: Vec<&Field> = filled(&data.fields).collect();
    match fields[..] {
        [] => Layout::Aggregate,
        [only] if only.value.size == whole.size => layout(&only.value),
        [first, second] => {
            // Each is looked at once: they may be nested deeply.
            match (layout(&first.value), layout(&second.value)) {
                (Layout::One(mut a), Layout::One(mut b)) => {
                    a.offset = first.offset;
                    b.offset = second.offset;
                    pair(whole, a, b)
                }
                (Layout::Unknown, _) | (_, Layout::Unknown) => Layout::Unknown,
                _ => Layout::Aggregate,
            }
        }
        _ => unless_unknown(fields.iter().map(|field| &field.value)),
    }
}

fn layout_of_union(whole: &Type, fields: &[Field]) -> Layout {
    let mut layouts = filled(fields).map(|field| layout(&field.value));
    let first = layouts.next().unwrap_or(Layout::Aggregate);
    let is_whole = filled(fields).all(|field| field.value.size == whole.size);
    if is_whole && layouts.all(|layout| layout == first) {
        first
    } else {
        Layout::Aggregate
    }
}

fn layout_of_variants(whole: &Type, variants: &Variants) -> Layout {
    let Some(tag) = &variants.tag else {
        return match &variants.all[..] {
            [only] => layout(&only.data.value),
            // Some of them can not exist; which is not said.
            _ => Layout::Unknown,
        };
    };
    let tag_number = Number {
        offset: tag.offset,
        size: tag.value.size,
        is_float: false,
    };
    let fields = |index: usize| match &variants.all[index].data.value.kind {
        Kind::Struct(data) => filled(&data.fields).collect(),
        _ => Vec::new(),
    };
    let niche = variants
        .all
        .iter()
        .position(|variant| variant.tag.is_none());
    if let Some(niche) = niche {
        // The tag lies in a value of one variant that it can not have; the others hold nothing.
        let others_empty = (0..variants.all.len())
            .filter(|&index| index != niche)
            .all(|index| fields(index).is_empty());
        return if others_empty {
            layout(&variants.all[niche].data.value)
        } else {
            Layout::Aggregate
        };
    }
    if tag.value.size == whole.size {
        return Layout::One(tag_number);
    }
    let mut common: Option<Number> = None;
    for index in 0..variants.all.len() {
        let fields = fields(index);
        let number = match fields[..] {
            [] => continue,
            [only] => match layout(&only.value) {
                Layout::One(number) => Number {
                    offset: only.offset,
                    ..number
                },
                Layout::Unknown => return Layout::Unknown,
                _ => return Layout::Aggregate,
            },
            _ => return Layout::Aggregate,
        };
        if common.is_some_and(|common| common != number) {
            return Layout::Aggregate;
        }
        common = Some(number);
    }
    match common {
        Some(common) => pair(whole, tag_number, common),
        None => Layout::Aggregate,
    }
}

/// Two numbers are passed by themselves if they lie as two numbers would.
fn pair(whole: &Type, a: Number, b: Number) -> Layout {
    let (first, second) = if a.offset <= b.offset { (a, b) } else { (b, a) };
    let sizes = [first.size, second.size];
    if first.offset != 0 || sizes.iter().any(|size| ![1, 2, 4, 8].contains(size)) {
        return Layout::Aggregate;
    }
    let size = first.size.next_multiple_of(second.size) + second.size;
    let size = size.next_multiple_of(first.size.max(second.size));
    if second.offset == first.size.next_multiple_of(second.size) && size == whole.size {
        Layout::Two(first, second)
    } else {
        Layout::Aggregate
    }
}

fn unless_unknown<'t>(types: impl IntoIterator<Item = &'t Type>) -> Layout {
    let mut types = types.into_iter();
    if types.any(|kind| layout(kind) == Layout::Unknown) {
        Layout::Unknown
    } else {
        Layout::Aggregate
    }
}

/// The fields that are not empty.
fn filled(fields: &[Field]) -> impl Iterator<Item = &Field> {
    fields.iter().filter(|field| field.value.size > 0)
}
