//! Lists of what the colony knows.

use std::cmp::Reverse;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use coral_model::{SessionState, Snapshot};
use coral_proto::agent::v1 as agent;
use coral_proto::colony::v1 as wire;
use coral_proto::convert::timestamp_to_wire;
use jiff::{SignedDuration, Timestamp};
use tonic::Status;

use super::registry::{Registry, ReplicaProcess};
use super::sessions::{Held, Sessions};
use crate::serving::pages::{Page, page};
use crate::store::StoredSession;

/// The services of all nodes, each with its replicas.
pub(super) fn services(registry: &Registry) -> Vec<agent::Service> {
    let mut services = BTreeMap::<String, agent::Service>::new();
    for (agent_id, known) in registry.all() {
        if !known.is_connected() {
            continue;
        }
        for of_node in known.services {
            let service = services
                .entry(of_node.name.clone())
                .or_insert_with(|| agent::Service {
                    processes: Vec::new(),
                    ..of_node.clone()
                });
            let processes = of_node.processes.into_iter().map(|process| agent::Process {
                agent_id: agent_id.clone(),
                ..process
            });
            service.processes.extend(processes);
        }
    }
    services.into_values().collect()
}

/// The agents, and what each can do.
pub(super) fn agents(registry: &Registry, sessions: &Sessions) -> Vec<wire::Agent> {
    let mut live = BTreeMap::<String, u32>::new();
    for held in sessions.all().into_iter().filter(|it| it.is_live()) {
        let snapshot = held.snapshots().borrow().clone();
        for agent_id in agents_of(&snapshot) {
            *live.entry(agent_id.to_owned()).or_default() += 1;
        }
    }
    let all = registry.all().into_iter();
    all.map(|(agent_id, known)| {
        let is_connected = known.is_connected();
        let (lacks, help) = known.lacks.unwrap_or_default();
        wire::Agent {
            sessions: live.get(&agent_id).copied().unwrap_or_default(),
            agent_id,
            is_connected,
            host: known.host,
            version: known.version,
            kernel: known.kernel,
            heard_at: Some(timestamp_to_wire(known.heard_at)),
            can_debug_uprobes: known.can_debug,
            lacks,
            help,
            services: known.services.len() as u32,
        }
    })
    .collect()
}

/// The builds of a service, and which processes run them.
pub(super) fn builds(builds: &[(Option<String>, usize, Vec<ReplicaProcess>)]) -> Vec<agent::Build> {
    let builds = builds.iter();
    builds
        .map(|(build_id, functions, replicas)| agent::Build {
            build_id: build_id.clone(),
            replicas: replicas
                .iter()
                .map(|it| agent::ReplicaRef {
                    agent_id: it.agent_id.clone(),
                    pid: it.process.pid,
                })
                .collect(),
            functions: *functions as u64,
        })
        .collect()
}

/// The agents of a session's replicas.
fn agents_of(snapshot: &Snapshot) -> BTreeSet<&str> {
    let replicas = snapshot.replicas.iter();
    replicas.map(|it| &*it.target.agent_id).collect()
}

/// The sessions of everybody without their numbers, newest first.
///
/// # Errors
/// If the token names no page.
pub(super) fn history(
    known: &[Arc<Held>],
    past: &[StoredSession],
    token: &str,
) -> Result<Page<wire::HistorySession>, Status> {
    let sorted = by_age(known, past).into_iter().rev();
    let keyed = sorted.map(|(key, session)| {
        let listed = match session {
            Listed::Known(held) => of_known(held),
            Listed::Past(session) => of_past(session),
        };
        (Reverse(key), listed)
    });
    page(keyed, token)
}

/// A session, wherever it is known from.
#[derive(Clone, Copy)]
enum Listed<'a> {
    Known(&'a Held),
    Past(&'a StoredSession),
}

/// The sessions by when they began and what they are called.
fn by_age<'a>(
    known: &'a [Arc<Held>],
    past: &'a [StoredSession],
) -> BTreeMap<(Timestamp, String), Listed<'a>> {
    let known = known.iter().map(|held| {
        let key = (held.info().started_at, held.id.0.clone());
        (key, Listed::Known(held))
    });
    let past = past.iter().map(|session| {
        let begun = &session.begun;
        let key = (begun.started_at, begun.id.0.clone());
        (key, Listed::Past(session))
    });
    known.chain(past).collect()
}

fn of_known(held: &Held) -> wire::HistorySession {
    let snapshot = held.snapshots().borrow().clone();
    let session = &snapshot.session;
    let functions = snapshot.functions.iter().map(|it| named(&it.name));
    wire::HistorySession {
        session_id: session.id.0.clone(),
        service_name: session.target.service.clone(),
        started_at: Some(timestamp_to_wire(session.started_at)),
        ended_at: session.ended_at.map(timestamp_to_wire),
        requested_by: session.requested_by.clone(),
        status: agent::SessionStatus::from(session.state).into(),
        replicas: snapshot.replicas.len() as u32,
        functions: functions.collect(),
        events: snapshot.accounting.events_stored,
    }
}

fn of_past(session: &StoredSession) -> wire::HistorySession {
    let begun = &session.begun;
    wire::HistorySession {
        session_id: begun.id.0.clone(),
        service_name: begun.service.clone(),
        started_at: Some(timestamp_to_wire(begun.started_at)),
        ended_at: session.ended_at.map(timestamp_to_wire),
        requested_by: begun.requested_by.clone(),
        status: agent::SessionStatus::from(session.state).into(),
        replicas: session.replicas,
        functions: begun.functions.iter().map(|it| named(it)).collect(),
        events: session.events,
    }
}

fn named(name: &str) -> wire::HistoryFunction {
    wire::HistoryFunction {
        name: name.to_owned(),
        ..wire::HistoryFunction::default()
    }
}

/// A row for each function of a session, oldest sessions first, as the documented list has it.
///
/// # Errors
/// If the token names no page.
pub(super) fn debug_sessions(
    known: &[Arc<Held>],
    past: &[StoredSession],
    token: &str,
) -> Result<Page<wire::DebugSession>, Status> {
    let sorted = by_age(known, past).into_iter();
    let keyed = sorted.flat_map(|((began, id), session)| {
        let rows = match session {
            Listed::Known(held) => rows_of_known(held),
            Listed::Past(session) => rows_of_past(session),
        };
        // Functions may have the same name.
        let numbered = (0_usize..).zip(rows);
        numbered.map(move |(place, row)| ((began, id.clone(), place), row))
    });
    page(keyed, token)
}

fn rows_of_known(held: &Held) -> Vec<wire::DebugSession> {
    let snapshot = held.snapshots().borrow().clone();
    let session = &snapshot.session;
    let length = SignedDuration::try_from(session.settings.duration);
    let expires_at = length
        .ok()
        .and_then(|length| session.started_at.checked_add(length).ok());
    let agent_ids: Vec<String> = agents_of(&snapshot)
        .into_iter()
        .map(str::to_owned)
        .collect();
    let row = wire::DebugSession {
        session_id: session.id.0.clone(),
        service_name: session.target.service.clone(),
        function_name: String::new(),
        agent_id: agent_ids.first().cloned().unwrap_or_default(),
        started_at: Some(timestamp_to_wire(session.started_at)),
        expires_at: expires_at.map(timestamp_to_wire),
        status: status_name(session.state).into(),
        event_count: snapshot.accounting.events_stored,
        requested_by: session.requested_by.clone(),
        agent_ids,
    };
    let names = snapshot.functions.iter().map(|it| &*it.name);
    rows(&row, names)
}

fn rows_of_past(session: &StoredSession) -> Vec<wire::DebugSession> {
    let begun = &session.begun;
    let row = wire::DebugSession {
        session_id: begun.id.0.clone(),
        service_name: begun.service.clone(),
        function_name: String::new(),
        agent_id: session.agent_ids.first().cloned().unwrap_or_default(),
        started_at: Some(timestamp_to_wire(begun.started_at)),
        expires_at: Some(timestamp_to_wire(begun.expires_at)),
        status: status_name(session.state).into(),
        event_count: session.events,
        requested_by: begun.requested_by.clone(),
        agent_ids: session.agent_ids.clone(),
    };
    rows(&row, begun.functions.iter().map(String::as_str))
}

/// A row for each function; one without a name where there is none.
fn rows<'a>(
    row: &wire::DebugSession,
    names: impl Iterator<Item = &'a str>,
) -> Vec<wire::DebugSession> {
    let named = names.map(|name| wire::DebugSession {
        function_name: name.to_owned(),
        ..row.clone()
    });
    let mut rows: Vec<_> = named.collect();
    if rows.is_empty() {
        rows.push(row.clone());
    }
    rows
}

fn status_name(state: SessionState) -> &'static str {
    match state {
        SessionState::Active => "active",
        SessionState::Ended(reason) => reason.name(),
    }
}
