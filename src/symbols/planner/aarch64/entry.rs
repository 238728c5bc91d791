//! Which of a function's first instructions stands for its entry.

use coral_model::ProbeReason;

use super::super::code::Code;
use super::super::entry::{Entry, MAX_GROW_BLOCK, MAX_WALK};
use super::super::{Convention, Site, SiteCost, SiteKind};
use super::decode::{FlowControl, Instruction};
use super::flow::Flow;
use super::registers::{Registers, stack_growth, written};
use super::uprobe;

/// What Go's check of the stack's size may overwrite: X16, X17 and X27.
const CHECK_REGISTERS: Registers = Registers {
    general: 1 << 16 | 1 << 17 | 1 << 27,
    vector: 0,
};

/// The cheapest instruction that every call passes exactly once with its arguments intact.
pub(super) fn choose(
    code: &Code<'_>,
    flow: &Flow,
    convention: Convention,
) -> Result<Entry, ProbeReason> {
    let walk = Walk {
        code,
        flow,
        convention,
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
}

impl Walk<'_, '_> {
    /// The first emulated instruction from an address on, or else the first that may be probed.
    fn best_site(&self, from: u64) -> Option<Site> {
        let mut best: Option<Site> = None;
        let mut address = from;
        let mut stack_adjust: u16 = 0;
        for _ in 0..MAX_WALK {
            let Some((position, instruction)) = self.decode(address) else {
                break;
            };
            let joined = self.flow.is_target(position) && position != 0;
            if joined || self.flow.is_data(position) {
                break;
            }
            // An exit is probed already; it is an entry only where there is nothing else.
            let shared = self.flow.is_exit(address) && best.is_some();
            if let Some(cost) = uprobe::cost(instruction)
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
            match stack_adjust_behind(instruction, stack_adjust) {
                Some(adjust) if self.may_walk_over(instruction) => stack_adjust = adjust,
                _ => break,
            }
            address = instruction.next();
        }
        best
    }

    /// Why no instruction may be probed.
    fn refusal(&self) -> ProbeReason {
        let first = self.decode(self.code.start());
        match first.and_then(|(_, instruction)| instruction.flow_control()) {
            Some(FlowControl::Breakpoint) => ProbeReason::Breakpoint,
            Some(_) => ProbeReason::UnsafeEntry,
            None => self.flow.problem.unwrap_or(ProbeReason::Undecodable),
        }
    }

    /// Whether what lies behind an instruction is passed as often and with the same arguments.
    fn may_walk_over(&self, instruction: Instruction) -> bool {
        let known = self.flow.is_complete() || is_prologue(instruction);
        known
            && instruction.flow_control() == Some(FlowControl::Next)
            && !uprobe::is_exclusive(instruction)
            && written(instruction).is_disjoint(arguments(self.convention))
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
            let (position, instruction) = self.decode(address)?;
            if self.flow.is_target(position) && position != 0 {
                break;
            }
            match instruction.flow_control()? {
                FlowControl::Next if is_grow_check(instruction) => {}
                FlowControl::Conditional(target) => {
                    match self.restart_of_grow_block(target) {
                        Some(restart) => explained.push(restart),
                        None => break,
                    }
                    behind = Some(instruction.next());
                }
                _ => break,
            }
            address = instruction.next();
        }
        let restarts = &self.flow.restarts;
        behind.filter(|_| restarts.iter().all(|restart| explained.contains(restart)))
    }

    /// The address of the jump to the start that ends a block which calls something first.
    fn restart_of_grow_block(&self, block: u64) -> Option<u64> {
        let mut address = block;
        let mut called = false;
        for _ in 0..MAX_GROW_BLOCK {
            let (_, instruction) = self.decode(address)?;
            match instruction.flow_control()? {
                FlowControl::Next => {}
                FlowControl::Call(_) => called = true,
                FlowControl::Jump(target) => {
                    let restarts = target == self.code.start();
                    return (called && restarts).then_some(address);
                }
                _ => return None,
            }
            address = instruction.next();
        }
        None
    }

    fn decode(&self, address: u64) -> Option<(usize, Instruction)> {
        let position = self.code.locate(address)?;
        Some((position, Instruction::at(self.code, position)?))
    }
}

/// The distance from the entry's stack pointer behind an instruction, in bytes, if it is known.
fn stack_adjust_behind(instruction: Instruction, before: u16) -> Option<u16> {
    let growth = stack_growth(instruction)?;
    u16::try_from(i64::from(before).checked_add(growth)?).ok()
}

/// What functions begin with and no loop repeats.
fn is_prologue(instruction: Instruction) -> bool {
    // stp x29, x30, [sp, #-n]!; mov x29, sp; paciasp, pacibsp and bti
    let saves_frame = instruction.matches(0xffc0_7fff, 0xa980_7bfd);
    let sets_frame = instruction.matches(0xff80_03ff, 0x9100_03fd);
    let hint = instruction.matches(0xffff_f01f, 0xd503_201f);
    let allocates = instruction.matches(0xff80_03ff, 0xd100_03ff);
    saves_frame || sets_frame || hint || allocates
}

/// What Go compares the stack pointer with its limit by.
fn is_grow_check(instruction: Instruction) -> bool {
    let registers = written(instruction);
    let others = registers.general & !CHECK_REGISTERS.general;
    let store = is_store(instruction);
    !store && registers.vector == 0 && others == 0
}

/// Whether an instruction may write memory, as far as those go that overwrite no register.
fn is_store(instruction: Instruction) -> bool {
    let access = matches!(instruction.bits(25, 4), 0b0100 | 0b0110 | 0b1100 | 0b1110);
    access && written(instruction) == Registers::default()
}

/// The registers that may hold an argument, or the goroutine.
fn arguments(convention: Convention) -> Registers {
    match convention {
        // X0 to X15, the closure in X26 and the goroutine in X28; V0 to V15
        Convention::GoRegisters => Registers {
            general: 0xffff | 1 << 26 | 1 << 28,
            vector: 0xffff,
        },
        // X0 to X7, the address of a large result in X8; V0 to V7
        Convention::GoAssembly | Convention::Native => Registers {
            general: 0x1ff,
            vector: 0xff,
        },
    }
}
