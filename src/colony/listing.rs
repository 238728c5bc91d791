//! Lists of what the colony knows.

use std::collections::BTreeMap;
use std::sync::Arc;

use coral_model::SessionState;
use coral_proto::agent::v1 as agent;
use coral_proto::colony::v1 as wire;
use coral_proto::convert::timestamp_to_wire;
use jiff::SignedDuration;
use prost::Message;

use super::registry::{Registry, ReplicaProcess};
use super::sessions::{Held, Sessions};
use crate::store::StoredSession;

/// Lists are shorter than a message may be, with room for what stands around them.
const LIST_BYTES_MAX: usize = 768 << 10;

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
    let live: Vec<_> = sessions
        .all()
        .into_iter()
        .filter(|it| it.is_live())
        .collect();
    let of_agent = |agent_id: &str| {
        let has_it = |held: &&Arc<Held>| {
            let snapshot = held.snapshots().borrow().clone();
            let mut replicas = snapshot.replicas.iter();
            replicas.any(|it| it.target.agent_id == agent_id)
        };
        live.iter().filter(has_it).count() as u32
    };
    let all = registry.all().into_iter();
    all.map(|(agent_id, known)| {
        let is_connected = known.is_connected();
        let (lacks, help) = known.lacks.unwrap_or_default();
        wire::Agent {
            sessions: of_agent(&agent_id),
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

/// The sessions of everybody without their numbers, newest first, as many as a message holds.
pub(super) fn history(known: &[Arc<Held>], past: &[StoredSession]) -> Vec<wire::HistorySession> {
    let known = known.iter().map(|held| of_known(held));
    let mut all: Vec<_> = known.chain(past.iter().map(of_past)).collect();
    let began = |it: &wire::HistorySession| it.started_at.map(|at| (at.seconds, at.nanos));
    all.sort_by(|a, b| {
        began(b)
            .cmp(&began(a))
            .then(b.session_id.cmp(&a.session_id))
    });
    let mut bytes = 0;
    let fits = |session: &wire::HistorySession| {
        bytes += session.encoded_len();
        bytes <= LIST_BYTES_MAX
    };
    all.into_iter().take_while(fits).collect()
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

/// A row for each function of a session, as the documented list has it.
pub(super) fn debug_sessions(held: &Held) -> Vec<wire::DebugSession> {
    let snapshot = held.snapshots().borrow().clone();
    let session = &snapshot.session;
    let length = SignedDuration::try_from(session.settings.duration);
    let expires_at = length
        .ok()
        .and_then(|length| session.started_at.checked_add(length).ok());
    let mut agent_ids: Vec<String> = snapshot
        .replicas
        .iter()
        .map(|it| it.target.agent_id.clone())
        .collect();
    agent_ids.sort();
    agent_ids.dedup();
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

/// The same of a session that only the history knows.
pub(super) fn past_debug_sessions(session: &StoredSession) -> Vec<wire::DebugSession> {
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
