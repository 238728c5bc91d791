//! What is old goes, and nothing else.

use std::time::Duration;

use coral_model::{EndReason, SessionId, SessionState};
use coral_tui::store::{Store, StoreSettings};

use crate::fixture::{
    batch, calls, checkpoint, epoch, opened, replica, rows, session, settings, snapshot,
};

const TABLES: [&str; 9] = [
    "debug_sessions",
    "session_replicas",
    "uprobe_events",
    "function_stats",
    "call_nodes",
    "session_snapshots",
    "checkpoints",
    "journal_marks",
    "gaps",
];

fn counts(settings: &StoreSettings) -> Vec<String> {
    let count = |table| rows(settings, &format!("SELECT count(*) FROM {table}"));
    TABLES.map(|table| count(table).concat().concat()).to_vec()
}

async fn fill(store: &Store, id: &str) {
    let ended = SessionState::Ended(EndReason::Expired);
    let latest = snapshot("a", 1, &[("main.f", &[5])], ended);
    store.add_replicas(vec![replica(id, "a")]).await.unwrap();
    let entries = vec![calls(2, 3), checkpoint(3, &latest)];
    store.append(batch(id, "a", entries)).await.unwrap();
}

#[tokio::test]
async fn calls_go_after_a_day_and_sessions_after_a_week() {
    let folder = tempfile::tempdir().unwrap();
    let settings = settings(&folder);
    let mut store = opened(&settings, "ended").await;
    fill(&store, "ended").await;
    store.begin_session(session("running")).await.unwrap();
    fill(&store, "running").await;
    let ended_at = epoch() + Duration::from_secs(10);
    let ended = store.end_session(SessionId("ended".into()), ended_at, EndReason::Expired);
    ended.await.unwrap();

    let day = Duration::from_secs(24 * 60 * 60);
    let second = Duration::from_secs(1);
    for (after, expected) in [
        (day - second, ["2", "2", "6", "2", "2", "2", "2", "2", "2"]),
        (day + second, ["2", "2", "0", "2", "2", "2", "2", "2", "2"]),
        (
            7 * day + 9 * second,
            ["2", "2", "0", "2", "2", "2", "2", "2", "2"],
        ),
        // Nobody has ended the other one.
        (
            7 * day + 11 * second,
            ["1", "1", "0", "1", "1", "1", "1", "1", "1"],
        ),
    ] {
        store.retain(epoch() + after).await.unwrap();
        store.close().await;
        assert_eq!(counts(&settings), expected, "after {after:?}");
        let (reopened, opened) = Store::open(settings.clone()).unwrap();
        assert_eq!(opened.losses, [], "what was deleted is not lost");
        store = reopened;
    }
    let sessions = store.list_sessions(None, epoch(), 10).await.unwrap();
    assert_eq!(sessions.len(), 1);
    assert_eq!(sessions[0].events, 3, "how many there were is still known");
    assert_eq!(store.marks(SessionId("ended".into())).await.unwrap(), []);
}
