//! What is kept of all traces of a session.

use super::{Trace, TraceTree};

/// So many of the slowest traces are kept whole.
const SLOWEST_MAX: usize = 5;

/// The traces of a session: all of them merged, and the slowest as they were.
#[derive(Clone, Debug, Default)]
pub struct TraceSummary {
    tree: TraceTree,
    slowest: Vec<Trace>,
    missing_calls: u64,
}

impl TraceSummary {
    /// Adds a trace.
    pub fn add(&mut self, trace: Trace) {
        self.tree.add(&trace);
        self.missing_calls += trace.missing_calls();
        let duration_ns = trace.root().duration_ns;
        let place = self
            .slowest
            .partition_point(|slower| slower.root().duration_ns >= duration_ns);
        if place < SLOWEST_MAX {
            self.slowest.truncate(SLOWEST_MAX - 1);
            self.slowest.insert(place, trace);
        }
    }

    /// All traces as one tree.
    pub fn tree(&self) -> &TraceTree {
        &self.tree
    }

    /// The slowest traces, slowest first.
    pub fn slowest(&self) -> &[Trace] {
        &self.slowest
    }

    /// How many calls all traces together miss.
    pub fn missing_calls(&self) -> u64 {
        self.missing_calls
    }
}

#[cfg(test)]
mod tests {
    use super::super::fixture::trace;
    use super::*;

    #[test]
    fn the_slowest_are_kept() {
        let mut summary = TraceSummary::default();
        for duration_ns in [3, 9, 1, 7, 4, 8, 2, 6, 5] {
            summary.add(trace(&[(1, 0, duration_ns, duration_ns)]));
        }
        let durations: Vec<_> = summary
            .slowest()
            .iter()
            .map(|trace| trace.root().duration_ns)
            .collect();
        assert_eq!(durations, [9, 8, 7, 6, 5]);
        assert_eq!(summary.tree().requests(), 9);
    }
}
