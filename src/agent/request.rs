//! What is asked of a session, and what came of it.

use std::time::Duration;

use coral_model::{FunctionId, Redaction, SessionSettings};

use super::call_stream::CallSink;
use super::growth::GrowthRule;
use crate::symbols::InlinedFunction;

/// What to attach, for how long, and on whose behalf.
#[derive(Clone, Debug)]
pub struct AttachRequest {
    /// The functions of the target's table.
    pub functions: Vec<FunctionId>,
    /// Functions whose calls are counted where they were inlined.
    pub inlined: Vec<InlinedFunction>,
    /// How long, which single calls are recorded, and what it may cost.
    pub settings: SessionSettings,
    /// Who asks.
    pub requested_by: String,
    /// Catch returns by the kernel's return probes where the planner would place one probe per
    /// exit: cheaper, but a C++ exception or a Rust panic through such a frame ends the target.
    pub fast_returns: bool,
    /// How many functions the session has room for, when more will be added while it runs.
    pub room: usize,
    /// Whether calls are counted by their path.
    pub tree: bool,
    /// Whether a function that calls itself is one node of the tree.
    pub fold_recursion: bool,
    /// What of the values is hidden.
    pub redaction: Redaction,
    /// Whether traces of single requests are wanted, and which.
    pub trace: Option<TraceRule>,
    /// What of the target's later life is measured too.
    pub growth: GrowthRule,
    /// Who gets every recorded call.
    pub calls: Option<CallSink>,
    /// Sessions of one group count as one where their number is limited.
    pub group: Option<String>,
}

/// Which requests are traced.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TraceRule {
    /// The function that traces begin at.
    pub root: FunctionId,
    /// Only requests of that HTTP path; one that ends with `*` stands for all that begin so. The
    /// root must be the function of Go's `net/http` that every request passes.
    pub path: Option<String>,
}

impl AttachRequest {
    /// A request for `functions` with the default settings.
    pub fn new(functions: Vec<FunctionId>, requested_by: String) -> Self {
        Self {
            room: functions.len(),
            functions,
            inlined: Vec::new(),
            settings: SessionSettings::default(),
            requested_by,
            fast_returns: false,
            tree: true,
            fold_recursion: true,
            redaction: Redaction::default(),
            trace: None,
            growth: GrowthRule::default(),
            calls: None,
            group: None,
        }
    }

    /// The shortest and the longest duration of calls that make a record, in nanoseconds.
    pub(super) fn record_range_ns(&self) -> (u64, u64) {
        let max_ns = self.settings.max.map_or(u64::MAX, ns);
        (ns(self.settings.min), max_ns)
    }

    /// The duration from which on calls are slow, in nanoseconds.
    pub(super) fn slow_ns(&self) -> u64 {
        self.settings.slow.map_or(u64::MAX, ns)
    }
}

fn ns(duration: Duration) -> u64 {
    u64::try_from(duration.as_nanos()).unwrap_or(u64::MAX)
}

/// What came of attaching.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Attached {
    /// The functions whose probes are live.
    pub functions: Vec<FunctionId>,
    /// How many probes that are.
    pub probes: u32,
    /// The functions that were left out, with the reason.
    pub refused: Vec<Refused>,
}

impl Attached {
    /// Notes that a function was left out.
    pub(super) fn refuse(&mut self, function: FunctionId, reason: String) {
        self.refused.push(Refused { function, reason });
    }
}

/// A function that was not attached.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Refused {
    /// The function.
    pub function: FunctionId,
    /// Why, as a phrase.
    pub reason: String,
}
