//! The source of functions: shown, or opened in an editor.

use crate::event::{Effect, Level};
use crate::source_view::{SourceText, SourceView};
use crate::state::{Overlay, State};

pub(super) fn show(state: &mut State) -> Vec<Effect> {
    let Some((file, line)) = place(state) else {
        return Vec::new();
    };
    state.overlay = Some(Overlay::Source(SourceView {
        file: file.clone(),
        line,
        text: SourceText::Waiting,
        scroll: 0,
    }));
    vec![Effect::ReadSource { file, line }]
}

pub(super) fn edit(state: &mut State) -> Vec<Effect> {
    let place = match &state.overlay {
        Some(Overlay::Source(view)) => Some((view.file.clone(), view.line)),
        _ => place(state),
    };
    let Some((file, line)) = place else {
        return Vec::new();
    };
    vec![Effect::Edit { file, line }]
}

pub(super) fn scroll(state: &mut State, lines: i32) {
    if let Some(Overlay::Source(view)) = &mut state.overlay {
        view.scroll_by(lines);
    }
}

/// The answer of the source, if it is still asked for.
pub(super) fn take(state: &mut State, file: &str, text: SourceText) {
    if let Some(Overlay::Source(view)) = &mut state.overlay
        && view.file == file
    {
        view.text = text;
    }
}

/// Where the function in front begins; says so where that is not known.
fn place(state: &mut State) -> Option<(String, u32)> {
    let id = state.function_in_front();
    let function = id.and_then(|id| state.functions.table.get(id));
    let place = function.and_then(|function| Some((function.file?.to_owned(), function.line?)));
    if place.is_none() {
        let help = "select a function that has a file and a line";
        state.notify(Level::Warning, "There is no source to show", help);
    }
    place
}
