//! Adding up what the replicas of a service have measured.
//!
//! Replicas may run different builds: a function is the same where its name is. Names of functions
//! are looked up in a [`FunctionUnion`], which gives those of all builds numbers of their own.
//! Counters, histograms and paths are added, which is exact; nothing is averaged.

mod functions;
mod sums;
mod tree;
mod union;

use std::sync::Arc;

use crate::{
    CallRecord, FunctionId, InFlightCall, Overhead, Replica, SessionInfo, SessionNotice, Snapshot,
};
use functions::Functions;
use tree::Tree;
pub use union::{FunctionUnion, UnionTooLarge};

/// Single calls that a merged snapshot lists, of each kind.
const CALLS_MAX: usize = 1_000;

/// What a replica has measured, with the numbers that its functions have in the union.
#[derive(Clone, Debug)]
pub struct ReplicaPart {
    /// The process and its state; its functions are taken from the snapshot.
    pub replica: Replica,
    /// What was measured last; `None` where nothing was.
    pub snapshot: Option<Arc<Snapshot>>,
}

/// Adds up the replicas of one session, again and again: functions and paths keep their places.
#[derive(Debug, Default)]
pub struct Merger {
    functions: Functions,
    tree: Tree,
    /// The replicas' parts of the time before, and what each of them became.
    last: Vec<(Option<Arc<Snapshot>>, Arc<Replica>)>,
}

impl Merger {
    /// Nothing was added up yet.
    pub fn new() -> Self {
        Self::default()
    }

    /// What the replicas have measured together. A replica stays at its place in the list, and
    /// its function ids are those of the union (`id_in_union` of its place, its own id, its name and
    /// how many of that name the replica has before it).
    pub fn merge(
        &mut self,
        session: SessionInfo,
        notices: Vec<SessionNotice>,
        parts: &[ReplicaPart],
        id_in_union: impl Fn(usize, FunctionId, &str, usize) -> FunctionId,
    ) -> Snapshot {
        let mut replicas = Vec::with_capacity(parts.len());
        for (place, part) in parts.iter().enumerate() {
            let replica = self.replica(place, part, |id, name, nth| {
                id_in_union(place, id, name, nth)
            });
            replicas.push(replica);
        }
        self.last = parts
            .iter()
            .map(|part| part.snapshot.clone())
            .zip(replicas.iter().cloned())
            .collect();
        let functions = self.functions.merged(&replicas);
        let snapshots = || {
            let parts = parts.iter().enumerate();
            parts.filter_map(|(place, part)| Some((place, part.snapshot.as_deref()?)))
        };
        let names = &self.functions;
        let in_union = |place: usize, id: FunctionId| names.in_union(place, id);
        let call_tree = self.tree.merged(snapshots(), in_union);
        Snapshot {
            session,
            call_tree,
            slow_calls: slow_calls(snapshots(), in_union),
            in_flight: in_flight(snapshots(), in_union),
            notices,
            accounting: sums::accounting(snapshots().map(|(_, it)| &it.accounting)),
            overhead: overhead(snapshots().map(|(_, it)| &it.overhead)),
            functions,
            replicas,
        }
    }

    /// A replica with its functions at their places; the same as before if nothing has changed.
    fn replica(
        &mut self,
        place: usize,
        part: &ReplicaPart,
        id_in_union: impl Fn(FunctionId, &str, usize) -> FunctionId,
    ) -> Arc<Replica> {
        let last = self.last.get(place);
        let is_same = |now: &Option<Arc<Snapshot>>, last: &Option<Arc<Snapshot>>| match (now, last)
        {
            (Some(now), Some(last)) => Arc::ptr_eq(now, last),
            (None, None) => true,
            _ => false,
        };
        if let Some((snapshot, replica)) = last
            && is_same(&part.snapshot, snapshot)
        {
            let now = Replica {
                functions: replica.functions.clone(),
                elapsed: replica.elapsed,
                accounting: replica.accounting,
                cpu_percent: replica.cpu_percent,
                ..part.replica.clone()
            };
            return if now == **replica {
                Arc::clone(replica)
            } else {
                Arc::new(now)
            };
        }
        let last = last.map(|(_, replica)| Arc::clone(replica));
        let mut replica = part.replica.clone();
        if let Some(snapshot) = &part.snapshot {
            replica.elapsed = snapshot.session.elapsed;
            replica.accounting = snapshot.accounting;
            replica.cpu_percent = snapshot.overhead.cpu_percent;
            replica.functions =
                self.functions
                    .placed(place, snapshot, last.as_deref(), id_in_union);
        }
        Arc::new(replica)
    }
}

/// The slowest calls of all replicas, slowest first.
fn slow_calls<'a>(
    parts: impl Iterator<Item = (usize, &'a Snapshot)>,
    in_union: impl Fn(usize, FunctionId) -> FunctionId,
) -> Vec<CallRecord> {
    let mut calls = Vec::new();
    for (place, snapshot) in parts {
        calls.extend(snapshot.slow_calls.iter().map(|call| (place, call)));
    }
    calls.sort_by_key(|(_, call)| std::cmp::Reverse(call.duration_ns));
    calls.truncate(CALLS_MAX);
    let merged = calls.into_iter().map(|(place, call)| CallRecord {
        function: in_union(place, call.function),
        inner: call.inner.as_ref().map(|inner| {
            let mut inner = (**inner).clone();
            for call in &mut inner.calls {
                call.function = in_union(place, call.function);
            }
            Arc::new(inner)
        }),
        replica: u32::try_from(place).ok(),
        ..call.clone()
    });
    merged.collect()
}

/// The calls that have not returned in any of the replicas, oldest first.
fn in_flight<'a>(
    parts: impl Iterator<Item = (usize, &'a Snapshot)>,
    in_union: impl Fn(usize, FunctionId) -> FunctionId,
) -> Vec<InFlightCall> {
    let mut calls = Vec::new();
    for (place, snapshot) in parts {
        calls.extend(snapshot.in_flight.iter().map(|call| (place, call)));
    }
    calls.sort_by_key(|(_, call)| std::cmp::Reverse(call.age_ns));
    calls.truncate(CALLS_MAX);
    let merged = calls.into_iter().map(|(place, call)| InFlightCall {
        function: in_union(place, call.function),
        callers: call.callers.iter().map(|&id| in_union(place, id)).collect(),
        replica: u32::try_from(place).ok(),
        ..call.clone()
    });
    merged.collect()
}

/// The hits of all, and the cost of the replica that pays most: budgets are those of a process.
fn overhead<'a>(parts: impl Iterator<Item = &'a Overhead>) -> Overhead {
    let mut sum = Overhead::default();
    let mut weighted_ns = 0.0;
    let mut weight = 0.0;
    for part in parts {
        sum.hits_per_s += part.hits_per_s;
        if let Some(ns) = part.ns_per_hit {
            weighted_ns += ns * part.hits_per_s;
            weight += part.hits_per_s;
            sum.ns_per_hit = Some(ns);
        }
        sum.cpu_percent = match (sum.cpu_percent, part.cpu_percent) {
            (Some(most), Some(one)) => Some(f64::max(most, one)),
            (most, one) => most.or(one),
        };
    }
    if weight > 0.0 {
        sum.ns_per_hit = Some(weighted_ns / weight);
    }
    sum
}

#[cfg(test)]
mod tests;
