//! Who is told single calls as they are stored.

use std::collections::HashMap;
use std::sync::{Mutex, MutexGuard, PoisonError};

use coral_model::SessionId;
use tokio::sync::mpsc;

use crate::store::{Content, Entry, JournalKey, StoredCall};

/// Calls that whoever listens has not taken yet: more than a batch of a journal can hold.
const CALLS_MAX: usize = 65_536;

/// A call that an agent has handed over.
#[derive(Clone, Debug)]
pub(in crate::colony) struct RecordedCall {
    pub(in crate::colony) agent_id: String,
    pub(in crate::colony) call: StoredCall,
}

/// One for each session at most.
#[derive(Debug, Default)]
pub(super) struct Listeners(Mutex<HashMap<SessionId, mpsc::Sender<RecordedCall>>>);

impl Listeners {
    /// The calls of a session from now on, until who listens is too slow.
    pub(super) fn listen(&self, session: SessionId) -> mpsc::Receiver<RecordedCall> {
        let (sender, calls) = mpsc::channel(CALLS_MAX);
        let mut all = self.locked();
        all.retain(|_, listener| !listener.is_closed());
        all.insert(session, sender);
        calls
    }

    /// Whether anybody listens to a session.
    pub(super) fn has(&self, session: &SessionId) -> bool {
        self.locked().contains_key(session)
    }

    /// Tells what was stored of a journal. Nothing waits for who listens.
    pub(super) fn tell<'a>(&self, journal: &JournalKey, entries: impl Iterator<Item = &'a Entry>) {
        let Some(listener) = self.locked().get(&journal.session).cloned() else {
            return;
        };
        let calls = entries.filter_map(|entry| match &entry.content {
            Content::Calls(calls) => Some(calls),
            _ => None,
        });
        for call in calls.flatten() {
            let told = listener.try_send(RecordedCall {
                agent_id: journal.agent_id.clone(),
                call: call.clone(),
            });
            if told.is_err() {
                self.locked().remove(&journal.session);
                return;
            }
        }
    }

    /// What it guards is whole at any time, so a panic spoils nothing.
    fn locked(&self) -> MutexGuard<'_, HashMap<SessionId, mpsc::Sender<RecordedCall>>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use coral_model::{CallRecord, FunctionId};
    use jiff::Timestamp;

    use super::*;

    fn journal(session: &str) -> JournalKey {
        JournalKey {
            session: SessionId(session.to_owned()),
            agent_id: "node".to_owned(),
            epoch: 1,
            agent_session: SessionId("own".to_owned()),
        }
    }

    /// An entry of so many calls.
    fn entry(calls: usize) -> Entry {
        let call = StoredCall {
            function: "f".to_owned(),
            record: CallRecord::new(FunctionId(0), Timestamp::UNIX_EPOCH, 1),
        };
        Entry::new(1, Content::Calls(vec![call; calls]))
    }

    #[test]
    fn calls_of_other_sessions_are_not_in_the_way() {
        let listeners = Listeners::default();
        let mut calls = listeners.listen(SessionId("a".to_owned()));
        listeners.tell(&journal("b"), [entry(CALLS_MAX + 1)].iter());
        listeners.tell(&journal("a"), [entry(3), entry(2)].iter());
        assert_eq!(calls.len(), 5);
        assert!(listeners.has(&SessionId("a".to_owned())));
        assert!(!listeners.has(&SessionId("b".to_owned())));
        assert_eq!(
            calls.try_recv().map(|it| it.agent_id),
            Ok("node".to_owned())
        );
    }

    #[test]
    fn who_is_too_slow_gets_what_came_before_and_then_the_end() {
        let listeners = Listeners::default();
        let mut calls = listeners.listen(SessionId("a".to_owned()));
        listeners.tell(&journal("a"), [entry(CALLS_MAX + 1)].iter());
        listeners.tell(&journal("a"), [entry(1)].iter());
        let mut got = 0;
        while calls.try_recv().is_ok() {
            got += 1;
        }
        assert_eq!(got, CALLS_MAX);
        assert_eq!(
            calls.try_recv().map(drop),
            Err(mpsc::error::TryRecvError::Disconnected)
        );
    }

    #[test]
    fn who_is_gone_is_forgotten() {
        let listeners = Listeners::default();
        drop(listeners.listen(SessionId("a".to_owned())));
        drop(listeners.listen(SessionId("b".to_owned())));
        assert!(!listeners.has(&SessionId("a".to_owned())));
        listeners.tell(&journal("b"), [entry(1)].iter());
        assert!(!listeners.has(&SessionId("b".to_owned())));
    }
}
