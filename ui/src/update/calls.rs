//! Keys of the calls screen: each does what its view makes of it.

use super::{find, frames};
use crate::calls::sandwich::Side;
use crate::calls::{CallKey, InFlightKey, View, call_key, in_flight_key};
use crate::layout::CallPanes;
use crate::state::State;

/// A page of frames is more than any screen has lines.
const FRAMES_MAX: isize = 256;

/// Takes in the numbers that are shown now.
pub(super) fn follow(state: &mut State) {
    let snapshot = state.measurements.current();
    let snapshot = snapshot.map(|session| &session.snapshot);
    state.calls.follow(snapshot, &state.functions.table);
}

pub(super) fn show_view(state: &mut State, views: usize) {
    show(state, state.calls.view.after(views));
}

fn show(state: &mut State, view: View) {
    state.calls.view = view;
    state.calls.detail_is_open = false;
    if view == View::Trace {
        state.calls.slow_selection_moved(&state.functions.table);
    }
}

pub(super) fn choose(state: &mut State) {
    match state.calls.view {
        View::Tree => state.calls.tree.toggle(),
        View::Flame => zoom(state),
        View::Sandwich => {
            if let Some((_, Some(function))) = state.calls.sandwich.selection.id() {
                state.calls.show_sandwich_of(function);
            }
        }
        View::Trace => {
            if let Some(function) = state.calls.selected_function() {
                find::go_to_function(state, function);
            }
        }
        View::Slow | View::InFlight => {
            let is_hidden = CallPanes::of(state, state.body()).detail.is_none();
            state.calls.detail_is_open = is_hidden;
            if !is_hidden && state.calls.view == View::Slow {
                show(state, View::Trace);
            }
        }
    }
}

/// Shows what is selected as wide as the screen.
pub(super) fn zoom(state: &mut State) {
    match state.calls.view {
        View::Tree | View::Flame => {
            state.calls.flame.zoom = state.calls.tree.selection().id();
            state.calls.view = View::Flame;
        }
        View::Slow => show(state, View::Trace),
        View::Trace => state.calls.trace.zoom(),
        View::Sandwich | View::InFlight => {}
    }
}

pub(super) fn zoom_out(state: &mut State) {
    if state.calls.view == View::Trace {
        state.calls.trace.zoom_out();
    } else {
        state.calls.flame.zoom = None;
    }
}

/// Undoes what is in the way; returns whether there was anything.
pub(super) fn back(state: &mut State) -> bool {
    let calls = &mut state.calls;
    if calls.detail_is_open {
        calls.detail_is_open = false;
        return true;
    }
    match calls.view {
        View::Flame => calls.flame.zoom.take().is_some(),
        View::Trace => {
            if !calls.trace.zoom_out() {
                calls.view = View::Slow;
            }
            true
        }
        _ => false,
    }
}

pub(super) fn sort(state: &mut State) {
    if state.calls.view == View::Tree {
        let sort = state.calls.tree.sort().next();
        state.calls.tree.sort_by(sort);
    }
}

pub(super) fn open_below(state: &mut State) {
    if state.calls.view == View::Tree {
        state.calls.tree.open_below();
    }
}

pub(super) fn sideways(state: &mut State, right: bool) {
    let height = usize::from(state.list_rows().height);
    match state.calls.view {
        View::Tree if right => state.calls.tree.go_in(height),
        View::Tree => state.calls.tree.go_out(height),
        View::Flame => frames::move_sideways(state, right),
        View::Trace if right => return state.calls.trace.go_in(height),
        View::Trace => return state.calls.trace.go_out(height),
        View::Sandwich | View::Slow | View::InFlight => return,
    }
    state.calls.tree_selection_moved();
}

pub(super) fn move_by(state: &mut State, delta: isize) {
    let height = usize::from(state.list_rows().height);
    match state.calls.view {
        View::Tree => {
            state.calls.tree.move_by(delta, height);
            state.calls.tree_selection_moved();
        }
        View::Flame => {
            let steps = delta.clamp(-FRAMES_MAX, FRAMES_MAX).unsigned_abs();
            for _ in 0..steps {
                if !frames::move_vertically(state, delta > 0) {
                    break;
                }
            }
            state.calls.tree_selection_moved();
        }
        View::Sandwich => state.calls.sandwich.move_by(delta, height),
        View::Slow => {
            let rows = slow_keys(state);
            state.calls.slow.move_by(delta, &rows, height);
            state.calls.slow_selection_moved(&state.functions.table);
        }
        View::Trace => state.calls.trace.move_by(delta, height),
        View::InFlight => {
            let rows = in_flight_keys(state);
            state.calls.in_flight.move_by(delta, &rows, height);
        }
    }
}

/// Goes to the next call whose function the search has found; returns whether there is one.
pub(super) fn go_to_match(state: &mut State, forward: bool) -> bool {
    let height = usize::from(state.list_rows().height);
    let calls = &mut state.calls;
    if matches!(calls.view, View::Tree | View::Flame) {
        let forest = calls.tree.forest();
        let wanted = |node| calls.matches(forest.node(node).function);
        let found = calls.tree.next_match(forward, wanted);
        if let Some(node) = found {
            frames::leave_zoom_without(state, node);
            state.calls.tree.reveal(node, height);
            state.calls.tree_selection_moved();
        }
        return found.is_some();
    }
    let rows = functions(state);
    let (here, _) = selected_row(state, height);
    let (len, is_match) = (rows.len(), |row: &Option<_>| {
        row.is_some_and(|function| state.calls.matches(function))
    });
    let steps = (1..=len).map(|step| if forward { step } else { len - step });
    let found = steps
        .map(|step| (here + step) % len)
        .find(|&row| is_match(&rows[row]));
    if let Some(row) = found {
        move_by(state, row as isize - here as isize);
    }
    found.is_some()
}

/// The selected row and the rows of the view in front, a flame aside.
pub(super) fn selected_row(state: &State, height: usize) -> (usize, std::ops::Range<usize>) {
    let calls = &state.calls;
    let snapshot = state.current_snapshot();
    match calls.view {
        View::Tree | View::Flame => calls
            .tree
            .selection()
            .shown(calls.tree.rows().len(), height),
        View::Sandwich => {
            let sandwich = &calls.sandwich;
            sandwich.selection.shown(sandwich.rows().len(), height)
        }
        View::Slow => {
            let rows = snapshot.map_or(0, |snapshot| snapshot.slow_calls.len());
            calls.slow.shown(rows, height)
        }
        View::Trace => {
            let trace = &calls.trace;
            trace.selection.shown(trace.places().len(), height)
        }
        View::InFlight => {
            let rows = snapshot.map_or(0, |snapshot| snapshot.in_flight.len());
            calls.in_flight.shown(rows, height)
        }
    }
}

/// The function of each row of a list.
fn functions(state: &State) -> Vec<Option<coral_model::FunctionId>> {
    match state.calls.view {
        View::Sandwich => {
            let rows = state.calls.sandwich.rows().iter();
            let others = |side| side != Side::Itself;
            rows.map(|row| row.key.1.filter(|_| others(row.key.0)))
                .collect()
        }
        View::Slow => slow_keys(state).iter().map(|key| Some(key.1)).collect(),
        View::Trace => {
            let trace = &state.calls.trace;
            let function = |&place| Some(trace.row(place).function);
            trace.places().iter().map(function).collect()
        }
        _ => in_flight_keys(state)
            .iter()
            .map(|key| Some(key.1))
            .collect(),
    }
}

fn slow_keys(state: &State) -> Vec<CallKey> {
    let snapshot = state.current_snapshot();
    snapshot.map_or_else(Vec::new, |snapshot| {
        snapshot.slow_calls.iter().map(call_key).collect()
    })
}

fn in_flight_keys(state: &State) -> Vec<InFlightKey> {
    let snapshot = state.current_snapshot();
    snapshot.map_or_else(Vec::new, |snapshot| {
        snapshot.in_flight.iter().map(in_flight_key).collect()
    })
}
