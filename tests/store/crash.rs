//! A process that is killed at any moment has every row that it has answered for.

use std::io::{BufRead, BufReader};
use std::process::Stdio;

use coral_tui::store::Store;

use crate::fixture::{at, batch, calls, checkpoint, opened, process, rows, settings, snapshot};

const KILLS: usize = 20;
/// Calls in an entry.
const CALLS: u64 = 3;

#[tokio::test]
async fn killed_at_any_moment_every_answered_row_is_there_once() {
    let folder = tempfile::tempdir().unwrap();
    let settings = settings(&folder);
    opened(&settings, "s").await.close().await;
    let mut answered = 0;
    for kill in 0..KILLS {
        let mut child = process("crash::appends_for_ever", &settings.path, "")
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let lines = BufReader::new(child.stdout.take().unwrap()).lines();
        // Killed behind another answer each time, and so in another step of what follows.
        let marks = lines.filter_map(|line| line.unwrap().strip_prefix("mark ")?.parse().ok());
        let wanted = 1 + kill * 7 % 40;
        let last: u64 = marks.take(wanted).last().unwrap();
        child.kill().unwrap();
        child.wait().unwrap();
        assert!(last >= answered + wanted as u64);
        answered = last;

        let (store, opened) = Store::open(settings.clone()).unwrap();
        assert_eq!(opened.losses, []);
        assert_eq!(opened.running.len(), 1, "the session is found again");
        let mark = store
            .marks(opened.running[0].begun.id.clone())
            .await
            .unwrap()[0]
            .last_sequence;
        assert!(mark >= answered, "{mark} of {answered}");
        answered = mark;
        store.close().await;
        let sql = "SELECT count(*), count(DISTINCT (sequence, number)), max(sequence) \
                   FROM uprobe_events";
        let count = (mark * CALLS).to_string();
        assert_eq!(
            rows(&settings, sql),
            [[count.clone(), count, mark.to_string()]]
        );
        assert_eq!(rows(&settings, "SELECT count(*) FROM gaps"), [["0"]]);
    }
}

#[tokio::test]
#[ignore = "run by killed_at_any_moment_every_answered_row_is_there_once"]
async fn appends_for_ever() {
    let (store, opened) = Store::open(at(&crate::fixture::history())).unwrap();
    let session = opened.running[0].begun.id.clone();
    let marks = store.marks(session).await.unwrap();
    let mark = marks.first().map_or(0, |mark| mark.last_sequence);
    let latest = snapshot(
        "a",
        1,
        &[("main.f", &[5])],
        coral_model::SessionState::Active,
    );
    for sequence in mark + 1..u64::MAX {
        let mut entries = vec![calls(sequence, CALLS as u32)];
        // The same entries come again.
        entries.push(calls(sequence.saturating_sub(1), CALLS as u32));
        entries.push(checkpoint(sequence, &latest));
        let mark = store.append(batch("s", "a", entries)).await.unwrap();
        println!("mark {mark}");
    }
}
