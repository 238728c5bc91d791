//! All journals of this agent, those of earlier starts too, within one bound.

use std::collections::BTreeMap;
use std::fs::{self, DirBuilder, File};
use std::io::{self, ErrorKind};
use std::os::unix::fs::DirBuilderExt;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use coral_proto::agent::v1::{
    Journal as JournalInfo, JournalCall, JournalEntry, JournalGap, SessionUpdate,
};
use tokio::sync::watch;

use super::epoch;
use super::index::{Journal, Next, Victim};
use super::last;
use super::segment::{self, Head, Segment, calls_of};

const LOCK: &str = "lock";
/// What may have been lost when the machine ended: far more entries than were not on disk yet.
const SKIPPED: u64 = 1 << 20;

/// The journals. What is asked of them takes their common lock for no longer than a write takes.
#[derive(Debug)]
pub(in crate::node) struct Spool {
    folder: PathBuf,
    max_bytes: u64,
    epoch: u64,
    boot_id: String,
    journals: Mutex<BTreeMap<Key, Journal>>,
    is_closed: AtomicBool,
    /// Held as long as this lives: two agents in one folder would write into each other's files.
    _lock: File,
}

/// Which journal: the start of the agent, and the session.
pub(in crate::node) type Key = (u64, String);

/// Why what was to be written is not in its journal, or not for certain.
#[derive(Debug, thiserror::Error)]
pub(in crate::node) enum SpoolError {
    /// Nothing of it is written.
    #[error(transparent)]
    Unwritten(#[from] io::Error),
    /// It is written, and who reads gets it; a machine that fails may lose it.
    #[error("it may not be on the disk: {0}")]
    Unsynced(io::Error),
    /// The journal was forgotten, as nothing of it has to stay.
    #[error("there is no such journal any more")]
    Gone,
}

impl Spool {
    /// Opens a folder, makes it if it is not there, and gives what an earlier start has left
    /// unfinished its end. Blocks while the files are read.
    ///
    /// # Errors
    /// If the folder cannot be written, or another agent has it.
    pub(in crate::node) fn open(folder: &Path, max_bytes: u64) -> io::Result<Arc<Self>> {
        Self::open_after(folder, max_bytes, &epoch::boot_id(), epoch::of_now())
    }

    /// [`Self::open`], after that start of the machine; the start has at least that number.
    pub(in crate::node) fn open_after(
        folder: &Path,
        max_bytes: u64,
        boot_id: &str,
        least_epoch: u64,
    ) -> io::Result<Arc<Self>> {
        make(folder)?;
        let lock = File::create(folder.join(LOCK))?;
        lock.try_lock().map_err(|_| {
            let message = "another agent keeps its journals there";
            io::Error::new(ErrorKind::ResourceBusy, message)
        })?;
        let epochs = epochs(folder)?;
        let epoch = epoch::next(folder, &epochs, least_epoch)?;
        let mut journals = BTreeMap::new();
        for earlier in epochs {
            find(&folder.join(earlier.to_string()), &mut journals)?;
        }
        make(&folder.join(epoch.to_string()))?;
        let spool = Arc::new(Self {
            folder: folder.to_owned(),
            max_bytes,
            epoch,
            boot_id: boot_id.to_owned(),
            journals: Mutex::new(journals),
            is_closed: AtomicBool::new(false),
            _lock: lock,
        });
        spool.finish_earlier();
        Ok(spool)
    }

    /// The number of this start of the agent; ascending.
    pub(in crate::node) fn epoch(&self) -> u64 {
        self.epoch
    }

    /// All journals, the oldest first.
    pub(in crate::node) fn list(&self) -> Vec<JournalInfo> {
        // What found no room at the start may find it now.
        self.finish_earlier();
        self.journals().values().map(Journal::info).collect()
    }

    /// Forgets the entries of a journal up to there, or all of it where that was its last one.
    ///
    /// # Errors
    /// If files cannot be removed; they are not forgotten then.
    pub(in crate::node) fn acknowledge(
        &self,
        epoch: u64,
        session_id: &str,
        sequence: u64,
    ) -> io::Result<()> {
        let key = (epoch, session_id.to_owned());
        let mut journals = self.journals();
        let Some(journal) = journals.get_mut(&key) else {
            // It comes twice where the first answer was lost.
            return Ok(());
        };
        if journal.acknowledge(sequence)? {
            journals.remove(&key);
            let is_last = !journals.keys().any(|(other, _)| *other == epoch);
            if epoch != self.epoch && is_last {
                // It is tried again at the next start.
                let _ = fs::remove_dir(self.folder.join(epoch.to_string()));
            }
        }
        Ok(())
    }

    /// What could not be written by now is left to the next start.
    pub(super) fn close(&self) {
        self.is_closed.store(true, Ordering::Release);
    }

    /// Begins the journal of a session.
    pub(in crate::node) fn begin(self: &Arc<Self>, session_id: &str, request_id: &str) -> Writer {
        let head = Head {
            session_id: session_id.to_owned(),
            epoch: self.epoch,
            request_id: request_id.to_owned(),
            boot_id: self.boot_id.clone(),
            first_sequence: 1,
            calls_before: 0,
            is_checkpoint: false,
        };
        let key = (self.epoch, session_id.to_owned());
        let folder = self.folder.join(self.epoch.to_string());
        let mut journals = self.journals();
        journals.insert(key.clone(), Journal::new(folder, head));
        Writer {
            spool: Arc::clone(self),
            key,
        }
    }

    /// When there is a new entry; none if there is no such journal.
    pub(super) fn written(&self, key: &Key) -> Option<watch::Receiver<u64>> {
        self.journals().get(key).map(Journal::written)
    }

    /// What is next in a journal; a journal that is gone has ended.
    pub(super) fn next(&self, key: &Key, after: u64) -> Next {
        let mut journals = self.journals();
        let journal = journals.get_mut(key);
        journal.map_or(Next::End, |journal| journal.next(after))
    }

    /// Writes entries, all of them or none.
    fn append(
        &self,
        key: &Key,
        is_checkpoint: bool,
        mut entries: Vec<JournalEntry>,
    ) -> Result<(), SpoolError> {
        let mut journals = self.journals();
        let journal = journals.get(key).ok_or(SpoolError::Gone)?;
        journal.number(&mut entries);
        let bytes = journal.bytes_of(&entries);
        make_room(&mut journals, self.max_bytes, bytes)?;
        let journal = journals.get_mut(key).ok_or(SpoolError::Gone)?;
        let written = journal.write(&entries, is_checkpoint);
        let (done, is_complete) = (journal.take_done(), journal.is_complete());
        // Nobody waits for the disk behind the lock.
        drop(journals);
        let synced = self.sync(&done, is_complete.then_some(key));
        written?;
        synced.map_err(SpoolError::Unsynced)
    }

    /// Waits until files are on the disk, and the folder of a journal that is complete.
    fn sync(&self, done: &[File], complete: Option<&Key>) -> io::Result<()> {
        let mut files = Ok(());
        for file in done {
            // Each is tried, whatever becomes of the one before.
            files = files.and(file.sync_data());
        }
        let folder = complete.map_or(Ok(()), |(epoch, _)| {
            File::open(self.folder.join(epoch.to_string()))?.sync_all()
        });
        files.and(folder)
    }

    /// Gives journals of earlier starts the end that they lack.
    fn finish_earlier(&self) {
        let unfinished: Vec<(Key, Option<Segment>)> = {
            let journals = self.journals();
            let of_others = journals
                .iter()
                .filter(|((epoch, _), _)| *epoch != self.epoch);
            let unfinished = of_others.filter(|(_, journal)| !journal.is_complete());
            unfinished
                .map(|(key, journal)| (key.clone(), journal.checkpoint().cloned()))
                .collect()
        };
        for (key, checkpoint) in unfinished {
            if let Some(journal) = self.journals().get_mut(&key)
                && journal.head().boot_id != self.boot_id
            {
                journal.renew(&self.boot_id, SKIPPED);
            }
            // Where there is no room now, it is tried again when somebody asks for the list.
            let entries = last::entries_of_lost(checkpoint.as_ref());
            let _ = entries.map(|entries| self.append(&key, true, entries));
        }
    }

    fn journals(&self) -> MutexGuard<'_, BTreeMap<Key, Journal>> {
        self.journals.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Writes the journal of one session.
#[derive(Debug)]
pub(in crate::node) struct Writer {
    spool: Arc<Spool>,
    key: Key,
}

impl Writer {
    /// Adds recorded calls. What cannot be written is counted, and named by the next entry.
    ///
    /// # Errors
    /// Those of the file system, or that the bound is reached.
    pub(in crate::node) fn calls(&self, calls: Vec<JournalCall>) -> Result<(), SpoolError> {
        let entry = JournalEntry {
            calls,
            ..JournalEntry::default()
        };
        let count = calls_of(&entry);
        let mut entries = self.gap();
        entries.push(entry);
        let written = self.append(false, entries);
        if let Err(SpoolError::Unwritten(_)) = written {
            self.leave_out(count);
        }
        written
    }

    /// Counts calls that were recorded and never came here.
    pub(in crate::node) fn leave_out(&self, calls: u64) {
        if let Some(journal) = self.spool.journals().get_mut(&self.key) {
            journal.leave_out(calls);
        }
    }

    /// Adds the session as it is now, and the journal's end where that is final.
    ///
    /// # Errors
    /// As for [`Self::calls`].
    pub(in crate::node) fn checkpoint(
        &self,
        updates: Vec<SessionUpdate>,
        is_last: bool,
    ) -> Result<(), SpoolError> {
        let gap = self.gap();
        let named = match gap.is_empty() {
            true => Ok(()),
            false => self.append(false, gap),
        };
        if let Err(SpoolError::Unwritten(_) | SpoolError::Gone) = named {
            return named;
        }
        self.append(true, last::entries(updates, is_last))?;
        named
    }

    /// Whether there is no use in trying again.
    pub(super) fn is_closed(&self) -> bool {
        self.spool.is_closed.load(Ordering::Acquire)
    }

    /// The entry that names calls that were left out, if any were.
    fn gap(&self) -> Vec<JournalEntry> {
        let journals = self.spool.journals();
        let calls = journals.get(&self.key).map_or(0, Journal::left_out);
        let gap = (calls > 0).then(|| JournalEntry {
            gap: Some(JournalGap {
                first_sequence: 0,
                calls,
            }),
            ..JournalEntry::default()
        });
        gap.into_iter().collect()
    }

    fn append(&self, is_checkpoint: bool, entries: Vec<JournalEntry>) -> Result<(), SpoolError> {
        self.spool.append(&self.key, is_checkpoint, entries)
    }
}

/// Removes what has to go first until there is room for so many bytes more.
fn make_room(journals: &mut BTreeMap<Key, Journal>, max_bytes: u64, bytes: u64) -> io::Result<()> {
    loop {
        let used: u64 = journals.values().map(Journal::len_bytes).sum();
        if used + bytes <= max_bytes {
            return Ok(());
        }
        let victims = journals.iter().filter_map(|(key, journal)| {
            let victim: Victim = journal.victim()?;
            Some((
                !victim.holds_calls,
                journal.len_bytes(),
                key.clone(),
                victim,
            ))
        });
        // Checkpoints that nobody needs go first, then calls of the largest journal.
        let victim = victims.max_by_key(|&(is_free, len_bytes, ..)| (is_free, len_bytes));
        if let Some((_, _, key, victim)) = victim {
            if let Some(journal) = journals.get_mut(&key) {
                journal.sacrifice(&victim)?;
            }
            continue;
        }
        // At last the oldest that nobody has come for; a session that is live goes before.
        let Some(oldest) = journals.values_mut().find(|it| it.can_be_emptied()) else {
            let message = format!("the journals may take {max_bytes} bytes, and take them");
            return Err(io::Error::new(ErrorKind::QuotaExceeded, message));
        };
        oldest.empty()?;
    }
}

/// The journals in the folder of an earlier start.
fn find(folder: &Path, journals: &mut BTreeMap<Key, Journal>) -> io::Result<()> {
    let mut paths: Vec<PathBuf> = Vec::new();
    for entry in fs::read_dir(folder)? {
        paths.push(entry?.path());
    }
    // The session's id and, in the same number of digits, the first entry's.
    paths.sort_unstable();
    let mut files: BTreeMap<Key, Vec<segment::Found>> = BTreeMap::new();
    // From the last one on: where two hold the same entry, the later one is right.
    for path in paths.iter().rev() {
        let Some(head) = segment::head(path)? else {
            fs::remove_file(path)?;
            continue;
        };
        let key = (head.epoch, head.session_id);
        let of_session = files.entry(key).or_default();
        let later = of_session.last();
        let until = later.map_or(u64::MAX, |later| later.segment.first_sequence);
        match segment::find(path, until)? {
            Some(found) => of_session.push(found),
            None => fs::remove_file(path)?,
        }
    }
    for (key, mut found) in files {
        found.reverse();
        let journal = Journal::found(folder.to_owned(), found);
        journals.extend(journal.map(|journal| (key, journal)));
    }
    if journals
        .keys()
        .all(|(epoch, _)| folder.file_name() != Some(epoch.to_string().as_ref()))
    {
        // It is tried again at the next start.
        let _ = fs::remove_dir(folder);
    }
    Ok(())
}

/// The earlier starts of which there is a folder.
fn epochs(folder: &Path) -> io::Result<Vec<u64>> {
    let mut epochs = Vec::new();
    for entry in fs::read_dir(folder)? {
        let name = entry?.file_name();
        epochs.extend(name.to_str().and_then(|name| name.parse::<u64>().ok()));
    }
    epochs.sort_unstable();
    Ok(epochs)
}

/// Makes a folder that only its owner can look into: calls have values.
fn make(folder: &Path) -> io::Result<()> {
    DirBuilder::new().recursive(true).mode(0o700).create(folder)
}
