//! The orders of the function list.

use std::cmp::Ordering;

use coral_model::{Function, FunctionId, FunctionStats, FunctionTable};
use serde::{Deserialize, Serialize};

use crate::measurements::Measurements;
use crate::own::Nearness;

/// What the function list is sorted by.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Sort {
    /// The application's own functions first; with a filter, the best match first.
    #[default]
    Relevance,
    CallsPerS,
    P50,
    P95,
    P99,
    Total,
    Max,
    Calls,
    Errors,
    InFlight,
    Cost,
    Name,
    Size,
    Location,
}

impl Sort {
    /// What `sort` goes through; the others are for views and clicks on their columns.
    const CYCLE: [Self; 10] = [
        Self::Relevance,
        Self::CallsPerS,
        Self::P99,
        Self::Total,
        Self::Max,
        Self::Calls,
        Self::Errors,
        Self::Name,
        Self::Size,
        Self::Location,
    ];

    /// The one after this.
    pub(crate) fn next(self) -> Self {
        let position = Self::CYCLE.iter().position(|&sort| sort == self);
        Self::CYCLE[(position.unwrap_or(0) + 1) % Self::CYCLE.len()]
    }

    /// How the title of the list names it.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Relevance => "own code first",
            Self::CallsPerS => "calls/s",
            Self::P50 => "p50",
            Self::P95 => "p95",
            Self::P99 => "p99",
            Self::Total => "total",
            Self::Max => "max",
            Self::Calls => "calls",
            Self::Errors => "errors",
            Self::InFlight => "in flight",
            Self::Cost => "cost",
            Self::Name => "name",
            Self::Size => "size",
            Self::Location => "location",
        }
    }

    /// Whether it sorts by what is measured, which changes while one looks at it.
    pub(crate) fn is_live(self) -> bool {
        !matches!(
            self,
            Self::Relevance | Self::Name | Self::Size | Self::Location
        )
    }

    /// Whether large values come first unless the order is turned round.
    pub(crate) fn is_descending(self) -> bool {
        self.is_live() || self == Self::Size
    }

    /// Compares what is known about two functions without measuring them.
    pub(crate) fn compare(
        self,
        table: &FunctionTable,
        nearness: &[Nearness],
        a: FunctionId,
        b: FunctionId,
    ) -> Ordering {
        let (Some(x), Some(y)) = (table.get(a), table.get(b)) else {
            return a.cmp(&b);
        };
        let place = |function: &Function<'_>| (function.module, function.address);
        let near = |id: FunctionId| nearness.get(id.0 as usize);
        match self {
            Self::Size => x.size.cmp(&y.size),
            Self::Location => (x.file, x.line).cmp(&(y.file, y.line)),
            Self::Name => x.name.cmp(y.name),
            _ => near(a)
                .cmp(&near(b))
                .then_with(|| bare(x.name).cmp(bare(y.name)))
                .then_with(|| x.name.cmp(y.name)),
        }
        .then_with(|| place(&x).cmp(&place(&y)))
    }

    /// Sorts measured functions by their numbers; those without the number come last.
    pub(crate) fn sort_measured(
        self,
        ids: &mut [FunctionId],
        measurements: &Measurements,
        descending: bool,
    ) {
        ids.sort_by_cached_key(|&id| {
            let value = measurements.stats(id).and_then(|stats| self.value(stats));
            let order = match value {
                Some(value) if descending => u64::MAX - value,
                Some(value) => value,
                None => 0,
            };
            (value.is_none(), order)
        });
    }

    fn value(self, stats: &FunctionStats) -> Option<u64> {
        let latency = &stats.latency;
        let timed = !latency.buckets.is_empty();
        match self {
            Self::CallsPerS => Some((stats.calls_per_s * 1_000.0) as u64),
            Self::P50 => latency.percentile_ns(50.0),
            Self::P95 => latency.percentile_ns(95.0),
            Self::P99 => latency.percentile_ns(99.0),
            Self::Total => timed.then_some(latency.total_ns),
            Self::Max => timed.then_some(latency.max_ns),
            Self::Calls => Some(stats.calls),
            Self::Errors => stats.errors,
            Self::InFlight => Some(stats.in_flight),
            Self::Cost => stats.cost_percent.map(|percent| (percent * 1e6) as u64),
            Self::Relevance | Self::Name | Self::Size | Self::Location => None,
        }
    }
}

/// `<shop::Cart>::add` stands where `shop::Cart::add` would.
fn bare(name: &str) -> &str {
    name.trim_start_matches('<')
}
