//! The entries of a journal on their way from its agent, as the history takes them.

use std::time::Duration;

use coral_model::CallRecord;
use coral_proto::agent::v1 as wire;
use coral_proto::convert::Assembled;
use prost::Message;
use tokio::sync::{Semaphore, SemaphorePermit};
use tokio::time::timeout;
use tonic::{Status, Streaming};

use crate::store::{Content, Entry, StoredCall};

/// What is stored together, if it is there already: a transaction costs more than its rows.
const ENTRIES_MAX: usize = 64;
const MORE_WITHIN: Duration = Duration::from_millis(20);
/// An entry may take half a MiB, and hundreds of agents come back at once.
const BATCH_BYTES_MAX: usize = 1 << 20;

/// The entries of a journal as they come.
pub(super) struct Journal {
    messages: Streaming<wire::JournalEntry>,
    /// A checkpoint of which more messages are to come, and its first number.
    open: Option<(Assembled, u64)>,
}

impl Journal {
    pub(super) fn of(messages: Streaming<wire::JournalEntry>) -> Self {
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
