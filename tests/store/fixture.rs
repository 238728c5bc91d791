//! Sessions, calls and snapshots to be stored, and what is stored of them.

use std::path::Path;
use std::process::{Command, Stdio};
use std::sync::Arc;
use std::time::Duration;

use coral_model::{
    Accounting, CallNode, CallRecord, CallTree, CallValue, ExitProbe, FunctionId, FunctionStats,
    Language, Overhead, ReplicaState, SessionId, SessionInfo, SessionSettings, SessionState,
    Snapshot, Target,
};
use coral_tui::store::{
    Batch, Content, Entry, JournalKey, NewSession, ReplicaRow, Store, StoreSettings, StoredCall,
};
use duckdb::Connection;
use jiff::Timestamp;
use tempfile::TempDir;

/// Names the history to a test that runs in a process of its own.
pub(crate) const HISTORY: &str = "CORAL_TEST_HISTORY";

pub(crate) const SERVICE: &str = "checkout";

/// A time of day that everything begins at.
pub(crate) fn epoch() -> Timestamp {
    "2026-03-01T12:00:00Z".parse().unwrap()
}

pub(crate) fn settings(folder: &TempDir) -> StoreSettings {
    at(&folder.path().join("history.duckdb"))
}

pub(crate) fn at(path: &Path) -> StoreSettings {
    StoreSettings {
        reserve_bytes: 1 << 20,
        retry_after: Duration::ZERO,
        ..StoreSettings::at(path)
    }
}

pub(crate) fn session(id: &str) -> NewSession {
    NewSession {
        id: SessionId(id.into()),
        service: SERVICE.into(),
        requested_by: "alice".into(),
        requested_via: "token".into(),
        started_at: epoch(),
        expires_at: epoch() + Duration::from_secs(60),
        functions: vec!["handleCheckout".into(), "(*Cart).Add".into()],
        settings: SessionSettings::default(),
        request: vec![0, 1, 255],
    }
}

pub(crate) fn journal(session: &str, agent: &str) -> JournalKey {
    JournalKey {
        session: SessionId(session.into()),
        agent_id: agent.into(),
        epoch: u64::MAX - 1,
        agent_session: SessionId(format!("{session}-{agent}")),
    }
}

pub(crate) fn replica(session: &str, agent: &str) -> ReplicaRow {
    ReplicaRow {
        journal: journal(session, agent),
        target: target(agent),
        started_at: Some(epoch()),
        state: ReplicaState::Measuring,
        trouble: None,
    }
}

fn target(agent: &str) -> Target {
    Target {
        agent_id: agent.into(),
        service: SERVICE.into(),
        pid: 4242,
        exe: "/srv/checkout".into(),
        build_id: Some("beef".into()),
        language: Language::Cpp,
        start_ticks: 77,
    }
}

/// An entry with so many calls, which its number tells apart from those of others.
pub(crate) fn calls(sequence: u64, count: u32) -> Entry {
    let call = |number: u32| StoredCall {
        function: "main.handleCheckout".into(),
        record: CallRecord {
            pid: 4242,
            tid: number,
            goroutine: number.is_multiple_of(2).then_some(7),
            failed: number == 0,
            arguments: vec![value("user", "u_1"), value("user", "again")],
            results: vec![value("err", "nil")],
            ..CallRecord::new(
                FunctionId(3),
                epoch() + Duration::from_micros(sequence),
                sequence * 1_000 + u64::from(number),
            )
        },
    };
    Entry::new(sequence, Content::Calls((0..count).map(call).collect()))
}

fn value(name: &str, value: &str) -> CallValue {
    CallValue {
        name: name.into(),
        type_name: "string".into(),
        value: value.into(),
    }
}

/// A batch of the journal that [`journal`] names.
pub(crate) fn batch(session: &str, agent: &str, entries: Vec<Entry>) -> Batch {
    Batch {
        journal: journal(session, agent),
        entries,
    }
}

pub(crate) fn checkpoint(sequence: u64, snapshot: &Arc<Snapshot>) -> Entry {
    Entry::new(sequence, Content::Checkpoint(Arc::clone(snapshot)))
}

/// What a replica has measured after `seconds`, where each function had calls of these durations.
pub(crate) fn snapshot(
    agent: &str,
    seconds: u64,
    functions: &[(&str, &[u64])],
    state: SessionState,
) -> Arc<Snapshot> {
    let stats = |(id, (name, durations_ns)): (u32, &(&str, &[u64]))| {
        let mut stats = FunctionStats::new(FunctionId(id), *name);
        for &duration_ns in *durations_ns {
            stats.latency.record(duration_ns);
        }
        stats.exit_probe = ExitProbe::ReturnSites;
        stats.file = Some("main.go".into());
        stats.line = Some(42);
        stats.returns = durations_ns.len() as u64;
        stats.unwound = 1;
        stats.calls = stats.returns + 1;
        stats.errors = Some(u64::from(id));
        stats.self_ns = stats.latency.total_ns / 2;
        Arc::new(stats)
    };
    let functions: Vec<_> = (0..).zip(functions).map(stats).collect();
    let nodes = functions.iter().map(|function| node(function));
    Arc::new(Snapshot {
        session: SessionInfo {
            id: SessionId(format!("of-{agent}")),
            target: target(agent),
            other_pids: Vec::new(),
            started_at: epoch(),
            ended_at: (state != SessionState::Active)
                .then(|| epoch() + Duration::from_secs(seconds)),
            requested_by: "alice".into(),
            elapsed: Duration::from_secs(seconds),
            remaining: Duration::ZERO,
            state,
            probes: 4,
            settings: SessionSettings::default(),
        },
        call_tree: Arc::new(CallTree {
            nodes: nodes.collect(),
            lost_calls: 0,
        }),
        functions,
        slow_calls: Vec::new(),
        in_flight: Vec::new(),
        notices: Vec::new(),
        accounting: Accounting::default(),
        overhead: Overhead::default(),
        replicas: Vec::new(),
    })
}

fn node(function: &FunctionStats) -> CallNode {
    CallNode {
        parent: None,
        function: function.id,
        depth: 0,
        calls: function.calls,
        returns: function.returns,
        unwound: 1,
        errors: 0,
        total_ns: function.latency.total_ns,
        self_ns: function.self_ns,
        max_ns: function.latency.max_ns,
        probes_ns: 0,
        latency: None,
    }
}

/// A new history with one session of that name.
pub(crate) async fn opened(settings: &StoreSettings, id: &str) -> Store {
    let (store, opened) = Store::open(settings.clone()).unwrap();
    assert_eq!(opened.losses, []);
    store.begin_session(session(id)).await.unwrap();
    store
}

/// The rows of a query over a closed history, each value as text.
pub(crate) fn rows(settings: &StoreSettings, sql: &str) -> Vec<Vec<String>> {
    let connection = Connection::open(&settings.path).unwrap();
    let mut statement = connection
        .prepare(&format!("SELECT COLUMNS(*)::VARCHAR FROM ({sql})"))
        .unwrap();
    let mut rows = statement.query([]).unwrap();
    let mut found = Vec::new();
    while let Some(row) = rows.next().unwrap() {
        let count = row.as_ref().column_count();
        let value = |at| row.get::<_, Option<String>>(at).unwrap();
        found.push(
            (0..count)
                .map(|at| value(at).unwrap_or("NULL".into()))
                .collect(),
        );
    }
    found
}

/// One of these tests in a process of its own, behind some words of a shell.
pub(crate) fn process(test: &str, history: &Path, shell: &str) -> Command {
    let mut command = Command::new("sh");
    command
        .args(["-c", &format!("{shell} exec \"$0\" \"$@\"")])
        .arg(std::env::current_exe().unwrap())
        .args(["--exact", test, "--ignored", "--nocapture"])
        .env(HISTORY, history)
        .stdin(Stdio::null());
    command
}

/// Where the history is, in a process of its own.
pub(crate) fn history() -> std::path::PathBuf {
    std::env::var_os(HISTORY).unwrap().into()
}
