//! What a function's code refers to: what it calls, and the addresses that it loads.

use super::code::Code;
use super::{Architecture, FunctionCode, Planner, ReadOnlyData};

/// What the code of a function refers to, as far as the flow through it is known.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct References {
    /// The addresses that it calls, or jumps to in return position; each once, in order.
    pub calls: Vec<u64>,
    /// Other addresses outside of it that it loads into registers: data, tables, functions.
    pub addresses: Vec<u64>,
    /// How many calls and jumps out of it go through registers and memory.
    pub indirect_calls: u32,
}

impl Planner {
    /// What that function's code refers to; `data` is the read-only data of its binary.
    pub fn references(
        &mut self,
        function: &FunctionCode<'_>,
        data: &dyn ReadOnlyData,
    ) -> References {
        if function.architecture != Architecture::X86_64 || function.code.is_empty() {
            return References::default();
        }
        let flow = &mut self.flow;
        flow.trace(&Code::new(function), data, function.convention);
        References {
            calls: sorted(flow.callees.iter().copied()),
            addresses: sorted(flow.loaded_addresses()),
            indirect_calls: flow.indirect_calls,
        }
    }
}

fn sorted(addresses: impl Iterator<Item = u64>) -> Vec<u64> {
    let mut addresses: Vec<u64> = addresses.collect();
    addresses.sort_unstable();
    addresses.dedup();
    addresses
}
