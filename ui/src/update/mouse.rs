//! What clicks and the wheel do.

use crossterm::event::{MouseButton, MouseEvent, MouseEventKind};
use ratatui::layout::{Position, Rect};

use super::{calls, code, find, frames, latency, navigate};
use crate::calls::View;
use crate::draw::{self, header};
use crate::event::Effect;
use crate::layout::{CallPanes, Frame, FunctionPanes, ListPane};
use crate::state::{Overlay, Screen, State};

/// Rows that a notch of the wheel moves by.
const WHEEL_ROWS: i16 = 3;

pub(super) fn mouse(state: &mut State, event: MouseEvent) -> Vec<Effect> {
    let position = Position::new(event.column, event.row);
    match event.kind {
        MouseEventKind::ScrollDown => scroll(state, position, WHEEL_ROWS),
        MouseEventKind::ScrollUp => scroll(state, position, -WHEEL_ROWS),
        MouseEventKind::Down(MouseButton::Left) if state.overlay.is_some() => {
            return click_overlay(state, position);
        }
        MouseEventKind::Down(MouseButton::Left) => return click(state, position),
        _ => {}
    }
    Vec::new()
}

/// Scrolls what is under the pointer; what has no rows stays as it is.
fn scroll(state: &mut State, position: Position, rows: i16) {
    match &state.overlay {
        Some(Overlay::Help { .. }) => super::scroll_help(state, rows),
        Some(Overlay::Source(_)) => code::scroll(state, i32::from(rows)),
        Some(Overlay::Question(_) | Overlay::Attach(_) | Overlay::SessionFilter(_)) => {}
        Some(_) => find::move_by(state, isize::from(rows)),
        None if scrolled(state).contains(position) => navigate::move_by(state, isize::from(rows)),
        None => {}
    }
}

/// Where the wheel moves the selection.
fn scrolled(state: &State) -> Rect {
    let body = state.body();
    match state.screen {
        Screen::Functions => FunctionPanes::of(body).list,
        _ => body,
    }
}

/// Takes the row that was clicked; a click beside what is found by typing closes it.
fn click_overlay(state: &mut State, position: Position) -> Vec<Effect> {
    match &state.overlay {
        Some(Overlay::Help { .. }) => {
            if !draw::help::frame(state).contains(position) {
                state.overlay = None;
            }
        }
        Some(Overlay::Commands(_) | Overlay::Functions(_) | Overlay::Views(_)) => {
            let rows = draw::find::list(state);
            if rows.contains(position) {
                return find::take_row(state, usize::from(position.y - rows.y));
            }
            if !draw::find::frame(state).contains(position) {
                state.overlay = None;
            }
        }
        _ => {}
    }
    Vec::new()
}

fn click(state: &mut State, position: Position) -> Vec<Effect> {
    let frame = Frame::of(state.area, state.notice_lines(state.area.width));
    if frame.header.contains(position) {
        let tab = header::tab_at(state, frame.header, position);
        return tab.map_or_else(Vec::new, |screen| super::show(state, screen));
    }
    latency::click(state, frame.body, position);
    sort(state, frame.body, position);
    let rows = state.list_rows();
    let has_rows = state.screen != Screen::Latency || state.shows_replicas();
    if !has_rows || !rows.contains(position) {
        return Vec::new();
    }
    if state.screen == Screen::Calls && state.calls.view == View::Flame {
        frames::click(state, position);
        return Vec::new();
    }
    let (selected_row, len) = selected_row(state, usize::from(rows.height));
    let clicked = usize::from(position.y - rows.y);
    if clicked < len {
        navigate::move_by(state, clicked as isize - selected_row as isize);
    }
    Vec::new()
}

/// Sorts by the column whose title was clicked; once more turns the order round.
fn sort(state: &mut State, body: Rect, position: Position) {
    match state.screen {
        Screen::Processes if !state.lists_services() => {
            let pane = ListPane::processes(state, body);
            if let Some(sort) = draw::processes::sort_at(&pane, position) {
                state.processes.sort = sort;
                state.processes.arrange();
            }
        }
        Screen::Functions => {
            let pane = ListPane::functions(state, &FunctionPanes::of(body));
            if let Some(sort) = draw::functions::sort_at(state, &pane, position) {
                let list = &mut state.functions;
                let reversed = sort == list.sort() && !list.is_reversed();
                list.sort_by(sort, reversed, &state.measurements);
            }
        }
        Screen::Calls if state.calls.view == View::Tree => {
            let pane = CallPanes::of(state, body).list;
            if let Some(sort) = draw::calls::sort_at(&pane, position) {
                state.calls.tree.sort_by(sort);
            }
        }
        _ => {}
    }
}

/// Which visible row is selected, and how many there are.
fn selected_row(state: &State, height: usize) -> (usize, usize) {
    let (index, window) = match state.screen {
        Screen::Processes if state.lists_services() => {
            let list = &state.services;
            list.selection.shown(list.rows().len(), height)
        }
        Screen::Processes => {
            let list = &state.processes;
            list.selection.shown(list.rows().len(), height)
        }
        Screen::Latency if state.shows_replicas() => {
            let list = &state.replicas;
            list.selection.shown(list.rows().len(), height)
        }
        Screen::Functions | Screen::Latency => {
            let list = &state.functions;
            list.selection.shown(list.rows().len(), height)
        }
        Screen::Calls => calls::selected_row(state, height),
        Screen::Sessions => state
            .sessions
            .selection
            .shown(state.session_ids().len(), height),
        Screen::Sql => state.sql.selection.shown(state.sql.row_count(), height),
        Screen::Events => {
            let notices = &state.notices;
            notices.selection.shown(notices.log().len(), height)
        }
    };
    (index.saturating_sub(window.start), window.len())
}
