//! Where a function may be probed: from its bytes to one entry and every exit.
//!
//! The planner reads code along its control flow, never as a linear sweep, and calls a function
//! [`Probeability::Full`] only where it has seen every way out. Whatever it cannot prove costs
//! the exits (and with them durations), never the correctness of a site: a probe that does not
//! stand on an instruction of the function kills the process or makes it compute wrong results.
//!
//! Nothing here does I/O: bytes come in, sites go out.

mod aarch64;
mod code;
mod components;
mod entry;
mod flow;
mod flow_graph;
mod jump_table;
mod references;
mod stack_depth;
mod uprobe;

#[cfg(test)]
mod tests;

pub use stack_depth::stack_depth;

use coral_model::{ProbeReason, ProbeSummary, Probeability};
use iced_x86::InstructionInfoFactory;

use code::Code;
use entry::Entry;
use flow::Flow;
pub use flow_graph::{FlowGraph, InlinedEntry};

pub use references::References;

/// More exits than this are not probed; the largest Go function seen has 3,174.
pub const MAX_EXITS: usize = 4096;

/// What the planner needs to know of a function.
#[derive(Clone, Copy, Debug)]
pub struct FunctionCode<'a> {
    /// The virtual address, in the file, of its first instruction.
    pub address: u64,
    /// Its bytes from there to its end.
    pub code: &'a [u8],
    /// Its other ranges, if it has any.
    pub cold: &'a [ColdPart<'a>],
    /// How it receives its arguments and names its stack.
    pub convention: Convention,
    /// The processor it was compiled for.
    pub architecture: Architecture,
}

/// A range of a function away from its main one, such as a `.cold` part.
#[derive(Clone, Copy, Debug)]
pub struct ColdPart<'a> {
    /// The virtual address, in the file, of its first byte.
    pub address: u64,
    /// Its bytes.
    pub code: &'a [u8],
}

/// How a function receives its arguments and names its stack.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Convention {
    /// Compiled Go: arguments in registers, the goroutine in R14 or, on AArch64, X28.
    GoRegisters,
    /// Assembly in a Go program: the goroutine may be anywhere.
    GoAssembly,
    /// The processor's convention of C, C++ and Rust.
    Native,
}

/// The processor that code was compiled for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Architecture {
    /// Intel's and AMD's, in 64-bit mode.
    X86_64,
    /// Arm's, in 64-bit mode.
    Aarch64,
    /// Any other: nothing is planned for it.
    Other,
}

/// Read-only, non-executable bytes of the binary, where compilers put jump tables.
pub trait ReadOnlyData {
    /// The `len` bytes at a virtual address; `None` unless all of them are such data.
    fn read(&self, address: u64, len: usize) -> Option<&[u8]>;
}

/// Where to probe a function.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Plan {
    /// Passed once by every call, before anything overwrites an argument; `None` where no probe
    /// may be placed.
    pub entry: Option<Site>,
    /// Every way out, by address; empty unless all of them are known and may be probed.
    pub exits: Vec<Site>,
    /// How much probes can see, and why not more.
    pub summary: ProbeSummary,
    /// How many of the exits jump to another function.
    pub tail_calls: u32,
    /// Whether one call may pass the entry more than once, because the function jumps back to it.
    pub entry_may_refire: bool,
    /// What names the stack that the function runs on.
    pub key: FrameKey,
}

/// One instruction to probe.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Site {
    /// Its virtual address in the file.
    pub address: u64,
    /// What it tells.
    pub kind: SiteKind,
    /// The stack pointer at the function's entry minus the one at the site, in bytes.
    pub stack_adjust: u16,
    /// What a hit costs.
    pub cost: SiteCost,
}

/// What a hit of a site tells.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum SiteKind {
    /// A call has begun.
    Entry,
    /// A call is about to return.
    Return,
    /// A call is about to be replaced by a call of another function.
    TailCall,
}

/// How the kernel executes the instruction under a probe.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum SiteCost {
    /// It computes the effect: one trap.
    Emulated,
    /// It executes a copy and traps again: two to twenty times as expensive.
    SingleStepped,
}

/// What names the stack that a function runs on.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum FrameKey {
    /// The goroutine in R14 or, on AArch64, X28.
    Goroutine,
    /// The thread.
    Thread,
}

/// Plans one function; use a [`Planner`] for many.
pub fn plan(function: &FunctionCode<'_>, data: &dyn ReadOnlyData) -> Plan {
    Planner::new().plan(function, data)
}

/// Plans functions one after the other and keeps its buffers between them.
pub struct Planner {
    flow: Flow,
    registers: InstructionInfoFactory,
    aarch64: aarch64::Reader,
}

impl Planner {
    /// A planner with empty buffers.
    pub fn new() -> Self {
        Self {
            flow: Flow::default(),
            registers: InstructionInfoFactory::new(),
            aarch64: aarch64::Reader::default(),
        }
    }

    /// Where to probe that function; `data` is the read-only data of its binary.
    pub fn plan(&mut self, function: &FunctionCode<'_>, data: &dyn ReadOnlyData) -> Plan {
        if function.architecture == Architecture::Other {
            return unprobeable(function, ProbeReason::UnsupportedArchitecture);
        }
        if function.code.is_empty() {
            return unprobeable(function, ProbeReason::UnknownSize);
        }
        let read = if function.architecture == Architecture::Aarch64 {
            self.aarch64.read(function, data)
        } else {
            self.read_x86_64(function, data)
        };
        match read {
            Ok((entry, exits, problem)) => probeable(function, &entry, exits, problem),
            Err(reason) => unprobeable(function, reason),
        }
    }

    /// The entry of a function, its ways out by address, and why those are not all known or may
    /// not be probed.
    fn read_x86_64(
        &mut self,
        function: &FunctionCode<'_>,
        data: &dyn ReadOnlyData,
    ) -> Result<(Entry, &[Site], Option<ProbeReason>), ProbeReason> {
        let code = Code::new(function);
        let flow = &mut self.flow;
        flow.trace(&code, data, function.convention);
        let entry = entry::choose(&code, flow, function.convention, &mut self.registers)?;
        Ok((entry, &flow.exits, flow.problem))
    }
}

impl Default for Planner {
    fn default() -> Self {
        Self::new()
    }
}

fn probeable(
    function: &FunctionCode<'_>,
    entry: &Entry,
    exits: &[Site],
    problem: Option<ProbeReason>,
) -> Plan {
    // Two probes on one instruction fire in no order that we could rely on.
    let shared = exits.iter().any(|exit| exit.address == entry.site.address);
    let reason = problem.or(shared.then_some(ProbeReason::SingleInstruction));
    let exits = match reason {
        None => exits.to_vec(),
        Some(_) => Vec::new(),
    };
    Plan {
        entry: Some(entry.site),
        summary: ProbeSummary {
            probe: match reason {
                None => Probeability::Full,
                Some(_) => Probeability::EntryOnly,
            },
            exits: exits.len() as u32,
            reason,
        },
        tail_calls: count_tail_calls(&exits),
        exits,
        entry_may_refire: entry.may_refire,
        key: frame_key(function.convention),
    }
}

fn unprobeable(function: &FunctionCode<'_>, reason: ProbeReason) -> Plan {
    Plan {
        entry: None,
        exits: Vec::new(),
        summary: ProbeSummary {
            probe: Probeability::None,
            exits: 0,
            reason: Some(reason),
        },
        tail_calls: 0,
        entry_may_refire: false,
        key: frame_key(function.convention),
    }
}

fn count_tail_calls(exits: &[Site]) -> u32 {
    let tail_calls = exits.iter().filter(|exit| exit.kind == SiteKind::TailCall);
    tail_calls.count() as u32
}

fn frame_key(convention: Convention) -> FrameKey {
    match convention {
        Convention::GoRegisters => FrameKey::Goroutine,
        Convention::GoAssembly | Convention::Native => FrameKey::Thread,
    }
}
