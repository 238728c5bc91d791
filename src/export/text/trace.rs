//! Traces as text: the tree of all requests, what takes their time, and the slowest request.

use std::borrow::Cow;
use std::io;

use coral_model::{Analysis, Escaped, Trace, TraceNode, escape, format_count, format_duration_ns};

use super::super::table::{columns_of, cut_head};
use super::super::trace::{TraceReport, span_id};
use super::{cut_tail, session_line, target_line, write_accounting};

/// A tree is shown up to so many lines.
const LINES_MAX: usize = 200;
/// A name is not cut below this, even if the line then does not fit.
const NAME_COLUMNS_MIN: usize = 16;
/// A deeper call is not indented further than this share of the width.
const INDENT_SHARE_MAX: usize = 2;

/// Writes what a session has traced, in lines of at most `width` columns where names allow it.
///
/// # Errors
/// Those of `out`.
pub fn write_trace(
    out: &mut impl io::Write,
    report: &TraceReport<'_>,
    width: usize,
) -> io::Result<()> {
    let session = &report.snapshot.session;
    writeln!(out, "{}", session_line(session))?;
    writeln!(out, "{}", cut_tail(&target_line(&session.target), width))?;
    writeln!(out, "{}\n", cut_tail(&requests_line(report), width))?;
    let tree = report.summary.tree();
    if tree.requests() == 0 {
        write_losses(out, report)?;
        return write_accounting(out, report.snapshot);
    }
    let nodes = tree.nodes();
    writeln!(out, "Call chain, mean of a request:")?;
    write_lines(out, width, nodes.iter().map(|node| node_line(node, report)))?;
    write_analysis(out, &Analysis::of(tree), report, width)?;
    if let Some(slowest) = report.summary.slowest().first() {
        write_slowest(out, slowest, report, width)?;
    }
    write_losses(out, report)?;
    write_accounting(out, report.snapshot)
}

fn requests_line(report: &TraceReport<'_>) -> String {
    let root = report.shown_name(report.root);
    let requests = report.summary.tree().requests();
    match report.path {
        Some(path) => format!("{requests} requests of {} through {root}", escape(path)),
        None => format!("{requests} calls of {root}"),
    }
}

/// A line of a tree: what is before the name, the name, and what is behind it.
struct Line<'a> {
    depth: u32,
    name: Cow<'a, str>,
    facts: String,
}

/// Of all requests that came there: their mean time, and what is remarkable.
fn node_line<'a>(node: &TraceNode, report: &TraceReport<'a>) -> Line<'a> {
    let requests = node.per_request.count();
    let mean_ns = node.total_ns / requests.max(1);
    let mut facts = format!("({}", format_duration_ns(mean_ns));
    if node.calls != requests {
        let calls = node.calls as f64 / requests.max(1) as f64;
        facts += &format!(" in {} calls", format_count(calls));
    }
    let all = report.summary.tree().requests();
    if requests != all {
        facts += &format!(", {requests} of {all} requests");
    }
    if node.failed > 0 {
        facts += &format!(", {} failed", node.failed);
    }
    facts += if node.is_slow { ") ← SLOW" } else { ")" };
    Line {
        depth: node.depth,
        name: report.shown_name(node.function),
        facts,
    }
}

fn write_analysis(
    out: &mut impl io::Write,
    analysis: &Analysis,
    report: &TraceReport<'_>,
    width: usize,
) -> io::Result<()> {
    writeln!(out, "\nAnalysis:")?;
    let total = format_duration_ns(analysis.total_p50_ns);
    if analysis.requests == 1 {
        writeln!(out, "  Total: {total}")?;
    } else {
        let p99 = format_duration_ns(analysis.total_p99_ns);
        let requests = analysis.requests;
        writeln!(
            out,
            "  Total: {total} (p50 of {requests} requests, p99 {p99})"
        )?;
    }
    let Some(slowest) = &analysis.slowest else {
        return Ok(());
    };
    let facts = format!(
        "({} by itself, {:.0} % of total)",
        format_duration_ns(slowest.self_per_request_ns),
        slowest.share_percent
    );
    let name = report.shown_name(slowest.function);
    let room = width.saturating_sub(columns_of("  Slowest:  ") + columns_of(&facts));
    let name = cut_head(&name, room.max(NAME_COLUMNS_MIN));
    writeln!(out, "  Slowest: {name} {facts}")
}

fn write_slowest(
    out: &mut impl io::Write,
    trace: &Trace,
    report: &TraceReport<'_>,
    width: usize,
) -> io::Result<()> {
    let root = trace.root();
    let started_at = (report.timestamp)(root.started_ns);
    writeln!(
        out,
        "\nSlowest request: {started_at}, span {}",
        span_id(trace)
    )?;
    let lines = trace.calls().iter().map(|call| {
        let mut facts = format!("({}", format_duration_ns(call.duration_ns));
        if call.failed {
            facts += ", failed";
        }
        if call.parent_missing {
            facts += ", its caller is missing";
        }
        let is_slow = call.depth > 0 && call.duration_ns >= root.duration_ns.div_ceil(2);
        facts += if is_slow { ") ← SLOW" } else { ")" };
        Line {
            depth: call.depth,
            name: report.shown_name(call.function),
            facts,
        }
    });
    write_lines(out, width, lines)?;
    if trace.missing_calls() > 0 {
        writeln!(
            out,
            "note: {} of its calls are missing",
            trace.missing_calls()
        )?;
    }
    Ok(())
}

fn write_lines<'a>(
    out: &mut impl io::Write,
    width: usize,
    mut lines: impl ExactSizeIterator<Item = Line<'a>>,
) -> io::Result<()> {
    for line in lines.by_ref().take(LINES_MAX) {
        let indent = (2 * line.depth as usize).min(width / INDENT_SHARE_MAX);
        let arrow = if line.depth == 0 { "" } else { "→ " };
        let taken = indent + columns_of(arrow) + 1 + columns_of(&line.facts);
        let name = cut_head(
            &line.name,
            width.saturating_sub(taken).max(NAME_COLUMNS_MIN),
        );
        writeln!(out, "{:indent$}{arrow}{name} {}", "", line.facts)?;
    }
    match lines.len() {
        0 => Ok(()),
        more => writeln!(out, "… and {more} more"),
    }
}

/// What keeps the tree from being whole.
fn write_losses(out: &mut impl io::Write, report: &TraceReport<'_>) -> io::Result<()> {
    let tree = report.summary.tree();
    let ends_unseen = match report.path {
        Some(_) => "requests whose end was not seen: they panicked, or still go on",
        None => "calls whose end was not seen: they were left by a panic, or still go on",
    };
    let notes = [
        (report.summary.missing_calls(), "calls that made no record"),
        (report.losses.traces, ends_unseen),
        (
            tree.left_out_calls(),
            "calls without a place in the call chain",
        ),
    ];
    for (count, what) in notes.iter().filter(|(count, _)| *count > 0) {
        writeln!(out, "note: {what}: {count}")?;
    }
    for notice in &report.snapshot.notices {
        writeln!(out, "note: {}", Escaped(&notice.text))?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::export::trace_fixture;

    fn text(width: usize) -> String {
        trace_fixture::with_report(|report| {
            let mut out = Vec::new();
            write_trace(&mut out, report, width).unwrap();
            String::from_utf8(out).unwrap()
        })
    }

    #[test]
    fn traces_read_as_they_should() {
        assert_eq!(text(100), include_str!("trace.expected.txt"));
    }

    #[test]
    fn lines_fit_and_nothing_in_them_acts() {
        let text = text(72);
        assert!(text.lines().all(|line| columns_of(line) <= 72), "{text}");
        assert!(text.chars().all(|c| c == '\n' || !c.is_control()));
        assert!(!text.contains('\u{202e}'));
    }

    #[test]
    fn a_long_tree_is_cut() {
        let line = |number: u32| Line {
            depth: number,
            name: "f".into(),
            facts: String::new(),
        };
        let mut out = Vec::new();
        let lines: Vec<_> = (0..250).map(line).collect();
        write_lines(&mut out, 80, lines.into_iter()).unwrap();
        let text = String::from_utf8(out).unwrap();
        assert_eq!(text.lines().count(), LINES_MAX + 1);
        assert_eq!(text.lines().last(), Some("… and 50 more"));
        assert!(text.lines().all(|line| columns_of(line) <= 80), "{text}");
    }
}
