//! The latency of the selected function.

use coral_model::{ExitProbe, Function, FunctionStats, Histogram, Probeability, format_count};
use ratatui::layout::Rect;

use crate::canvas::{Canvas, inset, row};
use crate::commands::Command;
use crate::draw::functions::{facts, group_digits};
use crate::draw::{area, comparison, heatmap, histogram, percentile_lines};
use crate::latency::{Panes, View};
use crate::layout::{split_bottom, split_top};
use crate::measurements::Session;
use crate::state::State;
use crate::table::draw_empty;
use crate::text::{Cut, fit, width};
use crate::theme::Meaning;

/// Columns of a number with its name.
const STATISTIC: u16 = 15;

/// Columns that the name of a replica's agent may take in a title.
const REPLICA: usize = 16;

/// The histogram, beside a list of functions.
pub(super) fn draw(canvas: &mut Canvas<'_>, state: &State, area: Rect) {
    draw_view(canvas, state, area, View::Histogram);
}

/// A view on the whole screen.
pub(super) fn draw_view(canvas: &mut Canvas<'_>, state: &State, area: Rect, view: View) {
    let (title, rest) = split_top(area, 1);
    let Some(function) = state.functions.selected() else {
        canvas.title(title, &[(view.title(), Meaning::Title)], &[]);
        let help = format!(
            "Press {} for the functions.",
            state.key(Command::ShowFunctions)
        );
        return draw_empty(canvas, rest, "No function is selected.", &help);
    };
    let stats = state.latency_stats(function.id);
    let session = state.measurements.session_of(function.id);
    let right = title_right(state, stats.map(|stats| &**stats), session);
    let alone = state.only_replica().map(|only| {
        let agent = fit(&only.agent_id, REPLICA, Cut::Middle, canvas.glyphs);
        format!("  {agent} {} alone", only.pid)
    });
    let alone = alone.unwrap_or_default();
    let taken: u16 = width(&alone)
        + right.iter().map(|(text, _)| width(text)).sum::<u16>()
        + 9
        + width(view.title());
    let room = usize::from(title.width.saturating_sub(taken));
    let name = fit(function.name, room, Cut::Middle, canvas.glyphs);
    canvas.title(
        title,
        &[
            (view.title(), Meaning::Title),
            ("  ", Meaning::Text),
            (&name, Meaning::Text),
            (&alone, Meaning::Replay),
        ],
        &right,
    );
    let (line, rest) = split_top(rest, u16::from(rest.height >= 8));
    let facts = facts(state, &function);
    canvas.foreign(inset(line, 1), &facts, Cut::Middle, Meaning::Dim);
    match stats {
        Some(stats) if !stats.latency.buckets.is_empty() => {
            draw_measured_view(canvas, state, rest, stats, view);
        }
        Some(stats) => draw_untimed(canvas, state, rest, stats),
        None if state.only_replica().is_some() => {
            let help = format!("Press {} for all replicas.", state.key(Command::Back));
            draw_empty(canvas, rest, "This replica has not measured it.", &help);
        }
        None => {
            let (message, help) = unprobed(state, &function);
            draw_empty(canvas, rest, &message, &help);
        }
    }
}

/// The number of durations, and what is missing from them.
fn title_right(
    state: &State,
    stats: Option<&FunctionStats>,
    session: Option<&Session>,
) -> Vec<(String, Meaning)> {
    let (Some(stats), Some(session)) = (stats, session) else {
        return vec![("not measured".into(), Meaning::NotMeasured)];
    };
    let mut right = vec![(
        format!("n {}", group_digits(stats.latency.count())),
        Meaning::Number,
    )];
    let only = state
        .only_replica()
        .and_then(|only| only.find(&session.snapshot));
    let accounting = only.map_or(&session.snapshot.accounting, |only| &only.accounting);
    let missing = [
        (stats.unmatched_exits, "without entry"),
        (accounting.map_full, "lost: map full"),
    ];
    let before = right.len();
    for (count, why) in missing.into_iter().filter(|&(count, _)| count > 0) {
        right.push((format!("  {} {why}", group_digits(count)), Meaning::Warning));
    }
    if right.len() == before {
        right.push(("  0 lost".into(), Meaning::Dim));
    }
    if !session.is_active() || !stats.attached {
        right.push(("  final".into(), Meaning::Ended));
    } else if state.stale_for(session).is_some() {
        right.push(("  stale".into(), Meaning::Warning));
    }
    right
}

fn draw_measured_view(
    canvas: &mut Canvas<'_>,
    state: &State,
    area: Rect,
    stats: &FunctionStats,
    view: View,
) {
    let latency = &state.latency;
    match view {
        View::Histogram => return draw_measured(canvas, state, area, stats),
        View::Compare => return comparison::draw(canvas, state, area),
        View::Heatmap | View::Lines | View::Replicas => {}
    }
    let panes = Panes::of(state.body(), latency);
    match (&latency.history, &latency.heatmap, &latency.lines) {
        (Some(history), Some(heatmap), _) => {
            heatmap::draw(canvas, state, &panes, history, heatmap);
            area::draw(canvas, state, &panes);
        }
        (Some(history), _, Some(lines)) => {
            percentile_lines::draw(canvas, state, &panes, history, lines);
        }
        _ => draw_empty(
            canvas,
            area,
            "Nothing is kept of the time that is shown.",
            &format!("Press {} for the newest moment.", state.key(Command::Live)),
        ),
    }
}

fn draw_measured(canvas: &mut Canvas<'_>, state: &State, area: Rect, stats: &FunctionStats) {
    let mut statistics = statistics(canvas, &stats.latency);
    let per_row = usize::from((area.width.saturating_sub(1) / STATISTIC).max(1));
    let rows = statistics.len().div_ceil(per_row) as u16;
    // Where there is little room, the picture says more than the ninth number.
    let balance = u16::from(area.height >= rows + 10);
    let rows = rows.min(area.height.saturating_sub(8).max(1));
    let (plot, below) = split_bottom(area, rows + balance);
    if plot.height >= 5 {
        histogram::draw(canvas, &stats.latency, plot, state.log_scale);
    }
    let room = usize::from(rows) * per_row;
    statistics.retain(|&(rank, ..)| rank < room);
    for (index, (_, name, value)) in statistics.iter().enumerate() {
        let line = row(below, index / per_row);
        let place = inset(line, 1 + STATISTIC * (index % per_row) as u16);
        let rest = canvas.text(place, &format!("{name:<6}"), Meaning::Dim);
        canvas.text(rest, value, Meaning::Number);
    }
    if balance > 0 {
        let last = row(below, usize::from(below.height.saturating_sub(1)));
        canvas.foreign(
            inset(last, 1),
            &balance_of_calls(stats),
            Cut::End,
            Meaning::Dim,
        );
    }
}

/// Rank by how telling it is, name and value, in the order in which they are read.
fn statistics(canvas: &Canvas<'_>, latency: &Histogram) -> Vec<(usize, &'static str, String)> {
    let percentile = |percent| canvas.glyphs.measured_ns(latency.percentile_ns(percent));
    vec![
        (0, "p50", percentile(50.0)),
        (3, "p90", percentile(90.0)),
        (5, "p95", percentile(95.0)),
        (1, "p99", percentile(99.0)),
        (4, "p99.9", percentile(99.9)),
        (2, "max", canvas.glyphs.duration_ns(latency.max_ns)),
        (7, "min", canvas.glyphs.duration_ns(latency.min_ns)),
        (
            6,
            "mean",
            canvas
                .glyphs
                .measured_ns(latency.mean_ns().map(|ns| ns as u64)),
        ),
        (8, "total", canvas.glyphs.duration_ns(latency.total_ns)),
    ]
}

/// Where every call is.
fn balance_of_calls(stats: &FunctionStats) -> String {
    format!(
        "{} calls = {} returned + {} unwound + {} in flight",
        group_digits(stats.calls),
        group_digits(stats.returns),
        group_digits(stats.unwound),
        group_digits(stats.in_flight),
    )
}

/// Calls without durations: why, and how many.
fn draw_untimed(canvas: &mut Canvas<'_>, state: &State, area: Rect, stats: &FunctionStats) {
    let (message, help) = match (stats.exit_probe, stats.calls) {
        (ExitProbe::None, calls) => (
            format!(
                "{} calls; no durations: {}",
                format_count(calls as f64),
                stats
                    .reason
                    .as_deref()
                    .unwrap_or("its exits are not probed")
            ),
            balance_of_calls(stats),
        ),
        (_, 0) if state.options.replay => ("It was not called by then.".into(), String::new()),
        (_, 0) if stats.attached => (
            "Probed, and not called yet.".into(),
            "Its first call appears here by itself. Make the program call it, or probe a \
             function that calls it."
                .into(),
        ),
        (_, 0) => (
            "It was not called while it was probed.".into(),
            format!(
                "Press {} to probe it again.",
                state.key(Command::ToggleProbe)
            ),
        ),
        _ => ("No call has returned yet.".into(), balance_of_calls(stats)),
    };
    draw_empty(canvas, area, &message, &help);
}

/// What probing the function would show, and what to press.
fn unprobed(state: &State, function: &Function<'_>) -> (String, String) {
    if state.attaching.contains(&function.id) {
        return ("Attaching.".into(), String::new());
    }
    let reason = function
        .plan
        .and_then(|plan| plan.reason)
        .map_or("", coral_model::ProbeReason::text);
    let space = state.key(Command::ToggleProbe);
    match function.plan.map(|plan| plan.probe) {
        _ if state.options.replay => (
            "This function was not probed in the recording.".into(),
            "Probed ones are marked and stand at the top of the list.".into(),
        ),
        Some(Probeability::None) => (
            format!("It cannot be probed: {reason}."),
            "Probe a function that calls it instead.".into(),
        ),
        Some(Probeability::EntryOnly) => (
            format!("Only its calls can be counted: it {reason}."),
            format!("Press {space} to count them."),
        ),
        Some(Probeability::Full) | None => (
            "Not probed.".into(),
            format!("Press {space} to measure how long its calls take."),
        ),
    }
}
