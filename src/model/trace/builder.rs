//! From records, in the order in which calls end, to traces.

use std::collections::HashMap;

use super::{Trace, assemble};
use crate::FunctionId;

/// More traces are not open at the same time; the one that was silent for longest is given up.
const OPEN_TRACES_MAX: usize = 256;
/// More calls of one trace are not kept until its root ends.
const CALLS_MAX: usize = 10_000;

/// What is known of a call of a trace when it ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TraceRecord {
    /// The trace that it is of; unique on its stack.
    pub trace_id: u64,
    /// The goroutine or thread that it ran on: two traces may begin in the same nanosecond.
    pub stack: u64,
    /// The function that was called.
    pub function: FunctionId,
    /// How many probed calls it was inside of, those outside of the trace included.
    pub frame_index: u32,
    /// When it began, on the kernel's monotonic clock.
    pub entry_ns: u64,
    /// How long it took.
    pub duration_ns: u64,
    /// What the probed calls that it made took.
    pub children_ns: u64,
    /// Whether it returned an error.
    pub failed: bool,
    /// Whether it is the root, and so the last record of its trace.
    pub is_root: bool,
    /// With the root: how many calls the trace had, the root included.
    pub calls_in_trace: u32,
}

/// What never became a trace.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct TraceLosses {
    /// Traces that were given up: their roots were unwound, or the roots' records were lost.
    pub traces: u64,
    /// The calls of those traces that had made records.
    pub calls: u64,
}

/// Builds traces from the records of any number of goroutines and threads.
///
/// The records of one trace come in the order in which its calls end. Memory is bounded, whatever
/// comes: at most 256 traces are open, with at most 10,000 calls each.
#[derive(Debug, Default)]
pub struct TraceBuilder {
    open: HashMap<(u64, u64), OpenTrace>,
    records: u64,
    losses: TraceLosses,
}

/// A trace whose root has not ended.
#[derive(Debug, Default)]
struct OpenTrace {
    records: Vec<TraceRecord>,
    /// The number of the record that came last.
    last_record: u64,
}

impl TraceBuilder {
    /// A builder with no trace open.
    pub fn new() -> Self {
        Self::default()
    }

    /// Takes the next record; returns its trace if it is the root.
    pub fn push(&mut self, record: TraceRecord) -> Option<Trace> {
        self.records += 1;
        let key = (record.trace_id, record.stack);
        if record.is_root {
            let open = self.open.remove(&key).unwrap_or_default();
            return Some(assemble::trace(record, &open.records));
        }
        if !self.open.contains_key(&key) && self.open.len() == OPEN_TRACES_MAX {
            self.give_one_up();
        }
        let open = self.open.entry(key).or_default();
        open.last_record = self.records;
        if open.records.len() < CALLS_MAX {
            open.records.push(record);
        }
        None
    }

    /// What was given up so far.
    pub fn losses(&self) -> TraceLosses {
        self.losses
    }

    /// Gives all open traces up, at the end of a session.
    pub fn finish(&mut self) -> TraceLosses {
        for (_, open) in self.open.drain() {
            self.losses.count(&open);
        }
        self.losses
    }

    fn give_one_up(&mut self) {
        let silent = self.open.iter().min_by_key(|(_, open)| open.last_record);
        if let Some(&key) = silent.map(|(key, _)| key)
            && let Some(open) = self.open.remove(&key)
        {
            self.losses.count(&open);
        }
    }
}

impl TraceLosses {
    fn count(&mut self, open: &OpenTrace) {
        self.traces += 1;
        self.calls += open.records.len() as u64;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn record(trace_id: u64, frame_index: u32, entry_ns: u64) -> TraceRecord {
        TraceRecord {
            trace_id,
            stack: 0,
            function: FunctionId(frame_index),
            frame_index,
            entry_ns,
            duration_ns: 10,
            children_ns: 0,
            failed: false,
            is_root: frame_index == 0,
            calls_in_trace: 2,
        }
    }

    #[test]
    fn traces_that_run_at_the_same_time_stay_apart() {
        let mut builder = TraceBuilder::new();
        assert_eq!(builder.push(record(1, 1, 5)), None);
        assert_eq!(builder.push(record(2, 1, 6)), None);
        for id in [2, 1] {
            let trace = builder.push(record(id, 0, id)).unwrap();
            assert_eq!((trace.id(), trace.root().started_ns), (id, id));
            assert_eq!((trace.calls().len(), trace.missing_calls()), (2, 0));
        }
        assert_eq!(builder.finish(), TraceLosses::default());
    }

    #[test]
    fn traces_that_begin_at_the_same_time_stay_apart() {
        let mut builder = TraceBuilder::new();
        let on = |stack, record| TraceRecord { stack, ..record };
        builder.push(on(1, record(5, 1, 6)));
        builder.push(on(2, record(5, 1, 7)));
        for (stack, started_ns) in [(1, 6), (2, 7)] {
            let trace = builder.push(on(stack, record(5, 0, 5))).unwrap();
            let started: Vec<_> = trace.calls().iter().map(|call| call.started_ns).collect();
            assert_eq!(started, [5, started_ns]);
        }
    }

    #[test]
    fn the_silent_trace_is_given_up() {
        let mut builder = TraceBuilder::new();
        for id in 0..OPEN_TRACES_MAX as u64 {
            builder.push(record(id, 1, 1));
        }
        // The first one speaks again, so the second is the silent one.
        builder.push(record(0, 1, 2));
        builder.push(record(9_999, 1, 1));
        assert_eq!(
            builder.losses(),
            TraceLosses {
                traces: 1,
                calls: 1
            }
        );
        let root = |id| TraceRecord {
            calls_in_trace: 3,
            ..record(id, 0, 0)
        };
        assert_eq!(builder.push(root(0)).unwrap().missing_calls(), 0);
        assert_eq!(builder.push(root(1)).unwrap().missing_calls(), 2);
        assert_eq!(builder.finish().traces, OPEN_TRACES_MAX as u64);
    }

    #[test]
    fn a_long_trace_is_cut_and_says_so() {
        let mut builder = TraceBuilder::new();
        for call in 0..12_000 {
            builder.push(record(1, 1, 1 + call));
        }
        let root = TraceRecord {
            calls_in_trace: 12_001,
            ..record(1, 0, 0)
        };
        let trace = builder.push(root).unwrap();
        assert_eq!(trace.calls().len(), CALLS_MAX + 1);
        assert_eq!(trace.missing_calls(), 2_000);
    }
}
