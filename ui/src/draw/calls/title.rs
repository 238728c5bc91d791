//! The titles of the calls screen: they say what is shown, and what its numbers do not hold.

use coral_model::{CallRecord, FunctionId, format_count};
use ratatui::layout::Rect;

use crate::calls::View;
use crate::canvas::Canvas;
use crate::state::State;
use crate::text::width;
use crate::theme::Meaning;

type Spans = Vec<(String, Meaning)>;

/// As much as fits beside what was lost: the views, and how many rows there are.
pub(super) fn draw(canvas: &mut Canvas<'_>, state: &State, area: Rect) {
    let view = state.calls.view;
    let count = (count(state, view), Meaning::Dim);
    let name = (view.name().to_owned(), Meaning::Title);
    let place = format!(" ({} of {})", view as usize + 1, View::ALL.len());
    let named = vec![name.clone()];
    let placed = vec![name, (place, Meaning::Dim)];
    let with_count = |spans: &Spans| [&spans[..], std::slice::from_ref(&count)].concat();
    let all = views(view);
    let titles = [
        with_count(&all),
        all,
        with_count(&placed),
        with_count(&named),
        named,
    ];
    draw_fitting_title(canvas, area, &titles, losses(canvas, state, view));
}

/// The title of the slowest calls, where they are one pane of several.
pub(super) fn draw_slowest(canvas: &mut Canvas<'_>, state: &State, area: Rect) {
    let title = vec![("Slow calls".to_owned(), Meaning::Title)];
    let mut counted = title.clone();
    counted.push((count(state, View::Slow), Meaning::Dim));
    let losses = losses(canvas, state, View::Slow);
    draw_fitting_title(canvas, area, &[counted, title], losses);
}

/// Whether no call of a function was slower than those that are listed.
pub(super) fn slowest_are_complete(state: &State, function: FunctionId) -> bool {
    let stats = state.measurements.stats(function);
    stats.is_some_and(|stats| stats.slowest_are_complete)
}

/// Draws the first of the titles that leaves room for the losses. Where even the last one does
/// not, only the losses that concern the view most are named.
fn draw_fitting_title(canvas: &mut Canvas<'_>, area: Rect, titles: &[Spans], mut losses: Spans) {
    const BETWEEN: u16 = 6;
    let columns = |spans: &Spans| spans.iter().map(|(text, _)| width(text)).sum::<u16>();
    let shortest = titles.last().map_or(0, columns);
    let room = area.width.saturating_sub(shortest + BETWEEN);
    if columns(&losses) > room {
        let more = format!(" {}", canvas.glyphs.ellipsis);
        while losses.len() > 1 && columns(&losses) + width(&more) > room {
            losses.pop();
        }
        losses.push((more, Meaning::Warning));
    }
    let room = area.width.saturating_sub(columns(&losses) + BETWEEN);
    let fitting = titles.iter().find(|title| columns(title) <= room);
    if let Some(title) = fitting.or(titles.last()) {
        canvas.title(area, title, &losses);
    }
}

/// The names of all views, the one in front in brackets.
fn views(front: View) -> Spans {
    let name = |view: View| {
        if view == front {
            (format!("[{}] ", view.name()), Meaning::Title)
        } else {
            (format!("{} ", view.name()), Meaning::Dim)
        }
    };
    View::ALL.into_iter().map(name).collect()
}

/// How many rows a view has, and whether these are certainly all.
fn count(state: &State, view: View) -> String {
    let snapshot = state.current_snapshot();
    match view {
        View::Tree | View::Flame => {
            let paths = state.calls.tree.forest().len();
            format!("  {} paths", format_count(paths as f64))
        }
        View::Sandwich => String::new(),
        View::Slow => {
            let calls = snapshot.map_or(&[][..], |snapshot| &snapshot.slow_calls);
            let is_certain = |call: &CallRecord| slowest_are_complete(state, call.function);
            let doubt = if calls.iter().all(is_certain) {
                ""
            } else {
                " seen"
            };
            format!("  slowest {}{doubt}", calls.len())
        }
        View::Trace => {
            let inner = state.calls.trace.inner();
            inner.map_or_else(String::new, |inner| {
                format!("  {} calls inside", inner.calls.len())
            })
        }
        View::InFlight => {
            let calls = snapshot.map_or(0, |snapshot| snapshot.in_flight.len());
            format!("  oldest {calls}, looked at once a second")
        }
    }
}

/// What the numbers of a view do not hold; the loss that concerns it most is named at any rate.
fn losses(canvas: &Canvas<'_>, state: &State, view: View) -> Spans {
    let Some(snapshot) = state.current_snapshot() else {
        return Spans::new();
    };
    let accounting = &snapshot.accounting;
    let (lost_calls, lost_records) = (snapshot.call_tree.lost_calls, accounting.records_lost());
    let is_tree = matches!(view, View::Tree | View::Flame | View::Sandwich);
    let losses = [
        (lost_calls, "calls lost", is_tree),
        (
            lost_records,
            "records lost",
            matches!(view, View::Slow | View::Trace),
        ),
        (accounting.sampled_out, "sampled out", false),
        (accounting.map_full, "untimed", false),
    ];
    let mut spans = match view {
        View::Trace => not_recorded(canvas, state),
        _ => Spans::new(),
    };
    for (lost, what, concerns) in losses {
        if lost > 0 || concerns {
            let space = if spans.is_empty() { "" } else { "  " };
            let meaning = if lost > 0 {
                Meaning::Warning
            } else {
                Meaning::Dim
            };
            spans.push((format!("{space}{lost} {what}"), meaning));
        }
    }
    spans
}

/// What the bars of the trace do not show.
fn not_recorded(canvas: &Canvas<'_>, state: &State) -> Spans {
    let Some(inner) = state.calls.trace.inner() else {
        return Spans::new();
    };
    let mut spans = Spans::new();
    if inner.missing_ns > 0 {
        let missing = canvas.glyphs.duration_ns(inner.missing_ns);
        let text = format!("not recorded: {missing} in probed calls");
        spans.push((text, Meaning::Warning));
    }
    if inner.left_out > 0 {
        let text = format!("  {} shorter calls left out", inner.left_out);
        spans.push((text, Meaning::Warning));
    }
    spans
}
