//! What becomes of a session, on its way to the history in the order in which it happened.

use std::future::Future;
use std::sync::Arc;
use std::time::Duration;

use coral_model::{EndReason, SessionId};
use jiff::Timestamp;
use tokio::sync::mpsc::error::TrySendError;
use tokio::sync::{mpsc, oneshot, watch};
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
    /// What was changed since it began, as JSON.
    Changed(String),
    Extended(Timestamp),
    Ended(Timestamp, EndReason),
}

/// What is left for the task that stores.
#[derive(Debug)]
enum Left {
    Note(Note),
    /// To be told when all that was left before is stored.
    Asks(oneshot::Sender<()>),
}

/// Where a session leaves its notes.
#[derive(Debug)]
pub(in crate::colony) struct Notes {
    kept: Option<mpsc::Sender<Left>>,
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
        let (sender, mut left) = mpsc::channel(NOTES_MAX);
        let session = session.clone();
        tokio::spawn(async move {
            let history = opened.await;
            let mut waiting = Vec::new();
            while left.recv_many(&mut waiting, NOTES_MAX).await > 0 {
                let (steps, asked) = together(waiting.drain(..));
                for step in steps {
                    history.write_at_last(&session, &step).await;
                }
                history.poke();
                for asks in asked {
                    // Who asked may not wait any longer.
                    let _ = asks.send(());
                }
            }
        });
        Self {
            kept: Some(sender),
            trouble,
        }
    }

    /// Leaves a note. Where thousands wait already, it is lost, and `false` says so.
    pub(in crate::colony) fn leave(&self, note: Note) -> bool {
        let kept = self.kept.as_ref();
        kept.is_none_or(|notes| notes.try_send(Left::Note(note)).is_ok())
    }

    /// Leaves a note that must not be lost, however many wait.
    pub(in crate::colony) fn leave_at_last(&self, note: Note) {
        let Some(notes) = &self.kept else {
            return;
        };
        if let Err(TrySendError::Full(note)) = notes.try_send(Left::Note(note)) {
            let notes = notes.clone();
            tokio::spawn(async move { notes.send(note).await });
        }
    }

    /// What keeps the history from being written; waits until that changes.
    pub(in crate::colony) async fn trouble(&mut self) -> Trouble {
        if self.trouble.changed().await.is_err() {
            // Nobody keeps a history.
            std::future::pending::<()>().await;
        }
        self.trouble.borrow_and_update().clone()
    }

    /// Waits until all that were left until it is awaited first are stored.
    pub(in crate::colony) fn settled(&self) -> impl Future<Output = ()> + Send + 'static {
        let kept = self.kept.clone();
        async move {
            let (asks, answer) = oneshot::channel();
            if let Some(notes) = kept
                && notes.send(Left::Asks(asks)).await.is_ok()
            {
                // A task that failed stores nothing more.
                let _ = answer.await;
            }
        }
    }
}

/// What is stored in one transaction.
#[derive(Clone, Debug)]
enum Step {
    Begun(Box<NewSession>),
    Replicas(Vec<ReplicaRow>),
    Changed(String),
    Extended(Timestamp),
    Ended(Timestamp, EndReason),
}

/// Notes in their order, and who asks when they are stored. A transaction costs more than its rows,
/// and a session may have hundreds of replicas.
fn together(left: impl Iterator<Item = Left>) -> (Vec<Step>, Vec<oneshot::Sender<()>>) {
    let (mut steps, mut asked) = (Vec::new(), Vec::new());
    for left in left {
        let step = match left {
            Left::Asks(asks) => {
                asked.push(asks);
                continue;
            }
            Left::Note(Note::Replica(row)) => {
                if let Some(Step::Replicas(rows)) = steps.last_mut() {
                    rows.push(*row);
                    continue;
                }
                Step::Replicas(vec![*row])
            }
            Left::Note(Note::Begun(session)) => Step::Begun(session),
            Left::Note(Note::Changed(changes)) => Step::Changed(changes),
            Left::Note(Note::Extended(expires_at)) => Step::Extended(expires_at),
            Left::Note(Note::Ended(ended_at, reason)) => Step::Ended(ended_at, reason),
        };
        steps.push(step);
    }
    (steps, asked)
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
            Step::Begun(session) => store.begin_session(*session).await,
            Step::Replicas(replicas) => store.add_replicas(replicas).await,
            Step::Changed(changes) => store.change_session(id, changes).await,
            Step::Extended(expires_at) => store.extend_session(id, expires_at).await,
            Step::Ended(ended_at, reason) => store.end_session(id, ended_at, reason).await,
        }
    }
}
