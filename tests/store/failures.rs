//! A history that cannot be written says so, answers all the same, and writes again by itself.

use std::fs;
use std::path::Path;
use std::process::Command;

use coral_model::{CallValue, Diagnostic, EndReason, SessionId, SessionState};
use coral_tui::store::{Content, Entry, Store, StoreError, StoreState};

use crate::fixture::{HISTORY, at, batch, calls, epoch, opened, process, rows, session};

/// One of these tests in a process that has a disk of its own, of so many MiB.
fn on_a_disk(test: &str, mib: u32, then: &str) {
    if !rustix::process::getuid().is_root() {
        println!("skipped: {test}: mounting takes root");
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("history.duckdb");
    let disk = folder.path().display();
    let shell = format!("mount -t tmpfs -o size={mib}m none '{disk}' && {then}")
        .replace("DISK", &disk.to_string());
    let inner = process(test, &path, &shell);
    let output = Command::new("unshare")
        .arg("--mount")
        .arg(inner.get_program())
        .args(inner.get_args())
        .env(HISTORY, &path)
        .output()
        .unwrap();
    let said = String::from_utf8_lossy(&output.stdout);
    assert!(
        output.status.success() && said.contains("1 passed"),
        "{output:?}"
    );
}

#[test]
fn a_full_disk_stops_nothing_but_writing() {
    on_a_disk("failures::is_full", 24, "");
}

/// An entry of 20 calls and about 160 KB that cannot be made smaller.
fn large(sequence: u64) -> Entry {
    let mut entry = calls(sequence, 20);
    let Content::Calls(calls) = &mut entry.content else {
        unreachable!("they are calls");
    };
    let mut state = sequence;
    for call in calls {
        let mut noise = || {
            state = state
                .wrapping_mul(6_364_136_223_846_793_005)
                .wrapping_add(1);
            format!("{:016x}", state ^ (state >> 29))
        };
        call.record.arguments = vec![CallValue {
            name: "noise".into(),
            type_name: "string".into(),
            value: (0..500).map(|_| noise()).collect(),
        }];
    }
    entry
}

#[tokio::test]
#[ignore = "run by a_full_disk_stops_nothing_but_writing"]
async fn is_full() {
    let path = crate::fixture::history();
    let ballast = path.with_file_name("ballast");
    fs::write(&ballast, vec![1; 6 << 20]).unwrap();
    let settings = at(&path);
    let store = opened(&settings, "s").await;
    let mut sequence = 0;
    let error = loop {
        let appended = store
            .append(batch("s", "a", vec![large(sequence + 1)]))
            .await;
        match appended {
            Ok(mark) => sequence = mark,
            Err(error) => break error,
        }
    };
    assert_eq!(error.code(), "history-full", "{error}");
    assert_eq!(store.state(), StoreState::Full);
    assert!(sequence > 10, "{sequence}");

    // The last byte is taken; what must be noted has the reserve.
    let filler = path.with_file_name("filler");
    let _ = fs::write(&filler, vec![1; 24 << 20]);
    let ended_at = epoch();
    store.begin_session(session("t")).await.unwrap();
    let ended = store.end_session(SessionId("t".into()), ended_at, EndReason::Budget);
    ended.await.unwrap();
    let error = store
        .append(batch("s", "a", vec![large(sequence + 1)]))
        .await;
    assert!(matches!(error, Err(StoreError::Full)), "{error:?}");
    let sessions = store.list_sessions(None, epoch(), 9).await.unwrap();
    assert_eq!(sessions.len(), 2);

    fs::remove_file(&filler).unwrap();
    fs::remove_file(&ballast).unwrap();
    let mark = store
        .append(batch("s", "a", vec![large(sequence + 1)]))
        .await
        .unwrap();
    assert_eq!(mark, sequence + 1);
    assert_eq!(store.state(), StoreState::Writing);
    store.close().await;

    let sql =
        "SELECT count(*), count(DISTINCT (sequence, number)), max(sequence) FROM uprobe_events";
    let count = (mark * 20).to_string();
    assert_eq!(
        rows(&settings, sql),
        [[count.clone(), count, mark.to_string()]]
    );
    let (store, opened) = Store::open(settings).unwrap();
    assert_eq!(opened.losses, []);
    let ended = store.session(SessionId("t".into())).await.unwrap();
    assert_eq!(ended.state, SessionState::Ended(EndReason::Budget));
}

#[test]
fn a_disk_that_may_only_be_read_is_refused() {
    on_a_disk(
        "failures::is_read_only",
        24,
        "mount -o remount,ro 'DISK' &&",
    );
}

#[test]
#[ignore = "run by a_disk_that_may_only_be_read_is_refused"]
fn is_read_only() {
    let error = Store::open(at(&crate::fixture::history())).unwrap_err();
    assert_eq!(error.code(), "history-unusable", "{error}");
}

#[test]
fn a_folder_that_is_not_there_is_refused() {
    let error = Store::open(at(Path::new("/no/such/folder/history"))).unwrap_err();
    assert_eq!(error.code(), "history-unusable", "{error}");
}

#[tokio::test]
async fn a_closed_history_says_so() {
    let folder = tempfile::tempdir().unwrap();
    let store = opened(&crate::fixture::settings(&folder), "s").await;
    store.clone().close().await;
    let error = store
        .append(batch("s", "a", vec![calls(1, 1)]))
        .await
        .unwrap_err();
    assert_eq!(error.code(), "history-closed");
}
