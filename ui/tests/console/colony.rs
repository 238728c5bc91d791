//! What a colony adds: one service as several replicas.

use std::sync::Arc;
use std::time::Duration;

use coral_model::merge::{Merger, ReplicaPart};
use coral_model::{
    AgentSummary, EndReason, InFlightCall, Language, ProcessSummary, Replica, ReplicaState,
    Service, ServiceReplica, SessionId, SessionState, SessionSummary, Snapshot, SqlColumn,
    SqlResult, SqlSchema, SqlTable, Target,
};
use coral_ui::{OpenedSession, SourceEvent};

use crate::fixture::{self, CHECKOUT};

/// A process of the service on one of the nodes.
fn replica(agent: &str, pid: u32, build: &str, state: ReplicaState) -> Replica {
    let target = Target {
        agent_id: agent.into(),
        pid,
        build_id: Some(build.into()),
        ..fixture::target()
    };
    Replica::new(target, state)
}

/// What a replica measured whose checkouts take so many times the usual.
fn part(replica: Replica, times: u64) -> ReplicaPart {
    let mut checkout = fixture::stats(
        CHECKOUT,
        "main.handleCheckout",
        &[(180_000 * times, 400, 14), (4_200_000 * times, 60, 20)],
    );
    checkout.errors = Some(times - 1);
    let mut snapshot = fixture::snapshot();
    snapshot.functions[0] = Arc::new(checkout);
    snapshot.slow_calls.truncate(2);
    for call in &mut snapshot.slow_calls {
        call.duration_ns *= times;
        call.pid = replica.target.pid;
    }
    snapshot.in_flight = vec![InFlightCall {
        function: CHECKOUT,
        age_ns: 90_000_000 * times,
        pid: replica.target.pid,
        tid: Some(7),
        goroutine: Some(18),
        callers: Vec::new(),
        is_innermost: true,
        stack: Vec::new(),
        replica: None,
    }];
    ReplicaPart {
        replica,
        snapshot: Some(Arc::new(snapshot)),
    }
}

/// Three replicas on two nodes, of which the last one runs another build and is slow.
pub(crate) fn parts() -> Vec<ReplicaPart> {
    let live = ReplicaState::Measuring;
    vec![
        part(replica("node-1", 4242, "8d2f11c09a7e", live), 1),
        part(replica("node-1", 4301, "8d2f11c09a7e", live), 1),
        part(replica("node-2", 991, "c40b7a1e55d2", live), 4),
    ]
}

/// What they have measured together.
pub(crate) fn merged(parts: &[ReplicaPart]) -> Snapshot {
    let session = fixture::snapshot().session;
    Merger::new().merge(session, Vec::new(), parts, |_, id, _, _| id)
}

pub(crate) fn snapshot() -> Snapshot {
    merged(&parts())
}

/// The same with the second replica silent, one refused and one that has ended.
pub(crate) fn troubled() -> Snapshot {
    let mut parts = parts();
    parts[1].replica.state = ReplicaState::Silent;
    parts[1].replica.trouble = Some("its agent is cut off".into());
    let mut refused = replica("node-3", 17, "8d2f11c09a7e", ReplicaState::Refused);
    refused.trouble = Some("node-3 lacks the right for probes (cap-missing)".into());
    let ended = ReplicaState::Ended(EndReason::TargetExited);
    for replica in [refused, replica("node-2", 640, "8d2f11c09a7e", ended)] {
        parts.push(ReplicaPart {
            replica,
            snapshot: None,
        });
    }
    let mut snapshot = merged(&parts);
    snapshot.session.elapsed += Duration::from_secs(12);
    snapshot
}

fn agent(agent_id: &str) -> AgentSummary {
    AgentSummary {
        agent_id: agent_id.into(),
        host: format!("{agent_id}.shop.internal"),
        version: "0.1.0".into(),
        kernel: "6.12.0".into(),
        is_connected: true,
        heard_ago: Some(Duration::ZERO),
        can_debug: true,
        lacks: None,
        help: None,
        sessions: 1,
    }
}

/// Four agents: one is cut off, and one lacks a right.
pub(crate) fn agents() -> Vec<AgentSummary> {
    let mut cut_off = agent("node-4");
    cut_off.is_connected = false;
    cut_off.heard_ago = Some(Duration::from_secs(41));
    let mut lacking = agent("node-3");
    lacking.can_debug = false;
    lacking.lacks = Some("the capability CAP_BPF".into());
    lacking.help = Some("give the agent's container CAP_BPF and CAP_PERFMON".into());
    vec![agent("node-1"), agent("node-2"), lacking, cut_off]
}

fn listed(agent_id: &str, pid: u32, build: &str) -> ServiceReplica {
    ServiceReplica {
        agent_id: agent_id.into(),
        process: ProcessSummary {
            pid,
            start_ticks: 77,
            user: "app".into(),
            name: "serve".into(),
            command: "/srv/serve --config /etc/shop.toml".into(),
            language: Some(Language::Go),
            ports: vec![8080],
            container: Some("3f1c9a0be2d4".into()),
            resident_bytes: 213 << 20,
            refusal: None,
        },
        build_id: Some(build.into()),
    }
}

/// What the colony lists: a service of two builds, one with a replica in trouble, and one that
/// cannot be probed at all.
pub(crate) fn services() -> Vec<Service> {
    let service = |name: &str, source: &str, replicas| Service {
        name: name.into(),
        source: source.into(),
        replicas,
    };
    let mut generated = listed("node-2", 55, "11aa22bb33cc");
    generated.process.refusal = Some("runs generated code that no symbols describe".into());
    vec![
        service("auth", "configuration", vec![listed("node-4", 30, "77")]),
        service(
            "checkout",
            "sdk",
            vec![
                listed("node-1", 4242, "8d2f11c09a7e"),
                listed("node-1", 4301, "8d2f11c09a7e"),
                listed("node-2", 991, "c40b7a1e55d2"),
                listed("node-3", 17, "8d2f11c09a7e"),
            ],
        ),
        service(
            "search",
            "discovery",
            vec![generated, listed("node-1", 12, "11aa22bb33cc")],
        ),
    ]
}

/// The same as the source says it.
pub(crate) fn listing() -> SourceEvent {
    SourceEvent::Services {
        services: services().into(),
        agents: agents().into(),
    }
}

/// What the colony remembers: a live session of ann, and two of the past.
pub(crate) fn history() -> Vec<SessionSummary> {
    let session = |id: &str, who: &str, state, began: &str, ended: Option<&str>| SessionSummary {
        id: SessionId(id.into()),
        service: "checkout".into(),
        requested_by: who.into(),
        state,
        started_at: began.parse().unwrap(),
        ended_at: ended.map(|ended| ended.parse().unwrap()),
        replicas: 3,
        functions: vec!["main.handleCheckout".into(), "main.priceOf".into()],
        records: 1_240,
    };
    let ended = SessionState::Ended;
    let (began, over) = ("2026-02-27T14:00:00Z", Some("2026-02-27T14:05:00Z"));
    vec![
        session(
            "dbg-ann",
            "ann",
            SessionState::Active,
            "2026-03-01T03:11:00Z",
            None,
        ),
        session("dbg-bob", "bob", ended(EndReason::Budget), began, over),
        session("dbg-old", "kim", ended(EndReason::Expired), began, over),
    ]
}

/// A session of the history with its numbers, as it is when it is opened: the slow replica of its
/// service was not slow then.
pub(crate) fn opened(id: &str) -> OpenedSession {
    let mut snapshot = merged(&parts()[..2]);
    let known = history()
        .into_iter()
        .find(|known| known.id.0 == id)
        .unwrap();
    snapshot.session.id = known.id.clone();
    snapshot.session.requested_by = known.requested_by;
    snapshot.session.state = known.state;
    snapshot.session.ended_at = known.ended_at;
    OpenedSession {
        session: known.id,
        target: snapshot.session.target.clone(),
        table: fixture::table_of(["other.first", "main.handleCheckout", "other.last"]),
        moments: vec![(snapshot.session.elapsed, snapshot.into())],
    }
}

fn column(name: &str, type_name: &str) -> SqlColumn {
    SqlColumn {
        name: name.into(),
        type_name: type_name.into(),
    }
}

/// Two tables of the history.
pub(crate) fn schema() -> SqlSchema {
    let table = |name: &str, columns: &[(&str, &str)]| SqlTable {
        name: name.into(),
        columns: columns.iter().map(|&(name, of)| column(name, of)).collect(),
    };
    SqlSchema {
        tables: vec![
            table(
                "debug_sessions",
                &[
                    ("session_id", "VARCHAR"),
                    ("service_name", "VARCHAR"),
                    ("status", "VARCHAR"),
                ],
            ),
            table(
                "function_stats",
                &[
                    ("session_id", "VARCHAR"),
                    ("function_name", "VARCHAR"),
                    ("p99_ns", "UBIGINT"),
                ],
            ),
        ],
    }
}

/// So many rows of three columns, the second of which is sometimes NULL.
pub(crate) fn result(rows: usize) -> SqlResult {
    let row = |number: usize| {
        let p99 = (number % 3 != 1).then(|| (7_210_000 * (number + 1)).to_string());
        vec![
            Some(format!("main.handler{number}")),
            p99,
            Some(format!(
                "a note that is rather long, of row {number}, and goes on"
            )),
        ]
    };
    SqlResult {
        columns: vec![
            column("function_name", "VARCHAR"),
            column("p99_ns", "UBIGINT"),
            column("note", "VARCHAR"),
        ],
        rows: Arc::new((0..rows).map(row).collect()),
        is_cut: rows >= 1_000,
        as_of: "2026-03-01T03:12:40Z".parse().unwrap(),
        elapsed: Duration::from_micros(12_400),
    }
}
