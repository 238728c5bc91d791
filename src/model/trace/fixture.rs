//! Call trees, and the records that they make.

use proptest::prelude::*;

use super::{Trace, TraceCall, TraceRecord};
use crate::FunctionId;

/// The frames that the root of every tree is inside of.
const OUTSIDE: u32 = 3;

/// A call tree. Each call is of another function, which is named by its place in pre-order.
#[derive(Clone, Debug)]
pub(super) struct Tree {
    calls: Vec<TraceCall>,
    parents: Vec<usize>,
    /// The places in the order in which the calls end.
    ends: Vec<usize>,
}

impl Tree {
    /// Trees of all shapes.
    pub(super) fn any() -> impl Strategy<Value = Self> {
        prop::collection::vec(any::<u32>(), 0..100).prop_map(|raw| {
            let mut depth = 0;
            let depths = raw.into_iter().map(|raw| {
                depth = 1 + raw % (depth + 1);
                depth
            });
            Self::of_depths(depths)
        })
    }

    /// The tree whose calls below the root have these depths in pre-order.
    fn of_depths(depths: impl Iterator<Item = u32>) -> Self {
        let mut tree = Self {
            calls: Vec::new(),
            parents: Vec::new(),
            ends: Vec::new(),
        };
        let mut open = Vec::new();
        let mut now_ns = 1_000;
        for depth in [0].into_iter().chain(depths) {
            while open.len() > depth as usize {
                tree.end(open.pop().unwrap(), &mut now_ns);
            }
            now_ns += 1;
            let place = tree.calls.len();
            tree.parents.push(open.last().copied().unwrap_or(0));
            tree.calls.push(TraceCall {
                function: FunctionId(place as u32),
                depth,
                started_ns: now_ns,
                duration_ns: 0,
                self_ns: 0,
                failed: place % 3 == 1,
                parent_missing: false,
            });
            open.push(place);
        }
        while let Some(place) = open.pop() {
            tree.end(place, &mut now_ns);
        }
        tree
    }

    fn end(&mut self, place: usize, now_ns: &mut u64) {
        *now_ns += 1;
        let call = &mut self.calls[place];
        call.duration_ns = *now_ns - call.started_ns;
        // What its children took was taken off as they ended.
        call.self_ns = call.self_ns.wrapping_add(call.duration_ns);
        let duration_ns = call.duration_ns;
        if place != 0 {
            let parent = &mut self.calls[self.parents[place]];
            parent.self_ns = parent.self_ns.wrapping_sub(duration_ns);
        }
        self.ends.push(place);
    }

    /// All its calls in pre-order.
    pub(super) fn calls(&self) -> &[TraceCall] {
        &self.calls
    }

    /// What is left of it without some calls: their children belong to their nearest ancestor.
    pub(super) fn calls_without(&self, is_lost: impl Fn(usize) -> bool) -> Vec<TraceCall> {
        let ancestors = |place: usize| {
            std::iter::successors((place != 0).then(|| self.parents[place]), |&place| {
                (place != 0).then(|| self.parents[place])
            })
        };
        (0..self.calls.len())
            .filter(|&place| !is_lost(place))
            .map(|place| TraceCall {
                depth: ancestors(place).filter(|&above| !is_lost(above)).count() as u32,
                parent_missing: ancestors(place).next().is_some_and(&is_lost),
                ..self.calls[place]
            })
            .collect()
    }

    /// The record of its root, and those of all others as they end.
    pub(super) fn records(&self) -> (TraceRecord, Vec<TraceRecord>) {
        let mut records: Vec<_> = self.ends.iter().map(|&place| self.record(place)).collect();
        (records.pop().unwrap(), records)
    }

    fn record(&self, place: usize) -> TraceRecord {
        let call = self.calls[place];
        TraceRecord {
            trace_id: 7,
            stack: 0,
            function: call.function,
            frame_index: OUTSIDE + call.depth,
            entry_ns: call.started_ns,
            duration_ns: call.duration_ns,
            children_ns: call.duration_ns - call.self_ns,
            failed: call.failed,
            is_root: place == 0,
            calls_in_trace: self.calls.len() as u32,
        }
    }
}

/// A trace of calls that are given by function, depth, duration and time of their own.
pub(super) fn trace(calls: &[(u32, u32, u64, u64)]) -> Trace {
    let call = |&(function, depth, duration_ns, self_ns)| TraceCall {
        function: FunctionId(function),
        depth,
        started_ns: 0,
        duration_ns,
        self_ns,
        failed: false,
        parent_missing: false,
    };
    Trace {
        id: 1,
        calls: calls.iter().map(call).collect(),
        missing_calls: 0,
    }
}
