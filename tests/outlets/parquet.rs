//! A colony's history arrives in object storage: each call once, whatever fails on the way.

use std::fs;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use coral_model::{EndReason, SessionId, SessionState};
use coral_tui::store::{NewSession, Store};
use duckdb::Connection;
use tempfile::TempDir;

use crate::fixture::{batch, calls, checkpoint, epoch, opened, replica, rows, snapshot};
use crate::s3::S3;
use crate::tls::Front;

/// A service whose name no file can have.
const ODD: &str = "pay/eu ü%";

/// A colony that ends with the test.
struct Colony(Child);

impl Drop for Colony {
    fn drop(&mut self) {
        // It may have ended by itself.
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// Starts a colony on the history in a folder, which exports to that place.
fn colony(folder: &Path, url: &str, environment: &[(&str, String)]) -> Colony {
    let path = |name: &str| folder.join(name).display().to_string();
    let config = format!(
        "colony:\n    listen: ['unix:{}']\n    audit: null\n    debug:\n        \
         storage: {{path: '{}', events_retention: 3650d, sessions_retention: 3650d}}\n        \
         export: {{parquet: {{url: '{url}', every: 1s}}}}\n",
        path("colony.sock"),
        path("history.duckdb"),
    );
    fs::write(folder.join("colony.yaml"), config).unwrap();
    let mut command = Command::new(env!("CARGO_BIN_EXE_coral"));
    command
        .arg("colony")
        .args(["--config", &path("colony.yaml")])
        .envs(environment.iter().map(|(name, value)| (*name, value)))
        .stderr(fs::File::create(folder.join("said")).unwrap())
        .stdout(Stdio::null());
    Colony(command.spawn().unwrap())
}

fn await_that(what: &str, mut is_so: impl FnMut() -> bool) {
    let began = Instant::now();
    while !is_so() {
        assert!(
            began.elapsed() < Duration::from_secs(60),
            "it does not come about: {what}"
        );
        std::thread::sleep(Duration::from_millis(20));
    }
}

/// A history with two sessions, and 50 calls of each.
async fn history(folder: &TempDir) -> coral_tui::store::StoreSettings {
    let settings = crate::fixture::settings(folder);
    let store = opened(&settings, "one").await;
    let two = NewSession {
        service: ODD.into(),
        ..crate::fixture::session("two")
    };
    store.begin_session(two).await.unwrap();
    for id in ["one", "two"] {
        store.add_replicas(vec![replica(id, "a")]).await.unwrap();
        let ended = SessionState::Ended(EndReason::Expired);
        let latest = snapshot("a", 1, &[("main.f", &[5, 6])], ended);
        let mut entries: Vec<_> = (1..=10).map(|number| calls(number, 5)).collect();
        entries.push(checkpoint(11, &latest));
        store.append(batch(id, "a", entries)).await.unwrap();
        let ended_at = epoch() + Duration::from_secs(10);
        let id = SessionId(id.into());
        store
            .end_session(id, ended_at, EndReason::Expired)
            .await
            .unwrap();
    }
    store.close().await;
    settings
}

/// What a query over the files of a table in a folder finds.
fn found(folder: &Path, table: &str, what: &str) -> String {
    let files = folder.join(table).join("**/*.parquet");
    let sql = format!(
        "SELECT ({what})::VARCHAR FROM read_parquet('{}', hive_partitioning = true)",
        files.display()
    );
    let connection = Connection::open_in_memory().unwrap();
    connection.query_row(&sql, [], |row| row.get(0)).unwrap()
}

/// What is exported has to be what the history holds.
fn assert_same(folder: &Path, settings: &coral_tui::store::StoreSettings) {
    for (table, source, what) in [
        ("events", "uprobe_events", "count(*)"),
        ("events", "uprobe_events", "sum(duration_ns)"),
        ("sessions", "debug_sessions", "max(service_name)"),
        (
            "events",
            "uprobe_events",
            "count(DISTINCT (session_id, sequence, number))",
        ),
        ("functions", "function_stats", "sum(calls)"),
        (
            "sessions",
            "debug_sessions",
            "string_agg(session_id, ' ' ORDER BY session_id)",
        ),
    ] {
        let here = rows(settings, &format!("SELECT {what} FROM {source}"));
        assert_eq!(found(folder, table, what), here[0][0], "{what} of {table}");
    }
    assert_eq!(
        found(folder, "events", "max(service)"),
        ODD,
        "the partition's name"
    );
}

#[tokio::test]
async fn a_bucket_gets_each_call_once_though_it_fails_and_the_colony_is_killed() {
    let folder = tempfile::tempdir().unwrap();
    let settings = history(&folder).await;
    let s3 = S3::start();
    // More than are tried before it is told.
    s3.bucket.lock().unwrap().failures = 5;
    let url = "s3://history/prod/coral";
    let mut killed = colony(folder.path(), url, &s3.environment());
    await_that("something has arrived", || {
        s3.bucket.lock().unwrap().objects.len() > 1
    });
    killed.0.kill().unwrap();
    drop(killed);
    let said = fs::read_to_string(folder.path().join("said")).unwrap();
    let tells = said.contains("s3://history/prod/coral has not got the history's export");
    assert!(tells, "{said}");
    let again = colony(folder.path(), url, &s3.environment());
    let store = folder.path();
    await_that("all has arrived", || {
        s3.bucket.lock().unwrap().objects.len() == 6
    });
    await_that("it is noted", || {
        !store.join("history.duckdb.export").exists()
    });
    drop(again);
    let bucket = s3.bucket.lock().unwrap();
    assert_eq!(bucket.refused, [""; 0]);
    let objects = folder.path().join("objects");
    for (name, bytes) in &bucket.objects {
        let name = name.strip_prefix("/history/prod/coral/").unwrap();
        assert!(name.contains("/date=2026-03-01/service="), "{name}");
        let path = objects.join(name);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, bytes).unwrap();
    }
    assert_same(&objects, &settings);
}

#[tokio::test]
async fn a_folder_gets_what_comes_later_too() {
    let folder = tempfile::tempdir().unwrap();
    let settings = history(&folder).await;
    let objects = folder.path().join("objects");
    let url = format!("file://{}", objects.display());
    let staging = folder.path().join("history.duckdb.export");
    let has_arrived = |events: &str| {
        let is_there = objects.join("sessions").exists() && !staging.exists();
        is_there && found(&objects, "events", "count(*)") == events
    };
    let first = colony(folder.path(), &url, &[]);
    await_that("all has arrived", || has_arrived("100"));
    drop(first);
    let (store, _) = Store::open(settings.clone()).unwrap();
    store
        .append(batch("two", "a", vec![calls(12, 7)]))
        .await
        .unwrap();
    store.close().await;
    let second = colony(folder.path(), &url, &[]);
    await_that("the rest has arrived", || has_arrived("107"));
    drop(second);
    assert_same(&objects, &settings);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_bucket_behind_tls_gets_the_same() {
    let folder = tempfile::tempdir().unwrap();
    history(&folder).await;
    let s3 = S3::start();
    let front = Front::of(s3.address).await;
    let mut environment = s3.environment().to_vec();
    environment[0].1 = format!("https://{}", front.address);
    let said = || fs::read_to_string(folder.path().join("said")).unwrap();
    let trusts_nobody = colony(folder.path(), "s3://history", &environment);
    await_that("it is told why", || said().contains("certificate"));
    drop(trusts_nobody);
    assert!(s3.bucket.lock().unwrap().objects.is_empty());
    environment.push(("AWS_CA_BUNDLE", front.ca().display().to_string()));
    let _trusts_it = colony(folder.path(), "s3://history", &environment);
    await_that("all has arrived", || {
        s3.bucket.lock().unwrap().objects.len() == 6
    });
    assert_eq!(s3.bucket.lock().unwrap().refused, [""; 0]);
}
