//! The replicas of a session: what each of them has measured of the selected function, and which
//! of them is not like the others.

use coral_model::{FunctionStats, ReplicaState, Snapshot, format_count};
use ratatui::layout::Rect;

use crate::canvas::{Canvas, inset, row};
use crate::commands::Command;
use crate::draw::calls::share_bar;
use crate::draw::filter_line;
use crate::layout::ListPane;
use crate::replicas::{ReplicaCounts, ReplicaRow, state_word};
use crate::state::State;
use crate::table::{self, Column, Columns, MARGIN, draw_empty, draw_rows, number, word};
use crate::text::{Cut, fit, plural, width};
use crate::theme::Meaning;

/// A build-id is told from the others by so many characters.
const BUILD: usize = 8;

const BAR: u16 = 10;

#[derive(Clone, Copy, PartialEq)]
enum Kind {
    Pid,
    Outlier,
    State,
    P99,
    P50,
    CallsPerS,
    Calls,
    P95,
    Max,
    Errors,
    Build,
    Bar,
}

/// What tells the odd one out comes first.
const COLUMNS: &[Column<Kind>] = &[
    number(Kind::Pid, "pid", 7),
    word(Kind::Outlier, "odd one", 9),
    word(Kind::State, "state", 11),
    number(Kind::P99, "p99", 7),
    number(Kind::P50, "p50", 7),
    number(Kind::CallsPerS, "calls/s", 7),
    word(Kind::Bar, "p99", BAR),
    number(Kind::Calls, "calls", 7),
    number(Kind::P95, "p95", 7),
    number(Kind::Max, "max", 7),
    number(Kind::Errors, "errors", 6),
    word(Kind::Build, "build", BUILD as u16),
];

/// What one row of numbers is: those of all replicas, or of one.
struct Numbers<'a> {
    stats: Option<&'a FunctionStats>,
    /// Its p99 as a share of the largest one.
    share: Option<f64>,
    meaning: Meaning,
}

/// All of it, on the whole screen.
pub(super) fn draw(canvas: &mut Canvas<'_>, state: &State, area: Rect) {
    let pane = ListPane::replicas(state, area);
    draw_title(canvas, state, pane.title, true);
    let shown = state.replicas.rows().len();
    let found = format!("{shown} match ");
    filter_line::draw(canvas, &state.replicas.filter, pane.filter, &found);
    draw_list(canvas, state, &pane);
    draw_detail(canvas, state, pane.detail);
}

/// The same beside the functions, to be looked at only.
pub(super) fn draw_beside(canvas: &mut Canvas<'_>, state: &State, area: Rect) {
    let pane = ListPane::replicas_beside(area);
    draw_title(canvas, state, pane.title, false);
    draw_list(canvas, state, &pane);
}

fn draw_title(canvas: &mut Canvas<'_>, state: &State, area: Rect, is_front: bool) {
    let function = state.functions.selection.id();
    let odd = state.replicas.odd_count();
    let mut right = Vec::new();
    if odd > 0 {
        let verb = if odd == 1 { "stands" } else { "stand" };
        right.push((format!("{odd} {verb} out"), Meaning::Warning));
    }
    if is_front {
        let space = if right.is_empty() { "" } else { "  " };
        let sort = format!("{space}sort: {}", state.replicas.sort.name());
        right.push((sort, Meaning::Dim));
    }
    let taken: u16 = right.iter().map(|(text, _)| width(text)).sum::<u16>() + 19;
    let room = usize::from(area.width.saturating_sub(taken));
    let name = function.map_or_else(String::new, |function| {
        fit(&state.name_of(function), room, Cut::Middle, canvas.glyphs)
    });
    let left = [
        ("Replicas  ", Meaning::Title),
        (name.as_str(), Meaning::Text),
    ];
    canvas.title(area, &left, &right);
}

fn draw_list(canvas: &mut Canvas<'_>, state: &State, pane: &ListPane) {
    let session = state
        .functions
        .selection
        .id()
        .and_then(|id| state.measurements.session_of(id));
    let session = session.filter(|session| !session.snapshot.replicas.is_empty());
    let Some(session) = session else {
        let (message, help) = nothing(state);
        return draw_empty(canvas, pane.rows, message, &help);
    };
    let rows = state.replicas.rows();
    let columns = Columns::fit(pane.rows.width, 11, COLUMNS);
    columns.draw_head(canvas, row(pane.head, 0), "agent");
    let p99 = |row: &ReplicaRow| row.stats.as_ref()?.latency.percentile_ns(99.0);
    let largest = rows.iter().filter_map(p99).max();
    let share = |stats: Option<&FunctionStats>| {
        let p99 = stats?.latency.percentile_ns(99.0)?;
        Some(p99 as f64 / largest.filter(|largest| *largest > 0)? as f64)
    };
    draw_all(
        canvas,
        state,
        &columns,
        row(pane.head, 1),
        &session.snapshot,
        share,
    );
    if rows.is_empty() {
        let help = format!("Press {} to clear it.", state.key(Command::Back));
        return draw_empty(canvas, pane.rows, "No replica matches the filter.", &help);
    }
    let selection = &state.replicas.selection;
    draw_rows(
        canvas,
        pane.rows,
        selection,
        rows.len(),
        |canvas, index, place| {
            let row = &rows[index];
            let numbers = Numbers {
                stats: row.stats.as_deref(),
                share: share(row.stats.as_deref()),
                meaning: number_meaning(row),
            };
            draw_row(
                canvas,
                state,
                &columns,
                place,
                row,
                &session.snapshot,
                &numbers,
            );
        },
    );
}

/// Why there is no list, and what to press.
fn nothing(state: &State) -> (&'static str, String) {
    let probe = state.key(Command::ToggleProbe);
    if state.has_replicas() {
        let help = format!("Press {probe} to measure it on all replicas.");
        return ("This function was not measured.", help);
    }
    let help = "Sessions of a colony have one row for each process of their service.";
    ("This session has no replicas.", help.into())
}

/// What all replicas add up to, whether they are shown or not.
fn draw_all(
    canvas: &mut Canvas<'_>,
    state: &State,
    columns: &Columns<Kind>,
    place: Rect,
    snapshot: &Snapshot,
    share: impl Fn(Option<&FunctionStats>) -> Option<f64>,
) {
    let function = state.functions.selection.id();
    let stats = function
        .and_then(|id| state.measurements.stats(id))
        .map(|stats| &**stats);
    let counts = ReplicaCounts::of(snapshot);
    canvas.text(columns.first(place), "all of them", Meaning::Title);
    let numbers = Numbers {
        stats,
        share: share(stats),
        meaning: Meaning::Number,
    };
    for (column, cell) in columns.places(place) {
        match column.kind {
            Kind::State => {
                let text = format!("{} of {}", counts.measured(), counts.all);
                canvas.text(cell, &text, Meaning::Dim);
            }
            Kind::Build => {
                let text = plural(state.replicas.build_count(), "build");
                canvas.text(cell, &text, Meaning::Dim);
            }
            Kind::Pid | Kind::Outlier => {}
            // The sum of the others' tails is no replica's.
            Kind::Bar => {}
            _ => draw_number(canvas, column, cell, &numbers),
        }
    }
}

fn draw_row(
    canvas: &mut Canvas<'_>,
    state: &State,
    columns: &Columns<Kind>,
    place: Rect,
    row: &ReplicaRow,
    snapshot: &Snapshot,
    numbers: &Numbers<'_>,
) {
    let target = &row.replica.target;
    let (marker, meaning) = marker(canvas, row.replica.state);
    canvas.text(inset(place, 1), marker, meaning);
    let name = match (row.outlier, numbers.meaning) {
        (Some(_), _) => Meaning::Warning,
        (None, Meaning::Dim) => Meaning::Dim,
        (None, _) => Meaning::Text,
    };
    canvas.foreign(columns.first(place), &target.agent_id, Cut::Middle, name);
    for (column, cell) in columns.places(place) {
        match column.kind {
            Kind::Pid => table::write(canvas, cell, &target.pid.to_string(), true, numbers.meaning),
            Kind::Outlier => {
                let text = row.outlier.map_or_else(String::new, |it| it.to_string());
                canvas.text(cell, &text, Meaning::Warning);
            }
            Kind::State => {
                let (text, meaning) = state_text(state, snapshot, row);
                canvas.foreign(cell, &text, Cut::End, meaning);
            }
            Kind::Build => {
                let build = target.build_id.as_deref().unwrap_or_default();
                let short = build.get(..BUILD).unwrap_or(build);
                canvas.foreign(cell, short, Cut::End, Meaning::Dim);
            }
            _ => draw_number(canvas, column, cell, numbers),
        }
    }
}

/// Whether a replica is measured, as a sign of its own shape.
fn marker(canvas: &Canvas<'_>, state: ReplicaState) -> (&'static str, Meaning) {
    match state {
        ReplicaState::Measuring => (canvas.glyphs.probed, Meaning::Live),
        ReplicaState::Silent => (canvas.glyphs.attaching, Meaning::Warning),
        ReplicaState::Refused => (canvas.glyphs.unprobeable, Meaning::Error),
        ReplicaState::Ended(_) => (canvas.glyphs.ended, Meaning::Ended),
    }
}

/// The state in words, and since when it is so where the numbers are old.
fn state_text(state: &State, snapshot: &Snapshot, row: &ReplicaRow) -> (String, Meaning) {
    let replica = &row.replica;
    let word = state_word(replica.state).to_owned();
    match replica.state {
        ReplicaState::Measuring => (word, Meaning::Live),
        ReplicaState::Silent => {
            let age = state.silent_for(snapshot, &row.key);
            let since = age.map_or_else(String::new, |age| format!(" {} s", age.as_secs()));
            (word + &since, Meaning::Warning)
        }
        ReplicaState::Refused => (word, Meaning::Error),
        ReplicaState::Ended(_) => (word, Meaning::Ended),
    }
}

/// Numbers that are old are dimmed.
fn number_meaning(row: &ReplicaRow) -> Meaning {
    match row.replica.state {
        ReplicaState::Silent => Meaning::Dim,
        _ => Meaning::Number,
    }
}

fn draw_number(canvas: &mut Canvas<'_>, column: Column<Kind>, cell: Rect, numbers: &Numbers<'_>) {
    if column.kind == Kind::Bar {
        let bar = share_bar(canvas, numbers.share, BAR);
        canvas.text(cell, &bar, Meaning::Bar);
        return;
    }
    let (text, meaning) = match value(canvas, column.kind, numbers.stats) {
        None => (canvas.glyphs.not_measured.to_owned(), Meaning::NotMeasured),
        Some(text) if column.kind == Kind::Errors && text != "0" => (text, Meaning::Error),
        Some(text) => (text, numbers.meaning),
    };
    table::write(canvas, cell, &text, column.right, meaning);
}

/// What a cell says; nothing if it was not measured.
fn value(canvas: &Canvas<'_>, kind: Kind, stats: Option<&FunctionStats>) -> Option<String> {
    let stats = stats?;
    let latency = &stats.latency;
    let duration = |ns| canvas.glyphs.duration_ns(ns);
    match kind {
        Kind::P50 => latency.percentile_ns(50.0).map(duration),
        Kind::P95 => latency.percentile_ns(95.0).map(duration),
        Kind::P99 => latency.percentile_ns(99.0).map(duration),
        Kind::Max => (!latency.buckets.is_empty()).then(|| duration(latency.max_ns)),
        Kind::Calls => Some(format_count(stats.calls as f64)),
        Kind::CallsPerS => Some(format_count(stats.calls_per_s)),
        Kind::Errors => stats.errors.map(|errors| format_count(errors as f64)),
        Kind::Pid | Kind::Outlier | Kind::State | Kind::Build | Kind::Bar => None,
    }
}

/// The selected replica in full: its program, and why it is not measured.
fn draw_detail(canvas: &mut Canvas<'_>, state: &State, area: Rect) {
    let Some(selected) = state.replicas.selected() else {
        return;
    };
    let area = inset(area, MARGIN);
    let replica = &selected.replica;
    let target = &replica.target;
    let build = target.build_id.as_deref();
    let build = build.map_or_else(String::new, |build| format!("  build {build}"));
    let cost = replica.cpu_percent;
    let cost = cost.map_or_else(String::new, |percent| format!("  {percent:.1} % of a core"));
    let hits = format_count(replica.accounting.hits as f64);
    let facts = format!("{}{build}  {hits} hits{cost}", target.exe);
    canvas.foreign(row(area, 0), &facts, Cut::Middle, Meaning::Dim);
    match &replica.trouble {
        Some(trouble) => canvas.foreign(row(area, 1), trouble, Cut::End, Meaning::Warning),
        None => {
            let open = state.key(Command::OpenReplica);
            let hint = format!("{open} shows its latency alone");
            canvas.text(row(area, 1), &hint, Meaning::Dim)
        }
    };
}
