//! Sessions: a set of probes on a target with an owner, a lease and limits.

use std::fmt;
use std::time::Duration;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use crate::{SessionSettings, Target};

/// Names a session, such as `dbg-01JD2...`: unique, and in the order of creation.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
pub struct SessionId(pub String);

impl fmt::Display for SessionId {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(&self.0)
    }
}

/// What an agent allows; going over one is refused with its name.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// Sessions at the same time.
    pub sessions: usize,
    /// Functions in one session.
    pub functions_per_session: usize,
    /// The longest lease.
    pub duration: Duration,
    /// Single-call records a second in one session; calls above are counted as throttled.
    pub records_per_s: u32,
    /// The most kernel memory that all sessions together could take, in bytes. A small session
    /// could take 170 MB, if 131,072 goroutines were in its functions; most take a tenth of that.
    pub memory_bytes: u64,
}

impl Limits {
    /// A session's lease if nothing else is asked for.
    pub const DEFAULT_DURATION: Duration = Duration::from_secs(60);
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            sessions: 5,
            functions_per_session: 4_000,
            duration: Duration::from_secs(600),
            records_per_s: 10_000,
            memory_bytes: 1 << 30,
        }
    }
}

/// How a function's returns are caught.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ExitProbe {
    /// A probe on every instruction that leaves the function.
    ReturnSites,
    /// The kernel's return probe, by explicit choice ("fast returns").
    Uretprobe,
    /// Not at all: calls are counted, durations are not.
    None,
}

impl ExitProbe {
    /// The name in documents and on screens.
    pub fn name(self) -> &'static str {
        match self {
            Self::ReturnSites => "return_sites",
            Self::Uretprobe => "uretprobe",
            Self::None => "none",
        }
    }
}

/// Why a session is over.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum EndReason {
    /// Its lease ran out.
    Expired,
    /// Somebody detached it.
    Detached,
    /// The process ended.
    TargetExited,
    /// The process replaced its program.
    TargetExeced,
    /// Its probes cost more than the budget.
    Budget,
    /// The agent failed; the log has the reason.
    Failed,
}

impl EndReason {
    /// The name in documents and on screens.
    pub fn name(self) -> &'static str {
        match self {
            Self::Expired => "expired",
            Self::Detached => "detached",
            Self::TargetExited => "target_exited",
            Self::TargetExeced => "target_execed",
            Self::Budget => "budget",
            Self::Failed => "failed",
        }
    }
}

/// Whether a session still measures.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum SessionState {
    /// Its probes are live.
    Active,
    /// Its probes are gone, and its numbers are final.
    Ended(EndReason),
}

/// What a session is, beside its numbers.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct SessionInfo {
    /// Its name.
    pub id: SessionId,
    /// The process it watches.
    pub target: Target,
    /// Other processes of the same executable that it watches.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub other_pids: Vec<u32>,
    /// When its first probe was live, by the time of day.
    pub started_at: Timestamp,
    /// When its last probe was gone.
    pub ended_at: Option<Timestamp>,
    /// Who asked for it.
    pub requested_by: String,
    /// How long it has measured, on the monotonic clock.
    pub elapsed: Duration,
    /// How long its lease still runs; zero once it has ended.
    pub remaining: Duration,
    /// Whether it still measures.
    pub state: SessionState,
    /// How many probe sites are live (were live, once it has ended).
    pub probes: u32,
    /// What it is asked to do, with the lease and the filter as they are by now.
    #[serde(default)]
    pub settings: SessionSettings,
}
