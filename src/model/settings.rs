//! What a session is asked to do beside counting.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::filter::Expression;
use crate::{Diagnostic, ExitStatus, Limits, format_duration};

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

    /// Whether a call can make a record at all.
    ///
    /// # Errors
    /// If calls would have to take longer than they may.
    pub fn check_durations(&self) -> Result<(), ImpossibleDurations> {
        match self.max {
            Some(max) if self.min > max => Err(ImpossibleDurations { min: self.min, max }),
            _ => Ok(()),
        }
    }

    /// Whether it takes what calls receive or return, which not everybody may see: what a filter
    /// lets through tells that, too.
    pub fn reads_values(&self) -> bool {
        self.capture.arguments || self.capture.results || self.filter.is_some()
    }
}

/// Calls that are to take longer than they may.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("no call takes at least {} and at most {}", format_duration(*min), format_duration(*max))]
pub struct ImpossibleDurations {
    min: Duration,
    max: Duration,
}

impl Diagnostic for ImpossibleDurations {
    fn code(&self) -> &'static str {
        "bad-durations"
    }

    fn help(&self) -> String {
        "swap the shortest and the longest duration".into()
    }

    fn exit_status(&self) -> ExitStatus {
        ExitStatus::Usage
    }
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

/// What probes may cost, as it is written and cannot be understood.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("write percent of a core, such as 2 or 2.5%, or none")]
pub struct BudgetError;

/// Reads what probes may cost: percent of a core such as `2` or `2.5%`, or `none` for no limit.
///
/// # Errors
/// If it is neither, or not more than nothing.
pub fn parse_budget(text: &str) -> Result<Option<f64>, BudgetError> {
    if text == "none" {
        return Ok(None);
    }
    let number = text.strip_suffix('%').unwrap_or(text);
    match number.trim().parse::<f64>() {
        Ok(percent) if percent > 0.0 && percent.is_finite() => Ok(Some(percent)),
        _ => Err(BudgetError),
    }
}

/// What probes may cost, as [`parse_budget`] reads it.
pub fn format_budget(percent: Option<f64>) -> String {
    percent.map_or_else(|| "none".into(), |percent| percent.to_string())
}

/// Which values of single calls are read. None, if nothing else is asked for: they may be secret.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Capture {
    /// What calls receive.
    pub arguments: bool,
    /// What calls return.
    pub results: bool,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn budgets_are_read_as_they_are_written() {
        for (text, budget) in [
            ("2", Some(2.0)),
            ("2.5%", Some(2.5)),
            ("2.5 %", Some(2.5)),
            ("none", None),
        ] {
            assert_eq!(parse_budget(text), Ok(budget), "{text}");
            assert_eq!(parse_budget(&format_budget(budget)), Ok(budget));
        }
        for text in ["", "0", "-1", "NaN", "inf", "5%%", "all"] {
            assert_eq!(parse_budget(text), Err(BudgetError), "{text}");
        }
    }
}
