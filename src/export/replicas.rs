//! What each replica of a service has measured, for documents and for people.

use std::borrow::Cow;
use std::io;

use coral_model::{FunctionStats, Replica, ReplicaState, Snapshot, escape};
use serde::Serialize;

use super::session::LatencyEntry;
use super::table::{Column, Kind, write_table};
use super::text::duration;

/// A replica in the session document.
#[derive(Clone, Debug, Serialize)]
pub(super) struct ReplicaEntry<'a> {
    agent_id: Cow<'a, str>,
    pid: u32,
    state: &'static str,
    trouble: Option<Cow<'a, str>>,
    duration_s: f64,
    hits: u64,
    functions: Vec<FunctionEntry<'a>>,
}

#[derive(Clone, Debug, Serialize)]
struct FunctionEntry<'a> {
    name: Cow<'a, str>,
    calls: u64,
    returns: u64,
    unwound: u64,
    in_flight: u64,
    errors: Option<u64>,
    latency: LatencyEntry,
}

impl<'a> ReplicaEntry<'a> {
    pub(super) fn of(replica: &'a Replica) -> Self {
        let functions = replica.functions.iter().flatten();
        Self {
            agent_id: escape(&replica.target.agent_id),
            pid: replica.target.pid,
            state: state_name(replica.state),
            trouble: replica.trouble.as_deref().map(escape),
            duration_s: replica.elapsed.as_secs_f64(),
            hits: replica.accounting.hits,
            functions: functions.map(|stats| FunctionEntry::of(stats)).collect(),
        }
    }
}

impl<'a> FunctionEntry<'a> {
    fn of(stats: &'a FunctionStats) -> Self {
        Self {
            name: escape(&stats.name),
            calls: stats.calls,
            returns: stats.returns,
            unwound: stats.unwound,
            in_flight: stats.in_flight,
            errors: stats.errors,
            latency: LatencyEntry::of(&stats.latency),
        }
    }
}

/// What a replica does, in a word.
fn state_name(state: ReplicaState) -> &'static str {
    match state {
        ReplicaState::Measuring => "measuring",
        ReplicaState::Silent => "silent",
        ReplicaState::Refused => "refused",
        ReplicaState::Ended(reason) => reason.name(),
    }
}

/// A replica's numbers of one function.
struct Row<'a> {
    function: &'a str,
    replica: &'a Replica,
    stats: Option<&'a FunctionStats>,
}

/// Writes a row for each function in each replica; nothing where the session has one agent.
pub(super) fn write(out: &mut impl io::Write, snapshot: &Snapshot, width: usize) -> io::Result<()> {
    if snapshot.replicas.is_empty() {
        return Ok(());
    }
    writeln!(out)?;
    let names = snapshot.functions.iter().map(|function| &*function.name);
    let mut rows = Vec::new();
    for (place, function) in names.enumerate() {
        rows.extend(snapshot.replicas.iter().map(|replica| Row {
            function,
            replica,
            stats: replica.function(place).map(|stats| &**stats),
        }));
    }
    let column = |title, kind| Column { title, kind };
    let columns = [
        column("FUNCTION", Kind::Name),
        column("AGENT", Kind::Phrase),
        column("PID", Kind::Number),
        column("STATE", Kind::Phrase),
        column("CALLS", Kind::Number),
        column("P50", Kind::Number),
        column("P95", Kind::Number),
        column("P99", Kind::Number),
        column("MAX", Kind::Number),
    ];
    write_table(out, columns, width, &rows, |row| {
        let percentile = |percent| {
            let stats = row.stats.map(|stats| &stats.latency);
            duration(stats.and_then(|latency| latency.percentile_ns(percent)))
        };
        [
            escape(row.function),
            escape(&row.replica.target.agent_id),
            row.replica.target.pid.to_string().into(),
            state_name(row.replica.state).into(),
            row.stats
                .map_or("-".into(), |stats| stats.calls.to_string().into()),
            percentile(50.0),
            percentile(95.0),
            percentile(99.0),
            percentile(100.0),
        ]
    })?;
    for replica in &snapshot.replicas {
        if let Some(trouble) = &replica.trouble {
            let target = &replica.target;
            let (agent, pid) = (escape(&target.agent_id), target.pid);
            writeln!(out, "{pid} on {agent}: {}", escape(trouble))?;
        }
    }
    Ok(())
}
