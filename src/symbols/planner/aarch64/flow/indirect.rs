//! What is not written in the instructions: where tables lead, whether a pointer leads out, and
//! the code that nothing leads to.

use coral_model::ProbeReason;

use super::super::super::ReadOnlyData;
use super::super::super::code::Code;
use super::super::super::jump_table::MAX_ENTRIES;
use super::super::decode::{FlowControl, INSTRUCTION_LEN, Instruction};
use super::super::jump_table::{Base, Dispatch, Format};
use super::super::uprobe;
use super::{Flow, mark};

impl Flow {
    /// Follows every jump table, those behind other tables included.
    ///
    /// Tables of known length come first, because what they lead to tells where others end.
    pub(super) fn follow_tables(&mut self, code: &Code<'_>, data: &dyn ReadOnlyData) {
        let mut unresolved = Vec::new();
        while !self.dispatches.is_empty() {
            let bounded = |(jump, _): &(Dispatch, _)| jump.entries.is_some();
            let next = self.dispatches.iter().position(bounded).unwrap_or(0);
            let (dispatch, exit) = self.dispatches.swap_remove(next);
            let known = self.tables.len();
            if !self.follow_dispatch(code, data, dispatch) {
                unresolved.push((dispatch, exit));
            }
            if self.tables.len() > known {
                self.dispatches.append(&mut unresolved);
            }
        }
        for (dispatch, exit) in unresolved {
            if is_function_table(code, data, dispatch) {
                self.unknown_jumps.push(exit);
            } else {
                self.fail(ProbeReason::IndirectJump);
            }
        }
    }

    /// Follows the table that a jump reads; `false` where it was not found.
    fn follow_dispatch(
        &mut self,
        code: &Code<'_>,
        data: &dyn ReadOnlyData,
        jump: Dispatch,
    ) -> bool {
        if let Format::Relative(_, Some(label)) = jump.format {
            self.labels.push(label);
        }
        let base = match jump.table {
            Base::Address(address) => return self.follow_table(code, data, jump, address),
            Base::Register(base) => base,
        };
        // Loaded far away: any table of this function that the register may have held, or, if it
        // went through memory, any at all. All of them lead into this function.
        self.guessed_tables = true;
        let mut found = false;
        for same_register in [true, false] {
            for known in 0..self.tables.len() {
                let (register, address) = self.tables[known];
                if (register == base) == same_register {
                    found |= self.follow_table(code, data, jump, address);
                }
            }
            if found {
                return true;
            }
        }
        false
    }

    /// Follows one table; `false` where that is none of this function.
    fn follow_table(
        &mut self,
        code: &Code<'_>,
        data: &dyn ReadOnlyData,
        jump: Dispatch,
        table: u64,
    ) -> bool {
        let target = |number| {
            let address = jump.format.target(data, table, number)?;
            let position = code.locate(address)?;
            address.is_multiple_of(INSTRUCTION_LEN).then_some(position)
        };
        if let Some(entries) = jump.entries {
            if entries == 0 || (0..entries).any(|number| target(number).is_none()) {
                return false;
            }
            for position in (0..entries).filter_map(target) {
                self.add_target(position, None);
            }
            self.follow_roots(code);
            return true;
        }
        self.guessed_tables = true;
        if jump.format.is_short() {
            return false;
        }
        let mut entries = 0;
        while entries < self.most_entries(table, jump.format)
            && let Some(position) = target(entries)
        {
            self.add_target(position, None);
            self.follow_roots(code);
            entries += 1;
        }
        entries > 0
    }

    /// How many entries fit before the next table.
    fn most_entries(&self, table: u64, format: Format) -> u64 {
        let others = self.tables.iter().map(|&(_, address)| address);
        let next = others.filter(|&address| address > table).min();
        next.map_or(MAX_ENTRIES, |next| {
            MAX_ENTRIES.min((next - table) / format.size())
        })
    }

    /// Decides about what was guessed: that a jump leaves the function, or that a table ends.
    pub(super) fn settle_jumps(&mut self, code: &Code<'_>) {
        let unknown = !self.unknown_jumps.is_empty();
        let jumped_to = |address: &&u64| !self.labels.contains(address);
        let labels = self.own_addresses.iter().find(jumped_to).is_some()
            && (unknown || self.jumps_by_pointer);
        if labels || unknown && self.uncovered(code, 0).is_some() {
            self.fail(ProbeReason::IndirectJump);
        }
        for jump in std::mem::take(&mut self.unknown_jumps) {
            self.add_exit(jump);
        }
    }

    /// Fails if the code that nothing leads to has exits: then a guess may have been wrong.
    ///
    /// What leads only to the unwinder or back to known code is there for exceptions.
    pub(super) fn check_rest(&mut self, code: &Code<'_>) {
        let known = self.exits.len();
        self.follow_rest(code);
        if self.exits.len() != known {
            self.fail(ProbeReason::IndirectJump);
        }
    }

    /// Follows the code that nothing leads to.
    pub(super) fn follow_rest(&mut self, code: &Code<'_>) {
        let mut position = 0;
        while let Some(uncovered) = self.uncovered(code, position) {
            self.add_target(uncovered, None);
            self.follow_roots(code);
            position = uncovered + 1;
        }
        if !self.unknown_jumps.is_empty() || !self.dispatches.is_empty() {
            self.fail(ProbeReason::IndirectJump);
        }
    }

    /// The first instruction from a position on that no flow has reached and that is neither
    /// padding nor a constant.
    fn uncovered(&self, code: &Code<'_>, from: usize) -> Option<usize> {
        (from..self.marks.len()).find(|&position| {
            let (address, _) = code.at(position);
            address.is_multiple_of(INSTRUCTION_LEN)
                && !self.has(position, mark::START | mark::DATA)
                && !Instruction::at(code, position).is_some_and(is_padding)
        })
    }
}

/// Whether a table holds the addresses of other functions.
fn is_function_table(code: &Code<'_>, data: &dyn ReadOnlyData, jump: Dispatch) -> bool {
    let (Base::Address(table), Format::Absolute) = (jump.table, jump.format) else {
        return false;
    };
    (0..jump.entries.unwrap_or(1)).all(|number| {
        let target = jump.format.target(data, table, number);
        target.is_some_and(|address| address != 0 && code.locate(address).is_none())
    })
}

/// What compilers and linkers fill gaps with.
fn is_padding(instruction: Instruction) -> bool {
    let traps = matches!(
        instruction.flow_control(),
        Some(FlowControl::Trap | FlowControl::Breakpoint)
    );
    traps || uprobe::is_nop(instruction)
}
