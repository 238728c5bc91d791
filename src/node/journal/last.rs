//! The entries of a checkpoint, and the end that a journal gets whose agent could not write it.

use std::fs;
use std::io;

use coral_proto::agent::v1::{JournalEntry, SessionNotice, SessionStatus, SessionUpdate};
use coral_proto::convert::{duration_to_wire, timestamp_to_wire};
use jiff::Timestamp;

use super::segment::{Records, Segment};

/// A checkpoint, in as many entries as it takes.
pub(super) fn entries(updates: Vec<SessionUpdate>, is_last: bool) -> Vec<JournalEntry> {
    let mut entries: Vec<_> = updates
        .into_iter()
        .map(|update| JournalEntry {
            checkpoint: Some(update),
            ..JournalEntry::default()
        })
        .collect();
    if let Some(last) = entries.last_mut() {
        last.is_last = is_last;
    }
    entries
}

/// The end of a session that ended with its agent: as it was when it was written last.
///
/// # Errors
/// If the checkpoint cannot be read.
pub(super) fn entries_of_lost(checkpoint: Option<&Segment>) -> io::Result<Vec<JournalEntry>> {
    let Some(segment) = checkpoint else {
        return Ok(vec![JournalEntry {
            is_last: true,
            ..JournalEntry::default()
        }]);
    };
    let mut records = Records::open(&segment.path, 0, segment.len_bytes)?;
    let _head = records.head()?;
    let mut updates = Vec::new();
    while let Some(entry) = records.next::<JournalEntry>()? {
        updates.extend(entry.checkpoint);
    }
    let written_at = fs::metadata(&segment.path)?.modified()?;
    let mut elapsed = None;
    if let Some(session) = updates.first_mut().and_then(|first| first.session.as_mut()) {
        session.set_status(SessionStatus::Failed);
        session.remaining = Some(duration_to_wire(std::time::Duration::ZERO));
        session.ended_at = Timestamp::try_from(written_at).ok().map(timestamp_to_wire);
        elapsed = session.elapsed;
    }
    if let Some(last) = updates.last_mut() {
        last.notices.push(SessionNotice {
            at: elapsed,
            text: "the agent ended, and the session with it: what came after this is lost".into(),
        });
    }
    Ok(entries(updates, true))
}
