//! Moving among the frames of the flame.

use ratatui::layout::Position;

use crate::calls::flame::{self, FlameFrame};
use crate::state::State;

/// To the frame beside the selected one, on the same line.
pub(super) fn move_sideways(state: &mut State, right: bool) {
    let (frames, selected) = frames(state);
    let Some(selected) = selected else {
        return select_frame(state, frames.first());
    };
    let beside = if right {
        frames.get(selected + 1)
    } else {
        selected.checked_sub(1).map(|before| &frames[before])
    };
    let line = frames[selected].line;
    select_frame(state, beside.filter(|frame| frame.line == line));
}

/// To the longest callee, or to the caller; the zoom follows where the screen ends. Returns
/// whether there was one.
pub(super) fn move_vertically(state: &mut State, down: bool) -> bool {
    let (frames, selected) = frames(state);
    let Some(selected) = selected else {
        select_frame(state, frames.first());
        return !frames.is_empty();
    };
    let forest = state.calls.tree.forest();
    let node = frames[selected].node;
    let next = if down {
        forest.callees(Some(node)).first().copied()
    } else {
        forest.caller(node)
    };
    let Some(next) = next.filter(|&next| forest.extent_ns(Some(next)) > 0) else {
        return false;
    };
    if !frames.iter().any(|frame| frame.node == next) {
        let root = if down { node } else { next };
        state.calls.flame.zoom = Some(forest.path(root));
    }
    let height = usize::from(state.list_rows().height);
    state.calls.tree.reveal(next, height);
    true
}

/// Leaves a zoom that does not hold a node.
pub(super) fn leave_zoom_without(state: &mut State, node: u32) {
    let calls = &mut state.calls;
    let forest = calls.tree.forest();
    let root = calls.flame.root(forest);
    let is_held = root.is_none_or(|root| forest.chain(node).any(|caller| caller == root));
    if !is_held {
        calls.flame.zoom = None;
    }
}

/// Selects the frame at a place on the screen.
pub(super) fn click(state: &mut State, position: Position) {
    let area = state.list_rows();
    let (column, line) = (position.x - area.x, position.y - area.y);
    let (frames, _) = frames(state);
    let is_there =
        |frame: &&FlameFrame| frame.line == line && (frame.start..frame.end).contains(&column);
    select_frame(state, frames.iter().find(is_there));
    state.calls.tree_selection_moved();
}

/// The frames on the screen, and which of them is selected.
fn frames(state: &State) -> (Vec<FlameFrame>, Option<usize>) {
    let area = state.list_rows();
    let calls = &state.calls;
    let forest = calls.tree.forest();
    let frames = flame::layout(forest, calls.flame.root(forest), area.width, area.height);
    let selected = calls.tree.selected();
    let index = frames.iter().position(|frame| Some(frame.node) == selected);
    (frames, index)
}

fn select_frame(state: &mut State, frame: Option<&FlameFrame>) {
    let height = usize::from(state.list_rows().height);
    if let Some(frame) = frame {
        state.calls.tree.reveal(frame.node, height);
    }
}
