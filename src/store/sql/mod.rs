//! SQL over the history, for people: each query in a process of its own, on a copy of the file.
//!
//! **Architecture invariant: a query can do nothing but read the copy.** Its process has given up
//! files, network, processes and most memory before it looks at the text, DuckDB's own doors are
//! shut and their lock is shut, too. It is killed when its time is over, when it writes too much,
//! and when nobody waits for it any more.

mod child;
mod confine;
mod error;
mod statement;
mod text;
mod worker;

use std::ffi::OsString;
use std::fs;
use std::io;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::{Duration, Instant};

use coral_proto::colony::v1::{QuerySqlRequest, QuerySqlResponse};
use coral_proto::convert::timestamp_to_wire;
use jiff::Timestamp;
use tempfile::TempDir;
use tokio::sync::{Mutex, Semaphore, oneshot};

use super::{Store, StoreError, StoreSettings, files};
use child::{Limits, Query};
pub use error::SqlError;
pub use worker::run_worker;

/// How queries are run.
#[derive(Clone, Debug)]
pub struct SqlSettings {
    /// The program whose process runs a query, and its arguments: the path of a copy follows. It
    /// has to call [`run_worker`].
    pub program: PathBuf,
    /// What stands between the program and the path.
    pub arguments: Vec<OsString>,
    /// Where copies are made. Whatever lies there is deleted.
    pub folder: PathBuf,
    /// Queries that run at the same time; others wait.
    pub workers: usize,
    /// A copy that is younger does for another query.
    pub copy_age_max: Duration,
    /// Rows of one result if nothing else is asked for.
    pub rows_max: u32,
    /// Bytes of one result.
    pub bytes_max: u64,
}

impl SqlSettings {
    /// Queries of that history, in processes of this program.
    pub fn of(store: &StoreSettings) -> Self {
        Self {
            // The running program, even if its file was replaced since.
            program: "/proc/self/exe".into(),
            arguments: vec!["sql-worker".into()],
            folder: files::beside(&store.path, "sql"),
            workers: 2,
            copy_age_max: Duration::from_secs(2),
            rows_max: 10_000,
            bytes_max: 32 << 20,
        }
    }
}

/// Runs queries over a history.
#[derive(Debug)]
pub struct SqlWorkers {
    store: Store,
    settings: SqlSettings,
    places: Semaphore,
    copy: Mutex<Option<HistoryCopy>>,
}

/// A copy of the history, deleted with the last query that reads it.
#[derive(Clone, Debug)]
struct HistoryCopy {
    folder: Arc<TempDir>,
    as_of: Timestamp,
    made_at: Instant,
}

impl HistoryCopy {
    fn path(&self) -> PathBuf {
        self.folder.path().join("history.duckdb")
    }
}

impl SqlWorkers {
    /// Queries of that history. Copies that a crash has left are deleted.
    ///
    /// # Errors
    /// If the folder for copies cannot be made.
    pub fn new(store: Store, settings: SqlSettings) -> Result<Self, StoreError> {
        let folder = &settings.folder;
        match fs::remove_dir_all(folder) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
            _ => fs::create_dir(folder),
        }
        .map_err(StoreError::io(folder))?;
        Ok(Self {
            store,
            places: Semaphore::new(settings.workers),
            settings,
            copy: Mutex::new(None),
        })
    }

    /// The result of a query: the columns in the first message, then at most `rows_max` rows (0
    /// for the usual number). Whoever stops waiting kills the query.
    ///
    /// # Errors
    /// If it is no query that reads, fails, takes too long, too much memory or too many bytes.
    pub async fn query(
        &self,
        sql: &str,
        rows_max: u32,
        deadline: Duration,
    ) -> Result<Vec<QuerySqlResponse>, SqlError> {
        statement::check(sql)?;
        let place = self.places.acquire().await;
        let _place = place.map_err(|_| StoreError::Closed)?;
        let copy = self.copy().await?;
        let rows_max = match rows_max {
            0 => self.settings.rows_max,
            rows_max => rows_max,
        };
        let request = QuerySqlRequest {
            sql: sql.to_owned(),
            rows_max,
        };
        let limits = Limits {
            deadline,
            bytes_max: self.settings.bytes_max,
        };
        let (answer, answered) = oneshot::channel();
        // Dropped with this future, which tells the thread that nobody waits.
        let _waits = Query {
            program: self.settings.program.clone(),
            arguments: self.settings.arguments.clone(),
            copy: copy.path(),
            request,
            limits,
        }
        .start(answer)
        .map_err(SqlError::Process)?;
        let mut messages = answered.await.map_err(|_| StoreError::Closed)??;
        if let Some(first) = messages.first_mut() {
            first.as_of = Some(timestamp_to_wire(copy.as_of));
        }
        Ok(messages)
    }

    /// A copy that is young enough.
    async fn copy(&self) -> Result<HistoryCopy, SqlError> {
        let mut last = self.copy.lock().await;
        let is_young = |copy: &&HistoryCopy| copy.made_at.elapsed() < self.settings.copy_age_max;
        if let Some(copy) = last.as_ref().filter(is_young) {
            return Ok(copy.clone());
        }
        *last = None;
        let folder = tempfile::tempdir_in(&self.settings.folder).map_err(SqlError::Process)?;
        let mut copy = HistoryCopy {
            folder: Arc::new(folder),
            as_of: Timestamp::now(),
            made_at: Instant::now(),
        };
        copy.as_of = self.store.copy_to(copy.path()).await?;
        copy.made_at = Instant::now();
        Ok(last.insert(copy).clone())
    }
}
