//! The replicas of a session: going to them, and looking at one alone.

use crate::event::Level;
use crate::latency::View;
use crate::state::{Screen, State};

/// Shows a row for each replica.
pub(super) fn show(state: &mut State) {
    if !state.has_replicas() {
        let help = "a session of a service of a colony has them";
        return state.notify(Level::Warning, "There are no replicas to compare", help);
    }
    state.screen = Screen::Latency;
    state.latency.view = View::Replicas;
    state.replicas.only = None;
}

/// Shows the latency of the selected replica instead of that of all.
pub(super) fn open(state: &mut State) {
    let Some(selected) = state.replicas.selected() else {
        return;
    };
    state.replicas.only = Some(selected.key.clone());
    state.latency.view = View::Histogram;
}

/// Goes from one replica back to all of them; returns whether there was one.
pub(super) fn back(state: &mut State) -> bool {
    if state.replicas.only.take().is_none() {
        return false;
    }
    state.latency.view = View::Replicas;
    true
}
