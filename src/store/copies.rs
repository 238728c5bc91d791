//! The history for others: a copy of the file, and Parquet.

use std::fs::{self, OpenOptions};
use std::io::{self, Seek};
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;

use super::StoreError;
use super::database::Database;

impl Database {
    /// Copies all that is stored into a new file that only this user can read.
    pub(super) fn copy_to(&mut self, path: &Path) -> Result<(), StoreError> {
        self.connection()?.execute_batch("CHECKPOINT")?;
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

    /// Writes sessions, functions and single calls as Parquet into a new folder, in partitions by
    /// service and day.
    pub(super) fn export_parquet(&mut self, folder: &Path) -> Result<(), StoreError> {
        fs::create_dir(folder).map_err(StoreError::io(folder))?;
        let connection = self.connection()?;
        for (table, day_of) in [
            ("debug_sessions", "t.started_at"),
            ("function_stats", "s.started_at"),
            ("uprobe_events", "t.started_at"),
        ] {
            let folder = folder.join(table);
            let folder = folder.to_string_lossy().replace('\'', "''");
            let join = if day_of.starts_with('s') {
                "JOIN debug_sessions s USING (session_id)"
            } else {
                ""
            };
            let sql = format!(
                "COPY (SELECT t.*, strftime({day_of}::TIMESTAMP, '%Y-%m-%d') AS day \
                 FROM {table} t {join}) \
                 TO '{folder}' (FORMAT parquet, COMPRESSION zstd, PARTITION_BY (service_name, day))"
            );
            connection.execute_batch(&sql)?;
        }
        Ok(())
    }
}
