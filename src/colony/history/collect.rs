//! Reading the journals of agents: what is stored for good is acknowledged, and nothing else.

use std::sync::Arc;
use std::time::Duration;

use coral_model::{CallRecord, SessionId};
use coral_proto::agent::v1 as wire;
use coral_proto::convert::Assembled;
use prost::Message;
use tokio::sync::{Semaphore, SemaphorePermit};
use tokio::time::{sleep, timeout};
use tonic::{Status, Streaming};

use super::{History, RecordedCall};
use crate::colony::registry::{Link, timed};
use crate::store::{Batch, Content, Entry, JournalKey, StoreError, StoredCall};

/// How often an agent is asked for its journals, if nothing calls for it.
const LIST_EVERY: Duration = Duration::from_secs(10);
const ANSWER_MAX: Duration = Duration::from_secs(10);
/// What is stored together, if it is there already: a transaction costs more than its rows.
const ENTRIES_MAX: usize = 64;
/// An entry may take half a MiB, and hundreds of agents come back at once.
const BATCH_BYTES_MAX: usize = 1 << 20;
const MORE_WITHIN: Duration = Duration::from_millis(20);
/// How long to wait before what could not be stored is tried again.
const AGAIN_AFTER: Duration = Duration::from_secs(1);

/// Why a journal is not read any further for now.
enum Stopped {
    /// Its last entry is stored.
    Complete,
    /// The way to the agent, or what it says.
    Agent,
    /// The history.
    Store,
}

impl History {
    /// Reads the journals of an agent until its link ends.
    pub(super) async fn collect_all(self: Arc<Self>, link: Link) {
        let mut calls = link.calls(None);
        loop {
            let poked = self.poke.notified();
            let request = timed(ANSWER_MAX, wire::ListJournalsRequest {});
            if let Ok(listed) = calls.list_journals(request).await {
                for journal in listed.into_inner().journals {
                    if let Some(key) = key_of(&link, &journal)
                        && self.claim(&key)
                    {
                        let (history, link) = (Arc::clone(&self), link.clone());
                        tokio::spawn(async move {
                            tokio::select! {
                                () = history.collect(&link, &key) => {}
                                () = link.down() => {}
                            }
                            history.give_back(&key);
                        });
                    }
                }
            }
            tokio::select! {
                () = poked => {}
                () = sleep(LIST_EVERY) => {}
                () = link.down() => return,
            }
        }
    }

    /// Reads one journal to its end.
    async fn collect(&self, link: &Link, key: &JournalKey) {
        loop {
            match self.collect_once(link, key).await {
                Stopped::Complete => return,
                Stopped::Agent | Stopped::Store => sleep(AGAIN_AFTER).await,
            }
        }
    }

    async fn collect_once(&self, link: &Link, key: &JournalKey) -> Stopped {
        let Ok(marks) = self.store.marks(key.session.clone()).await else {
            return Stopped::Store;
        };
        let mark = marks.into_iter().find(|mark| mark.journal == *key);
        let (mut stored, is_complete) =
            mark.map_or((0, false), |mark| (mark.last_sequence, mark.is_complete));
        if is_complete {
            // What is stored may be forgotten there; it is told again when the link is back.
            return match acknowledge(link, key, stored).await {
                Ok(()) => Stopped::Complete,
                Err(_) => Stopped::Agent,
            };
        }
        let request = wire::ReadJournalRequest {
            session_id: key.agent_session.0.clone(),
            epoch: key.epoch,
            after_sequence: stored,
        };
        let Ok(entries) = link.calls(None).read_journal(request).await else {
            return Stopped::Agent;
        };
        let mut journal = Journal::of(entries.into_inner());
        loop {
            let Ok((entries, place)) = journal.some(&self.places).await else {
                return Stopped::Agent;
            };
            let Some(last) = entries.last() else {
                return Stopped::Agent;
            };
            let is_last = last.is_last;
            self.tell_calls(key, &entries);
            let batch = Batch {
                journal: key.clone(),
                entries,
            };
            stored = match self.store.append(batch).await {
                Ok(stored) => stored,
                // Its session was deleted as too old, or begun while nothing could be written.
                Err(StoreError::NoSuchSession { .. }) => return Stopped::Store,
                Err(_) => return Stopped::Store,
            };
            drop(place);
            if acknowledge(link, key, stored).await.is_err() {
                return Stopped::Agent;
            }
            if is_last {
                return Stopped::Complete;
            }
        }
    }

    fn tell_calls(&self, key: &JournalKey, entries: &[Entry]) {
        if self.calls.receiver_count() == 0 {
            return;
        }
        for entry in entries {
            if let Content::Calls(calls) = &entry.content {
                for call in calls {
                    let told = RecordedCall {
                        session: key.session.clone(),
                        agent_id: key.agent_id.clone(),
                        call: call.clone(),
                    };
                    // Somebody listened a moment ago.
                    let _ = self.calls.send(told);
                }
            }
        }
    }
}

async fn acknowledge(link: &Link, key: &JournalKey, sequence: u64) -> Result<(), Status> {
    let request = wire::AcknowledgeJournalRequest {
        session_id: key.agent_session.0.clone(),
        epoch: key.epoch,
        sequence,
    };
    let mut calls = link.calls(None);
    calls
        .acknowledge_journal(timed(ANSWER_MAX, request))
        .await?;
    Ok(())
}

/// Which journal of which session it is; nothing if it is of no session of a colony.
fn key_of(link: &Link, journal: &wire::Journal) -> Option<JournalKey> {
    let (session, _) = journal.request_id.split_once('/')?;
    Some(JournalKey {
        session: SessionId(session.to_owned()),
        agent_id: link.agent_id.clone(),
        epoch: journal.epoch,
        agent_session: SessionId(journal.session_id.clone()),
    })
}

/// The entries of a journal as they come.
struct Journal {
    messages: Streaming<wire::JournalEntry>,
    /// A checkpoint of which more messages are to come, and its first number.
    open: Option<(Assembled, u64)>,
}

impl Journal {
    fn of(messages: Streaming<wire::JournalEntry>) -> Self {
        Self {
            messages,
            open: None,
        }
    }

    /// The next entries: at least one, and those that are there already; none at the end. With
    /// them comes their place, which others wait for.
    async fn some<'a>(
        &mut self,
        places: &'a Semaphore,
    ) -> Result<(Vec<Entry>, Option<SemaphorePermit<'a>>), Status> {
        let (mut entries, mut place) = (Vec::new(), None);
        let mut bytes = 0;
        while entries.len() < ENTRIES_MAX && bytes < BATCH_BYTES_MAX {
            let next = if entries.is_empty() {
                self.messages.message().await?
            } else {
                match timeout(MORE_WITHIN, self.messages.message()).await {
                    Ok(next) => next?,
                    Err(_) => break,
                }
            };
            let Some(message) = next else { break };
            let is_last = message.is_last;
            bytes += message.encoded_len();
            entries.extend(self.take(message)?);
            if is_last {
                break;
            }
            if place.is_none() && !entries.is_empty() {
                // Nobody closes it.
                place = places.acquire().await.ok();
            }
        }
        Ok((entries, place))
    }

    fn take(&mut self, message: wire::JournalEntry) -> Result<Vec<Entry>, Status> {
        let bad = |what: String| Status::data_loss(what);
        let sequence = message.sequence;
        let mut entries = Vec::new();
        let mut add = |first, content| {
            entries.push(Entry {
                sequences: first..=sequence,
                content,
                is_last: false,
            });
        };
        if let Some(gap) = message.gap {
            let calls = gap.calls;
            add(gap.first_sequence.min(sequence), Content::Gap { calls });
        } else if let Some(update) = message.checkpoint {
            let (mut assembled, first) = match self.open.take() {
                Some(open) if !update.is_whole => open,
                _ => (Assembled::new(), sequence),
            };
            let snapshot = assembled
                .apply(update)
                .map_err(|error| bad(error.to_string()))?;
            match snapshot {
                Some(snapshot) => add(first, Content::Checkpoint(snapshot)),
                None => self.open = Some((assembled, first)),
            }
        } else {
            let calls = message.calls.into_iter().map(stored_call);
            let calls = calls.collect::<Result<_, _>>().map_err(bad)?;
            add(sequence, Content::Calls(calls));
        }
        if let Some(entry) = entries.last_mut() {
            entry.is_last = message.is_last;
        }
        Ok(entries)
    }
}

fn stored_call(call: wire::JournalCall) -> Result<StoredCall, String> {
    let record = call.record.ok_or("a call without its record")?;
    let record = CallRecord::try_from(record).map_err(|error| error.to_string())?;
    Ok(StoredCall {
        function: call.function,
        record,
    })
}
