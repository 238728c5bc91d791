//! What becomes of a session, on its way to the history in the order in which it happened.

use std::future::Future;
use std::sync::Arc;
use std::time::Duration;

use coral_model::{EndReason, SessionId};
use jiff::Timestamp;
use tokio::sync::{mpsc, watch};
use tokio::task::JoinHandle;
use tokio::time::sleep;

use super::History;
use super::archive::Trouble;
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
pub(in crate::colony) struct Notes {
    kept: Option<(mpsc::Sender<Note>, JoinHandle<()>)>,
    trouble: watch::Receiver<Trouble>,
}

impl Notes {
    /// Notes that nobody takes.
    pub(in crate::colony) fn none() -> Self {
        Self {
            kept: None,
            trouble: watch::channel(None).1,
        }
    }

    /// Notes of a session for a history that may not be open yet.
    pub(super) fn of(
        session: &SessionId,
        trouble: watch::Receiver<Trouble>,
        opened: impl Future<Output = Arc<History>> + Send + 'static,
    ) -> Self {
        let (sender, mut notes) = mpsc::channel::<Note>(NOTES_MAX);
        let session = session.clone();
        let stored = tokio::spawn(async move {
            let history = opened.await;
            let mut waiting = Vec::new();
            while notes.recv_many(&mut waiting, NOTES_MAX).await > 0 {
                for step in together(waiting.drain(..)) {
                    history.write_at_last(&session, &step).await;
                }
                history.poke();
            }
        });
        Self {
            kept: Some((sender, stored)),
            trouble,
        }
    }

    /// Leaves a note. Where thousands wait already, it is lost, and `false` says so.
    pub(in crate::colony) fn leave(&self, note: Note) -> bool {
        let Some((notes, _)) = &self.kept else {
            return true;
        };
        notes.try_send(note).is_ok()
    }

    /// What keeps the history from being written; waits until that changes.
    pub(in crate::colony) async fn trouble(&mut self) -> Trouble {
        if self.trouble.changed().await.is_err() {
            // Nobody keeps a history.
            std::future::pending::<()>().await;
        }
        self.trouble.borrow_and_update().clone()
    }

    /// Waits until all of them are stored; no more can be left then.
    pub(in crate::colony) async fn settled(&mut self) {
        if let Some((notes, stored)) = self.kept.take() {
            drop(notes);
            // A task that failed stores nothing more.
            let _ = stored.await;
        }
    }
}

/// What is stored in one transaction.
#[derive(Clone, Debug)]
enum Step {
    Single(Note),
    Replicas(Vec<ReplicaRow>),
}

/// The same notes in the same order: a transaction costs more than its rows, and a session may have
/// hundreds of replicas.
fn together(notes: impl Iterator<Item = Note>) -> Vec<Step> {
    let mut steps = Vec::new();
    for note in notes {
        match (note, steps.last_mut()) {
            (Note::Replica(row), Some(Step::Replicas(rows))) => rows.push(*row),
            (Note::Replica(row), _) => steps.push(Step::Replicas(vec![*row])),
            (note, _) => steps.push(Step::Single(note)),
        }
    }
    steps
}

impl History {
    /// Tries until it is stored.
    async fn write_at_last(&self, session: &SessionId, step: &Step) {
        while let Err(error) = self.write(session, step.clone()).await {
            // Nobody else can mend these.
            if let StoreError::NoSuchSession { .. } | StoreError::Closed = error {
                return;
            }
            sleep(AGAIN_AFTER).await;
        }
    }

    async fn write(&self, session: &SessionId, step: Step) -> Result<(), StoreError> {
        let (store, id) = (&self.store, session.clone());
        match step {
            Step::Replicas(replicas) => store.add_replicas(replicas).await,
            Step::Single(Note::Begun(session)) => store.begin_session(*session).await,
            Step::Single(Note::Replica(replica)) => store.add_replica(*replica).await,
            Step::Single(Note::Extended(expires_at)) => store.extend_session(id, expires_at).await,
            Step::Single(Note::Ended(at, reason)) => store.end_session(id, at, reason).await,
        }
    }
}
