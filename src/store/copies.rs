//! The history for others: a copy of the file.

use std::fs::{self, OpenOptions};
use std::io::{self, Seek};
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;

use super::database::Database;
use super::{StoreError, files};

impl Database {
    /// Copies all that is stored into a new file that only this user can read.
    pub(super) fn copy_to(&mut self, path: &Path) -> Result<(), StoreError> {
        self.connection()?.execute_batch("CHECKPOINT")?;
        self.check_room_for_copy(path)?;
        let copied = OpenOptions::new()
            .write(true)
            .create_new(true)
            .mode(0o600)
            .open(path)
            .and_then(|mut copy| {
                self.file.rewind()?;
                io::copy(&mut self.file, &mut copy)
            });
        copied.map(drop).map_err(|error| {
            if error.kind() != io::ErrorKind::AlreadyExists {
                // Half a copy is of no use; where it cannot be removed, it lies in the way.
                let _ = fs::remove_file(path);
            }
            StoreError::io(path)(error)
        })
    }
    /// A copy may not take what the history itself needs.
    fn check_room_for_copy(&self, path: &Path) -> Result<(), StoreError> {
        let length = self.file.metadata().map_err(StoreError::io(path))?.len();
        let folder = path.parent().unwrap_or(path);
        let free = files::free_bytes(folder).map_err(StoreError::io(path))?;
        match free < length.saturating_add(self.settings.reserve_bytes) {
            true => Err(StoreError::Full),
            false => Ok(()),
        }
    }
}
