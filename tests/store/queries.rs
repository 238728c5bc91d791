//! SQL over the history: what reads is answered, and everything else is refused or killed.

use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

use coral_model::Diagnostic;
use coral_tui::store::Store;
use coral_tui::store::sql::{SqlError, SqlSettings, SqlWorkers};
use tempfile::TempDir;

use crate::fixture::{at, batch, calls, opened, settings};

const DEADLINE: Duration = Duration::from_secs(20);

struct Colony {
    folder: TempDir,
    store: Store,
    workers: Arc<SqlWorkers>,
}

async fn colony(bytes_max: u64) -> Colony {
    let folder = tempfile::tempdir().unwrap();
    let settings = settings(&folder);
    let store = opened(&settings, "s").await;
    store
        .append(batch("s", "a", vec![calls(1, 5)]))
        .await
        .unwrap();
    let settings = SqlSettings {
        program: env!("CARGO_BIN_EXE_coral").into(),
        bytes_max,
        ..SqlSettings::of(&at(&settings.path))
    };
    let workers = SqlWorkers::new(store.clone(), settings).unwrap();
    Colony {
        folder,
        store,
        workers: Arc::new(workers),
    }
}

impl Colony {
    /// The columns and the rows of a result.
    async fn rows(&self, sql: &str) -> Result<(Vec<String>, Vec<Vec<String>>), SqlError> {
        let messages = self.workers.query(sql, 0, DEADLINE).await?;
        let columns = messages[0].columns.iter();
        let columns = columns.map(|it| format!("{} {}", it.name, it.type_name));
        let rows = messages.iter().flat_map(|message| &message.rows);
        let row = |row: &coral_proto::colony::v1::SqlRow| {
            let values = row.values.iter();
            values
                .map(|it| it.text.clone().unwrap_or("NULL".into()))
                .collect()
        };
        Ok((columns.collect(), rows.map(row).collect()))
    }

    async fn code(&self, sql: &str) -> &'static str {
        match self.rows(sql).await {
            Ok(rows) => panic!("{sql}: {rows:?}"),
            Err(error) => error.code(),
        }
    }
}

#[tokio::test]
async fn what_reads_is_answered() {
    let colony = colony(1 << 20).await;
    let sql = "SELECT session_id, count(*) AS calls, sum(duration_ns) AS total, \
               max(started_at) AS last, any_value(labels) AS labels, NULL AS nothing \
               FROM uprobe_events GROUP BY ALL";
    let (columns, rows) = colony.rows(sql).await.unwrap();
    let expected = [
        "session_id VARCHAR",
        "calls BIGINT",
        "total HUGEINT",
        "last TIMESTAMP",
        "labels MAP(VARCHAR, VARCHAR)",
        "nothing NULL",
    ];
    assert_eq!(columns, expected);
    let labels = "{arg.user: u_1, arg.user#2: again, return.err: nil}";
    let last = "2026-03-01T12:00:00.000001";
    assert_eq!(rows, [["s", "5", "5010", last, labels, "NULL"]]);
    for sql in [
        "SHOW TABLES",
        "DESCRIBE uprobe_events",
        "SUMMARIZE debug_sessions",
        "EXPLAIN SELECT 1",
        "FROM gaps",
        "WITH a AS (SELECT 1) SELECT * FROM a",
        "PRAGMA table_info('gaps')",
        "SELECT comment FROM duckdb_columns() WHERE table_name = 'gaps'",
        "SELECT count(*) FROM uprobe_events WHERE started_at > now() - INTERVAL 1 HOUR",
        "SELECT date_trunc('minute', started_at), current_timestamp - started_at FROM gaps, \
         uprobe_events GROUP BY ALL",
        "SELECT [now()], system.main.now(), current_date, today() - INTERVAL 1 DAY",
    ] {
        let rows = colony.rows(sql).await;
        assert!(rows.is_ok(), "{sql}: {rows:?}");
    }
}

#[tokio::test]
async fn a_result_has_as_many_rows_as_were_asked_for() {
    let colony = colony(64 << 20).await;
    let query = |sql: &'static str, rows_max| colony.workers.query(sql, rows_max, DEADLINE);
    let messages = query("SELECT * FROM range(100000)", 50_000).await.unwrap();
    assert_eq!(
        messages.iter().map(|it| it.rows.len()).sum::<usize>(),
        50_000
    );
    assert!(messages.len() > 1 && messages.last().unwrap().is_cut);
    assert!(messages[0].as_of.is_some());
    let messages = query("SELECT * FROM range(3)", 3).await.unwrap();
    assert_eq!(messages.iter().map(|it| it.rows.len()).sum::<usize>(), 3);
    assert!(!messages.last().unwrap().is_cut);
}

#[tokio::test]
async fn what_writes_or_looks_elsewhere_is_refused() {
    let colony = colony(1 << 20).await;
    let out = colony.folder.path().join("out");
    let path = out.display();
    for sql in [
        format!("COPY (SELECT 1) TO '{path}'"),
        format!("WITH a AS (COPY (SELECT 1) TO '{path}') SELECT 1"),
        format!("EXPORT DATABASE '{path}'"),
        format!("ATTACH '{path}'"),
        "INSTALL httpfs".into(),
        "LOAD httpfs".into(),
        "SET memory_limit = '100GB'".into(),
        "RESET enable_external_access".into(),
        "PRAGMA memory_limit = '100GB'".into(),
        "PRAGMA enable_external_access = true".into(),
        "INSERT INTO gaps SELECT * FROM gaps".into(),
        "WITH a AS (SELECT 1) DELETE FROM gaps".into(),
        "EXPLAIN ANALYZE DELETE FROM gaps".into(),
        "DROP TABLE gaps".into(),
        "CREATE TABLE x AS SELECT 1".into(),
        "SELECT 1; DROP TABLE gaps".into(),
        "CHECKPOINT".into(),
        "CALL pragma_version()".into(),
        "SELECT * FROM read_csv('/etc/passwd')".into(),
        "SELECT * FROM read_text('/etc/passwd')".into(),
        "SELECT * FROM read_blob('/proc/self/environ')".into(),
        "SELECT * FROM '/etc/passwd.csv'".into(),
        "SELECT * FROM glob('/etc/*')".into(),
        "SELECT * FROM read_parquet('https://example.com/x')".into(),
        "SELECT getenv('HOME')".into(),
        "SELECT * FROM no_such_table".into(),
        "SELECT 'unclosed".into(),
        String::new(),
    ] {
        assert_eq!(colony.code(&sql).await, "bad-sql", "{sql}");
    }
    assert!(!out.exists());
    assert_eq!(
        colony.rows("SELECT count(*) FROM gaps").await.unwrap().1,
        [["0"]]
    );
    // Nothing that a query asks for takes away the others' history.
    colony
        .store
        .append(batch("s", "a", vec![calls(2, 1)]))
        .await
        .unwrap();
}

#[tokio::test]
async fn what_takes_too_much_is_stopped() {
    let colony = colony(4 << 20).await;
    let endless = "WITH RECURSIVE a(n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM a) \
                   SELECT count(*) FROM a WHERE n < 0";
    let deadline = Duration::from_secs(1);
    let started = Instant::now();
    let error = colony
        .workers
        .query(endless, 0, deadline)
        .await
        .unwrap_err();
    let is_stopped = matches!(
        error,
        SqlError::TooLong { .. } | SqlError::TooExpensive { .. }
    );
    assert!(is_stopped, "{error}");
    assert!(started.elapsed() < 10 * deadline);

    let join = "SELECT count(*) FROM range(10000000) a, range(10000000) b, range(100) c \
                WHERE a.range + b.range = c.range * 7";
    let error = colony.workers.query(join, 0, deadline).await.unwrap_err();
    assert_eq!(error.code(), "sql-too-long", "{error}");

    let memory = "SELECT count(*) FROM (SELECT DISTINCT range::VARCHAR || repeat('x', 100) \
                  FROM range(100000000))";
    assert_eq!(colony.code(memory).await, "sql-too-expensive");

    let large = "SELECT repeat('x', 50000) FROM range(2000)";
    assert_eq!(colony.code(large).await, "sql-too-large");
    let long = "SELECT length(repeat('x', 1000000)) AS n, repeat('x', 1000000) AS x";
    let (_, rows) = colony.rows(long).await.unwrap();
    assert_eq!(
        rows[0][1].chars().count(),
        (64 << 10) + 1,
        "a long value is cut"
    );

    assert_eq!(colony.rows("SELECT 1 AS a").await.unwrap().1, [["1"]]);
}

/// The processes of queries over a copy in that folder.
fn processes(folder: &Path) -> usize {
    let name = folder.as_os_str().as_encoded_bytes().to_vec();
    let commands = std::fs::read_dir("/proc").unwrap().filter_map(|entry| {
        let command = std::fs::read(entry.unwrap().path().join("cmdline")).ok()?;
        command
            .windows(name.len())
            .any(|part| part == name)
            .then_some(())
    });
    commands.count()
}

#[tokio::test]
async fn a_query_that_nobody_waits_for_is_killed() {
    let colony = colony(1 << 20).await;
    let workers = Arc::clone(&colony.workers);
    let query = tokio::spawn(async move {
        let sql = "SELECT count(*) FROM range(10000000) a, range(10000000) b \
                   WHERE a.range * b.range = 7";
        workers.query(sql, 0, 100 * DEADLINE).await
    });
    while processes(colony.folder.path()) == 0 {
        tokio::task::yield_now().await;
    }
    query.abort();
    assert!(query.await.unwrap_err().is_cancelled());
    while processes(colony.folder.path()) > 0 {
        tokio::task::yield_now().await;
    }
}
