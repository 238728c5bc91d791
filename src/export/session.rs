//! The session document `coral.session.v1`: its field names, their order and their nulls are a
//! contract with other programs.

use std::borrow::Cow;

use coral_model::{
    Accounting, CallRecord, FunctionStats, Histogram, JoinedCalls, Overhead, SessionState,
    Snapshot, Target, bucket_range_ns, escape,
};
use jiff::Timestamp;
use serde::Serialize;

use super::calls::{InFlightEntry, NodeEntry, PlaceEntry, ValueEntry, tree_entries};
use super::inner_calls::{InnerEntry, inner_entries};
use super::names::Names;
use super::replicas::ReplicaEntry;

/// What a session has measured, ready to be serialised. Text from the target is escaped in it.
#[derive(Clone, Debug, Serialize)]
pub struct SessionDocument<'a> {
    schema: &'static str,
    session: SessionEntry<'a>,
    targets: Vec<TargetEntry<'a>>,
    pub(super) functions: Vec<FunctionEntry<'a>>,
    call_tree: Vec<NodeEntry<'a>>,
    slow_calls: Vec<SlowCallEntry<'a>>,
    in_flight: Vec<InFlightEntry<'a>>,
    notices: Vec<Cow<'a, str>>,
    accounting: Accounting,
    overhead: Overhead,
    /// Where several processes of several nodes were measured: what each of them has.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    replicas: Vec<ReplicaEntry<'a>>,
}

/// The session document of a snapshot.
pub fn session_document(snapshot: &Snapshot) -> SessionDocument<'_> {
    let names = Names::new(snapshot);
    SessionDocument {
        schema: "coral.session.v1",
        session: SessionEntry::of(snapshot),
        targets: TargetEntry::all(snapshot),
        functions: snapshot
            .functions
            .iter()
            .map(|stats| FunctionEntry::of(stats))
            .collect(),
        call_tree: tree_entries(snapshot, &names),
        in_flight: snapshot
            .in_flight
            .iter()
            .map(|call| InFlightEntry::of(call, &names))
            .collect(),
        notices: snapshot
            .notices
            .iter()
            .map(|notice| escape(&notice.text))
            .collect(),
        slow_calls: snapshot
            .slow_calls
            .iter()
            .map(|call| SlowCallEntry::of(call, &names))
            .collect(),
        accounting: snapshot.accounting,
        overhead: snapshot.overhead,
        replicas: snapshot
            .replicas
            .iter()
            .map(|it| ReplicaEntry::of(it))
            .collect(),
    }
}

#[derive(Clone, Debug, Serialize)]
pub(super) struct SessionEntry<'a> {
    id: Cow<'a, str>,
    started_at: Timestamp,
    ended_at: Option<Timestamp>,
    duration_s: f64,
    requested_by: Cow<'a, str>,
    end_reason: Option<&'static str>,
}

impl<'a> SessionEntry<'a> {
    pub(super) fn of(snapshot: &'a Snapshot) -> Self {
        let session = &snapshot.session;
        Self {
            id: escape(&session.id.0),
            started_at: session.started_at,
            ended_at: session.ended_at,
            duration_s: session.elapsed.as_secs_f64(),
            requested_by: escape(&session.requested_by),
            end_reason: match session.state {
                SessionState::Active => None,
                SessionState::Ended(reason) => Some(reason.name()),
            },
        }
    }
}

#[derive(Clone, Debug, Serialize)]
pub(super) struct TargetEntry<'a> {
    service: Cow<'a, str>,
    agent_id: Cow<'a, str>,
    pid: u32,
    exe: Cow<'a, str>,
    build_id: Option<Cow<'a, str>>,
    language: &'static str,
}

impl<'a> TargetEntry<'a> {
    pub(super) fn of(target: &'a Target) -> Self {
        Self {
            service: escape(&target.service),
            agent_id: escape(&target.agent_id),
            pid: target.pid,
            exe: escape(&target.exe),
            build_id: target.build_id.as_deref().map(escape),
            language: target.language.name(),
        }
    }

    /// The processes of a session. Those of one agent run the same executable.
    pub(super) fn all(snapshot: &'a Snapshot) -> Vec<Self> {
        let session = &snapshot.session;
        if !snapshot.replicas.is_empty() {
            let replicas = snapshot.replicas.iter();
            return replicas.map(|replica| Self::of(&replica.target)).collect();
        }
        let first = Self::of(&session.target);
        let others = session.other_pids.iter().map(|&pid| Self {
            pid,
            ..first.clone()
        });
        std::iter::once(first.clone()).chain(others).collect()
    }
}

#[derive(Clone, Debug, Serialize)]
pub(super) struct FunctionEntry<'a> {
    pub(super) name: Cow<'a, str>,
    pub(super) file: Option<Cow<'a, str>>,
    pub(super) line: Option<u32>,
    pub(super) exit_probe: &'static str,
    pub(super) reason: Option<Cow<'a, str>>,
    pub(super) calls: u64,
    pub(super) returns: u64,
    pub(super) unwound: u64,
    pub(super) in_flight: u64,
    pub(super) errors: Option<u64>,
    pub(super) latency: LatencyEntry,
    histogram: Vec<BucketEntry>,
    pub(super) self_ns: u64,
    /// What probes inside of the calls cost: the durations hold it.
    pub(super) probes_ns: u64,
    pub(super) corrected_mean_ns: Option<f64>,
    pub(super) cost_percent: Option<f64>,
    pub(super) slowest_are_complete: bool,
    joined: Option<JoinedEntry>,
    pub(super) detached_because: Option<Cow<'a, str>>,
}

impl<'a> FunctionEntry<'a> {
    fn of(stats: &'a FunctionStats) -> Self {
        Self {
            name: escape(&stats.name),
            file: stats.file.as_deref().map(escape),
            line: stats.line,
            exit_probe: stats.exit_probe.name(),
            reason: stats.reason.as_deref().map(escape),
            calls: stats.calls,
            returns: stats.returns,
            unwound: stats.unwound,
            in_flight: stats.in_flight,
            errors: stats.errors,
            latency: LatencyEntry::of(&stats.latency),
            histogram: stats.latency.buckets.iter().map(BucketEntry::of).collect(),
            self_ns: stats.self_ns,
            probes_ns: stats.probes_ns,
            corrected_mean_ns: stats.corrected_mean_ns(),
            cost_percent: stats.cost_percent,
            slowest_are_complete: stats.slowest_are_complete,
            joined: stats.joined.as_deref().map(JoinedEntry::of),
            detached_because: stats.detached_because.as_deref().map(escape),
        }
    }
}

/// Zero throughout where `count` is zero.
#[derive(Clone, Debug, Serialize)]
pub(super) struct LatencyEntry {
    pub(super) count: u64,
    pub(super) min_ns: u64,
    pub(super) max_ns: u64,
    pub(super) mean_ns: f64,
    pub(super) total_ns: u64,
    pub(super) p50_ns: u64,
    pub(super) p90_ns: u64,
    pub(super) p95_ns: u64,
    pub(super) p99_ns: u64,
    pub(super) p999_ns: u64,
}

impl LatencyEntry {
    pub(super) fn of(histogram: &Histogram) -> Self {
        let percentiles = histogram.percentiles().unwrap_or_default();
        Self {
            count: histogram.count(),
            min_ns: histogram.min_ns,
            max_ns: histogram.max_ns,
            mean_ns: histogram.mean_ns().unwrap_or_default(),
            total_ns: histogram.total_ns,
            p50_ns: percentiles.p50_ns,
            p90_ns: percentiles.p90_ns,
            p95_ns: percentiles.p95_ns,
            p99_ns: percentiles.p99_ns,
            p999_ns: percentiles.p999_ns,
        }
    }
}

#[derive(Clone, Debug, Serialize)]
pub(super) struct BucketEntry {
    low_ns: u64,
    high_ns: u64,
    count: u64,
}

impl BucketEntry {
    pub(super) fn of(bucket: &coral_model::Bucket) -> Self {
        let range = bucket_range_ns(bucket.index);
        Self {
            low_ns: range.start,
            high_ns: range.end,
            count: bucket.count,
        }
    }
}

#[derive(Clone, Debug, Serialize)]
struct SlowCallEntry<'a> {
    function: Cow<'a, str>,
    started_at: Timestamp,
    duration_ns: u64,
    pid: u32,
    /// The place of its process among the replicas.
    #[serde(skip_serializing_if = "Option::is_none")]
    replica: Option<u32>,
    tid: u32,
    goroutine: Option<u64>,
    failed: bool,
    args: Vec<ValueEntry<'a>>,
    returns: Vec<ValueEntry<'a>>,
    stack: Vec<PlaceEntry<'a>>,
    self_ns: Option<u64>,
    /// The probed calls inside of it, as far as they made records.
    inner: Vec<InnerEntry<'a>>,
    inner_left_out: u64,
    inner_missing_ns: Option<u64>,
}

impl<'a> SlowCallEntry<'a> {
    fn of(call: &'a CallRecord, names: &Names<'a>) -> Self {
        let inner = call.inner.as_deref();
        Self {
            function: names.of(call.function),
            started_at: call.started_at,
            duration_ns: call.duration_ns,
            pid: call.pid,
            replica: call.replica,
            tid: call.tid,
            goroutine: call.goroutine,
            failed: call.failed,
            args: call.arguments.iter().map(ValueEntry::of).collect(),
            returns: call.results.iter().map(ValueEntry::of).collect(),
            stack: call.stack.iter().map(PlaceEntry::of).collect(),
            self_ns: inner.map(|inner| inner.self_ns),
            inner: inner.map_or_else(Vec::new, |inner| inner_entries(inner, names)),
            inner_left_out: inner.map_or(0, |inner| inner.left_out),
            inner_missing_ns: inner.map(|inner| inner.missing_ns),
        }
    }
}

/// The polls of Rust futures, joined into calls.
#[derive(Clone, Debug, Serialize)]
struct JoinedEntry {
    calls: u64,
    completed: u64,
    dropped: u64,
    polls: u64,
    busy_ns: u64,
    idle_ns: u64,
    latency: LatencyEntry,
}

impl JoinedEntry {
    fn of(joined: &JoinedCalls) -> Self {
        Self {
            calls: joined.calls,
            completed: joined.completed,
            dropped: joined.dropped,
            polls: joined.polls,
            busy_ns: joined.busy_ns,
            idle_ns: joined.idle_ns(),
            latency: LatencyEntry::of(&joined.latency),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::export::fixture;

    #[test]
    fn the_document_is_the_contract() {
        let snapshot = fixture::snapshot();
        let text = serde_json::to_string_pretty(&session_document(&snapshot)).unwrap();
        assert_eq!(text, include_str!("session.expected.json").trim_end());
    }

    #[test]
    fn a_session_that_runs_has_no_end() {
        let mut snapshot = fixture::snapshot();
        snapshot.session.state = SessionState::Active;
        snapshot.session.ended_at = None;
        snapshot.overhead = Overhead::default();
        let document = serde_json::to_value(session_document(&snapshot)).unwrap();
        assert_eq!(document["session"]["ended_at"], serde_json::Value::Null);
        assert_eq!(document["session"]["end_reason"], serde_json::Value::Null);
        assert_eq!(
            document["overhead"].to_string(),
            r#"{"cpu_percent":null,"hits_per_s":0.0,"ns_per_hit":null}"#
        );
    }
}
