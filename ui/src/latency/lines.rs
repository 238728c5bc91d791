//! Percentiles over time.

use super::History;
use crate::log_scale::LogScale;

/// The percentiles that are drawn, the maximum last.
pub(crate) const MARKED: [(f64, &str); 4] =
    [(50.0, "p50"), (90.0, "p90"), (99.0, "p99"), (100.0, "max")];

/// For each column the percentiles of its calls.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Lines {
    /// `None` where no call returned, or nothing was measured.
    pub(crate) columns: Vec<Option<[u64; MARKED.len()]>>,
    low_ns: u64,
    pub(crate) high_ns: u64,
}

impl Lines {
    pub(crate) fn of(history: &History) -> Self {
        let columns: Vec<_> = history
            .columns()
            .into_iter()
            .map(|latency| {
                let latency = latency.filter(|latency| !latency.buckets.is_empty())?;
                let value = |(percent, _)| latency.percentile_ns(percent).unwrap_or_default();
                Some(MARKED.map(value))
            })
            .collect();
        let values = || columns.iter().flatten().flatten().copied();
        Self {
            low_ns: values().min().unwrap_or_default(),
            high_ns: values().max().unwrap_or_default(),
            columns,
        }
    }

    /// The logarithmic axis of so many steps.
    pub(crate) fn scale(&self, steps: u16) -> LogScale {
        LogScale::between(self.low_ns, self.high_ns, steps)
    }

    /// The step of a duration on a linear axis from 0.
    pub(crate) fn linear_step(&self, duration_ns: u64, steps: u16) -> u16 {
        let share = duration_ns as f64 / self.high_ns.max(1) as f64;
        ((share * f64::from(steps)) as u16).min(steps.saturating_sub(1))
    }
}
