//! Finding by typing: the palette of commands, going to a function, and views.

use coral_model::FunctionId;

use super::views;
use crate::command_finder::CommandFinder;
use crate::commands::{CommandInfo, Scope};
use crate::draw::find::list_height;
use crate::event::{Effect, Level};
use crate::filter_input::FilterInput;
use crate::function_finder::FunctionFinder;
use crate::state::{Overlay, Screen, State};

pub(super) fn open_palette(state: &mut State) {
    let scope = state.screen_scope();
    let finder = CommandFinder::new(scope, &state.options.keymap);
    state.overlay = Some(Overlay::Commands(finder));
}

pub(super) fn open_functions(state: &mut State) {
    if state.functions.table.is_empty() {
        let help = "open a process on the processes screen first";
        return state.notify(Level::Warning, "There is no function to go to yet", help);
    }
    let finder = FunctionFinder::new(&state.functions);
    state.overlay = Some(Overlay::Functions(Box::new(finder)));
}

/// Changes what is typed, by `edit`, which says whether it has.
pub(super) fn edit(state: &mut State, edit: impl FnOnce(&mut FilterInput) -> bool) {
    match &mut state.overlay {
        Some(Overlay::Commands(finder)) => {
            if edit(&mut finder.input) {
                finder.find(&state.options.keymap);
            }
        }
        Some(Overlay::Functions(finder)) => {
            if edit(&mut finder.input) {
                finder.find(&state.functions);
            }
        }
        Some(Overlay::Views(finder)) => {
            if edit(&mut finder.input) {
                finder.find();
            }
        }
        Some(Overlay::SaveView(name)) => {
            edit(name);
        }
        _ => {}
    }
}

/// Looks at the next functions.
pub(super) fn work(state: &mut State) {
    if let Some(Overlay::Functions(finder)) = &mut state.overlay
        && finder.has_work()
    {
        finder.work(&state.functions);
        state.dirty = true;
    }
}

pub(super) fn move_by(state: &mut State, delta: isize) {
    let height = list_height(state);
    match &mut state.overlay {
        Some(Overlay::Commands(finder)) => finder.move_by(delta, height),
        Some(Overlay::Functions(finder)) => finder.move_by(delta, height),
        Some(Overlay::Views(finder)) => finder.move_by(delta, height),
        _ => {}
    }
}

/// Takes a visible row, as if it had been selected.
pub(super) fn take_row(state: &mut State, row: usize) -> Vec<Effect> {
    let height = list_height(state);
    let (index, window) = match &state.overlay {
        Some(Overlay::Commands(finder)) => finder.selection.shown(finder.rows().len(), height),
        Some(Overlay::Functions(finder)) => finder.selection.shown(finder.rows().len(), height),
        Some(Overlay::Views(finder)) => finder.selection.shown(finder.rows().len(), height),
        _ => return Vec::new(),
    };
    if row >= window.len() {
        return Vec::new();
    }
    move_by(state, (window.start + row) as isize - index as isize);
    accept(state)
}

/// Runs the selected command, goes to the selected function, or shows the selected view.
pub(super) fn accept(state: &mut State) -> Vec<Effect> {
    match state.overlay.take() {
        Some(Overlay::Commands(finder)) => match finder.selected() {
            Some(info) if finder.applies(info) => super::run(state, info.command),
            Some(info) => {
                refuse(state, info);
                Vec::new()
            }
            None => Vec::new(),
        },
        Some(Overlay::Functions(finder)) => {
            if let Some(id) = finder.selected(&state.functions.table) {
                go_to_function(state, id);
            }
            Vec::new()
        }
        Some(Overlay::Views(finder)) => {
            if let Some(view) = finder.selected() {
                views::show(state, view);
            }
            Vec::new()
        }
        Some(Overlay::SaveView(name)) => views::save(state, name),
        other => {
            state.overlay = other;
            Vec::new()
        }
    }
}

/// Selects a function on the functions screen.
pub(super) fn go_to_function(state: &mut State, id: FunctionId) {
    state.screen = Screen::Functions;
    let height = usize::from(state.list_rows().height);
    state.functions.select(id, height, &state.measurements);
}

fn refuse(state: &mut State, info: &CommandInfo) {
    let message = format!("`{}` does nothing here", info.name);
    let help = format!("it works in: {}", places(info.scopes));
    state.notify(Level::Warning, message, help);
}

/// Where a command works, for people who are elsewhere.
pub(crate) fn places(scopes: &[Scope]) -> String {
    let titles: Vec<_> = scopes.iter().map(|scope| scope.title()).collect();
    titles.join(", ").to_lowercase()
}
