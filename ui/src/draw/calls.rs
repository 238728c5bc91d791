//! The calls screen: a title that says what is missing, and the view in front.

mod detail;
mod flame;
mod in_flight;
mod sandwich;
mod slow;
mod title;
mod trace;
mod tree;

pub(crate) use tree::sort_at;

use coral_model::FunctionId;
use ratatui::layout::Rect;

use crate::calls::View;
use crate::canvas::Canvas;
use crate::commands::Command;
use crate::draw::filter_line;
use crate::layout::{CallPanes, ListPane};
use crate::state::{Phase, State};
use crate::table::draw_empty;
use crate::text::{Cut, plural};
use crate::theme::Meaning;

pub(super) fn draw(canvas: &mut Canvas<'_>, state: &State, area: Rect) {
    let panes = CallPanes::of(state, area);
    let pane = &panes.list;
    title::draw(canvas, state, pane.title);
    let (functions, paths) = state.calls.match_counts();
    let found = match state.calls.view {
        View::Slow | View::InFlight => format!(
            " {} and {} go to matches",
            state.key(Command::NextMatch),
            state.key(Command::PreviousMatch)
        ),
        _ => format!(
            " {}, {}",
            plural(functions, "function"),
            plural(paths, "path")
        ),
    };
    filter_line::draw(canvas, &state.calls.search, pane.filter, &found);
    let view = state.calls.view;
    if has_rows(state, view) {
        match view {
            View::Tree => tree::draw(canvas, state, pane),
            View::Flame => flame::draw(canvas, state, pane),
            View::Sandwich => sandwich::draw(canvas, state, pane),
            View::Slow => slow::draw(canvas, state, pane, Some(&state.calls.slow)),
            View::Trace => trace::draw(canvas, state, pane),
            View::InFlight => in_flight::draw(canvas, state, pane),
        }
        if let Some(area) = panes.detail {
            detail::draw(canvas, state, area);
        }
    } else if pane.rows.is_empty() {
        draw_nothing(canvas, state, view, area);
    } else {
        draw_nothing(canvas, state, view, pane.rows);
    }
}

/// The slowest calls, beside the functions.
pub(super) fn draw_slowest(canvas: &mut Canvas<'_>, state: &State, area: Rect) {
    let pane = ListPane::slow_calls(area);
    title::draw_slowest(canvas, state, pane.title);
    if has_rows(state, View::Slow) {
        slow::draw(canvas, state, &pane, None);
    } else {
        draw_nothing(canvas, state, View::Slow, pane.rows);
    }
}

fn has_rows(state: &State, view: View) -> bool {
    let Some(snapshot) = state.current_snapshot() else {
        return false;
    };
    match view {
        View::Tree | View::Sandwich | View::Flame => state.calls.tree.forest().len() > 0,
        View::Slow => !snapshot.slow_calls.is_empty(),
        View::Trace => state.calls.trace.call().is_some(),
        View::InFlight => !snapshot.in_flight.is_empty(),
    }
}

/// Says why there is nothing, and what to press.
fn draw_nothing(canvas: &mut Canvas<'_>, state: &State, view: View, area: Rect) {
    let message = match view {
        View::Tree | View::Flame | View::Sandwich => "There is no call tree yet.",
        View::Slow | View::Trace => "No call was recorded.",
        View::InFlight => "No call in flight was seen.",
    };
    let probe = state.key(Command::ToggleProbe);
    let help = match view {
        _ if state.phase == Phase::Exited => {
            "The process has ended: nothing more will be measured.".into()
        }
        _ if !state.is_live() => format!(
            "Probe functions with {probe} on the functions screen ({}).",
            state.key(Command::ShowFunctions)
        ),
        View::InFlight => "Calls that take long appear here before they return.".into(),
        _ => "Calls appear here when they return.".into(),
    };
    draw_empty(canvas, area, message, &help);
}

/// Writes a function's name, marked if the search has found it.
fn draw_function(
    canvas: &mut Canvas<'_>,
    state: &State,
    area: Rect,
    function: FunctionId,
    meaning: Meaning,
) -> Rect {
    let is_match = state.calls.matches(function);
    let meaning = if is_match { Meaning::Match } else { meaning };
    canvas.foreign(area, &state.name_of(function), Cut::Middle, meaning)
}

/// Columns of a replica's agent and process.
const REPLICA: u16 = 14;

/// Writes which of several replicas a call was on.
fn draw_replica(canvas: &mut Canvas<'_>, state: &State, cell: Rect, place: Option<u32>) {
    let snapshot = state.current_snapshot();
    let replicas = snapshot.map_or(&[][..], |snapshot| &snapshot.replicas);
    if let Some(replica) = place.and_then(|place| replicas.get(place as usize)) {
        let name = format!("{} {}", replica.target.agent_id, replica.target.pid);
        canvas.foreign(cell, &name, Cut::Middle, Meaning::Dim);
    }
}

/// A share in percent, or the sign that there is none.
fn percent(canvas: &Canvas<'_>, share: Option<f64>) -> String {
    share.map_or_else(
        || canvas.glyphs.not_measured.to_owned(),
        |share| format!("{:.1} %", share * 100.0),
    )
}

/// A bar of as many cells as the share is of the width.
pub(super) fn share_bar(canvas: &Canvas<'_>, share: Option<f64>, columns: u16) -> String {
    let Some(share) = share else {
        return String::new();
    };
    let columns = usize::from(columns);
    let cells = ((share * columns as f64).round() as usize).min(columns);
    canvas.glyphs.bars[8].repeat(cells) + &canvas.glyphs.left.repeat(columns - cells)
}

/// How a number looks, or the sign that there is none.
fn number_meaning(canvas: &Canvas<'_>, text: &str) -> Meaning {
    if text == canvas.glyphs.not_measured {
        Meaning::NotMeasured
    } else {
        Meaning::Number
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;
    use std::sync::atomic::Ordering;

    use coral_model::Snapshot;
    use ratatui::buffer::Buffer;

    use super::*;
    use crate::calls::forest::tests::tree;
    use crate::options::Options;
    use crate::state::Screen;
    use crate::timeline::tests::snapshot;

    /// Draws a view of so many nodes, each calling so many others; returns how often it looked at
    /// one.
    fn looks(view: View, nodes: u32, callees: u32) -> usize {
        let parent = |id: u32| id.checked_sub(1).map(|before| before / callees);
        let nodes: Vec<_> = (0..nodes)
            .map(|id| (parent(id), id % 50, u64::from(nodes - id)))
            .collect();
        let snapshot = Snapshot {
            call_tree: tree(&nodes),
            ..Snapshot::clone(&snapshot("a", 0))
        };
        let (mut state, _) = State::new(Options::default());
        state.screen = Screen::Calls;
        state.measurements.apply(Arc::new(snapshot), state.now);
        state.calls.view = view;
        let shown = state.current_snapshot().cloned();
        state.calls.follow(shown.as_ref(), &state.functions.table);
        state.calls.tree_selection_moved();
        let area = Rect::new(0, 0, 200, 60);
        let mut canvas = Canvas {
            buffer: &mut Buffer::empty(area),
            theme: &state.theme,
            glyphs: &state.options.glyphs,
        };
        let looks = &state.calls.tree.forest().looks;
        looks.store(0, Ordering::Relaxed);
        draw(&mut canvas, &state, area);
        looks.load(Ordering::Relaxed)
    }

    #[test]
    fn drawing_looks_at_no_more_nodes_than_it_shows() {
        for view in [View::Tree, View::Flame, View::Sandwich] {
            for callees in [1, 8, 100_000] {
                let few = looks(view, 1_000, callees);
                let many = looks(view, 100_000, callees);
                assert!(
                    many <= few + 1_000,
                    "{view:?}, {callees}: {few}, then {many}"
                );
            }
        }
        assert!(looks(View::Tree, 100_000, 8) >= 50, "the count counts");
        assert!(looks(View::Flame, 100_000, 8) >= 200, "the count counts");
    }
}
