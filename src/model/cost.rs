//! What probes would cost, before they are attached.

use std::time::Duration;

use crate::FunctionId;

/// What probes on functions would cost, from a short count of the calls.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct ExpectedCost {
    /// Hits a second, of all functions.
    pub hits_per_s: f64,
    /// Share of a core that they cost, in percent; `None` where a hit could not be calibrated.
    pub cpu_percent: Option<f64>,
    /// The function that costs most, and its share.
    pub dearest: Option<(FunctionId, f64)>,
    /// How long calls were counted.
    pub counted: Duration,
    /// Counting itself took so much of the program's time that it calls them more often.
    pub is_at_least: bool,
}

impl ExpectedCost {
    /// Whether that is more than probes may cost, in percent of a core; `None` for no limit.
    pub fn is_over(&self, budget_percent: Option<f64>) -> bool {
        let both = self.cpu_percent.zip(budget_percent);
        both.is_some_and(|(percent, budget)| percent > budget)
    }
}
