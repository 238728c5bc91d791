//! What becomes of a session, on its way to the history in the order in which it happened.

use std::sync::Arc;
use std::time::Duration;

use coral_model::{EndReason, SessionId};
use jiff::Timestamp;
use tokio::sync::mpsc;
use tokio::task::JoinHandle;
use tokio::time::sleep;

use super::History;
use crate::store::{NewSession, ReplicaRow, StoreError};

/// Notes that wait while the history cannot be written.
const NOTES_MAX: usize = 4_096;
const AGAIN_AFTER: Duration = Duration::from_secs(1);

/// Something to remember of a session.
#[derive(Clone, Debug)]
pub(in crate::colony) enum Note {
    Begun(Box<NewSession>),
    Replica(Box<ReplicaRow>),
    Extended(Timestamp),
    Ended(Timestamp, EndReason),
}

/// Where a session leaves its notes.
#[derive(Debug)]
pub(in crate::colony) struct Notes(Option<(mpsc::Sender<Note>, JoinHandle<()>)>);

impl Notes {
    /// Notes that nobody takes.
    pub(in crate::colony) fn none() -> Self {
        Self(None)
    }

    /// Leaves a note. Where thousands wait already, it is lost, and `false` says so.
    pub(in crate::colony) fn leave(&self, note: Note) -> bool {
        let Some((notes, _)) = &self.0 else {
            return true;
        };
        notes.try_send(note).is_ok()
    }

    /// Waits until all of them are stored; no more can be left then.
    pub(in crate::colony) async fn settled(&mut self) {
        if let Some((notes, stored)) = self.0.take() {
            drop(notes);
            // A task that failed stores nothing more.
            let _ = stored.await;
        }
    }
}

impl History {
    /// Where a session leaves its notes. Each is tried until it is stored.
    pub(in crate::colony) fn notes(self: &Arc<Self>, session: &SessionId) -> Notes {
        let (sender, mut notes) = mpsc::channel::<Note>(NOTES_MAX);
        let (history, session) = (Arc::clone(self), session.clone());
        let stored = tokio::spawn(async move {
            while let Some(note) = notes.recv().await {
                while let Err(error) = history.write(&session, note.clone()).await {
                    // Nobody else can mend these.
                    if let StoreError::NoSuchSession { .. } | StoreError::Closed = error {
                        break;
                    }
                    sleep(AGAIN_AFTER).await;
                }
                history.poke();
            }
        });
        Notes(Some((sender, stored)))
    }

    async fn write(&self, session: &SessionId, note: Note) -> Result<(), StoreError> {
        let (store, id) = (&self.store, session.clone());
        match note {
            Note::Begun(session) => store.begin_session(*session).await,
            Note::Replica(replica) => store.add_replica(*replica).await,
            Note::Extended(expires_at) => store.extend_session(id, expires_at).await,
            Note::Ended(ended_at, reason) => store.end_session(id, ended_at, reason).await,
        }
    }

    /// Notes that a session begins, before it does.
    ///
    /// # Errors
    /// If it cannot be written.
    pub(in crate::colony) async fn begin(&self, session: NewSession) -> Result<(), StoreError> {
        self.store.begin_session(session).await
    }
}
