//! The one writer of a log.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};

use rustix::fs::{FlockOperation, flock};
use rustix::io::Errno;
use serde::Deserialize;
use serde_json::json;

use super::line::Position;
use super::verify::{Walk, bad_anchor};
use super::{AuditError, Entry, Outcome, Who, anchor, files};

/// Where a log is.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct AuditSettings {
    /// The file that is written.
    pub path: PathBuf,
    /// Where the number and the hash of the last record are kept, best on another disk.
    #[serde(default)]
    pub anchor: Option<PathBuf>,
    /// A file that is as large is set aside before the next record; in bytes.
    #[serde(default = "rotate_bytes")]
    pub rotate_bytes: u64,
}

impl AuditSettings {
    /// A log without an anchor.
    pub fn at(path: impl Into<PathBuf>) -> Self {
        Self {
            path: path.into(),
            anchor: None,
            rotate_bytes: rotate_bytes(),
        }
    }
}

/// An open log. Only one process can have it open; its threads write one after the other.
#[derive(Debug)]
pub struct AuditLog {
    settings: AuditSettings,
    end: Mutex<End>,
    /// The lock goes with the file.
    _lock: File,
}

/// Where the log ends.
#[derive(Debug)]
struct End {
    file: File,
    bytes: u64,
    position: Position,
    /// Whether a failed write has left bytes behind that could not be taken away.
    is_torn: bool,
}

impl AuditLog {
    /// Opens a log, or begins one, and looks at every record of it. What a crash left of a last
    /// record, which nobody was told was written, is taken away, and a record says so.
    ///
    /// # Errors
    /// If another process has it open, it is not as it was written, or it cannot be written.
    pub fn open(settings: AuditSettings) -> Result<Self, AuditError> {
        let path = &settings.path;
        let lock = lock(path)?;
        let mut walk = Walk::new(path, anchored(&settings)?);
        let mut torn_bytes = 0;
        let mut whole_bytes = 0;
        for file in files::of_log(path).map_err(AuditError::io(path))? {
            if file == *path {
                let tail = walk.through_whole_lines(&file)?;
                (torn_bytes, whole_bytes) = (tail.bytes, tail.whole_bytes);
            } else {
                walk.through(&file)?;
            }
        }
        let position = walk.end()?;
        let file = create(path).map_err(AuditError::io(path))?;
        file.set_len(whole_bytes).map_err(AuditError::io(path))?;
        let log = Self {
            end: Mutex::new(End {
                file,
                bytes: whole_bytes,
                position,
                is_torn: false,
            }),
            settings,
            _lock: lock,
        };
        if torn_bytes > 0 {
            log.append(&recovery(torn_bytes))?;
        }
        Ok(log)
    }

    /// Writes a record and returns when it is on disk, and the anchor with it. It waits for the
    /// disk: not to be called on a thread that serves others.
    ///
    /// # Errors
    /// If that fails; then what was to be done must not be done, though the log may have a record of
    /// it where only the anchor failed. Only ending a session does not need a record.
    pub fn append(&self, entry: &Entry) -> Result<(), AuditError> {
        // Whatever a thread did that panicked, the end is set when a record is whole.
        let mut end = self.end.lock().unwrap_or_else(PoisonError::into_inner);
        let path = &self.settings.path;
        if end.is_torn {
            end.take_back(path)?;
        }
        let (line, position) = end.position.seal(entry)?;
        if end.bytes >= self.settings.rotate_bytes && end.bytes > 0 {
            end.rotate(path).map_err(AuditError::io(path))?;
        }
        if let Err(error) = end.write(&line) {
            end.take_back(path)?;
            return Err(AuditError::io(path)(error));
        }
        end.bytes += line.len() as u64;
        end.position = position;
        if let Some(anchor) = &self.settings.anchor {
            anchor::write(anchor, position).map_err(AuditError::io(anchor))?;
        }
        Ok(())
    }
}

impl End {
    fn write(&mut self, line: &str) -> io::Result<()> {
        self.file.write_all(line.as_bytes())?;
        self.file.sync_data()
    }

    /// Takes away what a failed write left behind.
    fn take_back(&mut self, path: &Path) -> Result<(), AuditError> {
        self.is_torn = self.file.set_len(self.bytes).is_err();
        if self.is_torn {
            return Err(AuditError::Torn {
                path: path.to_owned(),
            });
        }
        Ok(())
    }

    /// Sets the full file aside; the chain goes on in a new one.
    fn rotate(&mut self, path: &Path) -> io::Result<()> {
        let full = files::full(path, self.position.count);
        // A rotation that failed half-way has done this already: after it, records follow.
        if !full.try_exists()? {
            fs::rename(path, full)?;
        }
        self.file = create(path)?;
        self.bytes = 0;
        Ok(())
    }
}

fn rotate_bytes() -> u64 {
    64 << 20
}

fn anchored(settings: &AuditSettings) -> Result<Option<Position>, AuditError> {
    let Some(path) = &settings.anchor else {
        return Ok(None);
    };
    match anchor::read(path).map_err(AuditError::io(path))? {
        // A log that is begun has none yet.
        None => Ok(None),
        Some(None) => Err(bad_anchor(path).into()),
        Some(position) => Ok(position),
    }
}

fn lock(path: &Path) -> Result<File, AuditError> {
    let lock_path = files::lock(path);
    let fail = AuditError::io(&lock_path);
    let file = OpenOptions::new()
        .write(true)
        .create(true)
        .truncate(false)
        .mode(0o600)
        .open(&lock_path)
        .map_err(&fail)?;
    match flock(&file, FlockOperation::NonBlockingLockExclusive) {
        Ok(()) => Ok(file),
        Err(Errno::WOULDBLOCK) => Err(AuditError::Locked {
            path: path.to_owned(),
        }),
        Err(error) => Err(fail(error.into())),
    }
}

fn create(path: &Path) -> io::Result<File> {
    let file = OpenOptions::new()
        .append(true)
        .create(true)
        .mode(0o600)
        .open(path)?;
    anchor::sync_folder(path)?;
    Ok(file)
}

fn recovery(torn_bytes: u64) -> Entry {
    let mut entry = Entry::new(Who::coral(), "audit.recover", Outcome::Done);
    entry.settings = json!({ "torn_bytes": torn_bytes });
    entry
}
