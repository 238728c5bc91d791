//! What a session is asked to do beside counting.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::Limits;
use crate::filter::Expression;

/// How long a session runs, which single calls it records, and what it may cost.
///
/// Counters, histograms and the call tree hold every call, whatever is set here.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct SessionSettings {
    /// The lease.
    pub duration: Duration,
    /// Calls of one in so many call trees make a record, decided where the tree begins.
    pub sample_rate: u32,
    /// Only calls that took at least this long make a record.
    pub min: Duration,
    /// Only calls that took at most this long make a record.
    pub max: Option<Duration>,
    /// Calls that took at least this long make a record, sampled or not.
    pub slow: Option<Duration>,
    /// Which values of recorded calls are read.
    pub capture: Capture,
    /// Only calls with such arguments make a record.
    pub filter: Option<Expression>,
    /// What the probes may cost, in percent of a core; what costs more is detached. `None` for no
    /// limit.
    pub budget_percent: Option<f64>,
}

impl SessionSettings {
    /// What probes may cost if nothing else is asked for, in percent of a core.
    pub const DEFAULT_BUDGET_PERCENT: f64 = 10.0;
}

impl Default for SessionSettings {
    fn default() -> Self {
        Self {
            duration: Limits::DEFAULT_DURATION,
            sample_rate: 1,
            min: Duration::ZERO,
            max: None,
            slow: None,
            capture: Capture::default(),
            filter: None,
            budget_percent: Some(Self::DEFAULT_BUDGET_PERCENT),
        }
    }
}

/// Which values of single calls are read. None, if nothing else is asked for: they may be secret.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Capture {
    /// What calls receive.
    pub arguments: bool,
    /// What calls return.
    pub results: bool,
}
