//! Calls as text: the tree, what hangs, the slow ones with what is known of them, and notices.

use std::io;
use std::sync::Arc;

use coral_model::{
    CallRecord, CallTree, FunctionStats, InFlightCall, Snapshot, StackFrame, escape, format_count,
    format_duration_ns,
};

use super::super::names::Names;
use super::super::table::cut_tail;

/// How many paths of the tree are shown.
const PATHS_MAX: usize = 40;
/// How many hanging calls are shown: the oldest.
const IN_FLIGHT_MAX: usize = 10;
/// How many slow calls are shown with their values and stacks.
const DETAILED_MAX: usize = 5;
/// How many frames of a stack are shown.
const FRAMES_MAX: usize = 12;
/// How many functions are named whose slowest calls are not certain.
const INCOMPLETE_MAX: usize = 5;

/// The call tree, if any call was made from another.
pub(super) fn write_tree(
    out: &mut impl io::Write,
    snapshot: &Snapshot,
    names: &Names<'_>,
    width: usize,
) -> io::Result<()> {
    let tree = &snapshot.call_tree;
    if tree.nodes.iter().all(|node| node.parent.is_none()) {
        return Ok(());
    }
    writeln!(
        out,
        "\n{:>9} {:>9} {:>6} {:>9} {:>9}  CALL TREE",
        "TOTAL", "SELF", "SHARE", "CALLS", "P99"
    )?;
    let order = tree.preorder();
    for &id in order.iter().take(PATHS_MAX) {
        let line = tree_line(tree, id, names);
        writeln!(out, "{}", cut_tail(&line, width))?;
    }
    if order.len() > PATHS_MAX {
        writeln!(out, "and {} more paths", order.len() - PATHS_MAX)?;
    }
    if tree.lost_calls > 0 {
        writeln!(
            out,
            "calls that are not in the tree, which has no room for their paths: {}",
            tree.lost_calls
        )?;
    }
    Ok(())
}

fn tree_line(tree: &CallTree, id: u32, names: &Names<'_>) -> String {
    let node = &tree.nodes[id as usize];
    let whole_ns = node
        .parent
        .map_or(node.total_ns, |parent| tree.nodes[parent as usize].total_ns);
    let share = node.total_ns as f64 / whole_ns.max(1) as f64 * 100.0;
    let mut line = format!(
        "{:>9} {:>9} {share:>5.0}% {:>9} {:>9}  {}{}",
        format_duration_ns(node.total_ns),
        format_duration_ns(node.self_ns),
        format_count(node.calls as f64),
        node.p99_ns().map_or("-".into(), format_duration_ns),
        "  ".repeat(node.depth as usize),
        names.of(node.function),
    );
    if node.errors > 0 {
        line += &format!(" ({} failed)", node.errors);
    }
    if node.unwound > 0 {
        line += &format!(" ({} unwound)", node.unwound);
    }
    line
}

/// The calls that had not returned at the end, oldest first.
pub(super) fn write_in_flight(
    out: &mut impl io::Write,
    snapshot: &Snapshot,
    names: &Names<'_>,
    width: usize,
) -> io::Result<()> {
    let innermost = |call: &&InFlightCall| call.is_innermost;
    let hanging: Vec<&InFlightCall> = snapshot.in_flight.iter().filter(innermost).collect();
    if hanging.is_empty() {
        return Ok(());
    }
    writeln!(out, "\nIN FLIGHT, oldest first")?;
    for call in hanging.iter().take(IN_FLIGHT_MAX) {
        let mut line = format!(
            "{:>9}  {}",
            format_duration_ns(call.age_ns),
            names.of(call.function)
        );
        for &caller in call.callers.iter().rev() {
            line += &format!(" < {}", names.of(caller));
        }
        writeln!(out, "{}", cut_tail(&line, width))?;
        write_stack(out, &call.stack, width)?;
    }
    if hanging.len() > IN_FLIGHT_MAX {
        writeln!(out, "and {} more", hanging.len() - IN_FLIGHT_MAX)?;
    }
    Ok(())
}

/// The slowest calls of which more is known than their time.
pub(super) fn write_details(
    out: &mut impl io::Write,
    snapshot: &Snapshot,
    names: &Names<'_>,
    width: usize,
) -> io::Result<()> {
    let has_detail = |call: &&CallRecord| {
        !call.arguments.is_empty() || !call.results.is_empty() || !call.stack.is_empty()
    };
    for call in snapshot
        .slow_calls
        .iter()
        .filter(has_detail)
        .take(DETAILED_MAX)
    {
        let duration = format_duration_ns(call.duration_ns);
        let failed = if call.failed { ", failed" } else { "" };
        writeln!(out, "\n{}: {duration}{failed}", names.of(call.function))?;
        for (values, sign) in [(&call.arguments, " "), (&call.results, ">")] {
            for value in values {
                let line = format!(
                    "  {sign} {} {} = {}",
                    escape(&value.name),
                    escape(&value.type_name),
                    escape(&value.value)
                );
                writeln!(out, "{}", cut_tail(&line, width))?;
            }
        }
        write_stack(out, &call.stack, width)?;
    }
    let is_incomplete =
        |stats: &&Arc<FunctionStats>| stats.returns > 0 && !stats.slowest_are_complete;
    let incomplete = snapshot.functions.iter().filter(is_incomplete);
    let incomplete: Vec<_> = incomplete.map(|stats| escape(&stats.name)).collect();
    if !incomplete.is_empty() && !snapshot.slow_calls.is_empty() {
        let shown = incomplete.iter().take(INCOMPLETE_MAX).cloned();
        let mut names = shown.collect::<Vec<_>>().join(", ");
        if let Some(more @ 1..) = incomplete.len().checked_sub(INCOMPLETE_MAX) {
            names += &format!(" and {more} more");
        }
        writeln!(
            out,
            "\nslower calls may be missing, because not every one made a record: {names}"
        )?;
    }
    Ok(())
}

fn write_stack(out: &mut impl io::Write, stack: &[StackFrame], width: usize) -> io::Result<()> {
    for frame in stack.iter().take(FRAMES_MAX) {
        let place = match (&frame.file, frame.line) {
            (Some(file), Some(line)) => format!("  {}:{line}", escape(file)),
            _ => String::new(),
        };
        let inlined = if frame.inlined { " (inlined)" } else { "" };
        let line = format!("           at {}{inlined}{place}", escape(&frame.function));
        writeln!(out, "{}", cut_tail(&line, width))?;
    }
    if stack.len() > FRAMES_MAX {
        writeln!(out, "           and {} more", stack.len() - FRAMES_MAX)?;
    }
    Ok(())
}

/// The polls of asynchronous functions, joined into calls.
pub(super) fn write_joined(
    out: &mut impl io::Write,
    snapshot: &Snapshot,
    names: &Names<'_>,
    width: usize,
) -> io::Result<()> {
    for stats in &snapshot.functions {
        let Some(joined) = &stats.joined else {
            continue;
        };
        let percentile = |percent| {
            let ns = joined.latency.percentile_ns(percent);
            ns.map_or("-".into(), format_duration_ns)
        };
        let line = format!(
            "\n{} is polled: {} calls, {} done, {} dropped; {} polls, {} busy, {} waiting; p50 {}, \
             p99 {}",
            names.of(stats.id),
            joined.calls,
            joined.completed,
            joined.dropped,
            joined.polls,
            format_duration_ns(joined.busy_ns),
            format_duration_ns(joined.idle_ns()),
            percentile(50.0),
            percentile(99.0),
        );
        writeln!(out, "{}", cut_tail(&line, width * 2))?;
    }
    Ok(())
}

/// What happened to the session.
pub(super) fn write_notices(
    out: &mut impl io::Write,
    snapshot: &Snapshot,
    width: usize,
) -> io::Result<()> {
    if snapshot.notices.is_empty() {
        return Ok(());
    }
    writeln!(out)?;
    for notice in &snapshot.notices {
        let line = format!(
            "{:>7.2}s  {}",
            notice.at.as_secs_f64(),
            escape(&notice.text)
        );
        writeln!(out, "{}", cut_tail(&line, width))?;
    }
    Ok(())
}
