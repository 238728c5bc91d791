//! Views of the functions that have a name: saving them, and showing them again.

use crate::event::{Effect, Level};
use crate::filter_input::FilterInput;
use crate::saved_view::SavedView;
use crate::state::{Overlay, Screen, State};
use crate::view_finder::ViewFinder;

pub(super) fn open(state: &mut State) {
    let finder = ViewFinder::new(&state.options.views);
    state.overlay = Some(Overlay::Views(finder));
}

/// Asks for the name of a new view.
pub(super) fn ask_name(state: &mut State) {
    if state.functions.filter_error().is_some() {
        let message = "The filter cannot be understood, so the view was not saved";
        return state.notify(Level::Warning, message, "complete the filter first");
    }
    state.overlay = Some(Overlay::SaveView(FilterInput::typing()));
}

/// Saves what is shown under the name that was typed.
pub(super) fn save(state: &mut State, input: FilterInput) -> Vec<Effect> {
    let name = input.text().trim();
    if name.is_empty() {
        state.overlay = Some(Overlay::SaveView(input));
        return Vec::new();
    }
    let list = &state.functions;
    let view = SavedView {
        name: name.to_owned(),
        filter: list.filter.text().to_owned(),
        sort: list.sort(),
        reversed: list.is_reversed(),
        columns: list.columns,
    };
    view.clone().put_into(&mut state.options.views);
    vec![Effect::SaveView(view)]
}

/// Brings a view to the functions screen.
pub(super) fn show(state: &mut State, view: &SavedView) {
    state.screen = Screen::Functions;
    let list = &mut state.functions;
    list.columns = view.columns;
    list.filter.clear();
    list.filter.insert(&view.filter);
    list.filter_changed(&state.measurements);
    // Sorting a million names again takes a while.
    if (list.sort(), list.is_reversed()) != (view.sort, view.reversed) {
        list.sort_by(view.sort, view.reversed, &state.measurements);
    }
    list.go_to_top(&state.measurements);
}
