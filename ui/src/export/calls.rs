//! The views of the calls screen, as tables.

use coral_model::{CallNode, CallRecord, CallValue, InFlightCall, StackFrame};

use super::{ROWS_MAX, table};
use crate::call_text;
use crate::calls::View;
use crate::event::ViewExport;
use crate::state::State;
use crate::update::measuring_command;

pub(super) fn view(state: &State) -> ViewExport {
    match state.calls.view {
        View::Tree | View::Flame => tree(state),
        View::Sandwich => sandwich(state),
        View::Slow => slow(state),
        View::Trace => trace(state),
        View::InFlight => in_flight(state),
    }
}

/// The rows of the tree as they are folded; the flame has the same numbers.
fn tree(state: &State) -> ViewExport {
    let tree = &state.calls.tree;
    let forest = tree.forest();
    let shown = tree.rows();
    let rows = shown.iter().take(ROWS_MAX).map(|row| {
        let node = forest.node(row.node);
        let mut cells = vec![
            row.depth.to_string(),
            state.name_of(node.function).into_owned(),
        ];
        cells.extend(path_numbers(state, node));
        cells.push(ratio(forest.share(row.node)));
        cells
    });
    let columns = [
        "depth",
        "function",
        "calls",
        "returns",
        "unwound",
        "errors",
        "total_ns",
        "self_ns",
        "p99_ns",
        "max_ns",
        "share_of_caller",
    ];
    let rows = rows.collect();
    ViewExport {
        rows_left_out: shown.len().saturating_sub(ROWS_MAX),
        ..table("call-tree", measuring_command(state), &columns, rows)
    }
}

/// What was not measured is left empty.
fn path_numbers(state: &State, node: &CallNode) -> [String; 8] {
    let timed = |ns: u64| optional(node.timed(ns));
    let stats = state.measurements.stats(node.function);
    let tells_errors = stats.is_some_and(|stats| stats.errors.is_some());
    [
        node.calls.to_string(),
        node.returns.to_string(),
        node.unwound.to_string(),
        optional(tells_errors.then_some(node.errors)),
        timed(node.total_ns),
        timed(node.self_ns),
        optional(node.p99_ns()),
        timed(node.max_ns),
    ]
}

fn sandwich(state: &State) -> ViewExport {
    let sandwich = &state.calls.sandwich;
    let rows = sandwich.rows().iter().map(|row| {
        let (side, function) = row.key;
        vec![
            side.name().to_owned(),
            function.map_or_else(String::new, |id| state.name_of(id).into_owned()),
            row.calls.to_string(),
            optional(row.total_ns),
            ratio(sandwich.share(row)),
        ]
    });
    let columns = ["side", "function", "calls", "total_ns", "share"];
    let rows = rows.collect();
    table("sandwich", measuring_command(state), &columns, rows)
}

fn slow(state: &State) -> ViewExport {
    let row = |call: &CallRecord| {
        let stats = state.measurements.stats(call.function);
        vec![
            state.name_of(call.function).into_owned(),
            call.started_at.to_string(),
            call.duration_ns.to_string(),
            call.pid.to_string(),
            call.tid.to_string(),
            optional(call.goroutine),
            call.failed.to_string(),
            stats.map_or_else(String::new, |stats| stats.slowest_are_complete.to_string()),
            values(&call.arguments),
            values(&call.results),
            stack(&call.stack),
        ]
    };
    let calls = state.current_snapshot();
    let rows = calls.map_or_else(Vec::new, |all| all.slow_calls.iter().map(row).collect());
    let columns = [
        "function",
        "started_at",
        "duration_ns",
        "pid",
        "tid",
        "goroutine",
        "failed",
        "slowest_are_complete",
        "arguments",
        "results",
        "stack",
    ];
    table("calls", measuring_command(state), &columns, rows)
}

/// The rows of the trace as it is zoomed.
fn trace(state: &State) -> ViewExport {
    let trace = &state.calls.trace;
    let row = |&place: &usize| {
        let call = trace.row(place);
        let (arguments, results) = trace.values(place).unwrap_or_default();
        vec![
            call.depth.to_string(),
            state.name_of(call.function).into_owned(),
            call.time_ns.start.to_string(),
            call.duration_ns().to_string(),
            optional(call.self_ns),
            optional(call.self_ns.map(|_| call.missing_ns)),
            call.parent_missing.to_string(),
            call.failed.to_string(),
            values(arguments),
            values(results),
        ]
    };
    let rows = trace.places().iter().map(row).collect();
    let columns = [
        "depth",
        "function",
        "started_after_ns",
        "duration_ns",
        "self_ns",
        "missing_ns",
        "parent_missing",
        "failed",
        "arguments",
        "results",
    ];
    table("trace", measuring_command(state), &columns, rows)
}

fn in_flight(state: &State) -> ViewExport {
    let row = |call: &InFlightCall| {
        let callers = call.callers.iter().map(|&id| state.name_of(id));
        let callers: Vec<_> = callers.collect();
        vec![
            state.name_of(call.function).into_owned(),
            call.age_ns.to_string(),
            call.pid.to_string(),
            optional(call.tid),
            optional(call.goroutine),
            call.is_innermost.to_string(),
            callers.join("; "),
            stack(&call.stack),
        ]
    };
    let calls = state.current_snapshot();
    let rows = calls.map_or_else(Vec::new, |all| all.in_flight.iter().map(row).collect());
    let columns = [
        "function",
        "age_ns",
        "pid",
        "tid",
        "goroutine",
        "is_innermost",
        "callers",
        "stack",
    ];
    table("in-flight", measuring_command(state), &columns, rows)
}

fn values(values: &[CallValue]) -> String {
    let values: Vec<_> = values.iter().map(call_text::value).collect();
    values.join("; ")
}

fn stack(stack: &[StackFrame]) -> String {
    let frames: Vec<_> = stack.iter().map(call_text::frame).collect();
    frames.join("; ")
}

fn optional<N: ToString>(number: Option<N>) -> String {
    number.map_or_else(String::new, |number| number.to_string())
}

fn ratio(share: Option<f64>) -> String {
    share.map_or_else(String::new, |share| format!("{share:.4}"))
}
