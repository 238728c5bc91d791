//! As much as the console may ever show.

use std::sync::Arc;
use std::time::Duration;

use coral_model::{
    CallNode, CallRecord, CallTree, FunctionId, FunctionTable, Histogram, InFlightCall, Snapshot,
};

use crate::fixture;

const FUNCTIONS: usize = 1_000_000;
const PATHS: u32 = 100_000;
/// A snapshot lists so many slow calls, and calls in flight.
const CALLS: usize = 1_000;
/// An hour of snapshots.
pub(crate) const QUARTERS: u64 = 4 * 3_600;

pub(crate) fn functions() -> Arc<FunctionTable> {
    let name = |n| {
        let (service, table) = (n % 97, n % 1_009);
        format!("github.com/acme/service{service}/store.(*Table{table}).Get{n}")
    };
    let names: Vec<String> = (0..FUNCTIONS).map(name).collect();
    fixture::table_of(names.iter().map(String::as_str))
}

/// Snapshots of a session in which every path calls three others, and one path in ten is called
/// from one snapshot to the next. What has not changed is shared, as by the agent.
#[derive(Default)]
pub(crate) struct Trees {
    calls: u64,
    latencies: Vec<Arc<Histogram>>,
}

impl Trees {
    pub(crate) fn next(&mut self) -> Arc<Snapshot> {
        self.calls += 1;
        self.latencies.resize_with(PATHS as usize, Arc::default);
        for id in (self.calls % 10..u64::from(PATHS)).step_by(10) {
            let latency = Arc::make_mut(&mut self.latencies[id as usize]);
            latency.record(1_000 + id * self.calls);
        }
        Arc::new(Snapshot {
            call_tree: Arc::new(CallTree {
                nodes: (0..PATHS).map(|id| self.node(id)).collect(),
                lost_calls: 0,
            }),
            ..calls()
        })
    }

    fn node(&self, id: u32) -> CallNode {
        CallNode {
            parent: id.checked_sub(1).map(|before| before / 3),
            function: FunctionId(id % 14),
            depth: 0,
            calls: self.calls * u64::from(id % 97),
            returns: self.calls,
            unwound: 0,
            errors: u64::from(id % 5),
            total_ns: u64::from(PATHS - id) * 1_000 + self.calls * u64::from(id % 11),
            self_ns: 300 + u64::from(id % 1_009),
            max_ns: 1_000,
            probes_ns: 0,
            latency: Some(Arc::clone(&self.latencies[id as usize])),
        }
    }
}

/// As many single calls as a snapshot may list.
fn calls() -> Snapshot {
    let shop = fixture::snapshot();
    let slow = |n: usize| CallRecord {
        duration_ns: n as u64,
        ..shop.slow_calls[n % shop.slow_calls.len()].clone()
    };
    let in_flight = |n: usize| InFlightCall {
        function: FunctionId(n as u32 % 14),
        age_ns: 1_000_000_000 - n as u64,
        pid: 4242,
        tid: None,
        goroutine: Some(n as u64),
        callers: vec![FunctionId(1); 8],
        is_innermost: true,
        stack: Vec::new(),
        replica: None,
    };
    Snapshot {
        slow_calls: (0..CALLS).rev().map(slow).collect(),
        in_flight: (0..CALLS).map(in_flight).collect(),
        ..shop
    }
}

/// The shop at a quarter of a second, in an hour whose minutes are alike.
pub(crate) fn at(quarter: u64, seconds: &[Snapshot]) -> Snapshot {
    let mut snapshot = seconds[(quarter as usize / 240).min(seconds.len() - 1)].clone();
    snapshot.session.elapsed = Duration::from_millis(250 * quarter);
    snapshot
}
