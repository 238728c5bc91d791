//! The replicas as a table for a file.

use coral_model::{FunctionStats, PERCENTILES};

use super::table;
use crate::event::ViewExport;
use crate::replicas::{ReplicaRow, state_word};
use crate::state::State;
use crate::update::measuring_command;

const COLUMNS: [&str; 20] = [
    "function",
    "agent_id",
    "pid",
    "exe",
    "build_id",
    "state",
    "trouble",
    "stands_out",
    "calls",
    "returns",
    "unwound",
    "in_flight",
    "errors",
    "calls_per_s",
    "p50_ns",
    "p90_ns",
    "p95_ns",
    "p99_ns",
    "p999_ns",
    "max_ns",
];

pub(super) fn view(state: &State) -> ViewExport {
    let rows = state
        .replicas
        .rows()
        .iter()
        .map(|row| of_replica(state, row));
    table(
        "replicas",
        measuring_command(state),
        &COLUMNS,
        rows.collect(),
    )
}

fn of_replica(state: &State, row: &ReplicaRow) -> Vec<String> {
    let (replica, target) = (&row.replica, &row.replica.target);
    let function = state.functions.selection.id();
    let mut cells = vec![
        function.map_or_else(String::new, |id| state.name_of(id).into_owned()),
        target.agent_id.clone(),
        target.pid.to_string(),
        target.exe.clone(),
        target.build_id.clone().unwrap_or_default(),
        state_word(replica.state).to_owned(),
        replica.trouble.clone().unwrap_or_default(),
        row.outlier.map_or_else(String::new, |it| it.to_string()),
    ];
    match &row.stats {
        Some(stats) => cells.extend(numbers(stats)),
        None => cells.resize(COLUMNS.len(), String::new()),
    }
    cells
}

fn numbers(stats: &FunctionStats) -> Vec<String> {
    let written = |value: Option<u64>| value.map_or_else(String::new, |value| value.to_string());
    let counts = [stats.calls, stats.returns, stats.unwound, stats.in_flight];
    let mut cells: Vec<String> = counts.iter().map(u64::to_string).collect();
    cells.push(written(stats.errors));
    cells.push(format!("{:.1}", stats.calls_per_s));
    let latency = &stats.latency;
    cells.extend(PERCENTILES.map(|(percent, _)| written(latency.percentile_ns(percent))));
    cells.push(written(
        (!latency.buckets.is_empty()).then_some(latency.max_ns),
    ));
    cells
}
