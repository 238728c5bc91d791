//! A colony's history in DuckDB. The only room that knows DuckDB.
//!
//! One process has the file open, and one thread in it has the connection; a [`Store`] is a handle
//! with a bounded queue before that thread. What agents have written into their journals comes in
//! batches. Those that wait are stored in one transaction, and answered when it is on disk.
//!
//! **Architecture invariant: each entry of a journal is stored once.** Its rows and the journal's
//! mark are in one transaction. What lies at or before the mark is there already; what is missing
//! before an entry is named as a gap.
//!
//! **Architecture invariant: what was answered is there, or its loss is told.** A ledger beside the
//! file holds the number of rows of each table, and is on disk before the answer.
//!
//! **Architecture invariant: a history that cannot be written stops nothing.** It says so, goes on
//! answering from what it has, and writes again when that works.

mod append;
mod columns;
mod copies;
mod database;
mod error;
mod exports;
mod files;
mod history;
mod ledger;
mod records;
mod retention;
mod schema;
mod sessions;
mod snapshots;
pub mod sql;
mod thread;
mod values;

use std::path::PathBuf;
use std::time::Duration;

use coral_model::{EndReason, SessionId};
use jiff::Timestamp;
use tokio::sync::{mpsc, oneshot, watch};

use database::Database;
pub use error::StoreError;
pub use records::{
    Batch, Content, Entry, ExportFile, ExportPlan, Gap, History, HistoryFunction, HistoryQuery,
    HistorySession, JournalKey, JournalMark, Loss, New, NewSession, Opened, ReplicaRow, StoredCall,
    StoredSession, StoredSnapshot,
};
use thread::Command;

/// Where the history is, and how much of it stays.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StoreSettings {
    /// The file. Others beside it have its name with an ending: the log, the lock, the ledger, the
    /// reserve.
    pub path: PathBuf,
    /// How long single calls stay.
    pub events_retention: Duration,
    /// How long sessions stay after their end.
    pub sessions_retention: Duration,
    /// Whether what no export holds stays longer than that.
    pub keeps_unexported: bool,
    /// Room that is kept for what must be written when the disk is full, in bytes.
    pub reserve_bytes: u64,
    /// After a failure nothing is tried for so long.
    pub retry_after: Duration,
    /// What DuckDB may take of memory, in bytes.
    pub memory_bytes: u64,
    /// How many threads it may use.
    pub threads: i64,
}

impl StoreSettings {
    /// A history in that file, with single calls of a day and sessions of a week.
    pub fn at(path: impl Into<PathBuf>) -> Self {
        let day = Duration::from_secs(24 * 60 * 60);
        Self {
            path: path.into(),
            events_retention: day,
            sessions_retention: 7 * day,
            keeps_unexported: false,
            reserve_bytes: 16 << 20,
            retry_after: Duration::from_secs(1),
            memory_bytes: 512 << 20,
            threads: 1,
        }
    }
}

/// Whether the history is written to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum StoreState {
    /// It is.
    Writing,
    /// Its disk is full: sessions are noted as long as the reserve lasts, and nothing else.
    Full,
    /// It is not, because of something else.
    Failed {
        /// What.
        why: String,
    },
}

/// Commands that may wait before callers do.
const QUEUE_MAX: usize = 256;

/// A handle of an open history. The last one closes it.
#[derive(Clone, Debug)]
pub struct Store {
    commands: mpsc::Sender<Command>,
    state: watch::Receiver<StoreState>,
}

impl Store {
    /// Opens the history, or begins one.
    ///
    /// # Errors
    /// If another process has it, it is newer than this program or damaged, or cannot be written.
    pub fn open(settings: StoreSettings) -> Result<(Self, Opened), StoreError> {
        let (state_sender, state) = watch::channel(StoreState::Writing);
        let (database, opened) = Database::open(settings, state_sender)?;
        let (commands, queue) = mpsc::channel(QUEUE_MAX);
        thread::start(database, queue)?;
        Ok((Self { commands, state }, opened))
    }

    /// Whether it is written to.
    pub fn state(&self) -> StoreState {
        self.state.borrow().clone()
    }

    /// Tells when that changes.
    pub fn watch_state(&self) -> watch::Receiver<StoreState> {
        self.state.clone()
    }

    /// Notes a session; one that is there already stays as it is.
    ///
    /// # Errors
    /// If it cannot be written.
    pub async fn begin_session(&self, session: NewSession) -> Result<(), StoreError> {
        self.run(move |database| database.begin_session(&session))
            .await
    }

    /// Notes processes of a session, in one transaction; those that are there already become as
    /// they are here.
    ///
    /// # Errors
    /// If there is no such session, or they cannot be written.
    pub async fn add_replicas(&self, replicas: Vec<ReplicaRow>) -> Result<(), StoreError> {
        self.run(move |database| database.add_replicas(&replicas))
            .await
    }

    /// Stores entries of a journal, each once, and returns the journal's mark: the last entry that
    /// is stored.
    ///
    /// # Errors
    /// If there is no such session, or it cannot be written; then none of them is stored, or they
    /// are known as duplicates when they come again.
    pub async fn append(&self, batch: Batch) -> Result<u64, StoreError> {
        let (answer, answered) = oneshot::channel();
        let command = Command::Append(batch, answer);
        self.commands
            .send(command)
            .await
            .map_err(|_| StoreError::Closed)?;
        answered.await.map_err(|_| StoreError::Closed)?
    }

    /// Notes that a session is over. What was noted first stays.
    ///
    /// # Errors
    /// If there is no such session, or it cannot be written.
    pub async fn end_session(
        &self,
        session: SessionId,
        ended_at: Timestamp,
        reason: EndReason,
    ) -> Result<(), StoreError> {
        self.run(move |database| database.end_session(&session, ended_at, reason))
            .await
    }

    /// Notes what was changed in a session since it began, in the caller's words.
    ///
    /// # Errors
    /// If there is no such session, or it cannot be written.
    pub async fn change_session(
        &self,
        session: SessionId,
        changes: String,
    ) -> Result<(), StoreError> {
        self.run(move |database| database.change_session(&session, &changes))
            .await
    }

    /// Notes until when a session may run by now.
    ///
    /// # Errors
    /// If there is no such session, or it cannot be written.
    pub async fn extend_session(
        &self,
        session: SessionId,
        expires_at: Timestamp,
    ) -> Result<(), StoreError> {
        self.run(move |database| database.extend_session(&session, expires_at))
            .await
    }

    /// How far the journals of a session are stored.
    ///
    /// # Errors
    /// If the history is closed.
    pub async fn marks(&self, session: SessionId) -> Result<Vec<JournalMark>, StoreError> {
        self.run(move |database| {
            let marks = database.memory.marks.values();
            let of_session = marks.filter(|mark| mark.journal.session == session);
            let mut marks: Vec<_> = of_session.cloned().collect();
            marks.sort_by(|a, b| a.journal.cmp(&b.journal));
            Ok(marks)
        })
        .await
    }

    /// The sessions that nobody has ended, oldest first.
    ///
    /// # Errors
    /// If it cannot be read.
    pub async fn running_sessions(&self) -> Result<Vec<StoredSession>, StoreError> {
        self.run(|database| sessions::running(database.connection()?))
            .await
    }

    /// One session.
    ///
    /// # Errors
    /// If there is no such session, or it cannot be read.
    pub async fn session(&self, session: SessionId) -> Result<StoredSession, StoreError> {
        self.run(move |database| database.session(&session)).await
    }

    /// The processes of a session, in the order in which they were added.
    ///
    /// # Errors
    /// If it cannot be read.
    pub async fn replicas(&self, session: SessionId) -> Result<Vec<ReplicaRow>, StoreError> {
        self.run(move |database| database.replicas(&session)).await
    }

    /// Sessions that ran since then, newest first: of one service, or of all.
    ///
    /// # Errors
    /// If it cannot be read.
    pub async fn list_sessions(
        &self,
        service: Option<String>,
        since: Timestamp,
        limit: u32,
    ) -> Result<Vec<StoredSession>, StoreError> {
        self.run(move |database| database.list_sessions(service.as_deref(), since, limit))
            .await
    }

    /// What sessions have measured of functions, with exact sums.
    ///
    /// # Errors
    /// If it cannot be read.
    pub async fn history(&self, query: HistoryQuery) -> Result<History, StoreError> {
        self.run(move |database| database.history(&query)).await
    }

    /// The latest that is known of each replica of a session.
    ///
    /// # Errors
    /// If it cannot be read.
    pub async fn final_snapshots(
        &self,
        session: SessionId,
    ) -> Result<Vec<StoredSnapshot>, StoreError> {
        self.run(move |database| database.snapshots(&session)).await
    }

    /// Deletes what is older than it may be, and returns how many single calls stay all the same
    /// because no export holds them.
    ///
    /// # Errors
    /// If it cannot be written.
    pub async fn retain(&self, now: Timestamp) -> Result<u64, StoreError> {
        while self.run(move |database| database.retain_slice(now)).await? {}
        self.run(move |database| database.overdue(now)).await
    }

    /// Copies all that is stored into a new file, and says when it was so.
    ///
    /// # Errors
    /// If the file is there already, or cannot be written.
    pub async fn copy_to(&self, path: PathBuf) -> Result<Timestamp, StoreError> {
        self.run(move |database| {
            database.copy_to(&path)?;
            Ok(Timestamp::now())
        })
        .await
    }

    /// The export that is not done yet, or else the next one, with about so many single calls at
    /// most; nothing where all is exported.
    ///
    /// # Errors
    /// If it cannot be written.
    pub async fn plan_export(&self, events_max: u64) -> Result<Option<ExportPlan>, StoreError> {
        self.run(move |database| database.plan_export(events_max))
            .await
    }

    /// Writes an export as Parquet into a new folder, in partitions by day and service, and returns
    /// its files.
    ///
    /// # Errors
    /// If the folder is there already, or cannot be written.
    pub async fn write_export(
        &self,
        id: String,
        folder: PathBuf,
    ) -> Result<Vec<ExportFile>, StoreError> {
        self.run(move |database| database.write_export(&id, &folder))
            .await
    }

    /// Notes that an export with so many files has arrived, where it is to be.
    ///
    /// # Errors
    /// If it cannot be written.
    pub async fn finish_export(&self, id: String, files: u64) -> Result<(), StoreError> {
        self.run(move |database| database.finish_export(&id, files))
            .await
    }

    /// Closes the history, when what was asked for before is done; other handles are of no use
    /// then.
    pub async fn close(self) {
        let (done, is_done) = oneshot::channel();
        if self.commands.send(Command::Close(done)).await.is_ok() {
            // Where nobody answers, it is closed.
            let _ = is_done.await;
        }
    }

    /// Has the thread do something, in its turn.
    async fn run<T: Send + 'static>(
        &self,
        work: impl FnOnce(&mut Database) -> Result<T, StoreError> + Send + 'static,
    ) -> Result<T, StoreError> {
        let (answer, answered) = oneshot::channel();
        let work = move |database: &mut Database| {
            // Who does not wait any more needs no answer.
            let _ = answer.send(work(database));
        };
        self.commands
            .send(Command::Run(Box::new(work)))
            .await
            .map_err(|_| StoreError::Closed)?;
        answered.await.map_err(|_| StoreError::Closed)?
    }
}
