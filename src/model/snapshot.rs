//! What a session has measured at one moment. Immutable: screens, exports and recordings share it.

use std::sync::Arc;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use crate::{ExitProbe, FunctionId, Histogram, SessionInfo};

/// Everything a session knows at one moment.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Snapshot {
    /// The session itself.
    pub session: SessionInfo,
    /// Its functions in the order they were attached; a detached one stays with its numbers.
    pub functions: Vec<Arc<FunctionStats>>,
    /// The slowest single calls that were recorded, slowest first.
    pub slow_calls: Vec<CallRecord>,
    /// Where every hit went.
    pub accounting: Accounting,
    /// What measuring costs.
    pub overhead: Overhead,
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
    /// Calls a second over about the last second.
    pub calls_per_s: f64,
    /// Calls a second over the last snapshots, oldest first, for a sparkline.
    pub recent_calls_per_s: Vec<f64>,
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
    /// The goroutine, as the address of its `g`, in Go.
    pub goroutine: Option<u64>,
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
