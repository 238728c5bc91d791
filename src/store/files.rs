//! The files beside the history: its lock, its ledger, and the reserve.

use std::fs::{self, File, OpenOptions};
use std::io;
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

use rustix::fs::{FallocateFlags, FlockOperation, fallocate, flock, statvfs};
use rustix::io::Errno;

use super::StoreError;

/// The file of the same name with a dot and that ending behind.
pub(super) fn beside(path: &Path, ending: &str) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(".");
    name.push(ending);
    name.into()
}

/// Makes a folder's own entries durable, after a file in it was made or renamed.
pub(super) fn sync_folder(path: &Path) -> io::Result<()> {
    File::open(folder(path))?.sync_all()
}

/// Keeps other processes out, as long as the file is open. DuckDB's own lock would not do: it is
/// gone as soon as this process closes any other handle of the file.
pub(super) fn lock(history: &Path) -> Result<File, StoreError> {
    let path = beside(history, "lock");
    let file = OpenOptions::new()
        .write(true)
        .create(true)
        .truncate(false)
        .mode(0o600)
        .open(&path)
        .map_err(StoreError::io(&path))?;
    match flock(&file, FlockOperation::NonBlockingLockExclusive) {
        Ok(()) => Ok(file),
        Err(Errno::WOULDBLOCK) => Err(StoreError::Locked {
            path: history.to_owned(),
        }),
        Err(error) => Err(StoreError::io(&path)(error.into())),
    }
}

/// How many bytes this process may still write to that file's disk.
pub(super) fn free_bytes(path: &Path) -> io::Result<u64> {
    let disk = statvfs(folder(path))?;
    Ok(disk.f_bavail.saturating_mul(disk.f_frsize))
}

/// Room that is kept for what must be written when the disk is full: that sessions end.
#[derive(Debug)]
pub(super) struct Reserve {
    path: PathBuf,
    bytes: u64,
}

impl Reserve {
    /// The reserve of that history; it is not made yet.
    pub(super) fn of(history: &Path, bytes: u64) -> Self {
        Self {
            path: beside(history, "reserve"),
            bytes,
        }
    }

    /// Takes the room, where it is not taken and twice as much is there. That it cannot be taken
    /// is no reason not to work.
    pub(super) fn keep(&self) {
        let is_kept = self.path.exists();
        let has_room = || free_bytes(&self.path).is_ok_and(|free| free >= 2 * self.bytes);
        if !is_kept && has_room() && self.make().is_err() {
            let _ = fs::remove_file(&self.path);
        }
    }

    /// Gives the room away; whether there was any.
    pub(super) fn release(&self) -> bool {
        fs::remove_file(&self.path).is_ok()
    }

    fn make(&self) -> io::Result<()> {
        let file = OpenOptions::new()
            .write(true)
            .create_new(true)
            .mode(0o600)
            .open(&self.path)?;
        Ok(fallocate(file, FallocateFlags::empty(), 0, self.bytes)?)
    }
}

fn folder(path: &Path) -> &Path {
    path.parent()
        .filter(|folder| !folder.as_os_str().is_empty())
        .unwrap_or(Path::new("."))
}
