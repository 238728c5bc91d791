//! What coral's programs do with a call.

use coral_ebpf_common::{FUNCTION_HAS_DETAIL, FUNCTION_IS_COUNTED, FunctionConfig, FunctionDetail};
use coral_tui::probe::{Engine, EngineSpec};

use crate::Result;
use crate::function::Function;
use crate::subject::{SLOT, SLOT_IN_TURN};

/// A function, and the one that may be called in turn with it.
const FUNCTIONS: u32 = 2;
/// More records than any run makes.
pub(crate) const NO_LIMIT: i64 = i64::MAX / 2;

/// The parts of a session's work.
#[derive(Clone, Copy)]
pub(crate) struct Work {
    /// Entries are counted and nothing else: no pairs, no durations.
    entries_only: bool,
    /// The call tree is counted.
    pub(crate) tree: bool,
    /// Another function is called in turn with it.
    pub(crate) in_turn: bool,
    /// A record of every call is wanted.
    wanted: bool,
    /// It is written: no limit is in the way.
    pub(crate) records: bool,
    /// The caller's stack is in it.
    stack: bool,
    /// The first argument is captured; the stack is in the record as well, then.
    pub(crate) arguments: bool,
}

impl Work {
    /// How many entries there were.
    pub(crate) const ENTRIES: Self = Self {
        entries_only: true,
        ..Self::COUNTERS
    };
    /// Counters and the histogram.
    pub(crate) const COUNTERS: Self = Self {
        entries_only: false,
        tree: false,
        in_turn: false,
        wanted: false,
        records: false,
        stack: false,
        arguments: false,
    };
    /// Records are wanted, as in a session; at these rates its limit allows hardly any, so here it
    /// allows none.
    pub(crate) const THROTTLED: Self = Self {
        wanted: true,
        ..Self::COUNTERS
    };
    /// Counters and the call tree.
    pub(crate) const TREE: Self = Self {
        tree: true,
        ..Self::COUNTERS
    };
    /// Counters of two functions that are called in turn.
    pub(crate) const COUNTERS_IN_TURN: Self = Self {
        in_turn: true,
        ..Self::COUNTERS
    };
    /// The same and the call tree, where no path is the one before.
    pub(crate) const TREE_IN_TURN: Self = Self {
        in_turn: true,
        ..Self::TREE
    };
    /// Counters and the call tree, and a record of every call.
    pub(crate) const RECORDS: Self = Self {
        wanted: true,
        records: true,
        ..Self::TREE
    };
    /// The same, and in each record the stack.
    pub(crate) const STACKS: Self = Self {
        stack: true,
        ..Self::RECORDS
    };
    /// The same, and the first argument.
    pub(crate) const ARGUMENTS: Self = Self {
        arguments: true,
        ..Self::STACKS
    };
    /// What a session does with a function that is called all the time.
    pub(crate) const SESSION: Self = Self {
        wanted: true,
        ..Self::TREE
    };

    /// After so many calls the records must be read: no more of them fit in the ring.
    pub(crate) fn calls_per_read(self) -> u64 {
        match self {
            Self { stack: true, .. } => 1_000,
            Self { records: true, .. } => 10_000,
            _ => u64::MAX,
        }
    }

    /// An engine that does this to a function of a process.
    pub(crate) fn engine(self, pid: u32, function: &Function) -> Result<Engine> {
        let engine = Engine::load(&EngineSpec {
            sample_rate: u32::from(self.wanted),
            tree: self.tree,
            details: self.stack,
            ..EngineSpec::counting(pid, FUNCTIONS)
        })?;
        engine.set_deadline_ns(u64::MAX);
        let mut flags = 0;
        if self.entries_only {
            flags |= FUNCTION_IS_COUNTED;
        }
        if self.arguments {
            flags |= FUNCTION_HAS_DETAIL;
            let mut detail = FunctionDetail {
                arguments_len: 1,
                ..FunctionDetail::default()
            };
            detail.arguments[0] = function.argument.ok_or("no argument can be read")?;
            engine.set_detail(SLOT, detail);
        }
        for slot in [SLOT, SLOT_IN_TURN] {
            let goid_offset = function.goid_offset;
            engine.set_function(
                slot,
                FunctionConfig {
                    flags,
                    goid_offset,
                    ..FunctionConfig::default()
                },
            );
            // Every call is among the slowest, whose records hold their stacks, or none is.
            engine.set_top_ns(slot, if self.stack { 0 } else { u64::MAX });
        }
        if self.records {
            engine.refill_records(SLOT, NO_LIMIT, 0);
        }
        Ok(engine)
    }
}
