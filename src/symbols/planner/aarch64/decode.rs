//! What an AArch64 instruction does to the flow of control.
//!
//! After the Arm Architecture Reference Manual (DDI 0487), chapter C4: bits 28 to 25 tell the
//! group. Branches and system instructions are decoded completely; of the other groups only
//! whether they are allocated, because whatever is in them goes on with the next instruction.

use super::super::code::Code;

/// The length of every instruction in bytes.
pub(super) const INSTRUCTION_LEN: u64 = 4;

/// An instruction and where it is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Instruction {
    /// Its virtual address in the file.
    pub(super) address: u64,
    /// Its encoding.
    pub(super) word: u32,
}

/// Where an instruction goes on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum FlowControl {
    /// With the next one.
    Next,
    /// With the next one, once a called function has returned; at that address, if it is constant.
    Call(Option<u64>),
    /// At that address, or with the next one.
    Conditional(u64),
    /// At that address.
    Jump(u64),
    /// At the address in that register.
    IndirectJump(u8),
    /// In the caller.
    Return,
    /// Away by a jump or return that checks a signature, or from an exception; Linux refuses
    /// probes there.
    UnsafeJump,
    /// Nowhere: a breakpoint.
    Breakpoint,
    /// Nowhere: an undefined instruction or another trap.
    Trap,
}

impl Instruction {
    /// The instruction at a position; `None` where fewer than four bytes are left.
    pub(super) fn at(code: &Code<'_>, position: usize) -> Option<Self> {
        let (address, bytes) = code.at(position);
        Some(Self {
            address,
            word: u32::from_le_bytes(*bytes.first_chunk()?),
        })
    }

    /// The address behind it.
    pub(super) fn next(self) -> u64 {
        self.address.wrapping_add(INSTRUCTION_LEN)
    }

    /// What it does to the flow of control; `None` if it is not allocated.
    pub(super) fn flow_control(self) -> Option<FlowControl> {
        match self.bits(25, 4) {
            0b0000 if self.word >> 16 == 0 => Some(FlowControl::Trap),
            // The matrix extension.
            0b0000 if self.word >> 31 == 1 => Some(FlowControl::Next),
            0b0000 | 0b0001 | 0b0011 => None,
            0b1010 | 0b1011 => self.branch_or_system(),
            _ => Some(FlowControl::Next),
        }
    }

    fn branch_or_system(self) -> Option<FlowControl> {
        use FlowControl::*;
        match self.bits(24, 8) {
            0x14..=0x17 => Some(Jump(self.target(0, 26))),
            0x94..=0x97 => Some(Call(Some(self.target(0, 26)))),
            // b.cond, bc.cond; cbz, cbnz
            0x54 | 0x34 | 0x35 | 0xb4 | 0xb5 => Some(Conditional(self.target(5, 19))),
            // tbz, tbnz
            0x36 | 0x37 | 0xb6 | 0xb7 => Some(Conditional(self.target(5, 14))),
            0xd4 => self.exception(),
            0xd5 if self.bits(22, 2) == 0 => Some(Next),
            0xd6 | 0xd7 if self.bits(16, 5) == 0x1f => self.register_branch(),
            _ => None,
        }
    }

    fn exception(self) -> Option<FlowControl> {
        match (self.bits(21, 3), self.bits(0, 5)) {
            // svc
            (0, 1) => Some(FlowControl::Next),
            // hvc, smc; hlt; dcps1 to dcps3
            (0, 2 | 3) | (2, 0) | (5, 1..=3) => Some(FlowControl::Trap),
            // `brk #0xf000` asks for a debugger and goes on.
            (1, 0) if self.bits(5, 16) == 0xf000 => Some(FlowControl::Next),
            (1, 0) => Some(FlowControl::Breakpoint),
            _ => None,
        }
    }

    fn register_branch(self) -> Option<FlowControl> {
        use FlowControl::*;
        let (register, modifier) = (self.bits(5, 5) as u8, self.bits(0, 5));
        match (self.bits(21, 4), self.bits(10, 6)) {
            (0, 0) if modifier == 0 => Some(IndirectJump(register)),
            (1, 0) if modifier == 0 => Some(Call(None)),
            (2, 0) if modifier == 0 => Some(Return),
            // braaz, brabz, retaa, retab; blraaz, blrabz
            (0 | 2, 2 | 3) if modifier == 0x1f => Some(UnsafeJump),
            (1, 2 | 3) if modifier == 0x1f => Some(Call(None)),
            // braa, brab; blraa, blrab
            (8, 2 | 3) => Some(UnsafeJump),
            (9, 2 | 3) => Some(Call(None)),
            // eret, eretaa, eretab; drps
            (4, 0 | 2 | 3) | (5, 0) if register == 0x1f => Some(UnsafeJump),
            _ => None,
        }
    }

    /// The address that a signed field tells, in instructions from here.
    pub(super) fn target(self, lowest: u32, count: u32) -> u64 {
        let unused = 32 - count;
        let distance = ((self.bits(lowest, count) << unused) as i32) >> unused;
        self.address.wrapping_add_signed(i64::from(distance) * 4)
    }

    /// `count` bits from the bit `lowest` on.
    pub(super) fn bits(self, lowest: u32, count: u32) -> u32 {
        (self.word >> lowest) & ((1 << count) - 1)
    }

    /// Whether the bits of a mask have that value.
    pub(super) fn matches(self, mask: u32, value: u32) -> bool {
        self.word & mask == value
    }
}
