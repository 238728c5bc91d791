//! What leaves the history as Parquet: each call in one export, each session as it was last.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;
use std::time::Duration;

use coral_model::{EndReason, SessionId, SessionState};
use coral_tui::store::{ExportFile, Store, StoreSettings};
use duckdb::Connection;

use crate::fixture::{
    batch, calls, checkpoint, epoch, opened, replica, rows, session, settings, snapshot,
};

/// More than anything here.
const ALL: u64 = 1_000_000;

/// Makes the next export, puts its files where object storage would, and returns their names; none
/// where nothing is to be exported.
async fn export(store: &Store, events_max: u64, to: &Path) -> Vec<String> {
    let Some(plan) = store.plan_export(events_max).await.unwrap() else {
        return Vec::new();
    };
    let files = write(store, &plan.id, to).await;
    let names = files.iter().map(|file| file.name.clone()).collect();
    let count = files.len() as u64;
    store.finish_export(plan.id, count).await.unwrap();
    names
}

/// Writes an export, and puts its files where they are to be.
async fn write(store: &Store, id: &str, to: &Path) -> Vec<ExportFile> {
    let staged = tempfile::tempdir().unwrap();
    let folder = staged.path().join("it's an export");
    let files = store.write_export(id.to_owned(), folder).await.unwrap();
    for file in &files {
        assert_eq!(file.bytes, fs::metadata(&file.path).unwrap().len());
        let to = to.join(&file.name);
        fs::create_dir_all(to.parent().unwrap()).unwrap();
        fs::copy(&file.path, to).unwrap();
    }
    files
}

/// What a query over a table of the files finds, as text.
fn found(objects: &Path, table: &str, what: &str) -> String {
    let files = objects.join(table).join("**/*.parquet");
    let sql = format!(
        "SELECT ({what})::VARCHAR FROM read_parquet('{}', hive_partitioning = true)",
        files.display()
    );
    let connection = Connection::open_in_memory().unwrap();
    connection.query_row(&sql, [], |row| row.get(0)).unwrap()
}

/// Notes a session with a replica that has a checkpoint and calls, one call for each entry.
async fn fill(store: &Store, id: &str, entries: std::ops::RangeInclusive<u64>) {
    store.begin_session(session(id)).await.unwrap();
    store.add_replicas(vec![replica(id, "a")]).await.unwrap();
    let latest = snapshot("a", 1, &[("main.f", &[5])], SessionState::Active);
    let mut content: Vec<_> = entries.clone().map(|number| calls(number, 2)).collect();
    content.push(checkpoint(entries.end() + 1, &latest));
    store.append(batch(id, "a", content)).await.unwrap();
}

#[tokio::test]
async fn files_lie_in_partitions_by_day_and_service() {
    let folder = tempfile::tempdir().unwrap();
    let settings = settings(&folder);
    let store = opened(&settings, "s").await;
    fill(&store, "s", 1..=3).await;
    let objects = folder.path().join("objects");
    let plan = store.plan_export(ALL).await.unwrap().unwrap();
    let names = export(&store, ALL, &objects).await;
    let partition = "date=2026-03-01/service=checkout";
    assert_eq!(
        names,
        [
            format!("events/{partition}/{}-0.parquet", plan.id),
            format!("functions/{partition}/s-0.parquet"),
            format!("sessions/{partition}/s-0.parquet"),
        ]
    );
    assert_eq!(found(&objects, "events", "count(*)"), "6");
    assert_eq!(found(&objects, "events", "sum(duration_ns)"), "12003");
    assert_eq!(found(&objects, "events", "min(service)"), "checkout");
    assert_eq!(found(&objects, "functions", "sum(calls)"), "2");
    assert_eq!(found(&objects, "sessions", "min(requested_by)"), "alice");
    let taken = store.write_export(plan.id, folder.path().into()).await;
    assert!(taken.unwrap_err().to_string().contains("exists"));
}

#[tokio::test]
async fn each_call_is_in_one_export_and_each_session_as_it_was_last() {
    let folder = tempfile::tempdir().unwrap();
    let settings = settings(&folder);
    let store = opened(&settings, "one").await;
    let objects = folder.path().join("objects");
    fill(&store, "one", 1..=2).await;
    assert_eq!(export(&store, ALL, &objects).await.len(), 3);
    assert_eq!(export(&store, ALL, &objects).await, [""; 0]);
    assert_eq!(found(&objects, "sessions", "min(status)"), "active");

    let late = vec![calls(4, 1), calls(5, 1)];
    store.append(batch("one", "a", late)).await.unwrap();
    fill(&store, "two", 1..=1).await;
    let ended_at = epoch() + Duration::from_secs(10);
    let id = SessionId("one".into());
    store
        .end_session(id, ended_at, EndReason::Expired)
        .await
        .unwrap();
    export(&store, ALL, &objects).await;
    assert_eq!(found(&objects, "events", "count(*)"), "8");
    assert_eq!(
        found(
            &objects,
            "sessions",
            "string_agg(status, ' ' ORDER BY session_id)"
        ),
        "expired active"
    );
    // A state alone is a reason, too.
    let id = SessionId("two".into());
    store
        .end_session(id, ended_at, EndReason::Detached)
        .await
        .unwrap();
    let names = export(&store, ALL, &objects).await;
    assert_eq!(names.len(), 2, "{names:?}");
    assert_eq!(export(&store, ALL, &objects).await, [""; 0]);
    assert_eq!(
        found(
            &objects,
            "sessions",
            "string_agg(status, ' ' ORDER BY session_id)"
        ),
        "expired detached"
    );
}

#[tokio::test]
async fn what_is_too_much_for_one_export_is_in_the_next() {
    let folder = tempfile::tempdir().unwrap();
    let settings = settings(&folder);
    let store = opened(&settings, "one").await;
    let objects = folder.path().join("objects");
    fill(&store, "one", 1..=7).await;
    fill(&store, "two", 1..=7).await;
    let mut exports = 0;
    while let Some(plan) = store.plan_export(5).await.unwrap() {
        assert!(plan.events <= 5, "{plan:?}");
        export(&store, 5, &objects).await;
        exports += 1;
    }
    assert_eq!(exports, 7, "two entries of two calls each");
    assert_eq!(found(&objects, "events", "count(*)"), "28");
    let distinct = "count(DISTINCT (session_id, sequence, number))";
    assert_eq!(found(&objects, "events", distinct), "28");
}

#[tokio::test]
async fn an_export_that_is_cut_off_is_made_again_as_it_was() {
    let folder = tempfile::tempdir().unwrap();
    let settings = settings(&folder);
    let store = opened(&settings, "s").await;
    fill(&store, "s", 1..=3).await;
    let objects = folder.path().join("objects");
    let plan = store.plan_export(ALL).await.unwrap().unwrap();
    let before = contents(&write(&store, &plan.id, &objects).await);
    store.close().await;

    let (store, _) = Store::open(settings.clone()).unwrap();
    let more = vec![calls(5, 9)];
    store.append(batch("s", "a", more)).await.unwrap();
    assert_eq!(store.plan_export(ALL).await.unwrap(), Some(plan.clone()));
    let files = write(&store, &plan.id, &objects).await;
    assert_eq!(contents(&files)["events"], before["events"]);
    let count = files.len() as u64;
    store.finish_export(plan.id, count).await.unwrap();
    export(&store, ALL, &objects).await;
    assert_eq!(found(&objects, "events", "count(*)"), "15");
    store.close().await;
    let exports = "SELECT events, files, done_at IS NOT NULL FROM exports ORDER BY planned_at";
    assert_eq!(
        rows(&settings, exports),
        [["6", "3", "true"], ["9", "3", "true"]]
    );
}

/// Names and sizes of files by table.
fn contents(files: &[ExportFile]) -> BTreeMap<String, Vec<(String, u64)>> {
    let mut contents: BTreeMap<String, Vec<_>> = BTreeMap::new();
    for file in files {
        let (table, _) = file.name.split_once('/').unwrap();
        let entry = (file.name.clone(), file.bytes);
        contents.entry(table.to_owned()).or_default().push(entry);
    }
    contents
}

#[tokio::test]
async fn what_no_export_holds_is_not_deleted() {
    let folder = tempfile::tempdir().unwrap();
    let settings = StoreSettings {
        keeps_unexported: true,
        ..settings(&folder)
    };
    let store = opened(&settings, "s").await;
    fill(&store, "s", 1..=2).await;
    let ended_at = epoch() + Duration::from_secs(10);
    let id = SessionId("s".into());
    store
        .end_session(id, ended_at, EndReason::Expired)
        .await
        .unwrap();
    let month = Duration::from_secs(30 * 24 * 60 * 60);
    assert_eq!(store.retain(epoch() + month).await.unwrap(), 4);
    let objects = folder.path().join("objects");
    export(&store, ALL, &objects).await;
    // More comes late, of a session that is exported.
    store
        .append(batch("s", "a", vec![calls(4, 3)]))
        .await
        .unwrap();
    assert_eq!(store.retain(epoch() + month).await.unwrap(), 3);
    let sessions = store.list_sessions(None, epoch(), 10).await.unwrap();
    assert_eq!(sessions.len(), 1, "it has calls that no export holds");
    export(&store, ALL, &objects).await;
    assert_eq!(store.retain(epoch() + month).await.unwrap(), 0);
    let sessions = store.list_sessions(None, epoch(), 10).await.unwrap();
    assert_eq!(sessions, []);
    assert_eq!(found(&objects, "events", "count(*)"), "7");
    store.close().await;
    for table in ["exported_journals", "exported_sessions", "export_parts"] {
        let count = format!("SELECT count(*) FROM {table}");
        assert_eq!(rows(&settings, &count), [["0"]], "{table}");
    }
}
