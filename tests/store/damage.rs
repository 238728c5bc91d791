//! What a damaged log has lost is told; DuckDB would open it without a word.

use std::fs;
use std::io::{BufRead, BufReader};
use std::path::Path;
use std::process::Stdio;

use coral_model::Diagnostic;
use coral_tui::store::{Loss, Store, StoreError, StoreSettings};

use crate::fixture::{at, batch, calls, opened, process, rows, settings};

const ENTRIES: u64 = 8;

/// The files of a process that was killed right behind its last answer. The log holds what it has
/// appended, and nothing else.
async fn of_a_killed_process(path: &Path) {
    opened(&at(path), "s").await.close().await;
    let mut child = process("damage::appends_and_stays", path, "")
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
    assert!(lines.any(|line| line.unwrap() == "stored"));
    child.kill().unwrap();
    child.wait().unwrap();
}

#[tokio::test]
#[ignore = "run by of_a_killed_process"]
async fn appends_and_stays() {
    let (store, _) = Store::open(at(&crate::fixture::history())).unwrap();
    for sequence in 1..=ENTRIES {
        let entries = vec![calls(sequence, 1)];
        store.append(batch("s", "a", entries)).await.unwrap();
    }
    println!("stored");
    std::future::pending::<()>().await;
}

fn with_ending(path: &Path, ending: &str) -> std::path::PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(ending);
    name.into()
}

/// A copy of a history whose log has lost its end.
fn cut_off(settings: &StoreSettings, folder: &Path, log_bytes: usize) -> StoreSettings {
    let copy = at(&folder.join(format!("cut-{log_bytes}.duckdb")));
    for ending in ["", ".ledger"] {
        let from = with_ending(&settings.path, ending);
        fs::copy(from, with_ending(&copy.path, ending)).unwrap();
    }
    let log = fs::read(with_ending(&settings.path, ".wal")).unwrap();
    fs::write(with_ending(&copy.path, ".wal"), &log[..log_bytes]).unwrap();
    copy
}

#[tokio::test]
async fn what_a_log_that_was_cut_off_has_lost_is_told_by_table_and_kept() {
    let folder = tempfile::tempdir().unwrap();
    let settings = settings(&folder);
    of_a_killed_process(&settings.path).await;
    let log_bytes = fs::metadata(with_ending(&settings.path, ".wal"))
        .unwrap()
        .len() as usize;

    let whole = cut_off(&settings, folder.path(), log_bytes);
    assert_eq!(Store::open(whole).unwrap().1.losses, []);

    let mut events_lost_before = 0;
    for log_bytes in (1..log_bytes).rev().step_by(log_bytes / 20) {
        let copy = cut_off(&settings, folder.path(), log_bytes);
        let (store, opened) = Store::open(copy.clone()).unwrap();
        store.close().await;
        let left = rows(&copy, "SELECT count(*) FROM uprobe_events");
        let left: u64 = left[0][0].parse().unwrap();
        let lost = ENTRIES - left;
        let of = |table: &str, rows| Loss {
            table: table.into(),
            rows,
        };
        let expected = match lost {
            // The cut lies within what no transaction needs.
            0 => vec![],
            ENTRIES => vec![
                of("commits", lost),
                of("uprobe_events", lost),
                of("journal_marks", 1),
            ],
            lost => vec![of("commits", lost), of("uprobe_events", lost)],
        };
        assert_eq!(opened.losses, expected, "{log_bytes} bytes are left");
        assert!(lost >= events_lost_before);
        events_lost_before = lost;
        let kept = rows(&copy, "SELECT table_name, rows FROM losses ORDER BY rowid");
        let expected = expected.iter();
        let expected = expected.map(|loss| vec![loss.table.clone(), loss.rows.to_string()]);
        assert_eq!(kept, expected.collect::<Vec<_>>());
        // It is told once.
        assert_eq!(Store::open(copy).unwrap().1.losses, []);
    }
    assert!(events_lost_before > 1, "the log was really cut");
}

#[tokio::test]
async fn what_was_lost_is_stored_when_it_comes_again() {
    let folder = tempfile::tempdir().unwrap();
    let settings = settings(&folder);
    of_a_killed_process(&settings.path).await;
    let log_bytes = fs::metadata(with_ending(&settings.path, ".wal"))
        .unwrap()
        .len() as usize;
    let copy = cut_off(&settings, folder.path(), log_bytes * 2 / 3);
    let (store, opened) = Store::open(copy.clone()).unwrap();
    assert_ne!(opened.losses, []);
    let entries = (1..=ENTRIES).map(|sequence| calls(sequence, 1)).collect();
    assert_eq!(
        store.append(batch("s", "a", entries)).await.unwrap(),
        ENTRIES
    );
    store.close().await;
    let sql = "SELECT count(*), count(DISTINCT sequence) FROM uprobe_events";
    assert_eq!(rows(&copy, sql), [["8", "8"]]);
}

#[tokio::test]
async fn a_file_that_is_gone_is_missed() {
    let folder = tempfile::tempdir().unwrap();
    let settings = settings(&folder);
    of_a_killed_process(&settings.path).await;
    fs::remove_file(&settings.path).unwrap();
    fs::remove_file(with_ending(&settings.path, ".wal")).unwrap();
    let (_, opened) = Store::open(settings).unwrap();
    let events = opened
        .losses
        .iter()
        .find(|loss| loss.table == "uprobe_events");
    assert_eq!(events.unwrap().rows, ENTRIES);
}

#[test]
fn a_file_that_is_no_history_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    let settings = settings(&folder);
    fs::write(&settings.path, [7; 20_000]).unwrap();
    let error = Store::open(settings).unwrap_err();
    assert!(matches!(error, StoreError::Damaged { .. }), "{error}");
    assert_eq!(error.code(), "history-damaged");
}

#[tokio::test]
async fn bytes_that_were_changed_are_noticed() {
    let folder = tempfile::tempdir().unwrap();
    let settings = settings(&folder);
    let store = opened(&settings, "s").await;
    store
        .append(batch("s", "a", vec![calls(1, 3)]))
        .await
        .unwrap();
    store.close().await;
    let mut bytes = fs::read(&settings.path).unwrap();
    // The second header, and what the first block begins with.
    for at in [8192 + 100, 3 * 4096 + 100] {
        bytes[at] ^= 0xff;
    }
    fs::write(&settings.path, bytes).unwrap();
    let error = Store::open(settings).unwrap_err();
    assert_eq!(error.code(), "history-damaged", "{error}");
}
