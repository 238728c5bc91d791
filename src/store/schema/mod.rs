//! The tables, and how files of earlier versions come by them.

use duckdb::{Connection, params};
use jiff::Timestamp;

use super::StoreError;
use super::values::to_sql_time;

/// The steps from an empty file to today's tables; a file's version is how many it has taken.
const STEPS: [&str; 5] = [
    include_str!("0001.sql"),
    include_str!("0002.sql"),
    include_str!("0003.sql"),
    include_str!("0004.sql"),
    include_str!("0005.sql"),
];

/// The version that this program writes.
pub(super) const VERSION: u32 = STEPS.len() as u32;

/// The tables whose rows the ledger counts.
pub(super) const TABLES: [&str; 10] = [
    "debug_sessions",
    "session_replicas",
    "uprobe_events",
    "function_stats",
    "call_nodes",
    "session_snapshots",
    "checkpoints",
    "journal_marks",
    "gaps",
    "losses",
];

/// The version of a file; 0 for one that is empty.
pub(super) fn version(connection: &Connection) -> Result<u32, duckdb::Error> {
    let is_begun: bool = connection.query_row(
        "SELECT count(*) > 0 FROM duckdb_tables() WHERE table_name = 'schema_version'",
        [],
        |row| row.get(0),
    )?;
    if !is_begun {
        return Ok(0);
    }
    let version = "SELECT coalesce(max(version), 0) FROM schema_version";
    connection.query_row(version, [], |row| row.get(0))
}

/// Takes the steps that a file lacks, each in a transaction of its own, and returns the version
/// that it had.
///
/// # Errors
/// If the file is newer than this program, or a step fails.
pub(super) fn migrate(connection: &Connection) -> Result<u32, StoreError> {
    migrate_to(connection, VERSION)
}

fn migrate_to(connection: &Connection, version_wanted: u32) -> Result<u32, StoreError> {
    let found = version(connection)?;
    if found > VERSION {
        return Err(StoreError::Newer { version: found });
    }
    for (version, step) in (1..).zip(STEPS) {
        if (found + 1..=version_wanted).contains(&version) {
            let transaction = connection.unchecked_transaction()?;
            transaction.execute_batch(step)?;
            let now = to_sql_time(Timestamp::now());
            transaction.execute(
                "INSERT INTO schema_version VALUES (?, ?)",
                params![version, now],
            )?;
            transaction.commit()?;
        }
    }
    Ok(found)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn open(version: u32) -> Connection {
        let connection = Connection::open_in_memory().unwrap();
        assert_eq!(migrate_to(&connection, version).unwrap(), 0);
        connection
    }

    fn columns(connection: &Connection) -> Vec<(String, String, Option<String>)> {
        let sql = "SELECT table_name || '.' || column_name, data_type, comment FROM duckdb_columns() \
                   WHERE NOT internal ORDER BY table_name, column_index";
        let mut statement = connection.prepare(sql).unwrap();
        let columns = statement.query_map([], |row| Ok((row.get(0)?, row.get(1)?, row.get(2)?)));
        columns.unwrap().map(Result::unwrap).collect()
    }

    #[test]
    fn a_file_of_the_first_version_becomes_todays_with_its_rows() {
        let old = open(1);
        old.execute_batch(
            "INSERT INTO function_stats VALUES ('s', 'a', 1, 'x', 'shop', 'main.f', NULL, NULL, \
             'none', 5, 4, 0, 1, NULL, 40, 1, 2, 3, 4, 5, 6, 7, [3], [4])",
        )
        .unwrap();
        assert_eq!(migrate(&old).unwrap(), 1);
        assert_eq!(version(&old).unwrap(), VERSION);
        assert_eq!(columns(&old), columns(&open(VERSION)));
        let row = "SELECT calls, self_ns FROM function_stats";
        let row = old.query_row(row, [], |row| Ok((row.get(0)?, row.get(1)?)));
        assert_eq!(row.unwrap(), (5, None::<i64>));
        assert_eq!(migrate(&old).unwrap(), VERSION, "once is enough");
    }

    #[test]
    fn a_newer_file_is_refused() {
        let newer = open(VERSION);
        let insert = "INSERT INTO schema_version VALUES (99, make_timestamp(0))";
        newer.execute_batch(insert).unwrap();
        let error = migrate(&newer).unwrap_err();
        assert!(
            matches!(error, StoreError::Newer { version: 99 }),
            "{error}"
        );
    }

    #[test]
    fn a_step_that_fails_leaves_the_file_as_it_was() {
        let connection = open(1);
        connection
            .execute_batch("ALTER TABLE function_stats ADD COLUMN probes_ns BIGINT")
            .unwrap();
        let before = columns(&connection);
        assert!(migrate(&connection).is_err());
        assert_eq!(columns(&connection), before);
        assert_eq!(version(&connection).unwrap(), 1);
    }

    #[test]
    fn every_table_and_column_says_what_it_is() {
        let connection = open(VERSION);
        for (name, _, comment) in columns(&connection) {
            let is_bookkeeping = ["schema_version.", "commits."]
                .iter()
                .any(|table| name.starts_with(table));
            assert!(comment.is_some() || is_bookkeeping, "{name}");
        }
        let sql = "SELECT table_name FROM duckdb_tables() WHERE comment IS NULL";
        assert!(!connection.prepare(sql).unwrap().exists([]).unwrap());
    }
}
