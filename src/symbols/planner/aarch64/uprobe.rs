//! What Linux does with the instruction under a uprobe: emulate it, single-step a copy, refuse.
//!
//! After `arch/arm64/kernel/probes/decode-insn.c` from 6.13 on, and stricter where the kernel
//! executes a copy that computes something else than the original. Older kernels single-step NOP.

use super::super::SiteCost;
use super::decode::{FlowControl, Instruction};

/// The hints whose copies may be executed: XPACLRI, signing of return addresses, BTI.
const STEPPABLE_HINTS: [u32; 11] = [7, 8, 10, 24, 25, 26, 27, 32, 34, 36, 38];

/// What a probe on this instruction costs; `None` where there must not be one.
pub(super) fn cost(instruction: Instruction) -> Option<SiteCost> {
    match instruction.flow_control()? {
        FlowControl::Conditional(_) if !is_hinted_branch(instruction) => Some(SiteCost::Emulated),
        FlowControl::Jump(_) | FlowControl::IndirectJump(_) | FlowControl::Return => {
            Some(SiteCost::Emulated)
        }
        FlowControl::Call(_) if !is_signed_call(instruction) => Some(SiteCost::Emulated),
        FlowControl::Next if is_address(instruction) || is_nop(instruction) => {
            Some(SiteCost::Emulated)
        }
        FlowControl::Next if is_steppable(instruction) => Some(SiteCost::SingleStepped),
        _ => None,
    }
}

/// Whether it begins or ends an exclusive access, which any trap in between makes fail for ever.
pub(super) fn is_exclusive(instruction: Instruction) -> bool {
    instruction.matches(0x3f80_0000, 0x0800_0000)
}

/// `adr` and `adrp`.
fn is_address(instruction: Instruction) -> bool {
    instruction.matches(0x1f00_0000, 0x1000_0000)
}

pub(super) fn is_nop(instruction: Instruction) -> bool {
    instruction.word == 0xd503_201f
}

/// `bc.cond`: the kernel does not know it and executes a copy.
fn is_hinted_branch(instruction: Instruction) -> bool {
    instruction.matches(0xff00_0010, 0x5400_0010)
}

/// `blraa` and its like.
fn is_signed_call(instruction: Instruction) -> bool {
    instruction.matches(0xfe00_0800, 0xd600_0800)
}

fn is_steppable(instruction: Instruction) -> bool {
    if instruction.bits(24, 8) == 0xd4 {
        return false;
    }
    if instruction.bits(24, 8) == 0xd5 {
        return is_steppable_system(instruction);
    }
    // Literals are at a distance from the instruction: ldr, ldrsw, prfm, and those of vectors,
    // which the kernel forgets. The steps of memory copies must not be torn apart.
    let literal = instruction.matches(0x3b00_0000, 0x1800_0000);
    let memory_copy = instruction.matches(0x3b20_0c00, 0x1900_0400);
    !literal && !memory_copy && !is_exclusive(instruction)
}

fn is_steppable_system(instruction: Instruction) -> bool {
    if instruction.matches(0xffff_f01f, 0xd503_201f) {
        return STEPPABLE_HINTS.contains(&instruction.bits(5, 7));
    }
    // msr to PSTATE and to registers; mrs from DAIF
    let writes = instruction.matches(0xfff8_f01f, 0xd500_401f)
        || instruction.matches(0xfff0_0000, 0xd510_0000);
    !writes && !instruction.matches(0xffff_ffe0, 0xd53b_4220)
}
