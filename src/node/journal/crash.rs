//! What crashes leave of journals, for the simulation.

use std::collections::BTreeMap;
use std::fs::{self, File, OpenOptions};
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

use fastrand::Rng;

use super::segment::{self, Segment};
use super::spool::Key;

/// What a journal has lost.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(in crate::node) struct Lost {
    /// Calls that its entries had, or named.
    pub(in crate::node) calls: u64,
    /// Whether nothing at all is left of it.
    pub(in crate::node) is_all: bool,
}

/// The agent was killed while it wrote: behind the last entry of a file there may be a part of one.
pub(in crate::node) fn half_written(folder: &Path, random: &mut Rng) -> io::Result<()> {
    for path in last_files(folder)?.into_values() {
        let part: Vec<u8> = (0..random.usize(..40)).map(|_| random.u8(..)).collect();
        let mut file = OpenOptions::new().append(true).open(path)?;
        file.write_all(&part)?;
    }
    Ok(())
}

/// The machine has failed: of a file that was not synced, any part may be left. A file is when the
/// next one is begun, and at once where it holds a checkpoint.
pub(in crate::node) fn unsynced(
    folder: &Path,
    random: &mut Rng,
) -> io::Result<BTreeMap<Key, Lost>> {
    let mut lost = BTreeMap::new();
    for path in last_files(folder)?.into_values() {
        let Some(before) = segment::find(&path, u64::MAX)? else {
            continue;
        };
        if before.head.is_checkpoint {
            continue;
        }
        let len = fs::metadata(&path)?.len();
        let of_journal = files_of(&path, &before.head.session_id)?;
        // The head is there for certain where it says what was in files that had to go.
        let least = match has_hole(&of_journal)? {
            true => Segment::empty_bytes(&before.head),
            false => 0,
        };
        let file = OpenOptions::new().write(true).open(&path)?;
        file.set_len(random.u64(least..=len))?;
        if random.bool() {
            // Its length was on the disk, and what it holds was not.
            file.set_len(len)?;
        }
        let after = segment::find(&path, u64::MAX)?;
        let calls = after.as_ref().map_or(0, |after| after.segment.calls);
        let is_all = after.is_none() && of_journal.len() == 1;
        let key = (before.head.epoch, before.head.session_id);
        let calls = before.segment.calls - calls;
        lost.insert(key, Lost { calls, is_all });
    }
    Ok(lost)
}

/// The clock was set: files were written at any time.
pub(in crate::node) fn set_clock(folder: &Path, random: &mut Rng) -> io::Result<()> {
    for path in last_files(folder)?.into_values() {
        let at = SystemTime::UNIX_EPOCH + Duration::from_secs(random.u64(..1 << 33));
        File::open(path)?.set_modified(at)?;
    }
    Ok(())
}

/// The last file of each journal in the folders of all starts, by what its name begins with.
fn last_files(folder: &Path) -> io::Result<BTreeMap<PathBuf, PathBuf>> {
    let mut last: BTreeMap<PathBuf, PathBuf> = BTreeMap::new();
    for path in files(folder)? {
        // Without the number and the ending.
        let journal = path.with_extension("").with_extension("");
        let latest = last.entry(journal).or_default();
        *latest = path.max(latest.clone());
    }
    Ok(last)
}

/// The files of a session's journal, of which this is one, in order.
fn files_of(one: &Path, session: &str) -> io::Result<Vec<PathBuf>> {
    let mut files = one.parent().map_or(Ok(Vec::new()), files)?;
    files.retain(|path| {
        let name = path.file_name().and_then(|name| name.to_str());
        name.and_then(|name| name.split('.').next()) == Some(session)
    });
    Ok(files)
}

/// Whether entries are missing before or between these files.
fn has_hole(files: &[PathBuf]) -> io::Result<bool> {
    let mut next = 1;
    for file in files {
        if let Some(found) = segment::find(file, u64::MAX)? {
            if found.segment.first_sequence != next {
                return Ok(true);
            }
            next = found.segment.next_sequence();
        }
    }
    Ok(false)
}

/// The files of all journals.
pub(in crate::node) fn files(folder: &Path) -> io::Result<Vec<PathBuf>> {
    let mut files = Vec::new();
    for entry in fs::read_dir(folder)? {
        let path = entry?.path();
        if path.is_dir() {
            files.extend(self::files(&path)?);
        } else if path.extension().is_some_and(|it| it == "journal") {
            files.push(path);
        }
    }
    files.sort_unstable();
    Ok(files)
}
