//! Which registers an instruction overwrites, and how far it moves the stack pointer.
//!
//! Where it is not known it is overestimated: a register too many costs a better entry or a jump
//! table, one too few would cost a correct argument.

use super::decode::{FlowControl, Instruction};

/// The number of the stack pointer where an instruction can name it.
pub(super) const SP: u8 = 31;

/// A set of registers.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Registers {
    /// A bit for each of X0 to X30, and bit 31 for SP.
    pub(super) general: u32,
    /// A bit for each of V0 to V31.
    pub(super) vector: u32,
}

impl Registers {
    const ALL: Self = Self {
        general: u32::MAX,
        vector: u32::MAX,
    };

    /// Whether none of these registers are in the other set.
    pub(super) fn is_disjoint(self, other: Self) -> bool {
        self.general & other.general == 0 && self.vector & other.vector == 0
    }

    fn general(number: u32) -> Self {
        Self {
            general: 1 << number,
            vector: 0,
        }
    }

    /// The same, where 31 names the zero register.
    fn general_or_zero(number: u32) -> Self {
        Self {
            general: (1 << number) & !(1 << SP),
            vector: 0,
        }
    }

    fn and(self, other: Self) -> Self {
        Self {
            general: self.general | other.general,
            vector: self.vector | other.vector,
        }
    }
}

/// The registers that an instruction overwrites.
pub(super) fn written(instruction: Instruction) -> Registers {
    let destination = instruction.bits(0, 5);
    match instruction.bits(25, 4) {
        0b1000 | 0b1001 => match instruction.bits(23, 3) {
            // add, sub and logical operations of constants, unless they set flags
            0b010 if instruction.bits(29, 1) == 0 => Registers::general(destination),
            0b011 => Registers::general(destination),
            0b100 if instruction.bits(29, 2) != 3 => Registers::general(destination),
            _ => Registers::general_or_zero(destination),
        },
        // ccmp, ccmn
        0b0101 | 0b1101 if instruction.matches(0x3fe0_0000, 0x3a40_0000) => Registers::default(),
        0b0101 | 0b1101 => match instruction.bits(21, 8) {
            // add and sub of an extended register
            0b0101_1001 if instruction.bits(29, 1) == 0 => Registers::general(destination),
            _ => Registers::general_or_zero(destination),
        },
        0b0111 | 0b1111 => Registers {
            general: (1 << destination) & !(1 << SP),
            vector: 1 << destination,
        },
        0b0100 | 0b0110 | 0b1100 | 0b1110 => written_by_access(instruction),
        0b1010 | 0b1011 => written_by_branch_or_system(instruction),
        _ => Registers::ALL,
    }
}

/// Loads and stores.
fn written_by_access(instruction: Instruction) -> Registers {
    let vector = instruction.bits(26, 1) == 1;
    let register = |number: u32| match vector {
        true => Registers {
            general: 0,
            vector: 1 << number,
        },
        false => Registers::general_or_zero(number),
    };
    let first = register(instruction.bits(0, 5));
    let second = register(instruction.bits(10, 5));
    let base = Registers::general(instruction.bits(5, 5));
    match (instruction.bits(27, 3), instruction.bits(24, 1)) {
        // pairs, which write their base behind or before the access if bit 23 is set
        (0b101, _) => {
            let loaded = match instruction.bits(22, 1) {
                1 => first.and(second),
                _ => Registers::default(),
            };
            match instruction.bits(23, 1) {
                1 => loaded.and(base),
                _ => loaded,
            }
        }
        // literals
        (0b011, 0) => first,
        (0b111, 1) => single(instruction, first),
        (0b111, _) if instruction.bits(21, 1) == 0 => {
            let loaded = single(instruction, first);
            match instruction.bits(10, 2) {
                0b01 | 0b11 => loaded.and(base),
                _ => loaded,
            }
        }
        // by a register's offset
        (0b111, _) if instruction.bits(10, 2) == 0b10 => single(instruction, first),
        // atomic operations
        (0b111, _) if instruction.bits(10, 2) == 0b00 && !vector => first,
        _ => Registers::ALL,
    }
}

/// A load or store of one register: what the store reads, the load writes.
fn single(instruction: Instruction, register: Registers) -> Registers {
    let vector = instruction.bits(26, 1) == 1;
    let operation = instruction.bits(22, 2);
    let store = if vector {
        operation & 1 == 0
    } else {
        operation == 0
    };
    if store {
        Registers::default()
    } else {
        register
    }
}

fn written_by_branch_or_system(instruction: Instruction) -> Registers {
    match instruction.flow_control() {
        // A call leaves nothing behind that could be relied on, nor does a system call.
        Some(FlowControl::Call(_)) | None => Registers::ALL,
        Some(FlowControl::Next) if instruction.bits(24, 8) == 0xd4 => Registers::ALL,
        // hints: the signing ones write X30 or X17
        Some(FlowControl::Next) if instruction.matches(0xffff_f01f, 0xd503_201f) => {
            match instruction.bits(5, 7) {
                7 | 24..=31 => Registers::general(30),
                8..=15 => Registers::general(17),
                _ => Registers::default(),
            }
        }
        // mrs, sysl
        Some(FlowControl::Next) if instruction.bits(21, 1) == 1 => {
            Registers::general_or_zero(instruction.bits(0, 5))
        }
        Some(_) => Registers::default(),
    }
}

/// Whether it may change the condition flags.
pub(super) fn sets_flags(instruction: Instruction) -> bool {
    let flags_bit = instruction.bits(29, 1) == 1;
    match instruction.bits(25, 4) {
        // add, sub; and
        0b1000 | 0b1001 => match instruction.bits(23, 3) {
            0b010 => flags_bit,
            0b100 => instruction.bits(29, 2) == 3,
            _ => false,
        },
        // Shifted and extended operands, carries, conditional comparisons, flag manipulation.
        0b0101 | 0b1101 => match instruction.bits(24, 5) {
            0b01010 => instruction.bits(29, 2) == 3,
            0b01011 => flags_bit,
            0b11010 => flags_bit,
            _ => false,
        },
        // fcmp, fccmp
        0b1111 => instruction.bits(28, 4) == 1 && instruction.bits(21, 1) == 1,
        0b0100 | 0b0110 | 0b1100 | 0b1110 => false,
        0b0111 => false,
        0b1010 | 0b1011 => !matches!(
            instruction.flow_control(),
            Some(FlowControl::Conditional(_) | FlowControl::Jump(_))
        ),
        _ => true,
    }
}

/// How many bytes it moves the stack pointer down; `None` if that is not known.
pub(super) fn stack_growth(instruction: Instruction) -> Option<i64> {
    if written(instruction).general & (1 << SP) == 0 {
        return Some(0);
    }
    let base_is_sp = instruction.bits(5, 5) == u32::from(SP);
    let signed = |lowest, count| {
        let unused = 32 - count;
        i64::from(((instruction.bits(lowest, count) << unused) as i32) >> unused)
    };
    if !base_is_sp {
        return None;
    }
    // stp and ldp with their base written, of integers or vectors
    if instruction.matches(0x3a80_0000, 0x2880_0000) {
        let scale = match (instruction.bits(26, 1), instruction.bits(30, 2)) {
            (1, size) => 4 << size,
            (_, 0 | 1) => 4,
            _ => 8,
        };
        return Some(-signed(15, 7) * scale);
    }
    // str and ldr of that kind
    if instruction.matches(0x3b20_0400, 0x3800_0400) {
        return Some(-signed(12, 9));
    }
    let constant = constant_operand(instruction)?;
    (instruction.bits(0, 5) == u32::from(SP)).then_some(-constant)
}

/// What `add` or `sub` of a constant adds.
pub(super) fn constant_operand(instruction: Instruction) -> Option<i64> {
    if !instruction.matches(0x1f80_0000, 0x1100_0000) {
        return None;
    }
    let value = i64::from(instruction.bits(10, 12)) << (12 * instruction.bits(22, 1));
    Some(match instruction.bits(30, 1) {
        0 => value,
        _ => -value,
    })
}
