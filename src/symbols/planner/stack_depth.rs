//! How far a function has moved the stack pointer, proven from its code.

use std::collections::HashMap;

use iced_x86::{
    Decoder, DecoderOptions, FlowControl, Instruction, InstructionInfoFactory, Mnemonic, OpAccess,
    OpKind, Register,
};

/// More instructions are not followed.
const STEPS_MAX: usize = 1 << 16;

/// How many bytes the stack pointer at an instruction is below the one at the function's entry.
///
/// `address` is the entry's, where `code` begins. The function is one whose frame pointer is 8
/// below the stack pointer at its entry. `None` unless every path to the instruction is known and
/// moves the stack pointer by the same number.
pub fn stack_depth(address: u64, code: &[u8], at: u64) -> Option<u64> {
    let mut search = Search {
        address,
        code,
        depths: HashMap::new(),
        waiting: Vec::new(),
        info: InstructionInfoFactory::new(),
    };
    search.reach(address, Some(0));
    let mut steps = 0;
    while let Some(next) = search.waiting.pop() {
        steps += 1;
        if steps > STEPS_MAX {
            return None;
        }
        search.follow(next)?;
    }
    u64::try_from((*search.depths.get(&at)?)?).ok()
}

struct Search<'a> {
    address: u64,
    code: &'a [u8],
    /// By the address of an instruction: the depth before it, if all paths agree on one.
    depths: HashMap<u64, Option<i64>>,
    waiting: Vec<u64>,
    info: InstructionInfoFactory,
}

impl Search<'_> {
    fn reach(&mut self, address: u64, depth: Option<i64>) {
        let known = self.depths.get(&address).copied();
        let joined = known.map_or(depth, |known| known.filter(|_| known == depth));
        if known != Some(joined) {
            self.depths.insert(address, joined);
            self.waiting.push(address);
        }
    }

    /// Follows one instruction; `None` where it is not known what comes next.
    fn follow(&mut self, address: u64) -> Option<()> {
        let offset = usize::try_from(address.wrapping_sub(self.address)).ok()?;
        let Some(bytes) = self.code.get(offset..).filter(|bytes| !bytes.is_empty()) else {
            // Another part of the function, or another function.
            return Some(());
        };
        let instruction = Decoder::with_ip(64, bytes, address, DecoderOptions::NONE).decode();
        if instruction.is_invalid() {
            return None;
        }
        let before = self.depths.get(&address).copied().flatten();
        let after = before.and_then(|depth| self.depth_behind(&instruction, depth));
        let branches = instruction.op0_kind() == OpKind::NearBranch64;
        match instruction.flow_control() {
            FlowControl::Next
            | FlowControl::Call
            | FlowControl::IndirectCall
            | FlowControl::Interrupt => self.reach(instruction.next_ip(), after),
            FlowControl::ConditionalBranch if branches => {
                self.reach(instruction.near_branch_target(), after);
                self.reach(instruction.next_ip(), after);
            }
            FlowControl::UnconditionalBranch if branches => {
                self.reach(instruction.near_branch_target(), after);
            }
            FlowControl::Return | FlowControl::Exception => {}
            _ => return None,
        }
        Some(())
    }

    fn depth_behind(&mut self, instruction: &Instruction, depth: i64) -> Option<i64> {
        let to = instruction.op0_register();
        match instruction.mnemonic() {
            // What is called takes its return address away.
            Mnemonic::Call => Some(depth),
            Mnemonic::Push | Mnemonic::Pop if to != Register::RSP => {
                depth.checked_sub(instruction.stack_pointer_increment().into())
            }
            Mnemonic::Leave => Some(0),
            Mnemonic::Sub | Mnemonic::Add
                if to == Register::RSP
                    && instruction.op_count() == 2
                    && is_immediate(instruction) =>
            {
                let change = instruction.immediate(1) as i64;
                if instruction.mnemonic() == Mnemonic::Sub {
                    depth.checked_add(change)
                } else {
                    depth.checked_sub(change)
                }
            }
            Mnemonic::Mov if to == Register::RSP && instruction.op1_register() == Register::RBP => {
                Some(8)
            }
            Mnemonic::Lea
                if to == Register::RSP && instruction.memory_index() == Register::None =>
            {
                let displacement = instruction.memory_displacement64() as i64;
                match instruction.memory_base() {
                    Register::RBP => 8_i64.checked_sub(displacement),
                    Register::RSP => depth.checked_sub(displacement),
                    _ => None,
                }
            }
            _ => (!self.writes_stack_pointer(instruction)).then_some(depth),
        }
    }

    fn writes_stack_pointer(&mut self, instruction: &Instruction) -> bool {
        let used = self.info.info(instruction).used_registers();
        used.iter().any(|used| {
            used.register().full_register() == Register::RSP
                && !matches!(
                    used.access(),
                    OpAccess::Read | OpAccess::CondRead | OpAccess::None
                )
        })
    }
}

fn is_immediate(instruction: &Instruction) -> bool {
    matches!(
        instruction.op1_kind(),
        OpKind::Immediate8to64 | OpKind::Immediate32to64
    )
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn depths_are_those_that_all_paths_agree_on() {
        let cases: [(&str, &[u8], u64, Option<u64>); 6] = [
            (
                "push rbp; mov rbp,rsp; sub rsp,0x20; nop",
                &[0x55, 0x48, 0x89, 0xe5, 0x48, 0x83, 0xec, 0x20, 0x90],
                8,
                Some(0x28),
            ),
            (
                "push rbx; call; pop rbx; ret",
                &[0x53, 0xe8, 0, 0, 0, 0, 0x5b, 0xc3],
                6,
                Some(8),
            ),
            ("and rsp,-16; nop", &[0x48, 0x83, 0xe4, 0xf0, 0x90], 4, None),
            (
                "sub rsp,rax; lea rsp,[rbp-0x10]; nop",
                &[0x48, 0x29, 0xc4, 0x48, 0x8d, 0x65, 0xf0, 0x90],
                7,
                None,
            ),
            ("je +1; push rax; nop", &[0x74, 1, 0x50, 0x90], 3, None),
            (
                "je +2; push rax; pop rax; nop",
                &[0x74, 2, 0x50, 0x58, 0x90],
                4,
                Some(0),
            ),
        ];
        for (text, code, at, expected) in cases {
            assert_eq!(stack_depth(0x1000, code, 0x1000 + at), expected, "{text}");
        }
    }

    proptest! {
        #[test]
        fn any_bytes_have_an_end(code: Vec<u8>, at in 0_u64..64) {
            let _any = stack_depth(0x1000, &code, 0x1000 + at);
        }
    }
}
