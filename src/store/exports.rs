//! What leaves the history as Parquet: each single call in one export, each session in the latest
//! that has changed it.
//!
//! What an export holds is decided in a transaction, before it is written anywhere. So one that was
//! cut off is made again with the same calls and under the same names, and takes the place of what
//! arrived of it.

use std::fs;
use std::path::{Path, PathBuf};

use duckdb::{Connection, params};
use jiff::Timestamp;

use super::database::{Database, Need};
use super::values::to_sql_time;
use super::{ExportFile, ExportPlan, StoreError};

/// What makes a journal's rows its own.
const JOURNAL: &str = "session_id, agent_id, agent_epoch, agent_session";
/// How a session is that is exported: another state, and it is exported anew.
const AS_OF: &str = "concat(status, ' ', event_count)";

impl Database {
    /// The export that is not done yet, or else the next one, with so many single calls at most;
    /// nothing where all is exported.
    pub(super) fn plan_export(
        &mut self,
        events_max: u64,
    ) -> Result<Option<ExportPlan>, StoreError> {
        if let Some(plan) = unfinished(self.connection()?)? {
            return Ok(Some(plan));
        }
        let parts = Parts::due(self.connection()?, events_max)?;
        if parts.rows.is_empty() && !has_changed_sessions(self.connection()?)? {
            return Ok(None);
        }
        let now = Timestamp::now();
        let id = now.strftime("%Y%m%dT%H%M%S%6fZ").to_string();
        self.write(Need::Little, |connection, _, _| {
            connection.execute(
                "INSERT INTO exports (export_id, planned_at, events) VALUES (?, ?, ?)",
                params![id, to_sql_time(now), parts.events],
            )?;
            for part in &parts.rows {
                connection
                    .prepare_cached("INSERT INTO export_parts VALUES (?, ?, ?, ?, ?, ?)")?
                    .execute(params![
                        part.session,
                        part.agent,
                        part.epoch,
                        part.agent_session,
                        part.first,
                        part.last
                    ])?;
            }
            connection.execute_batch(&format!(
                "INSERT INTO export_sessions SELECT session_id, {AS_OF} FROM debug_sessions \
                 WHERE session_id IN (SELECT session_id FROM export_parts) \
                 OR (session_id, {AS_OF}) NOT IN (SELECT session_id, as_of FROM exported_sessions)"
            ))?;
            Ok(())
        })?;
        let events = parts.events;
        Ok(Some(ExportPlan { id, events }))
    }

    /// Writes an export into a new folder, in partitions, and returns its files by name.
    pub(super) fn write_export(
        &mut self,
        id: &str,
        folder: &Path,
    ) -> Result<Vec<ExportFile>, StoreError> {
        fs::create_dir(folder).map_err(StoreError::io(folder))?;
        let connection = self.connection()?;
        for (table, rows, partitions) in TABLES {
            let folder = folder.join(table);
            let folder = folder.to_string_lossy().replace('\'', "''");
            connection.execute_batch(&format!(
                "COPY ({rows}) TO '{folder}' \
                 (FORMAT parquet, COMPRESSION zstd, PARTITION_BY ({partitions}))"
            ))?;
        }
        let mut files = Vec::new();
        for (table, _, _) in TABLES {
            collect(id, &folder.join(table), table, &mut files)?;
        }
        files.sort_by(|a, b| a.name.cmp(&b.name));
        Ok(files)
    }

    /// Notes that an export has arrived: what it holds may be deleted here.
    pub(super) fn finish_export(&mut self, id: &str, files: u64) -> Result<(), StoreError> {
        self.write(Need::Little, |connection, _, _| {
            connection.execute(
                "UPDATE exports SET done_at = ?, files = ? WHERE export_id = ?",
                params![to_sql_time(Timestamp::now()), files, id],
            )?;
            connection.execute_batch(&format!(
                "DELETE FROM exported_journals \
                 WHERE ({JOURNAL}) IN (SELECT {JOURNAL} FROM export_parts); \
                 INSERT INTO exported_journals SELECT {JOURNAL}, last_sequence FROM export_parts; \
                 DELETE FROM exported_sessions \
                 WHERE session_id IN (SELECT session_id FROM export_sessions); \
                 INSERT INTO exported_sessions SELECT * FROM export_sessions; \
                 DELETE FROM export_parts; \
                 DELETE FROM export_sessions"
            ))?;
            Ok(())
        })
    }
}

/// The tables of an export, their rows, and their partitions. Other engines have to be told that
/// times are in UTC. A session's request is for this program alone.
const TABLES: [(&str, &str, &str); 3] = [
    (
        "sessions",
        "SELECT s.* EXCLUDE (request) REPLACE (started_at::TIMESTAMPTZ AS started_at, \
         expires_at::TIMESTAMPTZ AS expires_at, ended_at::TIMESTAMPTZ AS ended_at), \
         strftime(s.started_at, '%Y-%m-%d') AS date, s.service_name AS service, \
         s.session_id AS session \
         FROM debug_sessions s WHERE session_id IN (SELECT session_id FROM export_sessions)",
        "date, service, session",
    ),
    (
        "functions",
        "SELECT f.*, strftime(s.started_at, '%Y-%m-%d') AS date, s.service_name AS service, \
         s.session_id AS session FROM function_stats f JOIN debug_sessions s USING (session_id) \
         WHERE session_id IN (SELECT session_id FROM export_sessions)",
        "date, service, session",
    ),
    (
        "events",
        "SELECT e.* REPLACE (started_at::TIMESTAMPTZ AS started_at), \
         strftime(e.started_at, '%Y-%m-%d') AS date, e.service_name AS service \
         FROM uprobe_events e JOIN export_parts p \
         USING (session_id, agent_id, agent_epoch, agent_session) \
         WHERE e.sequence BETWEEN p.first_sequence AND p.last_sequence \
         ORDER BY e.session_id, e.agent_id, e.agent_epoch, e.agent_session, e.sequence, e.number",
        "date, service",
    ),
];

fn unfinished(connection: &Connection) -> Result<Option<ExportPlan>, StoreError> {
    let sql = "SELECT export_id, events FROM exports WHERE done_at IS NULL";
    let mut statement = connection.prepare(sql)?;
    let mut rows = statement.query([])?;
    Ok(match rows.next()? {
        None => None,
        Some(row) => Some(ExportPlan {
            id: row.get(0)?,
            events: row.get(1)?,
        }),
    })
}

fn has_changed_sessions(connection: &Connection) -> Result<bool, StoreError> {
    let sql = format!(
        "SELECT count(*) > 0 FROM debug_sessions \
         WHERE (session_id, {AS_OF}) NOT IN (SELECT session_id, as_of FROM exported_sessions)"
    );
    Ok(connection.query_row(&sql, [], |row| row.get(0))?)
}

/// The entries of journals that an export is to hold.
#[derive(Debug, Default)]
struct Parts {
    rows: Vec<Part>,
    events: u64,
}

#[derive(Debug)]
struct Part {
    session: String,
    agent: String,
    epoch: u64,
    agent_session: String,
    first: u64,
    last: u64,
}

impl Parts {
    /// What no export holds, journal by journal; where it is too much, the rest is for the next one.
    /// An entry is never divided.
    fn due(connection: &Connection, events_max: u64) -> Result<Self, StoreError> {
        let sql = format!(
            "SELECT {JOURNAL}, (coalesce(x.last_sequence, 0) + 1)::UBIGINT, m.last_sequence \
             FROM journal_marks m LEFT JOIN exported_journals x USING ({JOURNAL}) \
             WHERE m.last_sequence > coalesce(x.last_sequence, 0) ORDER BY ALL"
        );
        let mut statement = connection.prepare(&sql)?;
        let rows = statement.query_map([], |row| {
            Ok(Part {
                session: row.get(0)?,
                agent: row.get(1)?,
                epoch: row.get(2)?,
                agent_session: row.get(3)?,
                first: row.get(4)?,
                last: row.get(5)?,
            })
        })?;
        let mut parts = Self::default();
        for part in rows {
            let part = part?;
            if !parts.take(connection, part, events_max)? {
                break;
            }
        }
        Ok(parts)
    }

    /// Takes of a journal what there is room for; whether that was all of it.
    fn take(
        &mut self,
        connection: &Connection,
        mut part: Part,
        events_max: u64,
    ) -> Result<bool, StoreError> {
        let sql = "SELECT sequence, count(*) FROM uprobe_events WHERE session_id = ? \
                   AND agent_id = ? AND agent_epoch = ? AND agent_session = ? \
                   AND sequence BETWEEN ? AND ? GROUP BY sequence ORDER BY sequence";
        let mut statement = connection.prepare_cached(sql)?;
        let mut rows = statement.query(params![
            part.session,
            part.agent,
            part.epoch,
            part.agent_session,
            part.first,
            part.last
        ])?;
        while let Some(row) = rows.next()? {
            let (sequence, events): (u64, u64) = (row.get(0)?, row.get(1)?);
            if self.events > 0 && self.events + events > events_max {
                part.last = sequence - 1;
                if part.last >= part.first {
                    self.rows.push(part);
                }
                return Ok(false);
            }
            self.events += events;
        }
        self.rows.push(part);
        Ok(true)
    }
}

/// The files below a folder, with the names that they are to have elsewhere.
fn collect(
    id: &str,
    folder: &Path,
    name: &str,
    files: &mut Vec<ExportFile>,
) -> Result<(), StoreError> {
    if !folder.exists() {
        return Ok(());
    }
    let entries = fs::read_dir(folder).map_err(StoreError::io(folder))?;
    let mut entries: Vec<PathBuf> = entries
        .map(|entry| entry.map(|entry| entry.path()))
        .collect::<Result<_, _>>()
        .map_err(StoreError::io(folder))?;
    entries.sort();
    for (number, path) in entries.into_iter().enumerate() {
        let part = path.file_name().unwrap_or_default().to_string_lossy();
        if path.is_dir() {
            collect(id, &path, &format!("{name}/{part}"), files)?;
            continue;
        }
        // What replaces an earlier export is named by its session, what adds to it by the export.
        let name = match name.rsplit_once("/session=") {
            Some((partition, session)) => format!("{partition}/{session}-{number}.parquet"),
            None => format!("{name}/{id}-{number}.parquet"),
        };
        let bytes = fs::metadata(&path).map_err(StoreError::io(&path))?.len();
        files.push(ExportFile { path, name, bytes });
    }
    Ok(())
}
