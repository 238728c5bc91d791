//! The SQL screen: running a query and giving it up, going back to those before.

use crate::event::{Effect, Level};
use crate::state::{Screen, State};

/// Brings the screen to the front, where there is something to ask.
pub(super) fn show(state: &mut State) -> Vec<Effect> {
    if !state.options.has_history {
        let help = "connect to a colony that keeps one: coral-tui --colony <url>";
        state.notify(Level::Warning, "There is no history to ask here", help);
        return Vec::new();
    }
    state.screen = Screen::Sql;
    if std::mem::replace(&mut state.sql.is_schema_asked, true) {
        return Vec::new();
    }
    vec![Effect::ReadSqlSchema]
}

/// Runs what is typed; what runs already is given up.
pub(super) fn run(state: &mut State) -> Vec<Effect> {
    let mut effects = cancel(state);
    if let Some(running) = state.sql.start(state.now) {
        let (query, sql) = (running.query, running.sql);
        effects.push(Effect::RunSql { query, sql });
    }
    effects
}

/// Gives up the query that runs.
pub(super) fn cancel(state: &mut State) -> Vec<Effect> {
    let Some(running) = state.sql.running.take() else {
        return Vec::new();
    };
    vec![Effect::CancelSql {
        query: running.query,
    }]
}

/// Leaves the line for the rows; where there are none, what runs is given up or the screen is left.
pub(super) fn leave_line(state: &mut State) -> Vec<Effect> {
    if state.sql.running.is_some() {
        return cancel(state);
    }
    state.sql.input.editing = false;
    Vec::new()
}

/// Completes the word before the caret as far as that is certain.
pub(super) fn complete(state: &mut State) {
    if let Some(rest) = state.sql.completion().rest() {
        state.sql.input.insert(&rest);
    }
}
