//! The entries of a journal on their way from its agent, as the history takes them.

use std::time::Duration;

use coral_model::CallRecord;
use coral_proto::agent::v1 as wire;
use coral_proto::convert::Assembled;
use prost::Message;
use tokio::sync::{Semaphore, SemaphorePermit};
use tokio::time::timeout;
use tokio_stream::{Stream, StreamExt};
use tonic::Status;

use crate::store::{Content, Entry, StoredCall};

/// What is stored together, if it is there already: a transaction costs more than its rows.
const ENTRIES_MAX: usize = 64;
const MORE_WITHIN: Duration = Duration::from_millis(20);
/// An entry may take half a MiB, and hundreds of agents come back at once.
const BATCH_BYTES_MAX: usize = 1 << 20;

/// The entries of a journal as they come.
pub(super) struct Journal<S> {
    messages: S,
    /// A checkpoint of which more messages are to come, and its first number.
    open: Option<(Assembled, u64)>,
}

impl<S: Stream<Item = Result<wire::JournalEntry, Status>> + Unpin> Journal<S> {
    pub(super) fn of(messages: S) -> Self {
        Self {
            messages,
            open: None,
        }
    }

    /// The next entries: at least one, and those that are there already; none at the end. With
    /// them comes their place, which others wait for.
    pub(super) async fn some<'a>(
        &mut self,
        places: &'a Semaphore,
    ) -> Result<(Vec<Entry>, Option<SemaphorePermit<'a>>), Status> {
        let (mut entries, mut place) = (Vec::new(), None);
        let mut bytes = 0;
        // A checkpoint may take more messages than a batch should have bytes.
        while entries.is_empty() || (entries.len() < ENTRIES_MAX && bytes < BATCH_BYTES_MAX) {
            let next = if entries.is_empty() {
                self.messages.try_next().await?
            } else {
                match timeout(MORE_WITHIN, self.messages.try_next()).await {
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

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use coral_model::merge::Merger;
    use coral_model::{FunctionId, FunctionStats, SessionSettings, Snapshot};
    use coral_proto::convert::SessionUpdates;

    use super::*;
    use crate::colony::start::{new_id, new_info};

    /// A session whose checkpoint takes more bytes than a batch should.
    fn large() -> Arc<Snapshot> {
        let info = new_info(new_id(), "shop", "ann".into(), SessionSettings::default());
        let mut snapshot = Merger::new().merge(info, Vec::new(), &[], |_, id, _, _| id);
        let functions = (0..8_000).map(|number| {
            let mut stats = FunctionStats::new(FunctionId(number), format!("f{number}"));
            for power in 0..400 {
                stats
                    .latency
                    .record((1_000 + u64::from(number)) << (power % 30));
                stats.latency.record(1_000 + 50 * power * u64::from(number));
            }
            Arc::new(stats)
        });
        snapshot.functions = functions.collect();
        Arc::new(snapshot)
    }

    #[tokio::test]
    async fn a_checkpoint_of_many_messages_is_one_entry() {
        let snapshot = large();
        let updates = SessionUpdates::with_bytes_max(512 << 10).next(&snapshot);
        let bytes: usize = updates.iter().map(Message::encoded_len).sum();
        assert!(bytes > 2 * BATCH_BYTES_MAX, "{bytes}");
        let count = updates.len() as u64;
        let messages = updates.into_iter().zip(1..).map(|(update, sequence)| {
            Ok(wire::JournalEntry {
                sequence,
                checkpoint: Some(update),
                ..wire::JournalEntry::default()
            })
        });
        let mut journal = Journal::of(tokio_stream::iter(messages));
        let places = Semaphore::new(1);
        let (entries, _place) = journal.some(&places).await.unwrap();
        let [entry] = &entries[..] else {
            panic!("{} entries", entries.len());
        };
        assert_eq!(entry.sequences, 1..=count);
        let Content::Checkpoint(read) = &entry.content else {
            panic!("{entry:?}");
        };
        assert_eq!(read.functions, snapshot.functions);
    }
}
