//! What a session has measured at one moment. Immutable: screens, exports and recordings share it.

use std::sync::Arc;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use crate::{CallTree, ExitProbe, FunctionId, Histogram, InnerCalls, Replica, SessionInfo};

/// Everything a session knows at one moment.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Snapshot {
    /// The session itself.
    pub session: SessionInfo,
    /// Its functions in the order they were attached; a detached one stays with its numbers.
    pub functions: Vec<Arc<FunctionStats>>,
    /// Who called whom, and how long it took.
    #[serde(default)]
    pub call_tree: Arc<CallTree>,
    /// The slowest single calls that were recorded, slowest first.
    pub slow_calls: Vec<CallRecord>,
    /// The calls that have not returned, oldest first, as far as they were looked at.
    #[serde(default)]
    pub in_flight: Vec<InFlightCall>,
    /// What happened to the session, oldest first: warnings, and what was detached by itself.
    #[serde(default)]
    pub notices: Vec<SessionNotice>,
    /// Where every hit went.
    pub accounting: Accounting,
    /// What measuring costs.
    pub overhead: Overhead,
    /// The processes, where the session measures several on several nodes; all that stands above is
    /// what they add up to. Empty where the session has one agent.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub replicas: Vec<Arc<Replica>>,
}

/// The numbers of one function in one session.
///
/// `calls = returns + unwound + in_flight` holds exactly once the session has ended; in a live
/// snapshot the counters are read one after the other while the target runs.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct FunctionStats {
    /// The function in the target's table.
    pub id: FunctionId,
    /// Its name, as it stands in the binary: escape it before showing it.
    pub name: String,
    /// Its source file.
    pub file: Option<String>,
    /// Its source line.
    pub line: Option<u32>,
    /// How its returns are caught.
    pub exit_probe: ExitProbe,
    /// Why its returns are not caught, or what to know about them.
    pub reason: Option<String>,
    /// Whether its probes are live.
    pub attached: bool,
    /// Entries.
    pub calls: u64,
    /// Exits that were paired with their entry.
    pub returns: u64,
    /// Calls that were left without passing an exit: panics, exceptions, longjmp, thread ends.
    pub unwound: u64,
    /// Calls entered and not left.
    pub in_flight: u64,
    /// Calls that returned an error, where that can be told.
    pub errors: Option<u64>,
    /// Exits whose entry was not seen, such as calls that were running when the session began.
    pub unmatched_exits: u64,
    /// The durations of the paired calls.
    pub latency: Histogram,
    /// What they took without the probed calls that they made, in nanoseconds.
    #[serde(default)]
    pub self_ns: u64,
    /// What probes inside of them cost, by calibration, in nanoseconds: durations hold it.
    #[serde(default)]
    pub probes_ns: u64,
    /// What measuring this function costs now, in percent of a core; `None` until it has been
    /// calibrated.
    #[serde(default)]
    pub cost_percent: Option<f64>,
    /// Whether the slow calls of this function are certainly its slowest: none that was slower
    /// than one of them made no record.
    #[serde(default)]
    pub slowest_are_complete: bool,
    /// What its polls add up to, if it polls a Rust future.
    #[serde(default)]
    pub joined: Option<Box<JoinedCalls>>,
    /// Why it was detached before the session's end, if not on demand.
    #[serde(default)]
    pub detached_because: Option<String>,
    /// Calls a second over about the last second.
    pub calls_per_s: f64,
    /// Calls a second over the last snapshots, oldest first, for a sparkline.
    pub recent_calls_per_s: Vec<f64>,
}

impl FunctionStats {
    /// A function of which nothing was measured.
    pub fn new(id: FunctionId, name: impl Into<String>) -> Self {
        Self {
            id,
            name: name.into(),
            file: None,
            line: None,
            exit_probe: ExitProbe::None,
            reason: None,
            attached: false,
            calls: 0,
            returns: 0,
            unwound: 0,
            in_flight: 0,
            errors: None,
            unmatched_exits: 0,
            latency: Histogram::default(),
            self_ns: 0,
            probes_ns: 0,
            cost_percent: None,
            slowest_are_complete: false,
            joined: None,
            detached_because: None,
            calls_per_s: 0.0,
            recent_calls_per_s: Vec::new(),
        }
    }

    /// The mean duration without what probes inside of the calls cost, in nanoseconds.
    pub fn corrected_mean_ns(&self) -> Option<f64> {
        let mean = self.latency.mean_ns()?;
        Some((mean - self.probes_ns as f64 / self.returns.max(1) as f64).max(0.0))
    }

    /// Calls that returned an error, of those that returned, in percent.
    pub fn error_percent(&self) -> Option<f64> {
        let errors = self.errors?;
        (self.returns > 0).then(|| errors as f64 / self.returns as f64 * 100.0)
    }
}

/// The polls of Rust futures, joined into the calls that they are parts of.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct JoinedCalls {
    /// Futures that were polled for the first time.
    pub calls: u64,
    /// Those that were done.
    pub completed: u64,
    /// Those that were dropped before, as far as that was seen: another future took their place.
    pub dropped: u64,
    /// The polls that the completed ones took.
    pub polls: u64,
    /// The time that the completed ones were being polled, in nanoseconds.
    pub busy_ns: u64,
    /// From the first poll to the end of the last, of the completed ones.
    pub latency: Histogram,
}

impl JoinedCalls {
    /// The time that the completed ones waited, in nanoseconds.
    pub fn idle_ns(&self) -> u64 {
        self.latency.total_ns.saturating_sub(self.busy_ns)
    }
}

/// A call that has not returned.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct InFlightCall {
    /// The function.
    pub function: FunctionId,
    /// How long it had run when it was looked at: it may have returned since.
    pub age_ns: u64,
    /// The process.
    pub pid: u32,
    /// The thread, where frames are named by thread.
    pub tid: Option<u32>,
    /// The goroutine in Go: by its number, as stack dumps name it, or by the address of its `g`
    /// where the version of Go is not known.
    pub goroutine: Option<u64>,
    /// The probed calls that it was made from, outermost first.
    pub callers: Vec<FunctionId>,
    /// Whether it has made no probed call that has not returned.
    pub is_innermost: bool,
    /// Where it is now, innermost first; empty where that cannot be told.
    pub stack: Vec<StackFrame>,
    /// As in [`CallRecord`].
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub replica: Option<u32>,
}

/// A place in a stack.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct StackFrame {
    /// The function, or the address where no function is known: escape it before showing it.
    pub function: String,
    /// Its source file.
    pub file: Option<String>,
    /// The line in it.
    pub line: Option<u32>,
    /// Whether it was inlined into the next one.
    pub inlined: bool,
}

/// An argument or a result of a call.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct CallValue {
    /// Its name, or its place where it has none.
    pub name: String,
    /// Its type.
    pub type_name: String,
    /// What it was, redacted: escape it before showing it.
    pub value: String,
}

/// Something that happened to a session.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct SessionNotice {
    /// How old the session was.
    pub at: std::time::Duration,
    /// What happened, and why.
    pub text: String,
}

/// One completed call.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct CallRecord {
    /// The function in the target's table.
    pub function: FunctionId,
    /// When it began, by the time of day (the kernel's monotonic clock, plus the offset measured
    /// when the session began).
    pub started_at: Timestamp,
    /// How long it took.
    pub duration_ns: u64,
    /// The process.
    pub pid: u32,
    /// The thread on which it ended.
    pub tid: u32,
    /// The goroutine in Go: by its number, as stack dumps name it, or by the address of its `g`
    /// where the version of Go is not known.
    pub goroutine: Option<u64>,
    /// Whether it returned an error; `false` too where that cannot be told.
    #[serde(default)]
    pub failed: bool,
    /// What it received, if that was asked for.
    #[serde(default)]
    pub arguments: Vec<CallValue>,
    /// What it returned, if that was asked for.
    #[serde(default)]
    pub results: Vec<CallValue>,
    /// Where it ended, and its callers, innermost first, as far as the stack could be walked.
    #[serde(default)]
    pub stack: Vec<StackFrame>,
    /// The probed calls inside of it; `None` where nobody looked for them.
    #[serde(default)]
    pub inner: Option<Arc<InnerCalls>>,
    /// Where it was: its place among the snapshot's replicas, if there are any.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub replica: Option<u32>,
}

impl CallRecord {
    /// A call of which nothing is known but its time.
    pub fn new(function: FunctionId, started_at: Timestamp, duration_ns: u64) -> Self {
        Self {
            function,
            started_at,
            duration_ns,
            pid: 0,
            tid: 0,
            goroutine: None,
            failed: false,
            arguments: Vec::new(),
            results: Vec::new(),
            stack: Vec::new(),
            inner: None,
            replica: None,
        }
    }
}

/// Where every probe hit went; `hits` is the sum of all the others.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Accounting {
    /// How often a probe of this session fired within its lease.
    pub hits: u64,
    /// Counted in counters and histograms, with no single-call record wanted.
    pub aggregated: u64,
    /// Counted, and its single-call record reached the agent.
    pub events_stored: u64,
    /// Counted; the record was sampled out.
    pub sampled_out: u64,
    /// Counted; the record did not pass the session's filter.
    pub filtered_out: u64,
    /// Counted; the record was over the rate limit.
    pub throttled: u64,
    /// Counted; the record found the ring full.
    pub ring_full: u64,
    /// Entries that found no room for their frame: the call has no duration.
    pub map_full: u64,
    /// Exits whose entry was not seen.
    pub unmatched_exits: u64,
}

impl Accounting {
    /// Single-call records that were wanted and lost; counters and histograms lose nothing by it.
    pub fn records_lost(&self) -> u64 {
        self.throttled + self.ring_full
    }

    /// Whether every hit has exactly one cause.
    pub fn is_balanced(&self) -> bool {
        self.hits
            == self.aggregated
                + self.events_stored
                + self.sampled_out
                + self.filtered_out
                + self.throttled
                + self.ring_full
                + self.map_full
                + self.unmatched_exits
    }
}

/// What measuring costs the target.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Overhead {
    /// Hits a second over about the last second (over the whole session, once it has ended).
    pub hits_per_s: f64,
    /// The measured cost of one hit on this machine, averaged over the kinds that fired; `None`
    /// until it has been calibrated.
    pub ns_per_hit: Option<f64>,
    /// Share of one core that the hits cost, in percent; `None` until it has been calibrated.
    pub cpu_percent: Option<f64>,
}
