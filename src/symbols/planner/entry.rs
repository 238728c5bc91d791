//! Which of a function's first instructions stands for its entry.

use coral_model::ProbeReason;
use iced_x86::{
    Decoder, DecoderOptions, FlowControl, Instruction, InstructionInfoFactory, Mnemonic, OpAccess,
    OpKind, Register,
};

use super::code::Code;
use super::flow::Flow;
use super::{Convention, Site, SiteCost, SiteKind, uprobe};

/// How many instructions are looked at for a cheaper place than the first.
pub(super) const MAX_WALK: usize = 8;

/// How long the block that grows a goroutine's stack may be, in instructions: it saves and
/// restores up to 24 registers.
pub(super) const MAX_GROW_BLOCK: usize = 80;

/// The longest encoding of an x86 instruction in bytes.
const MAX_INSTRUCTION: usize = 15;

/// Where calls are counted.
pub(super) struct Entry {
    pub(super) site: Site,
    /// Whether one call may pass it more than once.
    pub(super) may_refire: bool,
}

/// The cheapest instruction that every call passes exactly once with its arguments intact.
pub(super) fn choose(
    code: &Code<'_>,
    flow: &Flow,
    convention: Convention,
    registers: &mut InstructionInfoFactory,
) -> Result<Entry, ProbeReason> {
    let mut walk = Walk {
        code,
        flow,
        convention,
        registers,
    };
    let restarted = flow.is_target(0);
    if restarted
        && convention != Convention::Native
        && let Some(behind) = walk.behind_grow_check()
        && let Some(site) = walk.best_site(behind)
    {
        return Ok(Entry {
            site,
            may_refire: false,
        });
    }
    match walk.best_site(code.start()) {
        Some(site) => Ok(Entry {
            site,
            may_refire: restarted,
        }),
        None => Err(walk.refusal()),
    }
}

struct Walk<'a, 'b> {
    code: &'a Code<'b>,
    flow: &'a Flow,
    convention: Convention,
    registers: &'a mut InstructionInfoFactory,
}

impl Walk<'_, '_> {
    /// The first emulated instruction from an address on, or else the first that may be probed.
    fn best_site(&mut self, from: u64) -> Option<Site> {
        let mut best: Option<Site> = None;
        let mut address = from;
        let mut stack_adjust: u16 = 0;
        for _ in 0..MAX_WALK {
            let Some((position, instruction, bytes)) = self.decode(address) else {
                break;
            };
            let joined = self.flow.is_target(position) && position != 0;
            if joined || self.flow.is_overlapped(position, bytes.len()) {
                break;
            }
            // An exit is probed already; it is an entry only where there is nothing else.
            let shared = self.flow.is_exit(address) && best.is_some();
            if let Some(cost) = uprobe::cost(&instruction, bytes)
                && !shared
            {
                let site = Site {
                    address,
                    kind: SiteKind::Entry,
                    stack_adjust,
                    cost,
                };
                if cost == SiteCost::Emulated {
                    return Some(site);
                }
                best.get_or_insert(site);
            }
            match self.stack_adjust_behind(&instruction, stack_adjust) {
                Some(adjust) if self.may_walk_over(&instruction) => stack_adjust = adjust,
                _ => break,
            }
            address = instruction.next_ip();
        }
        best
    }

    /// Why no instruction may be probed.
    fn refusal(&self) -> ProbeReason {
        match self.decode(self.code.start()) {
            Some((position, _, bytes)) if self.flow.is_overlapped(position, bytes.len()) => {
                ProbeReason::OverlappingInstructions
            }
            Some((_, _, [0xcc, ..])) => ProbeReason::Breakpoint,
            Some(_) => ProbeReason::UnsafeEntry,
            None => self.flow.problem.unwrap_or(ProbeReason::Undecodable),
        }
    }

    /// Whether what lies behind an instruction is passed as often and with the same arguments.
    fn may_walk_over(&mut self, instruction: &Instruction) -> bool {
        let known = self.flow.is_complete() || is_prologue(instruction);
        known
            && instruction.flow_control() == FlowControl::Next
            // Nothing comes behind it: only the kernel may halt.
            && instruction.mnemonic() != Mnemonic::Hlt
            && !self.overwrites_argument(instruction)
    }

    fn overwrites_argument(&mut self, instruction: &Instruction) -> bool {
        let convention = self.convention;
        let used = self.registers.info(instruction).used_registers();
        used.iter().any(|used| {
            is_written(used.access()) && is_argument(used.register().full_register(), convention)
        })
    }

    /// The distance from the entry's stack pointer behind an instruction, in bytes, if it is known.
    fn stack_adjust_behind(&mut self, instruction: &Instruction, before: u16) -> Option<u16> {
        let used = self.registers.info(instruction).used_registers();
        let moves = used.iter().any(|used| {
            is_written(used.access()) && used.register().full_register() == Register::RSP
        });
        if !moves {
            return Some(before);
        }
        let change = match instruction.mnemonic() {
            Mnemonic::Push | Mnemonic::Pop => i64::from(-instruction.stack_pointer_increment()),
            Mnemonic::Sub if adjusts_rsp(instruction) => instruction.immediate(1) as i64,
            Mnemonic::Add if adjusts_rsp(instruction) => -(instruction.immediate(1) as i64),
            Mnemonic::Lea
                if instruction.memory_base() == Register::RSP
                    && instruction.memory_index() == Register::None =>
            {
                -(instruction.memory_displacement64() as i64)
            }
            _ => return None,
        };
        u16::try_from(i64::from(before).checked_add(change)?).ok()
    }

    /// The address behind Go's check of the stack's size, if that is the only reason for jumps to
    /// the start.
    ///
    /// After growing the stack the function begins anew, so that what lies before is passed twice.
    fn behind_grow_check(&self) -> Option<u64> {
        let mut address = self.code.start();
        let mut behind = None;
        let mut explained = Vec::with_capacity(1);
        for _ in 0..MAX_WALK {
            let (position, instruction, _) = self.decode(address)?;
            if self.flow.is_target(position) && position != 0 {
                break;
            }
            match instruction.flow_control() {
                FlowControl::Next if is_grow_check(&instruction) => {}
                FlowControl::ConditionalBranch => {
                    match self.restart_of_grow_block(instruction.near_branch_target()) {
                        Some(restart) => explained.push(restart),
                        None => break,
                    }
                    behind = Some(instruction.next_ip());
                }
                _ => break,
            }
            address = instruction.next_ip();
        }
        let restarts = &self.flow.restarts;
        behind.filter(|_| restarts.iter().all(|restart| explained.contains(restart)))
    }

    /// The address of the jump to the start that ends a block which calls something first.
    fn restart_of_grow_block(&self, block: u64) -> Option<u64> {
        let mut address = block;
        let mut called = false;
        for _ in 0..MAX_GROW_BLOCK {
            let (_, instruction, _) = self.decode(address)?;
            match instruction.flow_control() {
                FlowControl::Next => {}
                FlowControl::Call => called = true,
                FlowControl::UnconditionalBranch => {
                    let restarts = instruction.near_branch_target() == self.code.start();
                    return (called && restarts).then_some(address);
                }
                _ => return None,
            }
            address = instruction.next_ip();
        }
        None
    }

    /// The instruction at an address with its position and its bytes.
    fn decode(&self, address: u64) -> Option<(usize, Instruction, &[u8])> {
        let position = self.code.locate(address)?;
        let (_, bytes) = self.code.at(position);
        let bytes = &bytes[..bytes.len().min(MAX_INSTRUCTION)];
        let instruction = Decoder::with_ip(64, bytes, address, DecoderOptions::NONE).decode();
        (!instruction.is_invalid()).then(|| (position, instruction, &bytes[..instruction.len()]))
    }
}

fn is_written(access: OpAccess) -> bool {
    matches!(
        access,
        OpAccess::Write | OpAccess::CondWrite | OpAccess::ReadWrite | OpAccess::ReadCondWrite
    )
}

/// `add` or `sub` of a constant to or from the stack pointer.
fn adjusts_rsp(instruction: &Instruction) -> bool {
    instruction.op0_register() == Register::RSP
        && !matches!(instruction.op1_kind(), OpKind::Register | OpKind::Memory)
}

/// What functions begin with and no loop repeats.
fn is_prologue(instruction: &Instruction) -> bool {
    match instruction.mnemonic() {
        Mnemonic::Endbr64 | Mnemonic::Push | Mnemonic::Nop => true,
        Mnemonic::Sub => adjusts_rsp(instruction),
        Mnemonic::Mov => {
            instruction.op0_register() == Register::RBP
                && instruction.op1_register() == Register::RSP
        }
        _ => false,
    }
}

/// What Go compares the stack pointer with its limit by: only R12, R13 and flags change, and in
/// assembly the register that the goroutine is loaded into.
fn is_grow_check(instruction: &Instruction) -> bool {
    match instruction.mnemonic() {
        Mnemonic::Cmp | Mnemonic::Nop => true,
        Mnemonic::Mov if instruction.memory_segment() == Register::FS => true,
        Mnemonic::Lea | Mnemonic::Mov | Mnemonic::Sub | Mnemonic::Add => {
            matches!(instruction.op0_register(), Register::R12 | Register::R13)
        }
        _ => false,
    }
}

/// Whether a register may hold an argument, or the goroutine.
fn is_argument(register: Register, convention: Convention) -> bool {
    match convention {
        Convention::GoRegisters => match register {
            Register::RAX | Register::RBX | Register::RCX | Register::RDI | Register::RSI => true,
            Register::R8 | Register::R9 | Register::R10 | Register::R11 | Register::R14 => true,
            vector => (Register::ZMM0..=Register::ZMM14).contains(&vector),
        },
        Convention::GoAssembly | Convention::Native => match register {
            Register::RDI | Register::RSI | Register::RDX | Register::RCX => true,
            Register::R8 | Register::R9 => true,
            vector => (Register::ZMM0..=Register::ZMM7).contains(&vector),
        },
    }
}
