//! A function's code along its control flow: what is an instruction, what is jumped to, what
//! leaves.

mod indirect;

use coral_model::ProbeReason;

use super::super::code::Code;
use super::super::{Convention, MAX_EXITS, ReadOnlyData, Site, SiteKind};
use super::decode::{FlowControl, INSTRUCTION_LEN, Instruction};
use super::jump_table::{Dispatch, Guard, Jump, Window};
use super::uprobe;

/// What is known of a byte of the function.
mod mark {
    /// The first byte of an instruction.
    pub(super) const START: u8 = 1;
    /// Jumped to from within the function.
    pub(super) const TARGET: u8 = 2;
    /// Loaded by an instruction as a constant.
    pub(super) const DATA: u8 = 4;
}

/// The control flow of one function; its buffers serve the next one again.
#[derive(Default)]
pub(super) struct Flow {
    marks: Vec<u8>,
    roots: Vec<Root>,
    window: Window,
    /// Addresses that the function loads, and so may be those of tables, by register.
    tables: Vec<(u8, u64)>,
    /// Jumps through tables, and what they are if they leave the function.
    dispatches: Vec<(Dispatch, Option<Site>)>,
    /// Jumps through a register that nothing explains.
    unknown_jumps: Vec<Option<Site>>,
    jumps_by_pointer: bool,
    guessed_tables: bool,
    /// Addresses in itself that the function loads.
    own_addresses: Vec<u64>,
    /// Those of them that the distances in tables start from.
    labels: Vec<u64>,
    /// Every way out that was found, by address.
    pub(super) exits: Vec<Site>,
    /// The first thing that keeps the exits from being known or probed.
    pub(super) problem: Option<ProbeReason>,
    /// Where the jumps to the first instruction are.
    pub(super) restarts: Vec<u64>,
}

#[derive(Clone, Copy)]
struct Root {
    position: usize,
    guard: Option<Guard>,
}

impl Flow {
    /// Follows the code from its start to every way out.
    pub(super) fn trace(
        &mut self,
        code: &Code<'_>,
        data: &dyn ReadOnlyData,
        convention: Convention,
    ) {
        self.clear(code.len());
        self.add_root(0, None);
        self.follow_roots(code);
        self.follow_tables(code, data);
        self.settle_jumps(code);
        if self.problem.is_none() {
            if convention == Convention::GoRegisters {
                // After `recover` the runtime jumps to where nothing else does. The Go compiler
                // puts nothing but instructions and their constants into functions.
                self.follow_rest(code);
            } else if self.guessed_tables || self.jumps_by_pointer {
                self.check_rest(code);
            }
        }
        if self.exits.is_empty() {
            self.fail(ProbeReason::NoExit);
        }
        self.exits.sort_unstable_by_key(|exit| exit.address);
    }

    /// Whether the byte there is jumped to from within the function.
    pub(super) fn is_target(&self, position: usize) -> bool {
        self.has(position, mark::TARGET)
    }

    /// Whether an instruction loads the byte there.
    pub(super) fn is_data(&self, position: usize) -> bool {
        self.has(position, mark::DATA)
    }

    /// Whether the instruction at that address leaves the function.
    pub(super) fn is_exit(&self, address: u64) -> bool {
        let found = self
            .exits
            .binary_search_by_key(&address, |exit| exit.address);
        found.is_ok()
    }

    /// Whether every jump within the function is known.
    pub(super) fn is_complete(&self) -> bool {
        !matches!(
            self.problem,
            Some(
                ProbeReason::IndirectJump
                    | ProbeReason::OverlappingInstructions
                    | ProbeReason::Overrun
                    | ProbeReason::Undecodable
            )
        )
    }

    fn clear(&mut self, length: usize) {
        self.marks.clear();
        self.marks.resize(length, 0);
        self.roots.clear();
        self.tables.clear();
        self.dispatches.clear();
        self.unknown_jumps.clear();
        self.jumps_by_pointer = false;
        self.guessed_tables = false;
        self.own_addresses.clear();
        self.labels.clear();
        self.exits.clear();
        self.problem = None;
        self.restarts.clear();
    }

    fn has(&self, position: usize, mark: u8) -> bool {
        self.marks
            .get(position)
            .is_some_and(|&marks| marks & mark != 0)
    }

    fn add_root(&mut self, position: usize, guard: Option<Guard>) {
        if !self.has(position, mark::START) {
            self.roots.push(Root { position, guard });
        }
    }

    fn add_target(&mut self, position: usize, guard: Option<Guard>) {
        self.marks[position] |= mark::TARGET;
        self.add_root(position, guard);
    }

    fn fail(&mut self, reason: ProbeReason) {
        self.problem.get_or_insert(reason);
    }

    fn follow_roots(&mut self, code: &Code<'_>) {
        while let Some(root) = self.roots.pop() {
            self.follow_line(code, root);
        }
    }

    /// Follows a straight line of instructions to where it ends or meets known ones.
    fn follow_line(&mut self, code: &Code<'_>, root: Root) {
        let mut next = Some(root.position);
        let mut behind_call = false;
        self.window.restart(root.guard);
        while let Some(position) = next {
            if self.has(position, mark::START) {
                return;
            }
            let Some(instruction) = Instruction::at(code, position) else {
                return self.fail(ProbeReason::Overrun);
            };
            let Some(flow) = instruction.flow_control() else {
                return self.fail(ProbeReason::Undecodable);
            };
            if self.has(position, mark::DATA) {
                return self.fail(ProbeReason::OverlappingInstructions);
            }
            self.marks[position] |= mark::START;
            if !self.follow(code, instruction, flow) {
                return;
            }
            self.window.push(instruction);
            let is_call = matches!(flow, FlowControl::Call(_));
            behind_call = is_call || behind_call && uprobe::is_nop(instruction);
            next = code.locate(instruction.next());
        }
        // A call that never returns needs nothing behind it.
        if !behind_call {
            self.fail(ProbeReason::Overrun);
        }
    }

    /// Notes what an instruction does; `false` where the line ends with it.
    fn follow(&mut self, code: &Code<'_>, instruction: Instruction, flow: FlowControl) -> bool {
        match flow {
            FlowControl::Next => {
                self.note_address(code, instruction);
                self.note_constant(code, instruction);
                true
            }
            FlowControl::Call(target) => {
                self.note_call(code, target);
                true
            }
            FlowControl::Conditional(target) => {
                match code.locate(target) {
                    Some(position) => {
                        self.note_restart(position, instruction);
                        self.add_target(position, self.window.guard_if_taken(instruction));
                    }
                    None => self.fail(ProbeReason::ConditionalTailCall),
                }
                true
            }
            FlowControl::Jump(target) => {
                self.follow_jump(code, instruction, target);
                false
            }
            FlowControl::IndirectJump(register) => {
                self.follow_indirect(code, instruction, register);
                false
            }
            FlowControl::Return => {
                self.add_exit(exit(instruction, SiteKind::Return));
                false
            }
            FlowControl::UnsafeJump => {
                self.fail(ProbeReason::UnsafeExit);
                false
            }
            FlowControl::Breakpoint | FlowControl::Trap => false,
        }
    }

    /// Remembers an address that is loaded into a register.
    fn note_address(&mut self, code: &Code<'_>, instruction: Instruction) {
        let Some(address) = self.window.constant_after(instruction) else {
            return;
        };
        match code.locate(address) {
            // The first half of the address of something behind the function.
            Some(_) if instruction.matches(0x9f00_0000, 0x9000_0000) => {}
            Some(0) => {}
            Some(position) => {
                self.marks[position] |= mark::TARGET;
                self.own_addresses.push(address);
            }
            None => self.tables.push((instruction.bits(0, 5) as u8, address)),
        }
    }

    /// Marks what an instruction loads from the function itself.
    fn note_constant(&mut self, code: &Code<'_>, instruction: Instruction) {
        if !instruction.matches(0x3b00_0000, 0x1800_0000) {
            return;
        }
        let Some(position) = code.locate(instruction.target(5, 19)) else {
            return;
        };
        // `prfm` only names an address and counts as eight bytes.
        let size = match (instruction.bits(26, 1), instruction.bits(30, 2)) {
            (_, 0) => 4,
            (0, 2) => 4,
            (1, 2) => 16,
            _ => 8,
        };
        let end = self.marks.len().min(position + size);
        let marks = &mut self.marks[position..end];
        marks.iter_mut().for_each(|marks| *marks |= mark::DATA);
        if marks.iter().any(|marks| marks & mark::START != 0) {
            self.fail(ProbeReason::OverlappingInstructions);
        }
    }

    /// A call into the function's middle passes what lies behind without passing its start.
    fn note_call(&mut self, code: &Code<'_>, target: Option<u64>) {
        if let Some(position) = target.and_then(|target| code.locate(target))
            && position != 0
        {
            self.marks[position] |= mark::TARGET;
        }
    }

    fn follow_jump(&mut self, code: &Code<'_>, instruction: Instruction, target: u64) {
        match code.locate(target) {
            Some(position) if target.is_multiple_of(INSTRUCTION_LEN) => {
                self.note_restart(position, instruction);
                self.add_target(position, None);
            }
            Some(_) => self.fail(ProbeReason::IndirectJump),
            None => self.add_exit(exit(instruction, SiteKind::TailCall)),
        }
    }

    fn note_restart(&mut self, target: usize, instruction: Instruction) {
        if target == 0 {
            self.restarts.push(instruction.address);
        }
    }

    fn follow_indirect(&mut self, code: &Code<'_>, instruction: Instruction, register: u8) {
        let exit = exit(instruction, SiteKind::TailCall);
        match self.window.recognise(register) {
            Jump::Constant(target) => self.follow_jump(code, instruction, target),
            Jump::Leaves => self.add_exit(exit),
            Jump::Pointer => {
                self.jumps_by_pointer = true;
                self.add_exit(exit);
            }
            Jump::Unknown => self.unknown_jumps.push(exit),
            Jump::Table(dispatch) => self.dispatches.push((dispatch, exit)),
        }
    }

    fn add_exit(&mut self, exit: Option<Site>) {
        match exit {
            None => self.fail(ProbeReason::UnsafeExit),
            Some(_) if self.exits.len() == MAX_EXITS => self.fail(ProbeReason::TooManyExits),
            Some(exit) => self.exits.push(exit),
        }
    }
}

/// The site of an exit, if it may be probed. At a RET the stack pointer is what it was at the
/// entry, because the return address is in a register.
fn exit(instruction: Instruction, kind: SiteKind) -> Option<Site> {
    Some(Site {
        address: instruction.address,
        kind,
        stack_adjust: 0,
        cost: uprobe::cost(instruction)?,
    })
}
