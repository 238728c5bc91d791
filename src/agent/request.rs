//! What is asked of a session, and what came of it.

use std::time::Duration;

use coral_model::filter::Expression;
use coral_model::{FunctionId, Limits, Redaction};

use super::growth::GrowthRule;
use crate::symbols::InlinedFunction;

/// What to attach, for how long, and on whose behalf.
#[derive(Clone, Debug)]
pub struct AttachRequest {
    /// The functions of the target's table.
    pub functions: Vec<FunctionId>,
    /// Functions whose calls are counted where they were inlined.
    pub inlined: Vec<InlinedFunction>,
    /// The lease.
    pub duration: Duration,
    /// Who asks.
    pub requested_by: String,
    /// Which calls make single-call records.
    pub records: RecordRule,
    /// Catch returns by the kernel's return probes where the planner would place one probe per
    /// exit: cheaper, but a C++ exception or a Rust panic through such a frame ends the target.
    pub fast_returns: bool,
    /// How many functions the session has room for, when more will be added while it runs.
    pub room: usize,
    /// What the probes may cost, in percent of a core; what costs more is detached. `None` for no
    /// limit.
    pub budget_percent: Option<f64>,
    /// Whether calls are counted by their path.
    pub tree: bool,
    /// Whether a function that calls itself is one node of the tree.
    pub fold_recursion: bool,
    /// Which values of single calls are read.
    pub capture: Capture,
    /// Only calls with such arguments make single-call records.
    pub filter: Option<Expression>,
    /// What of the values is hidden.
    pub redaction: Redaction,
    /// Whether traces of single requests are wanted, and which.
    pub trace: Option<TraceRule>,
    /// What of the target's later life is measured too.
    pub growth: GrowthRule,
}

/// Which values of single calls are read. None, if nothing else is asked for: they may be secret.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Capture {
    /// What calls receive.
    pub arguments: bool,
    /// What calls return.
    pub results: bool,
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
    /// A request for `functions` with the default lease and a record of every call.
    pub fn new(functions: Vec<FunctionId>, requested_by: String) -> Self {
        Self {
            room: functions.len(),
            functions,
            inlined: Vec::new(),
            duration: Limits::DEFAULT_DURATION,
            requested_by,
            records: RecordRule::default(),
            fast_returns: false,
            budget_percent: Some(Limits::DEFAULT_BUDGET_PERCENT),
            tree: true,
            fold_recursion: true,
            capture: Capture::default(),
            filter: None,
            redaction: Redaction::default(),
            trace: None,
            growth: GrowthRule::default(),
        }
    }
}

/// Which completed calls make a single-call record; counters and histograms hold all of them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RecordRule {
    /// Calls of one in so many call trees, decided where the tree begins.
    pub sample_rate: u32,
    /// Only calls that took at least this long.
    pub min: Duration,
    /// Only calls that took at most this long.
    pub max: Duration,
    /// Calls that took at least this long, sampled or not.
    pub slow: Duration,
}

impl Default for RecordRule {
    fn default() -> Self {
        Self {
            sample_rate: 1,
            min: Duration::ZERO,
            max: Duration::MAX,
            slow: Duration::MAX,
        }
    }
}

impl RecordRule {
    /// The shortest and the longest duration, in nanoseconds.
    pub(super) fn range_ns(&self) -> (u64, u64) {
        (ns(self.min), ns(self.max))
    }

    /// The duration from which on calls are slow, in nanoseconds.
    pub(super) fn slow_ns(&self) -> u64 {
        ns(self.slow)
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
