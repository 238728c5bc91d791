//! Indirect jumps: which are jump tables, where the tables are and how long.

use super::super::ReadOnlyData;
use super::super::jump_table::MAX_ENTRIES;
use super::decode::{FlowControl, Instruction};
use super::registers::{constant_operand, sets_flags, written};

/// How many instructions before a jump are looked at.
const WINDOW: usize = 24;

/// The condition codes of unsigned comparisons, as `b.cond` encodes them.
mod condition {
    pub(super) const HIGHER_OR_SAME: u32 = 2;
    pub(super) const LOWER: u32 = 3;
    pub(super) const HIGHER: u32 = 8;
    pub(super) const LOWER_OR_SAME: u32 = 9;
}

/// What an indirect jump is.
#[derive(Clone, Copy, Debug)]
pub(super) enum Jump {
    /// To that address.
    Constant(u64),
    /// Through a pointer at a fixed address, such as the entry of a linkage table: to another
    /// function.
    Leaves,
    /// Through a pointer in an object: to another function, unless this one has code that nothing
    /// else leads to.
    Pointer,
    /// Through a register that nothing nearby explains.
    Unknown,
    /// Through a table.
    Table(Dispatch),
}

/// A jump through a table.
#[derive(Clone, Copy, Debug)]
pub(super) struct Dispatch {
    pub(super) table: Base,
    pub(super) format: Format,
    /// How many entries the table has, where a comparison before the jump says so.
    pub(super) entries: Option<u64>,
}

/// An address, as far as it is known.
#[derive(Clone, Copy, Debug)]
pub(super) enum Base {
    Address(u64),
    /// Loaded into that register, too far away to be seen.
    Register(u8),
}

/// What the entries of a table are.
#[derive(Clone, Copy, Debug)]
pub(super) enum Format {
    /// Eight bytes: the target's address.
    Absolute,
    /// The distance of the target from a label, or from the table itself.
    Relative(Offset, Option<u64>),
}

/// How a distance is encoded.
#[derive(Clone, Copy, Debug)]
pub(super) struct Offset {
    /// The size of an entry is 2 to this power, in bytes.
    size_log2: u32,
    signed: bool,
    /// The distance is this far shifted to the right.
    shift: u32,
}

impl Format {
    /// The size of an entry in bytes.
    pub(super) fn size(self) -> u64 {
        match self {
            Self::Absolute => 8,
            Self::Relative(offset, _) => 1 << offset.size_log2,
        }
    }

    /// Whether entries are so short that almost any byte would be one.
    pub(super) fn is_short(self) -> bool {
        self.size() < 4
    }

    /// The address in the table's entry of that number.
    pub(super) fn target(self, data: &dyn ReadOnlyData, table: u64, number: u64) -> Option<u64> {
        let size = self.size();
        let address = table.checked_add(number.checked_mul(size)?)?;
        let mut bytes = [0; 8];
        bytes[..size as usize].copy_from_slice(data.read(address, size as usize)?);
        let value = u64::from_le_bytes(bytes);
        let Self::Relative(offset, label) = self else {
            return Some(value);
        };
        let unused = 64 - 8 * size as u32;
        let distance = match offset.signed {
            true => ((value << unused) as i64) >> unused,
            false => value as i64,
        };
        Some(
            label
                .unwrap_or(table)
                .wrapping_add_signed(distance << offset.shift),
        )
    }
}

/// What a conditional jump proved about a register where it was taken.
#[derive(Clone, Copy, Debug)]
pub(super) struct Guard {
    register: u8,
    entries: u64,
}

/// The last instructions of a straight line of code.
#[derive(Default)]
pub(super) struct Window {
    recent: [Instruction; WINDOW],
    count: usize,
    guard: Option<Guard>,
}

impl Window {
    /// Forgets everything: a new straight line begins, entered by a jump with that guard.
    pub(super) fn restart(&mut self, guard: Option<Guard>) {
        self.count = 0;
        self.guard = guard;
    }

    pub(super) fn push(&mut self, instruction: Instruction) {
        self.recent[self.count % WINDOW] = instruction;
        self.count += 1;
    }

    /// What holds where this conditional jump, the next instruction of the line, is taken.
    pub(super) fn guard_if_taken(&self, jump: Instruction) -> Option<Guard> {
        let inclusive = match condition(jump)? {
            condition::LOWER_OR_SAME => 1,
            condition::LOWER => 0,
            _ => return None,
        };
        let (register, constant) = self.comparison(0)?;
        let entries = constant + inclusive;
        Some(Guard { register, entries })
    }

    /// What a jump to the address in that register, the next instruction of the line, is.
    pub(super) fn recognise(&self, register: u8) -> Jump {
        self.recognise_from(register, 0)
    }

    /// The constant that an instruction, the next of the line, leaves in its destination.
    pub(super) fn constant_after(&self, instruction: Instruction) -> Option<u64> {
        self.value(instruction, 0)
    }

    fn recognise_from(&self, register: u8, age: usize) -> Jump {
        if let Some(address) = self.constant(register, age) {
            return Jump::Constant(address);
        }
        let Some((age, definition)) = self.definition(register, age) else {
            return Jump::Unknown;
        };
        if let Some(source) = copied(definition) {
            return self.recognise_from(source, age + 1);
        }
        if let Some(load) = Load::read(definition) {
            return self.recognise_load(&load, age + 1);
        }
        match Sum::read(definition) {
            Some(sum) => self.recognise_sum(sum, age + 1),
            None => Jump::Unknown,
        }
    }

    /// `ldr x1, [x0, #8]` loads a function's address, `ldr x1, [x2, x0, lsl #3]` that of code in
    /// this one.
    fn recognise_load(&self, load: &Load, age: usize) -> Jump {
        if load.size_log2 != 3 {
            return Jump::Unknown;
        }
        match load.index {
            Some(index) => Jump::Table(Dispatch {
                table: self.base(load.base, age),
                format: Format::Absolute,
                entries: self.bound(index, age),
            }),
            None if self.constant(load.base, age).is_some() => Jump::Leaves,
            None => match self.definition(load.base, age) {
                // The address of a table's entry, computed beforehand.
                Some((_, definition)) if Sum::read(definition).is_some() => Jump::Unknown,
                _ => Jump::Pointer,
            },
        }
    }

    /// `ldrb w0, [x0, w1, uxtw]; adr x1, label; add x0, x1, w0, sxtb #2` of GCC, and
    /// `ldrsw x10, [x9, x8, lsl #2]; add x9, x9, x10` of LLVM.
    fn recognise_sum(&self, sum: Sum, age: usize) -> Jump {
        for (base, offset) in [(sum.left, sum.right), (sum.right, sum.left)] {
            let Some((load_age, definition)) = self.definition(offset, age) else {
                continue;
            };
            let Some((load, index)) =
                Load::read(definition).and_then(|load| Some((load, load.index?)))
            else {
                continue;
            };
            let Some(signed) = sum.extension.signed(&load) else {
                continue;
            };
            let offset = Offset {
                size_log2: load.size_log2,
                signed,
                shift: sum.shift,
            };
            let table = self.base(load.base, load_age + 1);
            let label = match (self.base(base, age), table) {
                (Base::Address(label), _) => Some(label),
                (Base::Register(label), Base::Register(table)) if label == table => None,
                _ => continue,
            };
            return Jump::Table(Dispatch {
                table,
                format: Format::Relative(offset, label),
                entries: self.bound(index, load_age + 1),
            });
        }
        Jump::Unknown
    }

    fn base(&self, register: u8, age: usize) -> Base {
        match self.constant(register, age) {
            Some(address) => Base::Address(address),
            None => Base::Register(register),
        }
    }

    /// The address that a register holds before the instruction of that age.
    fn constant(&self, register: u8, age: usize) -> Option<u64> {
        let (age, definition) = self.definition(register, age)?;
        self.value(definition, age + 1)
    }

    /// The address that an instruction computes, where `age` is that of the one before.
    fn value(&self, instruction: Instruction, age: usize) -> Option<u64> {
        if instruction.matches(0x1f00_0000, 0x1000_0000) {
            return Some(page_relative(instruction));
        }
        let source = instruction.bits(5, 5) as u8;
        if let Some(constant) = constant_operand(instruction) {
            return Some(self.constant(source, age)?.wrapping_add_signed(constant));
        }
        self.constant(copied(instruction)?, age)
    }

    /// How many values an index can have, from a comparison with a jump before it.
    fn bound(&self, index: u8, age: usize) -> Option<u64> {
        let mut index = index;
        for age in age.. {
            let Some(instruction) = self.at(age) else {
                break;
            };
            let inclusive = match condition(instruction) {
                Some(condition::HIGHER) => Some(1),
                Some(condition::HIGHER_OR_SAME) => Some(0),
                _ => None,
            };
            if let Some((inclusive, (compared, constant))) = inclusive.zip(self.comparison(age + 1))
                && compared == index
            {
                return Some(constant + inclusive).filter(|&entries| entries <= MAX_ENTRIES);
            }
            if written(instruction).general & (1 << index) != 0 {
                index = copied(instruction).or_else(|| truncated(instruction))?;
            }
        }
        let guard = self.guard.filter(|guard| guard.register == index)?;
        Some(guard.entries).filter(|&entries| entries <= MAX_ENTRIES)
    }

    /// The register and the constant of the comparison whose result still stands at the
    /// instruction before `age`.
    fn comparison(&self, age: usize) -> Option<(u8, u64)> {
        let flags = (age..)
            .map_while(|age| self.at(age))
            .find(|&instruction| sets_flags(instruction))?;
        let constant = constant_operand(flags)?;
        // A comparison is a subtraction into the zero register.
        let compares = flags.bits(29, 2) == 3 && flags.bits(0, 5) == 31;
        compares.then_some((flags.bits(5, 5) as u8, constant.unsigned_abs()))
    }

    /// The last instruction that wrote a register, from that age on.
    fn definition(&self, register: u8, age: usize) -> Option<(usize, Instruction)> {
        (age..)
            .map_while(|age| Some((age, self.at(age)?)))
            .find(|(_, instruction)| written(*instruction).general & (1 << register) != 0)
    }

    /// The instruction of that age; 0 is the last one.
    fn at(&self, age: usize) -> Option<Instruction> {
        (age < self.count.min(WINDOW)).then(|| self.recent[(self.count - 1 - age) % WINDOW])
    }
}

/// The condition of `b.cond`.
fn condition(instruction: Instruction) -> Option<u32> {
    let conditional = matches!(
        instruction.flow_control(),
        Some(FlowControl::Conditional(_))
    );
    (conditional && instruction.bits(24, 8) == 0x54).then(|| instruction.bits(0, 4))
}

/// What `adr` and `adrp` compute.
fn page_relative(instruction: Instruction) -> u64 {
    let value = instruction.bits(5, 19) << 2 | instruction.bits(29, 2);
    let distance = i64::from(((value << 11) as i32) >> 11);
    match instruction.bits(31, 1) {
        0 => instruction.address.wrapping_add_signed(distance),
        _ => (instruction.address & !0xfff).wrapping_add_signed(distance << 12),
    }
}

/// The register that `mov` copies.
fn copied(instruction: Instruction) -> Option<u8> {
    instruction
        .matches(0x7fe0_ffe0, 0x2a00_03e0)
        .then(|| instruction.bits(16, 5) as u8)
}

/// The register whose low bits `uxtb`, `uxth` and their like with sign keep.
fn truncated(instruction: Instruction) -> Option<u8> {
    // ubfm and sbfm from bit 0 on
    instruction
        .matches(0x1fbf_0000, 0x1300_0000)
        .then(|| instruction.bits(5, 5) as u8)
}

/// A load of an integer.
#[derive(Clone, Copy)]
struct Load {
    base: u8,
    /// The register whose scaled value is added to the base.
    index: Option<u8>,
    size_log2: u32,
    /// Whether it extends the sign.
    signed: bool,
}

impl Load {
    fn read(instruction: Instruction) -> Option<Self> {
        let size_log2 = instruction.bits(30, 2);
        let operation = instruction.bits(22, 2);
        let indexed = instruction.matches(0x3f20_0c00, 0x3820_0800);
        let scaled = instruction.bits(12, 1) == 1;
        let integer = operation != 0 && (size_log2 < 3 || operation == 1);
        let plain = instruction.matches(0x3f00_0000, 0x3900_0000)
            || instruction.matches(0x3f20_0000, 0x3800_0000);
        if !integer || !(plain || indexed && (scaled || size_log2 == 0)) {
            return None;
        }
        Some(Self {
            base: instruction.bits(5, 5) as u8,
            index: indexed.then(|| instruction.bits(16, 5) as u8),
            size_log2,
            signed: operation != 1,
        })
    }
}

/// `add` of two registers, the second of them extended or shifted.
#[derive(Clone, Copy)]
struct Sum {
    left: u8,
    right: u8,
    extension: Extension,
    shift: u32,
}

#[derive(Clone, Copy)]
enum Extension {
    None,
    /// Of that many bytes, as a power of two.
    Bytes {
        size_log2: u32,
        signed: bool,
    },
}

impl Sum {
    fn read(instruction: Instruction) -> Option<Self> {
        let (extension, shift) = if instruction.matches(0xffe0_0000, 0x8b00_0000) {
            (Extension::None, instruction.bits(10, 6))
        } else if instruction.matches(0xffe0_0000, 0x8b20_0000) {
            let extension = Extension::Bytes {
                size_log2: instruction.bits(13, 2),
                signed: instruction.bits(15, 1) == 1,
            };
            (extension, instruction.bits(10, 3))
        } else {
            return None;
        };
        (shift <= 4).then(|| Self {
            left: instruction.bits(5, 5) as u8,
            right: instruction.bits(16, 5) as u8,
            extension,
            shift,
        })
    }
}

impl Extension {
    /// Whether what was loaded counts as signed; `None` if only a part of it counts.
    fn signed(self, load: &Load) -> Option<bool> {
        match self {
            Self::Bytes { size_log2, signed } if size_log2 == load.size_log2 => Some(signed),
            Self::Bytes { size_log2, .. } if size_log2 < load.size_log2 => None,
            Self::None | Self::Bytes { .. } => Some(load.signed),
        }
    }
}
