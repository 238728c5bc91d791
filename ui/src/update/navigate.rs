//! Moving the selection.

use super::calls;
use crate::commands::Command;
use crate::event::Level;
use crate::state::{Screen, State};

pub(super) fn move_by(state: &mut State, delta: isize) {
    let height = usize::from(state.list_rows().height);
    match state.screen {
        Screen::Processes if state.lists_services() => state.services.move_by(delta, height),
        Screen::Processes => state.processes.move_by(delta, height),
        Screen::Latency if state.shows_replicas() => state.replicas.move_by(delta, height),
        Screen::Functions | Screen::Latency => state.functions.move_by(delta, height),
        Screen::Calls => calls::move_by(state, delta),
        Screen::Sessions => {
            let rows = state.session_ids();
            state.sessions.selection.move_by(delta, &rows, height);
        }
        Screen::Sql => state.sql.move_by(delta, height),
        Screen::Events => {
            let rows = state.notices.numbers();
            state.notices.selection.move_by(delta, &rows, height);
        }
    }
}

pub(super) fn move_pages(state: &mut State, pages: isize) {
    // One row of the last page stays, so that the eye finds its place.
    let page = state.list_rows().height.saturating_sub(1).max(1);
    move_by(state, pages * isize::try_from(page).unwrap_or(1));
}

pub(super) fn go_to_top(state: &mut State) {
    match state.screen {
        Screen::Latency if state.shows_replicas() => move_by(state, isize::MIN),
        Screen::Functions | Screen::Latency => state.functions.go_to_top(&state.measurements),
        _ => move_by(state, isize::MIN),
    }
}

pub(super) fn go_to_match(state: &mut State, forward: bool) {
    let height = usize::from(state.list_rows().height);
    let found = match state.screen {
        Screen::Calls => calls::go_to_match(state, forward),
        _ => state.functions.go_to_match(forward, height),
    };
    if !found {
        let help = format!("type a filter with {} first", state.key(Command::Filter));
        state.notify(Level::Warning, "There is no match to go to", help);
    }
}
