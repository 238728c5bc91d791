//! What is old goes, in slices between which others get their turn.

use duckdb::params;
use jiff::{SignedDuration, Timestamp};

use super::StoreError;
use super::database::{Database, Need};
use super::schema::TABLES;
use super::values::to_sql_time;

/// Single calls that one transaction deletes at most.
const EVENTS_MAX: u32 = 100_000;
/// Sessions that one transaction deletes at most.
const SESSIONS_MAX: u32 = 20;

impl Database {
    /// Deletes a slice of what is older than it may be; whether there may be more.
    pub(super) fn retain_slice(&mut self, now: Timestamp) -> Result<bool, StoreError> {
        let before = |retention| {
            let retention = SignedDuration::try_from(retention).unwrap_or(SignedDuration::MAX);
            to_sql_time(now.saturating_sub(retention).unwrap_or(Timestamp::MIN))
        };
        let events_before = before(self.settings.events_retention);
        let sessions_before = before(self.settings.sessions_retention);
        let (count, gone) = self.write(Need::Little, |connection, rows, _| {
            let sql = format!(
                "DELETE FROM uprobe_events WHERE rowid IN \
                 (SELECT rowid FROM uprobe_events WHERE started_at < ? LIMIT {EVENTS_MAX})"
            );
            let count = connection.execute(&sql, [&events_before])?;
            rows.remove("uprobe_events", count as u64);
            let sql = format!(
                "SELECT session_id FROM debug_sessions WHERE ended_at < ? LIMIT {SESSIONS_MAX}"
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
            }
            Ok((count, gone))
        })?;
        for session in &gone {
            self.memory.forget(session);
        }
        Ok(count == EVENTS_MAX as usize || gone.len() == SESSIONS_MAX as usize)
    }
}
