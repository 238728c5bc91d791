//! The open file: transactions, what they leave in the ledger, and what becomes of failures.

use std::fs::{self, File};
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::path::Path;
use std::time::Instant;

use duckdb::{Config, Connection, params};
use jiff::Timestamp;
use tokio::sync::watch;

use super::append::{Memory, Staged};
use super::files::{self, Reserve};
use super::ledger::{Ledger, Totals};
use super::schema::{self, TABLES};
use super::values::to_sql_time;
use super::{Batch, Loss, Opened, StoreError, StoreSettings, StoreState, sessions};

/// A longer log is taken into the file, in bytes.
const LOG_BYTES_MAX: u64 = 16 << 20;

/// The open file, in the one thread that has it.
#[derive(Debug)]
pub(super) struct Database {
    pub(super) settings: StoreSettings,
    /// `None` after a failure, until it is opened again.
    connection: Option<Connection>,
    pub(super) memory: Memory,
    totals: Totals,
    /// Losses that are not in their table yet.
    losses: Vec<Loss>,
    ledger: Ledger,
    reserve: Reserve,
    state: watch::Sender<StoreState>,
    failed_at: Option<Instant>,
    /// The history's own bytes. It stays open: closing it would take DuckDB's lock away.
    pub(super) file: File,
    /// The lock goes with the file.
    _lock: File,
}

/// How much room a transaction takes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Need {
    /// A few rows, which the reserve is for.
    Little,
    /// It is not tried where less than the reserve is free.
    Room,
}

/// How many rows each table has within a transaction.
#[derive(Debug)]
pub(super) struct Rows([u64; TABLES.len()]);

impl Rows {
    pub(super) fn add(&mut self, table: &str, count: u64) {
        self.change(table, |rows| rows.saturating_add(count));
    }

    pub(super) fn remove(&mut self, table: &str, count: u64) {
        self.change(table, |rows| rows.saturating_sub(count));
    }

    fn change(&mut self, table: &str, change: impl Fn(u64) -> u64) {
        let place = TABLES.iter().position(|name| *name == table);
        debug_assert!(place.is_some(), "the ledger counts {table}");
        if let Some(place) = place {
            self.0[place] = change(self.0[place]);
        }
    }
}

impl Database {
    /// Opens the file, or makes it, and brings it to today's version.
    ///
    /// # Errors
    /// If another process has it, it is newer or damaged, or it cannot be written.
    pub(super) fn open(
        settings: StoreSettings,
        state: watch::Sender<StoreState>,
    ) -> Result<(Self, Opened), StoreError> {
        let path = &settings.path;
        let lock = files::lock(path)?;
        let ledger_path = files::beside(path, "ledger");
        let ledger = Ledger::open(&ledger_path).map_err(StoreError::io(&ledger_path))?;
        let (ledger, expected) = ledger;
        let connection = connect(&settings)?;
        let version_found = schema::migrate(&connection)?;
        fs::set_permissions(path, private()).map_err(StoreError::io(path))?;
        let mut database = Self {
            file: File::open(path).map_err(StoreError::io(path))?,
            reserve: Reserve::of(path, settings.reserve_bytes),
            settings,
            connection: None,
            memory: Memory::default(),
            totals: expected.unwrap_or_default(),
            losses: Vec::new(),
            ledger,
            state,
            failed_at: None,
            _lock: lock,
        };
        database.load(&connection)?;
        database.connection = Some(connection);
        let losses = database.losses.clone();
        // What cannot be noted now is noted with the next transaction.
        if !losses.is_empty() {
            let _ = database.write(Need::Little, |_, _, _| Ok(()));
        }
        database.reserve.keep();
        let opened = Opened {
            version_found,
            losses,
            running: sessions::running(database.connection()?)?,
        };
        Ok((database, opened))
    }

    /// The connection, opened again after a failure.
    pub(super) fn connection(&mut self) -> Result<&Connection, StoreError> {
        if self.connection.is_none() {
            let connection = connect(&self.settings)?;
            self.load(&connection)?;
            self.connection = Some(connection);
        }
        self.connection.as_ref().ok_or(StoreError::Closed)
    }

    /// Does something in a transaction of its own. It is on disk when this returns.
    ///
    /// # Errors
    /// If the work fails, nothing of it is done. If the disk fails, it may be done all the same.
    pub(super) fn write<T>(
        &mut self,
        need: Need,
        mut work: impl FnMut(&Connection, &mut Rows, &Memory) -> Result<T, StoreError>,
    ) -> Result<T, StoreError> {
        self.check_writable(need)?;
        let mut result = self.transact(&mut work);
        let is_full = matches!(result, Err(StoreError::Full));
        if is_full && need == Need::Little && self.reserve.release() {
            result = self.transact(&mut work);
            if result.is_ok() {
                self.turn(StoreState::Full);
                return result;
            }
        }
        match &result {
            Ok(_) => {
                self.reserve.keep();
                self.turn(StoreState::Writing);
                self.tidy_log();
            }
            Err(StoreError::NoSuchSession { .. }) => {}
            Err(StoreError::Full) => self.turn(StoreState::Full),
            Err(error) => self.turn(StoreState::Failed {
                why: error.to_string(),
            }),
        }
        result
    }

    /// Stores batches in one transaction; each is answered with its journal's mark.
    pub(super) fn append(&mut self, batches: &[Batch]) -> Vec<Result<u64, StoreError>> {
        let mut staged = Staged::default();
        let marks: Vec<_> = batches
            .iter()
            .map(|batch| staged.take(&self.memory, batch))
            .collect();
        if marks.iter().all(Result::is_err) {
            return marks;
        }
        let written = self.write(Need::Room, |connection, rows, memory| {
            staged.write(connection, memory, rows)
        });
        match written {
            Ok(()) => {
                staged.remember(&mut self.memory);
                marks
            }
            // One of them may be at fault, and the others are not.
            Err(StoreError::Failed { .. }) if batches.len() > 1 => {
                self.failed_at = None;
                let each = batches.iter();
                each.flat_map(|batch| self.append(std::slice::from_ref(batch)))
                    .collect()
            }
            Err(error) => {
                let error = |_| Err(error.again());
                batches.iter().map(error).collect()
            }
        }
    }

    /// After a failure it is tried again once in a while.
    fn check_writable(&mut self, need: Need) -> Result<(), StoreError> {
        let waits = |at: Instant| at.elapsed() < self.settings.retry_after;
        if self.failed_at.is_some_and(waits) && need == Need::Room {
            return match &*self.state.borrow() {
                StoreState::Failed { why } => Err(StoreError::Failed { why: why.clone() }),
                _ => Err(StoreError::Full),
            };
        }
        if need == Need::Room {
            let path = &self.settings.path;
            let free = files::free_bytes(path).map_err(StoreError::io(path))?;
            if free < self.settings.reserve_bytes {
                self.turn(StoreState::Full);
                return Err(StoreError::Full);
            }
        }
        Ok(())
    }

    fn transact<T>(
        &mut self,
        work: &mut impl FnMut(&Connection, &mut Rows, &Memory) -> Result<T, StoreError>,
    ) -> Result<T, StoreError> {
        self.connection()?;
        let connection = self.connection.take().ok_or(StoreError::Closed)?;
        let mut next = Rows(self.totals.rows);
        let result = self.commit(&connection, &mut next, work);
        // After any failure the file says what is stored; the connection may be of no use.
        if result.is_ok() || matches!(result, Err(StoreError::NoSuchSession { .. })) {
            self.connection = Some(connection);
        }
        result
    }

    fn commit<T>(
        &mut self,
        connection: &Connection,
        rows: &mut Rows,
        work: &mut impl FnMut(&Connection, &mut Rows, &Memory) -> Result<T, StoreError>,
    ) -> Result<T, StoreError> {
        let transaction = connection.unchecked_transaction()?;
        let value = work(&transaction, rows, &self.memory)?;
        self.write_losses(&transaction, rows)?;
        let next = Totals {
            commits: self.totals.commits + 1,
            rows: rows.0,
        };
        transaction
            .prepare_cached("UPDATE commits SET number = ?")?
            .execute([next.commits])?;
        let path = &self.settings.path;
        let least = self.totals.least(&next);
        if least != self.totals {
            // Rows that go may be gone as soon as the transaction is committed.
            self.ledger.write(least).map_err(StoreError::io(path))?;
        }
        transaction.commit()?;
        self.totals = next;
        self.losses.clear();
        self.ledger.write(next).map_err(StoreError::io(path))?;
        Ok(value)
    }

    fn write_losses(&self, connection: &Connection, rows: &mut Rows) -> Result<(), StoreError> {
        let now = to_sql_time(Timestamp::now());
        for loss in &self.losses {
            let row = params![now, loss.table, super::values::to_sql_number(loss.rows)];
            connection.execute("INSERT INTO losses VALUES (?, ?, ?)", row)?;
        }
        rows.add("losses", self.losses.len() as u64);
        Ok(())
    }

    /// Reads what is held in memory, and holds the file against what should be in it.
    fn load(&mut self, connection: &Connection) -> Result<(), StoreError> {
        let found = totals(connection)?;
        self.losses.extend(self.totals.losses(&found));
        self.totals = Totals {
            commits: found.commits.max(self.totals.commits),
            ..found
        };
        let marks = sessions::marks(connection)?;
        self.memory = Memory::new(marks, sessions::services(connection)?);
        Ok(())
    }

    /// Takes a long log into the file, where there is room for that. DuckDB would do it within a
    /// commit, which would fail with it.
    fn tidy_log(&mut self) {
        let path = files::beside(&self.settings.path, "wal");
        let Ok(log) = fs::metadata(&path) else {
            return;
        };
        if log.mode() & 0o077 != 0 {
            // Best effort: its folder need not be for others.
            let _ = fs::set_permissions(&path, private());
        }
        let needed = log.len() + self.settings.reserve_bytes;
        let has_room = || files::free_bytes(&path).is_ok_and(|free| free >= needed);
        if log.len() > LOG_BYTES_MAX
            && has_room()
            && let Some(connection) = &self.connection
            && connection.execute_batch("CHECKPOINT").is_err()
        {
            self.connection = None;
        }
    }

    fn turn(&mut self, state: StoreState) {
        self.failed_at = (state != StoreState::Writing).then(Instant::now);
        self.state.send_if_modified(|last| {
            *last != state && {
                *last = state;
                true
            }
        });
    }
}

/// What calls receive is nobody else's business.
fn private() -> fs::Permissions {
    fs::Permissions::from_mode(0o600)
}

fn totals(connection: &Connection) -> Result<Totals, duckdb::Error> {
    let commits = "SELECT coalesce(max(number), 0) FROM commits";
    let mut totals = Totals {
        commits: connection.query_row(commits, [], |row| row.get(0))?,
        ..Totals::default()
    };
    for (rows, table) in totals.rows.iter_mut().zip(TABLES) {
        let count = format!("SELECT count(*) FROM {table}");
        *rows = connection.query_row(&count, [], |row| row.get(0))?;
    }
    Ok(totals)
}

fn connect(settings: &StoreSettings) -> Result<Connection, StoreError> {
    let path = &settings.path;
    let config = Config::default()
        .enable_autoload_extension(false)?
        .max_memory(&format!("{}MiB", settings.memory_bytes >> 20))?
        .threads(settings.threads)?
        // When the log is taken into the file is decided here.
        .with("checkpoint_threshold", "1TiB")?;
    Connection::open_with_flags(path, config).map_err(|error| cannot_open(path, error))
}

fn cannot_open(path: &Path, error: duckdb::Error) -> StoreError {
    let path = path.to_owned();
    match StoreError::from(error) {
        StoreError::Failed { why } if why.contains("set lock on file") => {
            StoreError::Locked { path }
        }
        StoreError::Failed { why } => match why_not_opened(&why) {
            Some(kind) => StoreError::Io {
                path,
                error: kind.into(),
            },
            None => StoreError::Damaged { path, why },
        },
        error => error,
    }
}

/// What the operating system said, if it was that.
fn why_not_opened(why: &str) -> Option<std::io::ErrorKind> {
    use std::io::ErrorKind::{NotFound, PermissionDenied, ReadOnlyFilesystem};
    [
        ("Permission denied", PermissionDenied),
        ("Read-only file system", ReadOnlyFilesystem),
        ("No such file or directory", NotFound),
    ]
    .into_iter()
    .find(|(words, _)| why.contains(words))
    .map(|(_, kind)| kind)
}
