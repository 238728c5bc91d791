//! The trace document `coral.trace.v1`: whole calls of requests, and what takes their time.

use std::borrow::Cow;

use coral_model::{
    Accounting, Analysis, FunctionId, SlowestNode, Snapshot, Trace, TraceCall, TraceLosses,
    TraceNode, TraceSummary, escape,
};
use jiff::Timestamp;
use serde::Serialize;

use super::session::{SessionEntry, TargetEntry};

/// What a session has traced, and what is needed to write it down.
#[derive(Clone, Copy)]
pub struct TraceReport<'a> {
    /// The session: who asked for it, where its hits went.
    pub snapshot: &'a Snapshot,
    /// The function that traces begin at.
    pub root: FunctionId,
    /// The HTTP path that was asked for.
    pub path: Option<&'a str>,
    /// The traces.
    pub summary: &'a TraceSummary,
    /// What never became a trace.
    pub losses: TraceLosses,
    /// The name of a function, as it stands in the binary.
    pub name: &'a dyn Fn(FunctionId) -> Option<&'a str>,
    /// The time of day at a moment of the kernel's monotonic clock, in nanoseconds.
    pub timestamp: &'a dyn Fn(u64) -> Timestamp,
}

impl<'a> TraceReport<'a> {
    /// A function's name, escaped, or its number where it has none.
    pub(super) fn shown_name(&self, function: FunctionId) -> Cow<'a, str> {
        (self.name)(function).map_or_else(|| Cow::Owned(format!("function {}", function.0)), escape)
    }
}

/// What names a trace among others: 16 hexadecimal digits.
pub(super) fn span_id(trace: &Trace) -> String {
    format!("{:016x}", trace.id())
}

/// What a session has traced, ready to be serialised. Text from the target is escaped in it.
#[derive(Clone, Debug, Serialize)]
pub struct TraceDocument<'a> {
    schema: &'static str,
    session: SessionEntry<'a>,
    targets: Vec<TargetEntry<'a>>,
    root: Cow<'a, str>,
    path: Option<Cow<'a, str>>,
    requests: u64,
    tree: Vec<NodeEntry<'a>>,
    analysis: AnalysisEntry<'a>,
    /// The slowest, slowest first.
    traces: Vec<TraceEntry<'a>>,
    accounting: TraceAccountingEntry,
}

/// The document of what a session has traced.
pub fn trace_document<'a>(report: &TraceReport<'a>) -> TraceDocument<'a> {
    let tree = report.summary.tree();
    let snapshot = report.snapshot;
    TraceDocument {
        schema: "coral.trace.v1",
        session: SessionEntry::of(snapshot),
        targets: TargetEntry::all(snapshot),
        root: report.shown_name(report.root),
        path: report.path.map(escape),
        requests: tree.requests(),
        tree: tree
            .nodes()
            .iter()
            .map(|node| NodeEntry::of(node, report))
            .collect(),
        analysis: AnalysisEntry::of(Analysis::of(tree), report),
        traces: report
            .summary
            .slowest()
            .iter()
            .map(|trace| TraceEntry::of(trace, report))
            .collect(),
        accounting: TraceAccountingEntry::of(report),
    }
}

/// All requests' calls of a function that came the same way.
#[derive(Clone, Debug, Serialize)]
struct NodeEntry<'a> {
    id: u32,
    parent: Option<u32>,
    function: Cow<'a, str>,
    depth: u32,
    calls: u64,
    failed: u64,
    total_ns: u64,
    self_ns: u64,
    /// How many requests came here; the next two are of their time here.
    requests: u64,
    p50_ns: u64,
    p99_ns: u64,
    slow: bool,
}

impl<'a> NodeEntry<'a> {
    fn of(node: &TraceNode, report: &TraceReport<'a>) -> Self {
        let percentiles = node.per_request.percentiles().unwrap_or_default();
        Self {
            id: node.id,
            parent: node.parent,
            function: report.shown_name(node.function),
            depth: node.depth,
            calls: node.calls,
            failed: node.failed,
            total_ns: node.total_ns,
            self_ns: node.self_ns,
            requests: node.per_request.count(),
            p50_ns: percentiles.p50_ns,
            p99_ns: percentiles.p99_ns,
            slow: node.is_slow,
        }
    }
}

#[derive(Clone, Debug, Serialize)]
struct AnalysisEntry<'a> {
    total_p50_ns: u64,
    total_p99_ns: u64,
    /// Null where nothing was traced.
    slowest: Option<SlowestEntry<'a>>,
}

impl<'a> AnalysisEntry<'a> {
    fn of(analysis: Analysis, report: &TraceReport<'a>) -> Self {
        Self {
            total_p50_ns: analysis.total_p50_ns,
            total_p99_ns: analysis.total_p99_ns,
            slowest: analysis
                .slowest
                .map(|slowest| SlowestEntry::of(&slowest, report)),
        }
    }
}

#[derive(Clone, Debug, Serialize)]
struct SlowestEntry<'a> {
    node: u32,
    function: Cow<'a, str>,
    self_ns: u64,
    self_per_request_ns: u64,
    share_percent: f64,
    path: Vec<Cow<'a, str>>,
}

impl<'a> SlowestEntry<'a> {
    fn of(slowest: &SlowestNode, report: &TraceReport<'a>) -> Self {
        let path = slowest.path.iter();
        Self {
            node: slowest.node,
            function: report.shown_name(slowest.function),
            self_ns: slowest.self_ns,
            self_per_request_ns: slowest.self_per_request_ns,
            share_percent: slowest.share_percent,
            path: path.map(|&function| report.shown_name(function)).collect(),
        }
    }
}

/// One request.
#[derive(Clone, Debug, Serialize)]
struct TraceEntry<'a> {
    span_id: String,
    started_at: Timestamp,
    duration_ns: u64,
    missing_calls: u64,
    events: Vec<TraceEvent<'a>>,
}

impl<'a> TraceEntry<'a> {
    fn of(trace: &Trace, report: &TraceReport<'a>) -> Self {
        let root = trace.root();
        let calls = trace.calls().iter();
        Self {
            span_id: span_id(trace),
            started_at: (report.timestamp)(root.started_ns),
            duration_ns: root.duration_ns,
            missing_calls: trace.missing_calls(),
            events: calls
                .map(|call| TraceEvent::of(call, trace, report))
                .collect(),
        }
    }
}

/// One call, with the fields of RFD 042's message of this name.
#[derive(Clone, Debug, Serialize)]
struct TraceEvent<'a> {
    timestamp: Timestamp,
    function_name: Cow<'a, str>,
    duration_ns: u64,
    depth: u32,
    span_id: String,
    self_ns: u64,
    failed: bool,
    /// Whether calls between this one and the one above are missing.
    parent_missing: bool,
}

impl<'a> TraceEvent<'a> {
    fn of(call: &TraceCall, trace: &Trace, report: &TraceReport<'a>) -> Self {
        Self {
            timestamp: (report.timestamp)(call.started_ns),
            function_name: report.shown_name(call.function),
            duration_ns: call.duration_ns,
            depth: call.depth,
            span_id: span_id(trace),
            self_ns: call.self_ns,
            failed: call.failed,
            parent_missing: call.parent_missing,
        }
    }
}

/// Where the session's hits went, and what the traces lack.
#[derive(Clone, Debug, Serialize)]
struct TraceAccountingEntry {
    #[serde(flatten)]
    hits: Accounting,
    /// Calls of finished traces that made no record.
    missing_calls: u64,
    /// Traces whose root never ended, and the records that they had made.
    traces_given_up: u64,
    calls_given_up: u64,
    /// Calls that are in no node of the tree, because a caller of theirs is missing or there was
    /// no room.
    calls_left_out: u64,
}

impl TraceAccountingEntry {
    fn of(report: &TraceReport<'_>) -> Self {
        Self {
            hits: report.snapshot.accounting,
            missing_calls: report.summary.missing_calls(),
            traces_given_up: report.losses.traces,
            calls_given_up: report.losses.calls,
            calls_left_out: report.summary.tree().left_out_calls(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::export::trace_fixture;

    #[test]
    fn the_document_is_the_contract() {
        let text = trace_fixture::with_report(|report| {
            serde_json::to_string_pretty(&trace_document(report)).unwrap()
        });
        assert_eq!(text, include_str!("trace.expected.json").trim_end());
    }
}
