//! The entries of a journal for one client, from the disk: a slow one holds up nobody.

use std::io::{self, ErrorKind};
use std::path::Path;
use std::sync::Arc;

use coral_proto::agent::v1::{JournalEntry, JournalGap, ReadJournalRequest};
use prost::Message;
use tokio::sync::{mpsc, watch};
use tokio_stream::wrappers::ReceiverStream;
use tonic::Status;

use super::index::Next;
use super::on_disk;
use super::segment::{Records, Segment};
use super::spool::{Key, Spool};
use crate::serving::status;

/// Entries that wait for a client.
const WAITING_MAX: usize = 4;
/// What is read at once.
const READ_BYTES: usize = 1 << 20;

/// The entries behind those that the client has, and those that come, until the last one. None if
/// there is no such journal.
pub(super) fn entries(
    spool: &Arc<Spool>,
    request: ReadJournalRequest,
) -> Option<ReceiverStream<Result<JournalEntry, Status>>> {
    let key = (request.epoch, request.session_id);
    let written = spool.written(&key)?;
    let reader = Reader::new(spool, key, request.after_sequence);
    let (sender, receiver) = mpsc::channel(WAITING_MAX);
    tokio::spawn(send_all(reader, written, sender));
    Some(ReceiverStream::new(receiver))
}

async fn send_all(
    mut reader: Reader,
    mut written: watch::Receiver<u64>,
    client: mpsc::Sender<Result<JournalEntry, Status>>,
) {
    loop {
        // Before it is read: what is written meanwhile is looked for again.
        written.mark_unchanged();
        let (entries, is_over) = match on_disk(|| reader.read()) {
            Ok(Read::Entries(entries)) => (entries, false),
            Ok(Read::Nothing) => (Vec::new(), false),
            Ok(Read::End) => (Vec::new(), true),
            Err(error) => {
                let failed = status::failed(&format!("the journal cannot be read: {error}"));
                let _ = client.send(Err(failed)).await;
                return;
            }
        };
        let is_waiting = entries.is_empty();
        for entry in entries {
            if client.send(Ok(entry)).await.is_err() {
                return;
            }
        }
        if is_over {
            return;
        }
        if is_waiting {
            tokio::select! {
                biased;
                changed = written.changed() => if changed.is_err() {
                    // A journal that is gone is at its end.
                    return;
                },
                () = client.closed() => return,
            }
        }
    }
}

/// Where a client is.
pub(super) struct Reader {
    spool: Arc<Spool>,
    key: Key,
    after: u64,
    /// The file that it is in, by its first entry.
    open: Option<(u64, Records)>,
}

/// What was read.
pub(super) enum Read {
    Entries(Vec<JournalEntry>),
    Nothing,
    End,
}

impl Reader {
    pub(super) fn new(spool: &Arc<Spool>, key: Key, after: u64) -> Self {
        Self {
            spool: Arc::clone(spool),
            key,
            after,
            open: None,
        }
    }

    /// The next entries. Blocks for the disk.
    pub(super) fn read(&mut self) -> io::Result<Read> {
        let mut missing = None;
        let entries = loop {
            let segment = match self.spool.next(&self.key, self.after) {
                Next::Gap(gap) => break vec![*gap],
                Next::In(segment) => segment,
                Next::Nothing => return Ok(Read::Nothing),
                Next::End => return Ok(Read::End),
            };
            let first = segment.first_sequence;
            let is_open = matches!(&self.open, Some((open, _)) if *open == first);
            if !is_open {
                self.open = match open(&segment.path) {
                    Ok(records) => Some((first, records)),
                    // It had to go meanwhile, and its entries are a gap.
                    Err(error) if is_missing(&error) && missing != Some(first) => {
                        missing = Some(first);
                        continue;
                    }
                    // Nobody knows why.
                    Err(error) if is_missing(&error) => break vec![damaged(&segment, self.after)],
                    Err(error) => return Err(error),
                };
            }
            let records = self.open.as_mut().map(|(_, records)| records);
            let entries = behind(records, &segment, self.after)?;
            match entries.is_empty() {
                false => break entries,
                // What was read ahead may have been taken back and written anew.
                true if is_open => self.open = None,
                true => break vec![damaged(&segment, self.after)],
            }
        };
        self.after = entries.last().map_or(self.after, |entry| entry.sequence);
        Ok(Read::Entries(entries))
    }
}

fn open(path: &Path) -> io::Result<Records> {
    let mut records = Records::open(path, 0, u64::MAX)?;
    records.head()?;
    Ok(records)
}

/// The next entries in a file that the client does not have.
fn behind(
    records: Option<&mut Records>,
    segment: &Segment,
    after: u64,
) -> io::Result<Vec<JournalEntry>> {
    let (mut entries, mut bytes) = (Vec::new(), 0);
    let Some(records) = records else {
        return Ok(entries);
    };
    records.grow(segment.len_bytes);
    while bytes < READ_BYTES
        && let Some(entry) = records.next::<JournalEntry>()?
    {
        if entry.sequence > after {
            bytes += entry.encoded_len();
            entries.push(entry);
        }
    }
    Ok(entries)
}

fn is_missing(error: &io::Error) -> bool {
    error.kind() == ErrorKind::NotFound
}

/// The disk does not have any more what was written: at most all calls of the file are missing.
fn damaged(segment: &Segment, after: u64) -> JournalEntry {
    JournalEntry {
        sequence: segment.last_sequence,
        gap: Some(JournalGap {
            first_sequence: segment.first_sequence.max(after + 1),
            calls: segment.calls,
        }),
        ..JournalEntry::default()
    }
}
