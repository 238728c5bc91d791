//! One journal: which of its entries lie where, and which are missing.

use std::collections::BTreeMap;
use std::fs::{self, File};
use std::io::{self, ErrorKind, Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};

use coral_proto::agent::v1::{Journal as JournalInfo, JournalEntry, JournalGap};
use tokio::sync::watch;

use super::segment::{Found, Head, Segment, record};

/// A file with calls that is as long is followed by another one: what is deleted are files.
const SEGMENT_BYTES: u64 = if cfg!(test) { 512 } else { 4 << 20 };

/// The journal of a session.
#[derive(Debug)]
pub(super) struct Journal {
    folder: PathBuf,
    /// What the head of its next file says.
    head: Head,
    segments: Vec<Segment>,
    /// The last file, while it may grow.
    open: Option<File>,
    /// Files that grow no more, and may not be on the disk yet.
    done: Vec<File>,
    /// Calls that were recorded and are in no entry; the next entry names them.
    left_out: u64,
    is_complete: bool,
    /// How many calls there are up to an entry: of every one that somebody may have last.
    calls_up_to: BTreeMap<u64, u64>,
    /// The last entry that somebody may have.
    handed: u64,
    /// The last entry, for those who wait for one.
    written: watch::Sender<u64>,
}

/// What comes next for who has the entries up to a certain one.
pub(super) enum Next {
    /// Entries are missing.
    Gap(Box<JournalEntry>),
    /// They are in that file.
    In(Segment),
    /// There are no more by now.
    Nothing,
    /// There will be no more.
    End,
}

impl Journal {
    pub(super) fn new(folder: PathBuf, head: Head) -> Self {
        Self {
            folder,
            head,
            segments: Vec::new(),
            open: None,
            done: Vec::new(),
            left_out: 0,
            is_complete: false,
            calls_up_to: BTreeMap::from([(0, 0)]),
            handed: 0,
            written: watch::Sender::new(0),
        }
    }

    /// A journal that was found, by its files in their order; none if there is none.
    pub(super) fn found(folder: PathBuf, found: Vec<Found>) -> Option<Self> {
        let last = found.last()?;
        let mut journal = Self::new(folder, last.head.clone());
        journal.is_complete = last.has_last;
        journal.head.first_sequence = last.segment.next_sequence();
        journal.head.calls_before = last.segment.calls_up_to();
        journal.written.send_replace(last.segment.last_sequence);
        for found in found {
            journal.calls_up_to.extend(found.calls_up_to);
            journal.segments.push(found.segment);
        }
        Some(journal)
    }

    pub(super) fn info(&self) -> JournalInfo {
        let first = self.segments.first();
        JournalInfo {
            session_id: self.head.session_id.clone(),
            epoch: self.head.epoch,
            request_id: self.head.request_id.clone(),
            first_sequence: first.map_or(self.head.first_sequence, |it| it.first_sequence),
            last_sequence: self.head.first_sequence - 1,
            is_complete: self.is_complete,
        }
    }

    pub(super) fn head(&self) -> &Head {
        &self.head
    }

    pub(super) fn is_complete(&self) -> bool {
        self.is_complete
    }

    pub(super) fn len_bytes(&self) -> u64 {
        self.segments.iter().map(|segment| segment.len_bytes).sum()
    }

    pub(super) fn written(&self) -> watch::Receiver<u64> {
        self.written.subscribe()
    }

    /// Calls that were recorded and that no entry will have.
    pub(super) fn leave_out(&mut self, calls: u64) {
        self.left_out += calls;
    }

    /// How many calls the next entry has to say that were left out.
    pub(super) fn left_out(&self) -> u64 {
        self.left_out
    }

    /// Goes on after a start of the machine, with numbers left free: what was written last may have
    /// been lost after others had read it.
    pub(super) fn renew(&mut self, boot_id: &str, skipped: u64) {
        self.head.boot_id = boot_id.to_owned();
        self.head.first_sequence += skipped;
    }

    /// Numbers entries. Nothing is written yet.
    pub(super) fn number(&self, entries: &mut [JournalEntry]) {
        for (sequence, entry) in (self.head.first_sequence..).zip(entries) {
            entry.sequence = sequence;
            if let Some(gap) = &mut entry.gap {
                gap.first_sequence = sequence;
            }
        }
    }

    /// What numbered entries may take on the disk, in bytes.
    pub(super) fn bytes_of(&self, entries: &[JournalEntry]) -> u64 {
        let bytes = entries.iter().map(|entry| record(entry).len() as u64);
        // Two more for what the head may say then.
        Segment::empty_bytes(&self.head) + bytes.sum::<u64>() + 2
    }

    /// Writes numbered entries, all of them or none: a checkpoint, which has a file of its own, or
    /// calls.
    ///
    /// # Errors
    /// Those of the file system.
    pub(super) fn write(
        &mut self,
        entries: &[JournalEntry],
        is_checkpoint: bool,
    ) -> io::Result<()> {
        let bytes: Vec<u8> = entries.iter().flat_map(record).collect();
        self.make_segment(bytes.len() as u64, is_checkpoint)?;
        // Both are there: the segment was just made, or was open.
        let (Some(segment), Some(file)) = (self.segments.last_mut(), &mut self.open) else {
            return Err(ErrorKind::NotFound.into());
        };
        if let Err(error) = file.write_all(&bytes) {
            self.take_back();
            return Err(error);
        }
        segment.len_bytes += bytes.len() as u64;
        for entry in entries {
            segment.count(entry);
            self.calls_up_to
                .insert(entry.sequence, segment.calls_up_to());
            self.left_out -= entry.gap.as_ref().map_or(0, |gap| gap.calls);
        }
        self.head.first_sequence = segment.next_sequence();
        self.head.calls_before = segment.calls_up_to();
        self.is_complete = entries.iter().any(|entry| entry.is_last);
        if is_checkpoint {
            self.done.extend(self.open.take());
        }
        self.written.send_replace(self.head.first_sequence - 1);
        Ok(())
    }

    /// The files to sync, also those of a write that has failed.
    pub(super) fn take_done(&mut self) -> Vec<File> {
        std::mem::take(&mut self.done)
    }

    /// Begins a new file where the open one is none for such entries.
    fn make_segment(&mut self, bytes: u64, is_checkpoint: bool) -> io::Result<()> {
        let has_room = |segment: &Segment| segment.len_bytes + bytes <= SEGMENT_BYTES;
        if self.open.is_some() && !is_checkpoint && self.segments.last().is_some_and(has_room) {
            return Ok(());
        }
        self.head.is_checkpoint = is_checkpoint;
        let path = self.path(self.head.first_sequence);
        let (segment, file) = Segment::create(path, &self.head)?;
        // One without entries had that name, and has become this one.
        self.segments.pop_if(|last| last.path == segment.path);
        self.segments.push(segment);
        self.done.extend(self.open.replace(file));
        Ok(())
    }

    /// The file that begins with that entry: names in the order of the entries, for people.
    fn path(&self, first_sequence: u64) -> PathBuf {
        let session = &self.head.session_id;
        let name = format!("{session}.{first_sequence:010}.journal");
        self.folder.join(name)
    }

    /// After a write that has failed: what has got into the file is not there.
    fn take_back(&mut self) {
        let Some(segment) = self.segments.last() else {
            return;
        };
        if segment.is_empty() {
            let _ = fs::remove_file(&segment.path);
            self.segments.pop();
            self.open = None;
        } else if let Some(file) = &self.open
            && cut(file, segment.len_bytes).is_err()
        {
            // Nothing is written behind it: where it is found again, the next file's number counts.
            self.done.extend(self.open.take());
        }
    }

    /// What is next for who has the entries up to `after`.
    pub(super) fn next(&mut self, after: u64) -> Next {
        let (mut sequence, mut calls) = (1, 0);
        for segment in &self.segments {
            if segment.last_sequence > after {
                let is_missing = sequence < segment.first_sequence;
                if is_missing && segment.first_sequence - 1 > after {
                    // Where it is not known any more how many calls of these somebody has, the gap
                    // begins before them, and tells them all.
                    let known = self.calls_up_to.get(&after);
                    let known = known.map(|&calls| (after + 1, calls));
                    let (first_sequence, calls) = known.unwrap_or((sequence, calls));
                    let sequence = segment.first_sequence - 1;
                    self.handed = self.handed.max(sequence);
                    return Next::Gap(Box::new(JournalEntry {
                        sequence,
                        gap: Some(JournalGap {
                            first_sequence,
                            calls: segment.calls_before.saturating_sub(calls),
                        }),
                        ..JournalEntry::default()
                    }));
                }
                self.handed = self.handed.max(segment.last_sequence);
                return Next::In(segment.clone());
            }
            (sequence, calls) = (segment.next_sequence(), segment.calls_up_to());
        }
        match self.is_complete {
            true => Next::End,
            false => Next::Nothing,
        }
    }

    /// The latest checkpoint's file.
    pub(super) fn checkpoint(&self) -> Option<&Segment> {
        let mut latest_first = self.segments.iter().rev();
        latest_first.find(|segment| segment.is_checkpoint)
    }

    /// Forgets entries up to there, in whole files. The latest checkpoint stays until the end is
    /// known; returns whether nothing at all has to stay.
    ///
    /// # Errors
    /// If a file cannot be removed.
    pub(super) fn acknowledge(&mut self, sequence: u64) -> io::Result<bool> {
        let is_done = self.is_complete && sequence >= self.head.first_sequence - 1;
        let latest = self.checkpoint().map_or(0, |it| it.first_sequence);
        while let Some(first) = self.segments.first()
            && (is_done || (first.last_sequence <= sequence && first.first_sequence < latest))
        {
            remove(&first.path)?;
            self.segments.remove(0);
        }
        self.calls_up_to = self.calls_up_to.split_off(&sequence);
        Ok(is_done)
    }

    /// Which file is to go if there is no more room: the oldest checkpoint that a later one
    /// replaces, which loses nothing, or the oldest calls.
    pub(super) fn victim(&self) -> Option<Victim> {
        let latest = self.checkpoint().map(|it| it.first_sequence);
        // The last one stays, so that numbers go on behind it.
        let droppable = self.segments.iter().rev().skip(1).rev().enumerate();
        let mut droppable = droppable.filter(|(_, segment)| Some(segment.first_sequence) != latest);
        let oldest = droppable.clone().next();
        let old_checkpoint = droppable.find(|(_, segment)| segment.is_checkpoint);
        let (place, segment) = old_checkpoint.or(oldest)?;
        Some(Victim {
            holds_calls: !segment.is_checkpoint,
            place,
        })
    }

    /// Removes that file; its entries are missing from now on.
    ///
    /// # Errors
    /// If it cannot be removed.
    pub(super) fn sacrifice(&mut self, victim: &Victim) -> io::Result<()> {
        // The head of a later file says what was in it, so that has to be on the disk before.
        self.open.as_ref().map_or(Ok(()), File::sync_data)?;
        remove(&self.segments[victim.place].path)?;
        let gone = self.segments.remove(victim.place);
        self.forget(&gone, gone.next_sequence());
        Ok(())
    }

    /// Forgets how many calls there are up to the entries of a file that is gone, before `until`.
    fn forget(&mut self, gone: &Segment, until: u64) {
        // Nobody has these, and nobody will.
        let unknown = gone.first_sequence.max(self.handed + 1)..until;
        self.calls_up_to
            .retain(|sequence, _| !unknown.contains(sequence));
        // Who has everything before may come again.
        let before = gone.first_sequence - 1;
        self.calls_up_to.entry(before).or_insert(gone.calls_before);
    }

    /// Whether the journal is complete, and its last file holds more than that it is.
    pub(super) fn can_be_emptied(&self) -> bool {
        self.is_complete && self.len_bytes() > self.bytes_of(&[self.end()])
    }

    /// Leaves nothing of a complete journal but its end: everything before is missing from now on.
    ///
    /// # Errors
    /// If the file for it cannot be written; then it is as it was.
    pub(super) fn empty(&mut self) -> io::Result<()> {
        let end = self.end();
        let head = Head {
            first_sequence: end.sequence,
            // Nothing of it is ever added to.
            is_checkpoint: true,
            ..self.head.clone()
        };
        let path = self.path(end.sequence);
        // It may be that of the last file, which is whole until then.
        let new = path.with_extension("new");
        let (mut segment, mut file) = Segment::create(new.clone(), &head)?;
        let bytes = record(&end);
        let written = file.write_all(&bytes).and_then(|()| file.sync_data());
        if let Err(error) = written.and_then(|()| fs::rename(&new, &path)) {
            let _ = fs::remove_file(&new);
            return Err(error);
        }
        segment.path = path;
        segment.len_bytes += bytes.len() as u64;
        segment.count(&end);
        for gone in std::mem::take(&mut self.segments) {
            if gone.path != segment.path {
                // What stays there is found at the next start, and is right.
                let _ = remove(&gone.path);
            }
            self.forget(&gone, gone.next_sequence().min(end.sequence));
        }
        self.segments.push(segment);
        Ok(())
    }

    /// The last entry of a complete journal, with nothing in it.
    fn end(&self) -> JournalEntry {
        JournalEntry {
            sequence: self.head.first_sequence - 1,
            is_last: true,
            ..JournalEntry::default()
        }
    }
}

/// A file that can go.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Victim {
    pub(super) holds_calls: bool,
    place: usize,
}

/// Makes a file as short again as it was.
fn cut(mut file: &File, len_bytes: u64) -> io::Result<()> {
    file.set_len(len_bytes)?;
    file.seek(SeekFrom::Start(len_bytes)).map(drop)
}

fn remove(path: &Path) -> io::Result<()> {
    match fs::remove_file(path) {
        Err(error) if error.kind() != ErrorKind::NotFound => Err(error),
        _ => Ok(()),
    }
}
