//! The sessions in one list: those of this console with their numbers, and those of everybody that a
//! colony remembers.

use std::sync::Arc;
use std::time::Duration;

use coral_model::{SessionId, SessionState, SessionSummary};

use crate::measurements::Session;
use crate::selection::Selection;
use crate::state::State;

/// A session in the list.
#[derive(Clone, Copy, Debug)]
pub(crate) enum SessionRow<'a> {
    /// One that is measured or was measured here.
    Own(&'a Session),
    /// One of the history.
    Listed(&'a SessionSummary),
}

impl<'a> SessionRow<'a> {
    pub(crate) fn id(self) -> &'a SessionId {
        match self {
            Self::Own(session) => &session.snapshot.session.id,
            Self::Listed(summary) => &summary.id,
        }
    }

    pub(crate) fn state(self) -> SessionState {
        match self {
            Self::Own(session) => session.snapshot.session.state,
            Self::Listed(summary) => summary.state,
        }
    }

    pub(crate) fn is_active(self) -> bool {
        self.state() == SessionState::Active
    }
}

/// What is listed of others and of the past, and which session is selected.
#[derive(Debug, Default)]
pub(crate) struct SessionList {
    pub(crate) selection: Selection<SessionId>,
    pub(crate) history: Arc<[SessionSummary]>,
    /// When the history was asked for last.
    pub(crate) asked_at: Option<Duration>,
    /// Whether it has been listed at all.
    pub(crate) is_listed: bool,
    /// The one that is being opened.
    pub(crate) opening: Option<SessionId>,
}

impl State {
    /// All sessions, the live ones first, and of these the own ones.
    pub(crate) fn session_rows(&self) -> Vec<SessionRow<'_>> {
        let own = || self.own_measurements().sessions().map(SessionRow::Own);
        let listed = || {
            let history = self.sessions.history.iter();
            let others = history.filter(|it| self.own_measurements().get(&it.id).is_none());
            others.map(SessionRow::Listed)
        };
        let all = |is_active: bool| {
            let rows = own().chain(listed());
            rows.filter(move |row| row.is_active() == is_active)
        };
        all(true).chain(all(false)).collect()
    }

    /// The session that is selected.
    pub(crate) fn selected_session(&self) -> Option<SessionRow<'_>> {
        let id = self.sessions.selection.id()?;
        self.session_rows().into_iter().find(|row| *row.id() == id)
    }

    /// The sessions in the order of their screen.
    pub(crate) fn session_ids(&self) -> Vec<SessionId> {
        self.session_rows()
            .iter()
            .map(|row| row.id().clone())
            .collect()
    }

    /// Finds the selected session again in a list that has changed.
    pub(crate) fn follow_sessions(&mut self) {
        let ids = self.session_ids();
        self.sessions.selection.restore(&ids);
    }
}
