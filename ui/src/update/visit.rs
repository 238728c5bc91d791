//! Sessions that were not started here: listing them, looking at one, and going back.

use std::sync::Arc;

use coral_model::{SessionId, Snapshot};

use super::source;
use crate::commands::Command;
use crate::event::{Effect, Failure, Level, OpenedSession};
use crate::session_list::SessionRow;
use crate::state::{Screen, State};

/// Asks for the sessions of everybody, where somebody remembers them.
pub(super) fn list(state: &mut State) -> Vec<Effect> {
    if !state.options.has_history {
        return Vec::new();
    }
    state.sessions.asked_at = Some(state.now);
    vec![Effect::ListHistory]
}

/// Shows the selected session on all screens, or what was there before.
pub(super) fn open(state: &mut State) -> Vec<Effect> {
    let Some(id) = state.sessions.selection.id() else {
        return Vec::new();
    };
    let is_visited = is_visited(state, &id);
    let is_own = matches!(state.selected_session(), Some(SessionRow::Own(_)));
    if state.leave() && is_visited {
        return Vec::new();
    }
    if is_own {
        let opened = state.measurements.opened();
        let is_open = opened.is_some_and(|session| session.snapshot.session.id == id);
        state.measurements.open((!is_open).then_some(id));
        source::numbers_changed(state, true);
        return Vec::new();
    }
    state.sessions.opening = Some(id.clone());
    vec![Effect::OpenSession { session: id }]
}

/// The session is here; unless somebody has gone on meanwhile, it is shown.
pub(super) fn opened(state: &mut State, opened: OpenedSession) -> Vec<Effect> {
    let session = opened.session.clone();
    let is_wanted = state
        .sessions
        .opening
        .take_if(|id| *id == session)
        .is_some();
    if !is_wanted || state.screen != Screen::Sessions || opened.moments.is_empty() {
        return vec![Effect::CloseSession { session }];
    }
    state.visit(opened);
    state.screen = Screen::Functions;
    Vec::new()
}

pub(super) fn not_opened(state: &mut State, session: &SessionId, failure: Failure) {
    state.sessions.opening.take_if(|id| id == session);
    state.notices.push(failure.into(), state.now);
}

/// Takes in what the visited session has measured. What comes after it was left is nobody's.
pub(super) fn follow(state: &mut State, snapshot: Arc<Snapshot>) {
    if !is_visited(state, &snapshot.session.id) {
        return;
    }
    state.timeline.push(state.now, Arc::clone(&snapshot));
    if state.timeline.is_live() {
        let known = state.measurements.measured_count();
        state.measurements.apply(snapshot, state.now);
        source::numbers_changed(state, state.measurements.measured_count() != known);
    }
}

pub(super) fn lost(state: &mut State, session: &SessionId, why: &str) {
    if is_visited(state, session) {
        let message = format!("Nothing more is heard of session {session}: {why}");
        state.notify(Level::Warning, message, "what was heard stays here");
    }
}

fn is_visited(state: &State, session: &SessionId) -> bool {
    let visit = state.visit.as_ref();
    visit.is_some_and(|visit| visit.session == *session)
}

/// Whether a command would do something to the session that is looked at, which is not this
/// console's own. What is its own can be detached from there.
pub(super) fn is_not_for(state: &State, command: Command) -> bool {
    let Some(visit) = &state.visit else {
        return false;
    };
    let ends_own = command == Command::DetachAll && visit.away.has_probes();
    command.concerns_probes() && !ends_own
}

/// Refuses what would probe while a session is looked at that is not this console's own.
pub(super) fn refuse(state: &mut State) -> Vec<Effect> {
    let live = state.key(Command::Live);
    let help = format!("{live} goes back to what is open here");
    let message =
        "This session was not started here: nothing is probed or detached in it".to_owned();
    super::probes::refuse(state, "not-your-session", message, help)
}
