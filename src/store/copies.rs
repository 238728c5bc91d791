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
        for (table, columns, day) in PARQUET {
            let folder = folder.join(table);
            let folder = folder.to_string_lossy().replace('\'', "''");
            let sql = format!(
                "COPY (SELECT {columns}, strftime({day}, '%Y-%m-%d') AS day FROM {table} t) \
                 TO '{folder}' (FORMAT parquet, COMPRESSION zstd, PARTITION_BY (service_name, day))"
            );
            connection.execute_batch(&sql)?;
        }
        Ok(())
    }
}

/// Tables that become Parquet, their columns, and the time of their partition. Readers of other
/// engines have to be told that times are in UTC.
const PARQUET: [(&str, &str, &str); 3] = [
    (
        "debug_sessions",
        "t.* REPLACE (started_at::TIMESTAMPTZ AS started_at, \
         expires_at::TIMESTAMPTZ AS expires_at, ended_at::TIMESTAMPTZ AS ended_at)",
        "t.started_at",
    ),
    (
        "function_stats",
        "t.*",
        "(SELECT started_at FROM debug_sessions s WHERE s.session_id = t.session_id)",
    ),
    (
        "uprobe_events",
        "t.* REPLACE (started_at::TIMESTAMPTZ AS started_at)",
        "t.started_at",
    ),
];
