//! Moving the selection, by keys and by mouse.

use crossterm::event::{MouseButton, MouseEvent, MouseEventKind};
use ratatui::layout::Position;

use super::{calls, frames, latency};
use crate::calls::View;
use crate::commands::Command;
use crate::draw::header;
use crate::event::Level;
use crate::layout::Frame;
use crate::state::{Screen, State};

/// Rows that a notch of the wheel moves by.
const WHEEL_ROWS: isize = 3;

pub(super) fn move_by(state: &mut State, delta: isize) {
    let height = usize::from(state.list_rows().height);
    match state.screen {
        Screen::Processes => state.processes.move_by(delta, height),
        Screen::Functions | Screen::Latency => state.functions.move_by(delta, height),
        Screen::Calls => calls::move_by(state, delta),
        Screen::Sessions => {
            let rows = state.session_ids();
            state.sessions.move_by(delta, &rows, height);
        }
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

pub(super) fn mouse(state: &mut State, event: MouseEvent) {
    if state.overlay.is_some() {
        return;
    }
    match event.kind {
        MouseEventKind::ScrollDown => move_by(state, WHEEL_ROWS),
        MouseEventKind::ScrollUp => move_by(state, -WHEEL_ROWS),
        MouseEventKind::Down(MouseButton::Left) => {
            click(state, Position::new(event.column, event.row));
        }
        _ => {}
    }
}

fn click(state: &mut State, position: Position) {
    let frame = Frame::of(state.area, state.notice_lines(state.area.width));
    if frame.header.contains(position) {
        if let Some(screen) = header::tab_at(state, frame.header, position) {
            super::show(state, screen);
        }
        return;
    }
    latency::click(state, frame.body, position);
    let rows = state.list_rows();
    if state.screen == Screen::Latency || !rows.contains(position) {
        return;
    }
    if state.screen == Screen::Calls && state.calls.view == View::Flame {
        return frames::click(state, position);
    }
    let (selected_row, len) = selected_row(state, usize::from(rows.height));
    let clicked = usize::from(position.y - rows.y);
    if clicked < len {
        move_by(state, clicked as isize - selected_row as isize);
    }
}

/// Which visible row is selected, and how many there are.
fn selected_row(state: &State, height: usize) -> (usize, usize) {
    let (index, window) = match state.screen {
        Screen::Processes => {
            let (selection, rows) = (&state.processes.selection, state.processes.rows().len());
            (selection.index(), selection.window(rows, height))
        }
        Screen::Functions | Screen::Latency => {
            let (selection, rows) = (&state.functions.selection, state.functions.rows().len());
            (selection.index(), selection.window(rows, height))
        }
        Screen::Calls => calls::selected_row(state, height),
        Screen::Sessions => {
            let rows = state.session_ids().len();
            (state.sessions.index(), state.sessions.window(rows, height))
        }
        Screen::Events => {
            let (selection, rows) = (&state.notices.selection, state.notices.log().len());
            (selection.index(), selection.window(rows, height))
        }
    };
    (index.saturating_sub(window.start), window.len())
}
