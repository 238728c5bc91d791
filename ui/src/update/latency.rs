//! The views of the latency screen: the cursor in the heatmap, its selection, what is compared.

use ratatui::layout::{Position, Rect};

use crate::event::Level;
use crate::latency::{Brush, Cell, Panes, View, pairs};
use crate::state::{Screen, State};

pub(super) fn show_view(state: &mut State, view: View) {
    state.latency.view = view;
}

/// Turns the scale of the view in front round.
pub(super) fn toggle_scale(state: &mut State) {
    let over_time = matches!(state.latency.view, View::Heatmap | View::Lines);
    if state.screen == Screen::Latency && over_time {
        state.latency.linear = !state.latency.linear;
    } else {
        state.log_scale = !state.log_scale;
    }
}

/// Whether there is a cursor that rows up and down move.
pub(super) fn has_cursor(state: &State) -> bool {
    state.latency.heatmap.is_some()
}

/// Moves the cursor so many columns right and rows up.
pub(super) fn move_cursor(state: &mut State, columns: isize, rows: isize) {
    let latency = &state.latency;
    let (Some(history), Some(heatmap)) = (&latency.history, &latency.heatmap) else {
        return;
    };
    let Some(cell) = latency.cell() else { return };
    let moved = |from: u16, by: isize, len: u16| {
        let to = usize::from(from).saturating_add_signed(by);
        to.min(usize::from(len.saturating_sub(1))) as u16
    };
    let cell = Cell {
        column: moved(cell.column, columns, history.axis.columns),
        row: moved(cell.row, rows, heatmap.rows),
    };
    state.latency.cursor = Some(heatmap.point(&history.axis, cell));
}

/// Puts the cursor where the mouse is.
pub(super) fn click(state: &mut State, body: Rect, position: Position) {
    let plot = Panes::of(body, &state.latency).plot;
    let (Some(history), Some(heatmap)) = (&state.latency.history, &state.latency.heatmap) else {
        return;
    };
    if plot.contains(position) {
        let cell = Cell {
            column: position.x - plot.x,
            row: plot.bottom() - 1 - position.y,
        };
        state.latency.cursor = Some(heatmap.point(&history.axis, cell));
    }
}

/// Begins an area at the cursor; from another view it leads to the heatmap first.
pub(super) fn select_area(state: &mut State) {
    state.latency.view = View::Heatmap;
    crate::latency::refresh(state);
    // Where it begins is a place, even if the cursor followed the newest calls until now.
    move_cursor(state, 0, 0);
    state.latency.brush = state.latency.cursor.map(|from| Brush::Open { from });
}

pub(super) fn accept_area(state: &mut State) {
    if let Some(selected) = &state.latency.selected {
        state.latency.brush = Some(Brush::Accepted(selected.bounds));
    }
}

/// Shows the comparison; once it is shown, the next pair.
pub(super) fn compare(state: &mut State) {
    let is_shown = state.screen == Screen::Latency && state.latency.view == View::Compare;
    state.screen = Screen::Latency;
    state.latency.view = View::Compare;
    let pairs = pairs(state);
    if !is_shown || pairs.is_empty() {
        return;
    }
    let shown = state.latency.comparison.as_ref();
    let shown = shown.and_then(|shown| pairs.iter().position(|pair| *pair == shown.pair));
    let next = shown.map_or(0, |shown| (shown + 1) % pairs.len());
    if pairs.len() == 1 {
        state.notify(Level::Info, "There is no other pair to compare", "");
    }
    state.latency.pair = Some(pairs[next].clone());
}
