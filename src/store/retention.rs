//! What is old goes, in slices between which others get their turn.

use std::time::Duration;

use duckdb::params;
use duckdb::types::Value;
use jiff::{SignedDuration, Timestamp};

use super::StoreError;
use super::database::{Database, Need};
use super::schema::TABLES;
use super::values::to_sql_time;

/// Single calls that one transaction deletes at most.
const EVENTS_MAX: u32 = 100_000;
/// Sessions that one transaction deletes at most.
const SESSIONS_MAX: u32 = 20;

/// Whether an export that is done holds a single call.
const EVENT_IS_EXPORTED: &str = "EXISTS (FROM exported_journals x \
    WHERE x.session_id = e.session_id AND x.agent_id = e.agent_id \
    AND x.agent_epoch = e.agent_epoch AND x.agent_session = e.agent_session \
    AND e.sequence <= x.last_sequence)";
/// Whether exports that are done hold a session, and all of its journals.
const SESSION_IS_EXPORTED: &str = "EXISTS (FROM exported_sessions x \
    WHERE x.session_id = s.session_id AND x.as_of = concat(s.status, ' ', s.event_count)) \
    AND NOT EXISTS (FROM journal_marks m WHERE m.session_id = s.session_id \
    AND NOT EXISTS (FROM exported_journals x \
    WHERE x.session_id = m.session_id AND x.agent_id = m.agent_id \
    AND x.agent_epoch = m.agent_epoch AND x.agent_session = m.agent_session \
    AND m.last_sequence <= x.last_sequence))";
/// What is known of the exports of a session.
const EXPORT_TABLES: [&str; 4] = [
    "export_parts",
    "export_sessions",
    "exported_journals",
    "exported_sessions",
];

impl Database {
    /// How many single calls are older than they may be.
    pub(super) fn overdue(&mut self, now: Timestamp) -> Result<u64, StoreError> {
        let before = before(now, self.settings.events_retention);
        let sql = "SELECT count(*) FROM uprobe_events WHERE started_at < ?";
        Ok(self
            .connection()?
            .query_row(sql, [before], |row| row.get(0))?)
    }

    /// Deletes a slice of what is older than it may be; whether there may be more.
    pub(super) fn retain_slice(&mut self, now: Timestamp) -> Result<bool, StoreError> {
        let events_before = before(now, self.settings.events_retention);
        let sessions_before = before(now, self.settings.sessions_retention);
        let (event_may_go, session_may_go) = match self.settings.keeps_unexported {
            true => (EVENT_IS_EXPORTED, SESSION_IS_EXPORTED),
            false => ("true", "true"),
        };
        let (count, gone) = self.write(Need::Little, |connection, rows, _| {
            let sql = format!(
                "DELETE FROM uprobe_events WHERE rowid IN \
                 (SELECT e.rowid FROM uprobe_events e WHERE e.started_at < ? AND {event_may_go} \
                 LIMIT {EVENTS_MAX})"
            );
            let count = connection.execute(&sql, [&events_before])?;
            rows.remove("uprobe_events", count as u64);
            let sql = format!(
                "SELECT s.session_id FROM debug_sessions s \
                 WHERE s.ended_at < ? AND {session_may_go} LIMIT {SESSIONS_MAX}"
            );
            let mut statement = connection.prepare(&sql)?;
            let gone = statement.query_map([&sessions_before], |row| row.get(0))?;
            let gone: Vec<String> = gone.collect::<Result<_, _>>()?;
            for session in &gone {
                for table in TABLES.iter().filter(|table| **table != "losses") {
                    let sql = format!("DELETE FROM {table} WHERE session_id = ?");
                    let count = connection.execute(&sql, params![session])?;
                    rows.remove(table, count as u64);
                }
                for table in EXPORT_TABLES {
                    let sql = format!("DELETE FROM {table} WHERE session_id = ?");
                    connection.execute(&sql, params![session])?;
                }
            }
            let sql = "DELETE FROM exports WHERE done_at < ?";
            connection.execute(sql, [&sessions_before])?;
            Ok((count, gone))
        })?;
        for session in &gone {
            self.memory.forget(session);
        }
        Ok(count == EVENTS_MAX as usize || gone.len() == SESSIONS_MAX as usize)
    }
}

fn before(now: Timestamp, retention: Duration) -> Value {
    let retention = SignedDuration::try_from(retention).unwrap_or(SignedDuration::MAX);
    to_sql_time(now.saturating_sub(retention).unwrap_or(Timestamp::MIN))
}
