//! The list of functions: what they are, and what was measured of them.

use coral_model::{
    ExitProbe, Function, FunctionId, FunctionStats, Probeability, format_bytes, format_count,
};
use ratatui::layout::{Position, Rect};

use crate::canvas::{Canvas, inset, row};
use crate::commands::Command;
use crate::draw::filter_line;
use crate::event::OpenTarget;
use crate::functions::ColumnSet;
use crate::layout::{FunctionPanes, ListPane};
use crate::options::Peer;
use crate::replicas;
use crate::scan::{NameMatcher, Query};
use crate::sort::Sort;
use crate::state::{Phase, State};
use crate::table::{self, Column, Columns, draw_empty, draw_rows, number, word};
use crate::text::{Cut, fit, fit_pieces};
use crate::theme::Meaning;

/// Columns that the name of a service may take in a message.
const NAME_WIDTH: usize = 40;

#[derive(Clone, Copy, PartialEq)]
enum Kind {
    CallsPerS,
    Calls,
    P50,
    P95,
    P99,
    OddReplica,
    Max,
    Total,
    Errors,
    Trend,
    Exits,
    Location,
    Package,
    Size,
    Source,
}

/// The columns of numbers, the most telling first.
const MEASURED: &[Column<Kind>] = &[
    number(Kind::CallsPerS, "calls/s", 7),
    number(Kind::P50, "p50", 7),
    number(Kind::P99, "p99", 7),
    word(Kind::OddReplica, "a replica", 9),
    number(Kind::Max, "max", 7),
    number(Kind::Calls, "calls", 7),
    number(Kind::P95, "p95", 7),
    word(Kind::Trend, "trend", 10),
    number(Kind::Errors, "errors", 6),
    number(Kind::Total, "total", 7),
    word(Kind::Exits, "exits", 10),
    word(Kind::Location, "location", 28),
];

/// The columns about the code.
const CODE: &[Column<Kind>] = &[
    number(Kind::Size, "size", 8),
    word(Kind::Exits, "exits", 10),
    word(Kind::Location, "location", 28),
    word(Kind::Source, "read from", 9),
    word(Kind::Package, "package", 24),
];

/// The columns that show what the list can be sorted by.
const COLUMN_OF: [(Sort, Kind); 10] = [
    (Sort::CallsPerS, Kind::CallsPerS),
    (Sort::P50, Kind::P50),
    (Sort::P95, Kind::P95),
    (Sort::P99, Kind::P99),
    (Sort::Total, Kind::Total),
    (Sort::Max, Kind::Max),
    (Sort::Calls, Kind::Calls),
    (Sort::Errors, Kind::Errors),
    (Sort::Size, Kind::Size),
    (Sort::Location, Kind::Location),
];

/// What the column at a position of the head is sorted by.
pub(crate) fn sort_at(state: &State, pane: &ListPane, position: Position) -> Option<Sort> {
    match columns(state, pane).at(pane.head, position)? {
        None => Some(Sort::Name),
        Some(clicked) => {
            let mut known = COLUMN_OF.iter();
            known
                .find(|(_, kind)| *kind == clicked)
                .map(|&(sort, _)| sort)
        }
    }
}

fn columns(state: &State, pane: &ListPane) -> Columns<Kind> {
    let mut columns = match state.functions.columns {
        ColumnSet::Measured => MEASURED.to_vec(),
        ColumnSet::Code => CODE.to_vec(),
    };
    if !state.has_replicas() {
        columns.retain(|column| column.kind != Kind::OddReplica);
    }
    let width = pane.rows.width;
    Columns::fit(width, (width / 3).max(24), &columns)
}

pub(super) fn draw(canvas: &mut Canvas<'_>, state: &State, panes: &FunctionPanes) {
    let pane = ListPane::functions(state, panes);
    let list = &state.functions;
    draw_title(canvas, state, pane.title);
    let found = list.match_count().unwrap_or(list.table.len());
    let found = format!("{} match ", group_digits(found as u64));
    filter_line::draw(canvas, &list.filter, pane.filter, &found);
    if let Some(error) = list.filter_error() {
        filter_line::draw_error(canvas, &list.filter, error, pane.filter);
    }
    if list.rows().is_empty() {
        let (message, help) = empty(state);
        return draw_empty(canvas, pane.rows, &message, &help);
    }
    let columns = columns(state, &pane);
    columns.draw_head(canvas, pane.head, "function");
    mark_sorted(canvas, state, &columns, pane.head);
    let mut matcher = NameMatcher::default();
    let rows = list.rows();
    draw_rows(
        canvas,
        pane.rows,
        &list.selection,
        rows.len(),
        |canvas, index, place| {
            if let Some(function) = list.table.get(rows[index]) {
                draw_row(canvas, state, &columns, place, &function, &mut matcher);
            }
        },
    );
    if let Some(function) = list.selected() {
        draw_detail(canvas, state, pane.detail, &function);
    }
}

fn draw_title(canvas: &mut Canvas<'_>, state: &State, area: Rect) {
    let list = &state.functions;
    let mut right = Vec::new();
    if let Some((work, percent)) = list.progress() {
        right.push((format!("{work} {percent} %  "), Meaning::Busy));
    } else if !list.complete && state.phase == Phase::Open {
        right.push((
            format!("reading symbols{}  ", canvas.glyphs.ellipsis),
            Meaning::Busy,
        ));
    }
    let pinned = if list.is_pinned() {
        ", probed on top"
    } else {
        ""
    };
    let direction = if list.is_reversed() { ", reversed" } else { "" };
    let sort = format!("sort: {}{direction}{pinned}", list.sort().name());
    right.push((sort, Meaning::Dim));
    let count = format!("  {}", group_digits(list.table.len() as u64));
    canvas.title(
        area,
        &[("Functions", Meaning::Title), (&count, Meaning::Dim)],
        &right,
    );
}

/// Why there are no rows, and what to press.
fn empty(state: &State) -> (String, String) {
    if state.functions.filter.is_active() {
        if state.functions.has_work() {
            return ("Looking for matches".into(), String::new());
        }
        let help = format!("Press {} to clear it.", state.key(Command::Back));
        return ("No function matches the filter.".into(), help);
    }
    match &state.phase {
        Phase::Opening { .. } if state.is_cut_off() => cut_off(state),
        Phase::Opening { what: Some(what) } => {
            let what = match what {
                OpenTarget::Process(pid) => format!("process {pid}"),
                OpenTarget::Service(name) => {
                    fit(name, NAME_WIDTH, Cut::Middle, &state.options.glyphs)
                }
            };
            (format!("Reading the symbols of {what}"), reading(state))
        }
        Phase::Opening { what: None } if state.reading.is_some() => {
            ("Reading symbols".into(), reading(state))
        }
        Phase::Opening { what: None } => ("Waiting for the source".into(), String::new()),
        Phase::Open if !state.functions.complete => ("Reading symbols".into(), String::new()),
        Phase::Open => (
            "This program has no functions that could be found.".into(),
            "It may be stripped: `coral doctor --pid <pid>` says what is missing.".into(),
        ),
        Phase::NoTarget | Phase::Exited => (
            "No process is open.".into(),
            format!("Press {} to choose one.", state.key(Command::ShowProcesses)),
        ),
    }
}

/// Why nothing comes from an agent or a colony.
pub(crate) fn cut_off(state: &State) -> (String, String) {
    let kind = state.peer().map_or("agent", Peer::kind);
    (
        format!("The {kind} does not answer."),
        "It is tried again by itself; the events say why.".into(),
    )
}

/// How far an agent has come with telling the functions.
fn reading(state: &State) -> String {
    match state.reading {
        Some((functions, total)) => format!(
            "{} of {} functions have come.",
            group_digits(functions),
            group_digits(total)
        ),
        None => "This takes a moment for large programs.".into(),
    }
}

/// Puts a sign on the title of the column that the list is sorted by.
fn mark_sorted(canvas: &mut Canvas<'_>, state: &State, columns: &Columns<Kind>, head: Rect) {
    let list = &state.functions;
    let kind = |sort| COLUMN_OF.iter().find(|(known, _)| *known == sort);
    let sorted = match list.sort() {
        Sort::Name => None,
        sort => match kind(sort) {
            Some((_, kind)) => Some(*kind),
            None => return,
        },
    };
    let sign = if list.is_descending() {
        canvas.glyphs.descending
    } else {
        canvas.glyphs.ascending
    };
    let place = match sorted {
        None => Some(inset(columns.first(head), "function".len() as u16)),
        Some(kind) => columns
            .places(head)
            .find(|(column, _)| column.kind == kind)
            .map(|(_, place)| inset(place, place.width)),
    };
    if let Some(place) = place {
        let place = Rect { width: 1, ..place };
        canvas.text(place, sign, Meaning::Key);
    }
}

fn draw_row(
    canvas: &mut Canvas<'_>,
    state: &State,
    columns: &Columns<Kind>,
    place: Rect,
    function: &Function<'_>,
    matcher: &mut NameMatcher,
) {
    let (marker, meaning) = marker(canvas, state, function);
    canvas.text(inset(place, 1), marker, meaning);
    draw_name(
        canvas,
        state.functions.query(),
        columns.first(place),
        function,
        matcher,
    );
    let stats = state.measurements.stats(function.id).map(|stats| &**stats);
    for (column, cell) in columns.places(place) {
        match column.kind {
            Kind::OddReplica => draw_oddest(canvas, state, cell, function.id),
            _ => draw_cell(canvas, column, cell, function, stats),
        }
    }
}

/// How the replica is that stands out most by the function, if one does.
fn draw_oddest(canvas: &mut Canvas<'_>, state: &State, cell: Rect, function: FunctionId) {
    let session = state.measurements.session_of(function);
    if let Some(outlier) = session.and_then(|it| replicas::oddest(&it.snapshot, function)) {
        canvas.text(cell, &outlier.to_string(), Meaning::Warning);
    }
}

/// Whether a function is probed, as a sign of its own shape.
fn marker(canvas: &Canvas<'_>, state: &State, function: &Function<'_>) -> (&'static str, Meaning) {
    let glyphs = canvas.glyphs;
    if state.measurements.is_attached(function.id) {
        (glyphs.probed, Meaning::Probed)
    } else if state.attaching.contains(&function.id) {
        (glyphs.attaching, Meaning::Busy)
    } else if state.measurements.stats(function.id).is_some() {
        (glyphs.ended, Meaning::Ended)
    } else if function
        .plan
        .is_some_and(|plan| plan.probe == Probeability::None)
    {
        (glyphs.unprobeable, Meaning::Error)
    } else {
        (" ", Meaning::Text)
    }
}

/// The name: what comes before the function's own name is dimmed, what the filter matched is
/// marked.
pub(super) fn draw_name(
    canvas: &mut Canvas<'_>,
    query: Option<&Query>,
    place: Rect,
    function: &Function<'_>,
    matcher: &mut NameMatcher,
) {
    // Names that are not plain, or too long to be read, are matched but not marked.
    let matched = match query {
        Some(query) if function.name.is_ascii() && function.name.len() < 1_000 => {
            query.indices(function.name, matcher)
        }
        _ => Vec::new(),
    };
    let package_end = match function.name.strip_prefix(function.package) {
        Some(rest) if !function.package.is_empty() => {
            function.name.len() - rest.trim_start_matches(['.', ':']).len()
        }
        _ => 0,
    };
    let pieces = fit_pieces(
        function.name,
        usize::from(place.width),
        Cut::Middle,
        canvas.glyphs,
    );
    let spans: Vec<_> = pieces
        .into_iter()
        .map(|piece| {
            let meaning = match piece.offset {
                None => Meaning::Dim,
                Some(offset) if matched.binary_search(&(offset as u32)).is_ok() => Meaning::Match,
                Some(offset) if offset < package_end => Meaning::Package,
                Some(_) => Meaning::Text,
            };
            (piece.shown, meaning)
        })
        .collect();
    canvas.spans(place, &spans);
}

fn draw_cell(
    canvas: &mut Canvas<'_>,
    column: Column<Kind>,
    cell: Rect,
    function: &Function<'_>,
    stats: Option<&FunctionStats>,
) {
    let text = value(canvas, column, function, stats);
    let (text, meaning) = match (text, column.kind) {
        (None, _) => (canvas.glyphs.not_measured.to_owned(), Meaning::NotMeasured),
        (Some(text), Kind::Trend) => (text, Meaning::Sparkline),
        (Some(text), Kind::Exits | Kind::Location | Kind::Package | Kind::Source | Kind::Size) => {
            (text, Meaning::Dim)
        }
        (Some(text), Kind::Errors) if text != "0" => (text, Meaning::Error),
        (Some(text), _) => (text, Meaning::Number),
    };
    let cut = if column.kind == Kind::Location {
        Cut::Middle
    } else {
        Cut::End
    };
    let text = fit(&text, usize::from(cell.width), cut, canvas.glyphs);
    table::write(canvas, cell, &text, column.right, meaning);
}

/// What a cell says; nothing if it was not measured, or is not known.
fn value(
    canvas: &Canvas<'_>,
    column: Column<Kind>,
    function: &Function<'_>,
    stats: Option<&FunctionStats>,
) -> Option<String> {
    let glyphs = canvas.glyphs;
    let latency = stats
        .map(|stats| &stats.latency)
        .filter(|latency| !latency.buckets.is_empty());
    let percentile = |percent| {
        latency
            .and_then(|latency| latency.percentile_ns(percent))
            .map(|ns| glyphs.duration_ns(ns))
    };
    match column.kind {
        Kind::CallsPerS => stats.map(|stats| format_count(stats.calls_per_s)),
        Kind::Calls => stats.map(|stats| format_count(stats.calls as f64)),
        Kind::P50 => percentile(50.0),
        Kind::P95 => percentile(95.0),
        Kind::P99 => percentile(99.0),
        Kind::Max => latency.map(|latency| glyphs.duration_ns(latency.max_ns)),
        Kind::Total => latency.map(|latency| glyphs.duration_ns(latency.total_ns)),
        Kind::Errors => stats?.errors.map(|errors| format_count(errors as f64)),
        Kind::Trend => {
            stats.map(|stats| sparkline(canvas, &stats.recent_calls_per_s, column.width))
        }
        Kind::Exits => exits(function, stats),
        Kind::Location => location(function),
        Kind::Package => Some(function.package.to_owned()),
        Kind::Size => Some(format_bytes(function.size)),
        Kind::OddReplica => None,
        Kind::Source => Some(function.source.name().to_owned()),
    }
}

/// How exits are caught, or will be.
fn exits(function: &Function<'_>, stats: Option<&FunctionStats>) -> Option<String> {
    if stats.is_some_and(|stats| stats.exit_probe == ExitProbe::Uretprobe) {
        return Some("uretprobe".into());
    }
    let plan = function.plan?;
    Some(match plan.probe {
        Probeability::Full if plan.exits == 1 => "1 return".into(),
        Probeability::Full => format!("{} returns", plan.exits),
        Probeability::EntryOnly => "entry only".into(),
        Probeability::None => "no probe".into(),
    })
}

/// `file:line`, as far as it is known.
pub(super) fn location(function: &Function<'_>) -> Option<String> {
    let file = function.file?;
    Some(match function.line {
        Some(line) => format!("{file}:{line}"),
        None => file.to_owned(),
    })
}

/// The height of the highest bar of a sparkline, in eighths: a steady rate is a quiet line, and no
/// row's bars touch those of the row above.
const SPARKLINE_EIGHTHS: f64 = 5.0;

/// The last rates as bars from zero.
fn sparkline(canvas: &Canvas<'_>, rates: &[f64], columns: u16) -> String {
    let shown = &rates[rates.len().saturating_sub(usize::from(columns))..];
    let highest = shown.iter().copied().fold(0.0, f64::max);
    shown
        .iter()
        .map(|&rate| {
            if rate <= 0.0 || highest <= 0.0 {
                return canvas.glyphs.bars[0];
            }
            let eighths = (rate / highest * SPARKLINE_EIGHTHS).ceil().max(1.0);
            canvas.glyphs.bars[eighths as usize]
        })
        .collect()
}

/// What is known about the selected function, where no pane beside the list says it.
fn draw_detail(canvas: &mut Canvas<'_>, state: &State, area: Rect, function: &Function<'_>) {
    let area = inset(area, 1);
    canvas.foreign(row(area, 0), function.name, Cut::Middle, Meaning::Text);
    canvas.foreign(
        row(area, 1),
        &facts(state, function),
        Cut::Middle,
        Meaning::Dim,
    );
}

/// Where a function is, how large it is, and how its exits are caught, in a line.
pub(super) fn facts(state: &State, function: &Function<'_>) -> String {
    let stats = state.measurements.stats(function.id);
    // What was done says more than what was planned.
    let done = stats.and_then(|stats| stats.reason.clone());
    let planned = || Some(function.plan?.reason?.text().to_owned());
    let parts = [
        location(function),
        Some(format_bytes(function.size)),
        exits(function, stats.map(|stats| &**stats)),
        done.or_else(planned),
    ];
    let parts: Vec<String> = parts.into_iter().flatten().collect();
    parts.join("  ")
}

/// `1,234,567`.
pub(super) fn group_digits(number: u64) -> String {
    let digits = number.to_string();
    let mut grouped = String::new();
    for (index, digit) in digits.chars().enumerate() {
        if index > 0 && (digits.len() - index).is_multiple_of(3) {
            grouped.push(',');
        }
        grouped.push(digit);
    }
    grouped
}
