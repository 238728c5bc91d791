//! The planner for AArch64: fixed instructions of four bytes, decoded along the control flow.
//!
//! The rules are those of the x86-64 side. Because every instruction begins at a multiple of four,
//! two flows never read the same bytes differently; what may be mistaken is data for code.

mod decode;
mod entry;
mod flow;
mod jump_table;
mod registers;
mod uprobe;

#[cfg(test)]
mod tests;

use coral_model::ProbeReason;

use self::decode::INSTRUCTION_LEN;
use super::code::Code;
use super::entry::Entry;
use super::{FunctionCode, ReadOnlyData, Site};
use flow::Flow;

/// Reads functions one after the other and keeps its buffers between them.
#[derive(Default)]
pub(super) struct Reader {
    flow: Flow,
}

impl Reader {
    /// The entry of a function, its ways out by address, and why those are not all known or may
    /// not be probed.
    pub(super) fn read(
        &mut self,
        function: &FunctionCode<'_>,
        data: &dyn ReadOnlyData,
    ) -> Result<(Entry, &[Site], Option<ProbeReason>), ProbeReason> {
        if !function.address.is_multiple_of(INSTRUCTION_LEN) {
            return Err(ProbeReason::Undecodable);
        }
        let code = Code::new(function);
        self.flow.trace(&code, data, function.convention);
        let entry = entry::choose(&code, &self.flow, function.convention)?;
        Ok((entry, &self.flow.exits, self.flow.problem))
    }
}
