//! A function's code along its control flow: what is an instruction, what is jumped to, what
//! leaves.

mod indirect;

use coral_model::ProbeReason;
use iced_x86::{
    Code as Opcode, Decoder, DecoderError, DecoderOptions, FlowControl, Instruction, Mnemonic,
    OpKind, Register,
};

use super::code::Code;
use super::jump_table::{Dispatch, Guard, Jump, Window};
use super::{Convention, MAX_EXITS, ReadOnlyData, Site, SiteKind, uprobe};

/// What is known of a byte of the function.
mod mark {
    /// The first byte of an instruction.
    pub(super) const START: u8 = 1;
    /// Another byte of an instruction.
    pub(super) const INSIDE: u8 = 2;
    /// Jumped to from within the function.
    pub(super) const TARGET: u8 = 4;
    /// Read by two flows as different instructions.
    pub(super) const OVERLAP: u8 = 8;
}

/// The control flow of one function; its buffers serve the next one again.
#[derive(Default)]
pub(super) struct Flow {
    marks: Vec<u8>,
    roots: Vec<Root>,
    window: Window,
    tables: Vec<TableAddress>,
    /// Jumps through tables, and what they are if they leave the function.
    dispatches: Vec<(Dispatch, Option<Site>)>,
    /// Jumps through a register that nothing explains.
    unknown_jumps: Vec<Option<Site>>,
    jumps_by_pointer: bool,
    guessed_tables: bool,
    takes_own_address: bool,
    /// Every way out that was found, by address.
    pub(super) exits: Vec<Site>,
    /// The first thing that keeps the exits from being known or probed.
    pub(super) problem: Option<ProbeReason>,
    /// Where the jumps to the first instruction are.
    pub(super) restarts: Vec<u64>,
    /// What is called or jumped to outside of the function, and the function itself where it
    /// calls itself.
    pub(super) callees: Vec<u64>,
    /// How many calls and jumps lead out of the function to where the code does not say.
    pub(super) indirect_calls: u32,
}

#[derive(Clone, Copy)]
struct Root {
    position: usize,
    guard: Option<Guard>,
}

/// An address that the function loads into a register, and so may be a table's.
#[derive(Clone, Copy)]
struct TableAddress {
    register: Register,
    address: u64,
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
                // puts nothing but instructions into functions.
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

    /// Whether an instruction begins there.
    pub(super) fn is_start(&self, position: usize) -> bool {
        self.has(position, mark::START)
    }

    /// Whether two flows disagree about any of these bytes.
    pub(super) fn is_overlapped(&self, position: usize, length: usize) -> bool {
        (position..position + length).any(|position| self.has(position, mark::OVERLAP))
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
        self.takes_own_address = false;
        self.exits.clear();
        self.problem = None;
        self.restarts.clear();
        self.callees.clear();
        self.indirect_calls = 0;
    }

    /// The addresses outside of the function that it loads into registers.
    pub(super) fn loaded_addresses(&self) -> impl Iterator<Item = u64> + '_ {
        self.tables.iter().map(|table| table.address)
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
        let (address, bytes) = code.at(root.position);
        let mut decoder = Decoder::with_ip(64, bytes, address, DecoderOptions::NONE);
        let mut instruction = Instruction::default();
        let mut behind_call = false;
        self.window.restart(root.guard);
        while decoder.can_decode() {
            let offset = decoder.position();
            let position = root.position + offset;
            if self.has(position, mark::START) {
                return;
            }
            decoder.decode_out(&mut instruction);
            if instruction.is_invalid() {
                return self.fail(match decoder.last_error() {
                    DecoderError::NoMoreBytes => ProbeReason::Overrun,
                    _ => ProbeReason::Undecodable,
                });
            }
            let bytes = &bytes[offset..decoder.position()];
            if !self.cover(position, bytes) || !self.follow(code, &instruction, bytes) {
                return;
            }
            self.window.push(&instruction);
            let is_call = matches!(
                instruction.flow_control(),
                FlowControl::Call | FlowControl::IndirectCall
            );
            behind_call = is_call || behind_call && instruction.mnemonic() == Mnemonic::Nop;
        }
        match code.locate(decoder.ip()) {
            Some(position) => self.add_root(position, None),
            // A call that never returns needs nothing behind it.
            None if behind_call => {}
            None => self.fail(ProbeReason::Overrun),
        }
    }

    /// Marks an instruction's bytes; `false` where the line ends because they are known already.
    fn cover(&mut self, position: usize, bytes: &[u8]) -> bool {
        if let [0xf0, rest @ ..] = bytes
            && !rest.is_empty()
        {
            // Single-threaded processes jump over a LOCK prefix: it is an instruction of its own.
            return self.cover(position, &bytes[..1])
                && !self.has(position + 1, mark::START)
                && self.cover(position + 1, rest);
        }
        let marks = &mut self.marks[position..position + bytes.len()];
        if marks
            .iter()
            .any(|marks| marks & (mark::START | mark::INSIDE) != 0)
        {
            marks.iter_mut().for_each(|marks| *marks |= mark::OVERLAP);
            self.fail(ProbeReason::OverlappingInstructions);
            return false;
        }
        marks.iter_mut().for_each(|marks| *marks |= mark::INSIDE);
        marks[0] ^= mark::INSIDE | mark::START;
        true
    }

    /// Notes what an instruction does; `false` where the line ends with it.
    fn follow(&mut self, code: &Code<'_>, instruction: &Instruction, bytes: &[u8]) -> bool {
        match instruction.flow_control() {
            FlowControl::Next => {
                self.note_address(code, instruction);
                instruction.mnemonic() != Mnemonic::Hlt
            }
            FlowControl::Call | FlowControl::IndirectCall => {
                self.note_call(code, instruction);
                true
            }
            FlowControl::ConditionalBranch | FlowControl::XbeginXabortXend => {
                self.follow_conditional(code, instruction);
                true
            }
            // All but breakpoints: system calls.
            FlowControl::Interrupt => {
                instruction.code() == Opcode::Int_imm8 && instruction.immediate8() != 3
            }
            FlowControl::UnconditionalBranch => {
                self.follow_jump(code, instruction, bytes);
                false
            }
            FlowControl::IndirectBranch => {
                self.follow_indirect(instruction, bytes);
                false
            }
            FlowControl::Return => {
                match instruction.code() {
                    Opcode::Retnq | Opcode::Retnq_imm16 => {
                        self.add_exit(exit(instruction, bytes, SiteKind::Return));
                    }
                    _ => self.fail(ProbeReason::UnsafeExit),
                }
                false
            }
            FlowControl::Exception => false,
        }
    }

    /// Remembers an address that is loaded into a register.
    fn note_address(&mut self, code: &Code<'_>, instruction: &Instruction) {
        if instruction.mnemonic() != Mnemonic::Lea || !instruction.is_ip_rel_memory_operand() {
            return;
        }
        let address = instruction.ip_rel_memory_address();
        match code.locate(address) {
            Some(0) => {}
            Some(position) => {
                self.marks[position] |= mark::TARGET;
                self.takes_own_address = true;
            }
            None => self.tables.push(TableAddress {
                register: instruction.op0_register().full_register(),
                address,
            }),
        }
    }

    /// A call into the function's middle passes what lies behind without passing its start.
    fn note_call(&mut self, code: &Code<'_>, instruction: &Instruction) {
        if instruction.op0_kind() != OpKind::NearBranch64 {
            self.indirect_calls += 1;
            return;
        }
        let target = instruction.near_branch_target();
        match code.locate(target) {
            None | Some(0) => self.callees.push(target),
            Some(position) => self.marks[position] |= mark::TARGET,
        }
    }

    fn follow_conditional(&mut self, code: &Code<'_>, instruction: &Instruction) {
        if instruction.op0_kind() != OpKind::NearBranch64 {
            // `xend` and `xabort` go on; a 16-bit branch is nothing that a compiler emits.
            if instruction.flow_control() == FlowControl::ConditionalBranch {
                self.fail(ProbeReason::Undecodable);
            }
            return;
        }
        match code.locate(instruction.near_branch_target()) {
            Some(position) => {
                self.note_restart(position, instruction);
                self.add_target(position, self.window.guard_if_taken(instruction));
            }
            None => {
                self.callees.push(instruction.near_branch_target());
                self.fail(ProbeReason::ConditionalTailCall);
            }
        }
    }

    fn follow_jump(&mut self, code: &Code<'_>, instruction: &Instruction, bytes: &[u8]) {
        if instruction.op0_kind() != OpKind::NearBranch64 {
            return self.fail(ProbeReason::UnsafeExit);
        }
        match code.locate(instruction.near_branch_target()) {
            Some(position) => {
                self.note_restart(position, instruction);
                self.add_target(position, None);
            }
            None => {
                self.callees.push(instruction.near_branch_target());
                self.add_exit(exit(instruction, bytes, SiteKind::TailCall));
            }
        }
    }

    fn note_restart(&mut self, target: usize, instruction: &Instruction) {
        if target == 0 {
            self.restarts.push(instruction.ip());
        }
    }

    fn follow_indirect(&mut self, instruction: &Instruction, bytes: &[u8]) {
        if instruction.code() != Opcode::Jmp_rm64 {
            return self.fail(ProbeReason::UnsafeExit);
        }
        let exit = exit(instruction, bytes, SiteKind::TailCall);
        match self.window.recognise(instruction) {
            Jump::Leaves => {
                self.indirect_calls += 1;
                self.add_exit(exit);
            }
            Jump::Pointer => {
                self.jumps_by_pointer = true;
                self.indirect_calls += 1;
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

/// The site of an exit, if it may be probed.
fn exit(instruction: &Instruction, bytes: &[u8], kind: SiteKind) -> Option<Site> {
    Some(Site {
        address: instruction.ip(),
        kind,
        stack_adjust: 0,
        cost: uprobe::cost(instruction, bytes)?,
    })
}
