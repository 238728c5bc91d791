//! What is found again: sessions, sums over replicas, and snapshots.

use std::time::Duration;

use coral_model::{EndReason, Histogram, Pattern, ReplicaState, SessionId, SessionState};
use coral_tui::store::{Entry, HistoryFunction, HistoryQuery, Store, StoredSession};

use crate::fixture::{
    SERVICE, batch, calls, checkpoint, epoch, opened, replica, rows, session, settings, snapshot,
};

fn query(pattern: Option<&str>) -> HistoryQuery {
    HistoryQuery {
        service: SERVICE.into(),
        pattern: pattern.map(|text| Pattern::parse(text).unwrap()),
        since: epoch(),
    }
}

fn histogram(durations_ns: &[u64]) -> Histogram {
    let mut histogram = Histogram::default();
    durations_ns.iter().for_each(|&ns| histogram.record(ns));
    histogram
}

/// Two sessions: one on two replicas that is over, one on one replica that runs.
async fn two_sessions(store: &Store) {
    let detached = SessionState::Ended(EndReason::Detached);
    let early = snapshot("a", 10, &[("main.f", &[1])], SessionState::Active);
    let on_a = snapshot(
        "a",
        20,
        &[("main.f", &[1, 900]), ("x.main.f", &[5])],
        detached,
    );
    let on_b = snapshot("b", 20, &[("main.f", &[70_000])], detached);
    for agent in ["a", "b"] {
        store.add_replicas(vec![replica("s", agent)]).await.unwrap();
    }
    let last = Entry {
        is_last: true,
        ..checkpoint(2, &on_a)
    };
    let entries = vec![checkpoint(1, &early), last];
    store.append(batch("s", "a", entries)).await.unwrap();
    let entries = vec![checkpoint(1, &on_b)];
    store.append(batch("s", "b", entries)).await.unwrap();
    let ended_at = epoch() + Duration::from_secs(21);
    let ended = store.end_session(SessionId("s".into()), ended_at, EndReason::Detached);
    ended.await.unwrap();

    let mut second = session("t");
    second.started_at = epoch() + Duration::from_secs(30);
    store.begin_session(second).await.unwrap();
    let running = snapshot("a", 10, &[("main.f", &[3, 3])], SessionState::Active);
    let entries = vec![checkpoint(1, &running)];
    store.append(batch("t", "a", entries)).await.unwrap();
}

#[tokio::test]
async fn replicas_and_sessions_are_added_up_bucket_by_bucket() {
    let folder = tempfile::tempdir().unwrap();
    let store = opened(&settings(&folder), "s").await;
    two_sessions(&store).await;
    let history = store.history(query(Some("main.f"))).await.unwrap();
    let function = |sessions, durations_ns: &[u64], replicas: u64| HistoryFunction {
        name: "main.f".into(),
        sessions,
        calls: durations_ns.len() as u64 + replicas,
        returns: durations_ns.len() as u64,
        unwound: replicas,
        in_flight: 0,
        errors: Some(0),
        latency: histogram(durations_ns),
    };
    // The whole name goes before the last parts of `x.main.f`.
    assert_eq!(history.functions, [function(2, &[1, 900, 70_000, 3, 3], 3)]);
    let sessions: Vec<_> = history
        .sessions
        .iter()
        .map(|it| {
            (
                it.session.begun.id.0.as_str(),
                it.session.replicas,
                it.functions.clone(),
            )
        })
        .collect();
    let of_t = vec![function(1, &[3, 3], 1)];
    let of_s = vec![function(1, &[1, 900, 70_000], 2)];
    assert_eq!(sessions, [("t", 0, of_t), ("s", 2, of_s)]);

    let all = store.history(query(None)).await.unwrap();
    let names: Vec<_> = all.functions.iter().map(|it| it.name.as_str()).collect();
    assert_eq!(names, ["main.f", "x.main.f"]);
    let none = store.history(query(Some("g"))).await.unwrap();
    assert_eq!((none.functions.len(), none.sessions.len()), (0, 0));
    let later = HistoryQuery {
        since: epoch() + Duration::from_secs(22),
        ..query(None)
    };
    assert_eq!(store.history(later).await.unwrap().sessions.len(), 1);
}

#[tokio::test]
async fn sessions_replicas_and_snapshots_are_found_as_they_were() {
    let folder = tempfile::tempdir().unwrap();
    let settings = settings(&folder);
    let store = opened(&settings, "s").await;
    two_sessions(&store).await;
    let entries = vec![calls(2, 3)];
    store.append(batch("s", "b", entries)).await.unwrap();
    // Who comes second does not change how it ended.
    let again = store.end_session(SessionId("s".into()), epoch(), EndReason::Failed);
    again.await.unwrap();
    for changes in ["more", "less"] {
        let changed = store.change_session(SessionId("s".into()), changes.into());
        changed.await.unwrap();
    }
    store.close().await;

    let (store, opened) = Store::open(settings).unwrap();
    let expected = StoredSession {
        begun: session("s"),
        changes: Some("less".into()),
        ended_at: Some(epoch() + Duration::from_secs(21)),
        state: SessionState::Ended(EndReason::Detached),
        events: 3,
        replicas: 2,
        agent_ids: vec!["a".into(), "b".into()],
    };
    let id = SessionId("s".into());
    assert_eq!(store.session(id.clone()).await.unwrap(), expected);
    let running: Vec<_> = opened
        .running
        .iter()
        .map(|it| it.begun.id.0.as_str())
        .collect();
    assert_eq!(running, ["t"]);
    assert_eq!(store.running_sessions().await.unwrap(), opened.running);
    let listed = store
        .list_sessions(Some(SERVICE.into()), epoch(), 1)
        .await
        .unwrap();
    assert_eq!(
        listed, opened.running,
        "newest first, and no more than asked for"
    );
    let other = store
        .list_sessions(Some("other".into()), epoch(), 9)
        .await
        .unwrap();
    assert_eq!(other, []);

    let mut on_a = replica("s", "a");
    let mut on_b = replica("s", "b");
    on_a.state = ReplicaState::Ended(EndReason::Detached);
    on_b.state = on_a.state;
    assert_eq!(store.replicas(id.clone()).await.unwrap().len(), 2);
    let mut replicas = store.replicas(id.clone()).await.unwrap();
    replicas.sort_by(|a, b| a.journal.cmp(&b.journal));
    assert_eq!(replicas, [on_a, on_b]);

    let detached = SessionState::Ended(EndReason::Detached);
    let snapshots = store.final_snapshots(id).await.unwrap();
    let of = |agent: &str| {
        let mut of_agent = snapshots.iter();
        let found = of_agent.find(|it| it.journal.agent_id == agent).unwrap();
        (found.snapshot.clone(), found.is_final)
    };
    let on_a = snapshot(
        "a",
        20,
        &[("main.f", &[1, 900]), ("x.main.f", &[5])],
        detached,
    );
    assert_eq!(of("a"), (on_a, true));
    let on_b = snapshot("b", 20, &[("main.f", &[70_000])], detached);
    assert_eq!(of("b"), (on_b, false));
}

#[tokio::test]
async fn the_tables_say_the_same_in_sql() {
    let folder = tempfile::tempdir().unwrap();
    let settings = settings(&folder);
    let store = opened(&settings, "s").await;
    two_sessions(&store).await;
    store
        .append(batch("s", "b", vec![calls(2, 2)]))
        .await
        .unwrap();
    store.close().await;
    let sql = "SELECT agent_id, taken_at, function_name, calls, p99_ns FROM checkpoints \
               WHERE session_id = 's' ORDER BY ALL";
    let line = [
        ["a", "2026-03-01 12:00:10", "main.f", "2", "1"],
        ["a", "2026-03-01 12:00:20", "main.f", "3", "900"],
        ["a", "2026-03-01 12:00:20", "x.main.f", "2", "5"],
        ["b", "2026-03-01 12:00:20", "main.f", "2", "70000"],
    ];
    assert_eq!(rows(&settings, sql), line);
    let sql = "SELECT sum(count) FROM (SELECT unnest(bucket_index), unnest(bucket_count) AS count \
               FROM function_stats WHERE session_id = 's')";
    assert_eq!(rows(&settings, sql), [["4"]]);
    let sql = "SELECT started_at, duration_ns, agent_epoch, goroutine, failed, labels \
               FROM uprobe_events ORDER BY number";
    let labels = "{arg.user=u_1, arg.user#2=again, return.err=nil}";
    let epoch = (u64::MAX - 1).to_string();
    let at = "2026-03-01 12:00:00.000002";
    let found = rows(&settings, sql);
    assert_eq!(found[0][..5], [at, "2000", &epoch, "7", "true"]);
    assert_eq!(found[1][..5], [at, "2001", &epoch, "NULL", "false"]);
    assert_eq!(found[0][5], labels);
    let sql = "SELECT function_name, calls, self_ns FROM call_nodes WHERE agent_id = 'b'";
    assert_eq!(rows(&settings, sql), [["main.f", "2", "35000"]]);
}
