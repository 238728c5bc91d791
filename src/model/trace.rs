//! Traces: the whole call trees of single requests.
//!
//! Records of calls arrive as the calls end. [`TraceBuilder`] makes traces of them,
//! [`TraceSummary`] merges the traces into one [`TraceTree`] and keeps the slowest, and
//! [`Analysis`] names what takes the time.

mod analysis;
mod assemble;
mod builder;
mod summary;
mod tree;

#[cfg(test)]
mod fixture;

pub use analysis::{Analysis, SlowestNode};
pub use builder::{TraceBuilder, TraceLosses, TraceRecord};
pub use summary::TraceSummary;
pub use tree::{TraceNode, TraceTree};

use crate::FunctionId;

/// One call of a trace.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TraceCall {
    /// The function.
    pub function: FunctionId,
    /// How many calls of the trace it is inside of; 0 for the root.
    pub depth: u32,
    /// When it began, on the kernel's monotonic clock.
    pub started_ns: u64,
    /// How long it took.
    pub duration_ns: u64,
    /// What of that no probed call inside of it took.
    pub self_ns: u64,
    /// Whether it returned an error.
    pub failed: bool,
    /// Whether calls between it and its parent are missing from the trace.
    pub parent_missing: bool,
}

/// The calls of one request, as far as they made records.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Trace {
    id: u64,
    /// In pre-order and never empty: the root is the first.
    calls: Vec<TraceCall>,
    missing_calls: u64,
}

impl Trace {
    /// What tells it from other traces of its session.
    pub fn id(&self) -> u64 {
        self.id
    }

    /// The call that the trace is of.
    pub fn root(&self) -> &TraceCall {
        &self.calls[0]
    }

    /// All calls in pre-order: each before those inside of it, in the order in which they began.
    pub fn calls(&self) -> &[TraceCall] {
        &self.calls
    }

    /// How many calls the trace had beyond these: they were unwound, or their records were lost.
    pub fn missing_calls(&self) -> u64 {
        self.missing_calls
    }
}
