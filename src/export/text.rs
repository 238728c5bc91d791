//! What has been measured, as plain text for a person: no colour, nothing that moves a cursor.

use std::borrow::Cow;
use std::io;

use coral_model::{
    CallRecord, ExitProbe, Function, FunctionStats, Probeability, SessionInfo, SessionState,
    Snapshot, Target, escape, format_count, format_duration, format_duration_ns,
};

use super::names::Names;
use super::replicas;
use super::table::{Column, Kind, columns_of, cut_head, cut_tail, write_table};

mod calls;
mod histogram;
mod inlined;
mod trace;

pub use inlined::write_inlined;
pub use trace::write_trace;

/// The width where no terminal says another one.
pub const DEFAULT_WIDTH: usize = 100;

/// Histograms of so many functions are drawn, those with the most time in total.
const HISTOGRAMS_MAX: usize = 5;
const SLOW_CALLS_MAX: usize = 10;
/// From this part of the durations on, the cost of probes inside of calls is worth a note.
const PROBES_SHARE_MIN: f64 = 0.02;
/// What stands where nothing was measured.
const NOT_MEASURED: &str = "-";

/// Writes a list of functions of a target as a table that fits `width` columns.
///
/// # Errors
/// Those of `out`.
pub fn write_functions(
    out: &mut impl io::Write,
    target: &Target,
    functions: &[Function<'_>],
    width: usize,
) -> io::Result<()> {
    const COLUMNS: [Column; 5] = [
        Column {
            title: "FUNCTION",
            kind: Kind::Name,
        },
        Column {
            title: "LOCATION",
            kind: Kind::Name,
        },
        Column {
            title: "SIZE",
            kind: Kind::Number,
        },
        Column {
            title: "EXITS",
            kind: Kind::Number,
        },
        Column {
            title: "PROBE",
            kind: Kind::Phrase,
        },
    ];
    writeln!(out, "{}\n", cut_tail(&target_line(target), width))?;
    write_table(out, COLUMNS, width, functions, |function| {
        [
            escape(function.name),
            location(function.file, function.line),
            function.size.to_string().into(),
            function
                .plan
                .map_or(NOT_MEASURED.into(), |plan| plan.exits.to_string().into()),
            probe(function),
        ]
    })?;
    let count = |probe| {
        functions
            .iter()
            .filter(|f| f.plan.map(|plan| plan.probe) == probe)
            .count()
    };
    writeln!(
        out,
        "\n{} functions: {} full, {} entry only, {} none, {} not looked at",
        functions.len(),
        count(Some(Probeability::Full)),
        count(Some(Probeability::EntryOnly)),
        count(Some(Probeability::None)),
        count(None),
    )
}

/// Writes rows of plain values, which may come from a target, under their columns' names.
///
/// # Errors
/// Those of `out`.
pub fn write_rows(
    out: &mut impl io::Write,
    columns: &[&str],
    rows: &[Vec<String>],
) -> io::Result<()> {
    let names: Vec<_> = columns.iter().map(|name| escape(name)).collect();
    let rows: Vec<Vec<_>> = rows
        .iter()
        .map(|row| row.iter().map(|value| escape(value)).collect())
        .collect();
    let widths: Vec<usize> = (0..names.len())
        .map(|place| {
            let cells = rows.iter().filter_map(|row| row.get(place));
            cells
                .chain([&names[place]])
                .map(|cell| columns_of(cell))
                .max()
                .unwrap_or_default()
        })
        .collect();
    for row in std::iter::once(&names).chain(&rows) {
        let mut line = String::new();
        for (cell, width) in row.iter().zip(&widths) {
            line += cell;
            line += &" ".repeat(width - columns_of(cell) + 2);
        }
        writeln!(out, "{}", line.trim_end())?;
    }
    Ok(())
}

/// Writes what a session has measured, in lines of at most `width` columns where names allow it.
///
/// # Errors
/// Those of `out`.
pub fn write_session(
    out: &mut impl io::Write,
    snapshot: &Snapshot,
    width: usize,
) -> io::Result<()> {
    writeln!(out, "{}", session_line(&snapshot.session))?;
    let target = match snapshot.replicas.len() {
        0 => target_line(&snapshot.session.target),
        replicas => format!(
            "{}: {replicas} replicas",
            escape(&snapshot.session.target.service)
        ),
    };
    writeln!(out, "{}\n", cut_tail(&target, width))?;
    write_latencies(out, snapshot, width)?;
    replicas::write(out, snapshot, width)?;
    write_notes(out, snapshot, width)?;
    let names = Names::new(snapshot);
    calls::write_joined(out, snapshot, &names, width)?;
    calls::write_tree(out, snapshot, &names, width)?;
    write_histograms(out, snapshot, width)?;
    write_slow_calls(out, snapshot, &names, width)?;
    calls::write_details(out, snapshot, &names, width)?;
    calls::write_in_flight(out, snapshot, &names, width)?;
    calls::write_notices(out, snapshot, width)?;
    write_accounting(out, snapshot)
}

fn session_line(session: &SessionInfo) -> String {
    let state = match session.state {
        SessionState::Active => "active",
        SessionState::Ended(reason) => reason.name(),
    };
    format!(
        "session {}: {}, {state}, {} probes",
        escape(&session.id.0),
        format_duration(session.elapsed),
        session.probes,
    )
}

fn target_line(target: &Target) -> String {
    // A service as a whole is no process.
    if target.pid == 0 {
        return format!("{}: {}", escape(&target.service), target.language.name());
    }
    format!(
        "{}: pid {}, {}, {}",
        escape(&target.service),
        target.pid,
        target.language.name(),
        escape(&target.exe),
    )
}

fn write_latencies(out: &mut impl io::Write, snapshot: &Snapshot, width: usize) -> io::Result<()> {
    const fn number(title: &'static str) -> Column {
        Column {
            title,
            kind: Kind::Number,
        }
    }
    const COLUMNS: [Column; 9] = [
        Column {
            title: "FUNCTION",
            kind: Kind::Name,
        },
        number("CALLS"),
        number("UNWOUND"),
        number("ERRORS"),
        number("P50"),
        number("P95"),
        number("P99"),
        number("MAX"),
        number("TOTAL"),
    ];
    write_table(out, COLUMNS, width, &snapshot.functions, |stats| {
        let latency = &stats.latency;
        let percentile = |percent| duration(latency.percentile_ns(percent));
        let is_measured = latency.count() > 0;
        [
            escape(&stats.name),
            stats.calls.to_string().into(),
            // Without exits nothing tells a call that returned from one that was unwound.
            match stats.exit_probe {
                ExitProbe::None => NOT_MEASURED.into(),
                _ => stats.unwound.to_string().into(),
            },
            stats
                .errors
                .map_or(NOT_MEASURED.into(), |errors| errors.to_string().into()),
            percentile(50.0),
            percentile(95.0),
            percentile(99.0),
            duration(is_measured.then_some(latency.max_ns)),
            duration(is_measured.then_some(latency.total_ns)),
        ]
    })
}

/// What the table's numbers do not say: calls that hang, returns that are not caught.
fn write_notes(out: &mut impl io::Write, snapshot: &Snapshot, width: usize) -> io::Result<()> {
    for stats in &snapshot.functions {
        let name = escape(&stats.name);
        let name = cut_head(&name, width / 2);
        if stats.in_flight > 0 && stats.exit_probe != ExitProbe::None {
            writeln!(
                out,
                "note: {name}: calls that have not returned: {}",
                stats.in_flight
            )?;
        }
        if let Some(reason) = &stats.reason {
            writeln!(out, "note: {name}: {}", escape(reason))?;
        }
        if let Some(reason) = &stats.detached_because {
            writeln!(out, "note: {name}: detached early: {}", escape(reason))?;
        }
        let probes_share = stats.probes_ns as f64 / stats.latency.total_ns.max(1) as f64;
        if let (Some(mean), true) = (stats.corrected_mean_ns(), probes_share >= PROBES_SHARE_MIN) {
            writeln!(
                out,
                "note: {name}: durations hold what probes inside cost: mean without it {}",
                format_duration_ns(mean as u64)
            )?;
        }
    }
    Ok(())
}

fn write_histograms(out: &mut impl io::Write, snapshot: &Snapshot, width: usize) -> io::Result<()> {
    let mut measured: Vec<&FunctionStats> = snapshot
        .functions
        .iter()
        .map(|stats| &**stats)
        .filter(|stats| stats.latency.count() > 0)
        .collect();
    measured.sort_by_key(|stats| std::cmp::Reverse(stats.latency.total_ns));
    for stats in measured.iter().take(HISTOGRAMS_MAX) {
        let title = format!(", {} returns", stats.latency.count());
        let name = escape(&stats.name);
        writeln!(
            out,
            "\n{}{title}",
            cut_head(&name, width.saturating_sub(title.len()))
        )?;
        histogram::write(out, &stats.latency, width)?;
    }
    let left_out = measured.len().saturating_sub(HISTOGRAMS_MAX);
    if left_out > 0 {
        writeln!(
            out,
            "\n{left_out} more histograms: `--format json` has them all"
        )?;
    }
    Ok(())
}

fn write_slow_calls(
    out: &mut impl io::Write,
    snapshot: &Snapshot,
    names: &Names<'_>,
    width: usize,
) -> io::Result<()> {
    const COLUMNS: [Column; 4] = [
        Column {
            title: "SLOW CALL",
            kind: Kind::Name,
        },
        Column {
            title: "DURATION",
            kind: Kind::Number,
        },
        Column {
            title: "THREAD",
            kind: Kind::Number,
        },
        Column {
            title: "STARTED AT",
            kind: Kind::Phrase,
        },
    ];
    if snapshot.slow_calls.is_empty() {
        return Ok(());
    }
    let shown: &[CallRecord] =
        &snapshot.slow_calls[..snapshot.slow_calls.len().min(SLOW_CALLS_MAX)];
    writeln!(out)?;
    write_table(out, COLUMNS, width, shown, |call| {
        [
            names.of(call.function),
            duration(Some(call.duration_ns)),
            call.tid.to_string().into(),
            format!("{:.6}", call.started_at).into(),
        ]
    })
}

/// Where every hit went, and what it cost.
fn write_accounting(out: &mut impl io::Write, snapshot: &Snapshot) -> io::Result<()> {
    let accounting = &snapshot.accounting;
    writeln!(out, "\n{:>12}  hits of probes", accounting.hits)?;
    for (count, fate) in [
        (accounting.aggregated, "counted"),
        (accounting.events_stored, "counted, single call kept"),
        (accounting.sampled_out, "counted, single call sampled out"),
        (accounting.filtered_out, "counted, single call filtered out"),
        (
            accounting.throttled,
            "counted, single call lost: over the rate limit",
        ),
        (accounting.ring_full, "counted, single call lost: ring full"),
        (accounting.map_full, "lost: no room for the call"),
        (accounting.unmatched_exits, "exits without an entry"),
    ] {
        if count > 0 {
            writeln!(out, "{count:>12}    {fate}")?;
        }
    }
    let overhead = &snapshot.overhead;
    let cost = match (overhead.ns_per_hit, overhead.cpu_percent) {
        (Some(ns), Some(percent)) => format!("{ns:.0} ns per hit, {percent:.2} % of a core"),
        _ => "not calibrated".to_owned(),
    };
    writeln!(
        out,
        "{:>12}  hits/s, {cost}",
        format_count(overhead.hits_per_s)
    )
}

fn location<'a>(file: Option<&'a str>, line: Option<u32>) -> Cow<'a, str> {
    match (file.map(escape), line) {
        (Some(file), Some(line)) => format!("{file}:{line}").into(),
        (Some(file), None) => file,
        (None, _) => NOT_MEASURED.into(),
    }
}

fn probe(function: &Function<'_>) -> Cow<'static, str> {
    let Some(plan) = function.plan else {
        return NOT_MEASURED.into();
    };
    let probe = match plan.probe {
        Probeability::Full => "full",
        Probeability::EntryOnly => "entry only",
        Probeability::None => "none",
    };
    match plan.reason {
        Some(reason) => format!("{probe}: {}", reason.text()).into(),
        None => probe.into(),
    }
}

pub(super) fn duration(duration_ns: Option<u64>) -> Cow<'static, str> {
    duration_ns.map_or(NOT_MEASURED.into(), |ns| format_duration_ns(ns).into())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::export::fixture;
    use crate::export::table::columns_of;

    fn session_text(width: usize) -> String {
        let mut out = Vec::new();
        write_session(&mut out, &fixture::snapshot(), width).unwrap();
        String::from_utf8(out).unwrap()
    }

    #[test]
    fn a_session_reads_as_it_should() {
        assert_eq!(
            session_text(DEFAULT_WIDTH),
            include_str!("text/session.expected.txt")
        );
    }

    #[test]
    fn a_list_reads_as_it_should() {
        let table = fixture::table();
        let functions: Vec<_> = table.iter().collect();
        let mut out = Vec::new();
        write_functions(&mut out, &fixture::target(), &functions, DEFAULT_WIDTH).unwrap();
        assert_eq!(
            String::from_utf8(out).unwrap(),
            include_str!("text/functions.expected.txt")
        );
    }

    #[test]
    fn tables_fit_and_nothing_in_them_acts() {
        let text = session_text(90);
        assert!(text.lines().all(|line| columns_of(line) <= 90), "{text}");
        assert!(text.chars().all(|c| c == '\n' || !c.is_control()));
        assert!(!text.contains('\u{202e}'));
    }
}
