//! Three requests through RFD 042's call chain: one is whole, one fails and lacks a record, and one
//! does not end.

use coral_model::{FunctionId, TraceBuilder, TraceRecord, TraceSummary};
use jiff::Timestamp;

use super::fixture;
use super::trace::TraceReport;

const MS: u64 = 1_000_000;
const NAMES: [&str; 9] = [
    "main.handleCheckout",
    "main.validateCart",
    "main.checkInventory",
    "main.processPayment",
    "main.validateCard",
    "main.callExternalAPI",
    "main.recordTransaction",
    "main.sendConfirmation\u{202e}",
    "main.loadPage",
];

/// Calls of the first request as they end: function, frame, start, duration, and time of children
/// in units of 100 µs.
const FIRST: [(u32, u32, u64, u64, u64); 10] = [
    (2, 4, 50, 81, 0),
    (1, 3, 10, 123, 81),
    (5, 5, 180, 1301, 0),
    (4, 4, 150, 1352, 1301),
    (6, 4, 1505, 58, 0),
    (3, 3, 140, 1425, 1410),
    (8, 4, 1600, 20, 0),
    (8, 4, 1625, 20, 0),
    (7, 3, 1570, 210, 40),
    (0, 2, 0, 1782, 1758),
];

/// The second lacks `validateCart`, and `checkInventory` failed.
const SECOND: [(u32, u32, u64, u64, u64); 2] = [(2, 4, 50, 81, 0), (0, 2, 0, 140, 123)];

/// Calls `look` with the report of these requests.
pub(super) fn with_report<T>(look: impl FnOnce(&TraceReport<'_>) -> T) -> T {
    let mut builder = TraceBuilder::new();
    let mut summary = TraceSummary::default();
    let mut push = |id: u64, calls: &[(u32, u32, u64, u64, u64)], calls_in_trace| {
        for &(function, frame_index, start, duration, children) in calls {
            let trace = builder.push(TraceRecord {
                trace_id: id,
                stack: 0,
                function: FunctionId(function),
                frame_index,
                entry_ns: id * 1_000 * MS + start * MS / 10,
                duration_ns: duration * MS / 10,
                children_ns: children * MS / 10,
                failed: id == 2 && function == 2,
                is_root: function == 0,
                calls_in_trace,
            });
            trace.into_iter().for_each(|trace| summary.add(trace));
        }
    };
    push(1, &FIRST, 10);
    push(2, &SECOND, 3);
    push(3, &FIRST[..2], 0);
    let losses = builder.finish();
    let begin = "2026-01-02T03:04:05Z".parse::<Timestamp>().unwrap();
    look(&TraceReport {
        snapshot: &fixture::snapshot(),
        root: FunctionId(0),
        path: Some("/api/checkout\u{1b}"),
        summary: &summary,
        losses,
        name: &|function| NAMES.get(function.0 as usize).copied(),
        timestamp: &|ns| begin + std::time::Duration::from_nanos(ns),
    })
}
