//! Sessions and their replicas.

use std::collections::HashMap;

use coral_model::{EndReason, ReplicaState, SessionId, SessionSettings, SessionState, Target};
use duckdb::types::Value;
use duckdb::{Connection, OptionalExt, Row, ToSql, params};
use jiff::Timestamp;

use super::database::{Database, Need, Rows};
use super::values::{
    known_time, language, replica_state, replica_state_name, session_state, session_state_name,
    texts, time, to_sql_time,
};
use super::{
    JournalKey, JournalMark, NewSession, ReplicaRow, StoreError, StoredSession, StoredSnapshot,
    snapshots,
};

const SESSIONS: &str = "SELECT session_id, service_name, requested_by, requested_via, started_at, expires_at, \
                        ended_at, status, functions, settings, request, changes, event_count, \
                        (SELECT count(DISTINCT (agent_id, pid, start_ticks)) \
                         FROM session_replicas it \
                         WHERE it.session_id = debug_sessions.session_id) AS replicas, \
                        (SELECT list(DISTINCT agent_id ORDER BY agent_id) \
                         FROM session_replicas it \
                         WHERE it.session_id = debug_sessions.session_id) AS agent_ids \
                        FROM debug_sessions";

impl Database {
    /// Notes a session; one that is there already stays as it is.
    pub(super) fn begin_session(&mut self, session: &NewSession) -> Result<(), StoreError> {
        let settings = serde_json::to_string(&session.settings);
        let settings = settings.map_err(|error| StoreError::Failed {
            why: error.to_string(),
        })?;
        let functions = session.functions.iter().cloned().map(Value::Text);
        let functions = Value::List(functions.collect());
        self.write(Need::Little, |connection, rows, memory| {
            if memory.services.contains_key(&session.id) {
                return Ok(());
            }
            let sql = "INSERT INTO debug_sessions VALUES \
                       (?, ?, ?, ?, ?, NULL, ?, ?::VARCHAR[], ?, ?, 0, ?, NULL)";
            connection.execute(
                sql,
                params![
                    session.id.0,
                    session.service,
                    session.requested_by,
                    to_sql_time(session.started_at),
                    to_sql_time(session.expires_at),
                    session_state_name(SessionState::Active),
                    functions,
                    settings,
                    session.request,
                    session.requested_via,
                ],
            )?;
            rows.add("debug_sessions", 1);
            Ok(())
        })?;
        let service = session.service.clone();
        self.memory.services.insert(session.id.clone(), service);
        Ok(())
    }

    /// Notes processes of a session; those that are there already become as they are here. Of one
    /// process the last row counts.
    pub(super) fn add_replicas(&mut self, replicas: &[ReplicaRow]) -> Result<(), StoreError> {
        self.write(Need::Little, |connection, rows, memory| {
            for replica in replicas {
                let session = &replica.journal.session;
                check_known(memory.services.contains_key(session), session)?;
                add_replica(connection, rows, replica)?;
            }
            Ok(())
        })
    }

    /// Notes that a session is over. What was noted first stays.
    pub(super) fn end_session(
        &mut self,
        session: &SessionId,
        ended_at: Timestamp,
        reason: EndReason,
    ) -> Result<(), StoreError> {
        self.write(Need::Little, |connection, _, memory| {
            check_known(memory.services.contains_key(session), session)?;
            connection.execute(
                "UPDATE debug_sessions SET ended_at = ?, status = ? \
                 WHERE session_id = ? AND ended_at IS NULL",
                params![
                    to_sql_time(ended_at),
                    session_state_name(SessionState::Ended(reason)),
                    session.0
                ],
            )?;
            Ok(())
        })
    }

    /// Notes what was changed in a session since it began.
    pub(super) fn change_session(
        &mut self,
        session: &SessionId,
        changes: &str,
    ) -> Result<(), StoreError> {
        self.update(session, "changes", &changes)
    }

    /// Notes until when a session may run by now.
    pub(super) fn extend_session(
        &mut self,
        session: &SessionId,
        expires_at: Timestamp,
    ) -> Result<(), StoreError> {
        self.update(session, "expires_at", &to_sql_time(expires_at))
    }

    fn update(
        &mut self,
        session: &SessionId,
        column: &str,
        value: &dyn ToSql,
    ) -> Result<(), StoreError> {
        self.write(Need::Little, |connection, _, memory| {
            check_known(memory.services.contains_key(session), session)?;
            connection.execute(
                &format!("UPDATE debug_sessions SET {column} = ? WHERE session_id = ?"),
                params![value, session.0],
            )?;
            Ok(())
        })
    }

    pub(super) fn session(&mut self, id: &SessionId) -> Result<StoredSession, StoreError> {
        let sql = format!("{SESSIONS} WHERE session_id = ?");
        let mut statement = self.connection()?.prepare(&sql)?;
        let found = statement.query_row([&id.0], session).optional()?;
        found.ok_or_else(|| StoreError::NoSuchSession {
            session: id.clone(),
        })
    }

    /// The processes of a session, in an order that stays.
    pub(super) fn replicas(&mut self, session: &SessionId) -> Result<Vec<ReplicaRow>, StoreError> {
        let sql = "SELECT * FROM session_replicas WHERE session_id = ? \
                   ORDER BY agent_id, agent_epoch, agent_session, pid";
        let mut statement = self.connection()?.prepare(sql)?;
        let rows = statement.query_map([&session.0], replica)?;
        Ok(rows.collect::<Result<_, _>>()?)
    }

    /// Sessions that ran since then, newest first.
    pub(super) fn list_sessions(
        &mut self,
        service: Option<&str>,
        since: Timestamp,
        limit: u32,
    ) -> Result<Vec<StoredSession>, StoreError> {
        list(self.connection()?, service, since, limit)
    }

    /// The latest of each replica.
    pub(super) fn snapshots(
        &mut self,
        session: &SessionId,
    ) -> Result<Vec<StoredSnapshot>, StoreError> {
        let sql = "SELECT * FROM session_snapshots WHERE session_id = ? ORDER BY rowid";
        let mut statement = self.connection()?.prepare(sql)?;
        let rows = statement.query_map([&session.0], |row| {
            Ok((key(row)?, row.get::<_, Vec<u8>>("snapshot")?))
        })?;
        let rows: Vec<_> = rows.collect::<Result<_, _>>()?;
        let marks = &self.memory.marks;
        let stored = rows.into_iter().map(|(journal, bytes)| {
            Ok(StoredSnapshot {
                snapshot: snapshots::decode(&bytes)?,
                is_final: marks.get(&journal).is_some_and(|mark| mark.is_complete),
                journal,
            })
        });
        stored.collect()
    }
}

/// Sessions that ran since then, newest first.
pub(super) fn list(
    connection: &Connection,
    service: Option<&str>,
    since: Timestamp,
    limit: u32,
) -> Result<Vec<StoredSession>, StoreError> {
    let sql = format!(
        "{SESSIONS} WHERE (?1 IS NULL OR service_name = ?1) \
         AND (ended_at IS NULL OR ended_at >= ?2) \
         ORDER BY started_at DESC, session_id DESC LIMIT {limit}"
    );
    let mut statement = connection.prepare(&sql)?;
    let rows = statement.query_map(params![service, to_sql_time(since)], session)?;
    Ok(rows.collect::<Result<_, _>>()?)
}

/// The sessions that nobody has ended, oldest first.
pub(super) fn running(connection: &Connection) -> Result<Vec<StoredSession>, StoreError> {
    let sql = format!("{SESSIONS} WHERE ended_at IS NULL ORDER BY started_at, session_id");
    let mut statement = connection.prepare(&sql)?;
    let rows = statement.query_map([], session)?;
    Ok(rows.collect::<Result<_, _>>()?)
}

pub(super) fn marks(
    connection: &Connection,
) -> Result<HashMap<JournalKey, JournalMark>, StoreError> {
    let mut statement = connection.prepare("SELECT * FROM journal_marks")?;
    let rows = statement.query_map([], |row| {
        let journal = key(row)?;
        let mark = JournalMark {
            journal: journal.clone(),
            last_sequence: row.get("last_sequence")?,
            is_complete: row.get("is_complete")?,
        };
        Ok((journal, mark))
    })?;
    Ok(rows.collect::<Result<_, _>>()?)
}

pub(super) fn services(connection: &Connection) -> Result<HashMap<SessionId, String>, StoreError> {
    let mut statement =
        connection.prepare("SELECT session_id, service_name FROM debug_sessions")?;
    let rows = statement.query_map([], |row| Ok((SessionId(row.get(0)?), row.get(1)?)))?;
    Ok(rows.collect::<Result<_, _>>()?)
}

/// The journal that a row comes from.
pub(super) fn key(row: &Row<'_>) -> Result<JournalKey, duckdb::Error> {
    Ok(JournalKey {
        session: SessionId(row.get("session_id")?),
        agent_id: row.get("agent_id")?,
        epoch: row.get("agent_epoch")?,
        agent_session: SessionId(row.get("agent_session")?),
    })
}

/// Puts a process of a session into the place of what was noted of it.
fn add_replica(
    connection: &Connection,
    rows: &mut Rows,
    replica: &ReplicaRow,
) -> Result<(), StoreError> {
    let (key, target) = (&replica.journal, &replica.target);
    let gone = connection
        .prepare_cached(
            "DELETE FROM session_replicas WHERE session_id = ? AND agent_id = ? \
             AND agent_epoch = ? AND agent_session = ? AND pid = ?",
        )?
        .execute(params![
            key.session.0,
            key.agent_id,
            key.epoch,
            key.agent_session.0,
            target.pid
        ])?;
    rows.remove("session_replicas", gone as u64);
    connection
        .prepare_cached(
            "INSERT INTO session_replicas VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
        )?
        .execute(params![
            key.session.0,
            key.agent_id,
            key.epoch,
            key.agent_session.0,
            target.pid,
            target.start_ticks,
            target.service,
            target.exe,
            target.build_id,
            target.language.name(),
            replica.started_at.map(to_sql_time),
            replica_state_name(replica.state),
            replica.trouble,
        ])?;
    rows.add("session_replicas", 1);
    Ok(())
}

fn check_known(is_known: bool, session: &SessionId) -> Result<(), StoreError> {
    if is_known {
        return Ok(());
    }
    Err(StoreError::NoSuchSession {
        session: session.clone(),
    })
}

fn session(row: &Row<'_>) -> Result<StoredSession, duckdb::Error> {
    let settings: String = row.get("settings")?;
    let status: String = row.get("status")?;
    let events: i64 = row.get("event_count")?;
    Ok(StoredSession {
        begun: NewSession {
            id: SessionId(row.get("session_id")?),
            service: row.get("service_name")?,
            requested_by: row.get("requested_by")?,
            requested_via: row
                .get::<_, Option<String>>("requested_via")?
                .unwrap_or_default(),
            started_at: known_time(row, "started_at")?,
            expires_at: known_time(row, "expires_at")?,
            functions: texts(row.get("functions")?),
            // Settings of another version of this program may say more than this one knows.
            settings: serde_json::from_str(&settings)
                .unwrap_or_else(|_| SessionSettings::default()),
            request: row.get("request")?,
        },
        changes: row.get("changes")?,
        ended_at: time(row, "ended_at")?,
        state: session_state(&status),
        events: events.unsigned_abs(),
        replicas: row.get("replicas")?,
        agent_ids: texts(row.get("agent_ids")?),
    })
}

fn replica(row: &Row<'_>) -> Result<ReplicaRow, duckdb::Error> {
    let journal = key(row)?;
    let language_name: String = row.get("language")?;
    let state: String = row.get("state")?;
    let state: ReplicaState = replica_state(&state);
    Ok(ReplicaRow {
        target: Target {
            agent_id: journal.agent_id.clone(),
            service: row.get("service_name")?,
            pid: row.get("pid")?,
            exe: row.get("exe")?,
            build_id: row.get("build_id")?,
            language: language(&language_name),
            start_ticks: row.get("start_ticks")?,
        },
        journal,
        started_at: time(row, "started_at")?,
        state,
        trouble: row.get("trouble")?,
    })
}
