//! What a screen shows, as a table for a file.

mod calls;
mod replicas;
mod services;
mod sessions;
mod sql;

use coral_model::{Function, Histogram, PERCENTILES, bucket_range_ns};

use crate::command_line;
use crate::event::ViewExport;
use crate::export_latency;
use crate::state::{Screen, State};
use crate::update::measuring_command;

/// A view's export holds at most this many rows; `coral functions` prints all of them.
pub(crate) const ROWS_MAX: usize = 10_000;

/// The table of the screen in front.
pub(crate) fn view(state: &State) -> ViewExport {
    match state.screen {
        Screen::Latency if state.shows_replicas() => replicas::view(state),
        Screen::Processes if state.lists_services() => services::view(state),
        Screen::Processes => processes(state),
        Screen::Functions => functions(state),
        Screen::Latency => export_latency::view(state).unwrap_or_else(|| latency(state)),
        Screen::Calls => calls::view(state),
        Screen::Sessions => sessions::view(state),
        Screen::Events => events(state),
        Screen::Sql => sql::view(state),
    }
}

fn processes(state: &State) -> ViewExport {
    let rows = (0..state.processes.rows().len())
        .filter_map(|row| state.processes.get(row))
        .map(|process| {
            let ports: Vec<String> = process.ports.iter().map(u16::to_string).collect();
            vec![
                process.pid.to_string(),
                process.name.clone(),
                process
                    .language
                    .map_or("", |language| language.name())
                    .into(),
                ports.join(" "),
                process.container.clone().unwrap_or_default(),
                process.resident_bytes.to_string(),
                process.user.clone(),
                process.command.clone(),
                process.refusal.clone().unwrap_or_default(),
            ]
        });
    table(
        "processes",
        None,
        &[
            "pid",
            "name",
            "language",
            "ports",
            "container",
            "resident_bytes",
            "user",
            "command",
            "refusal",
        ],
        rows.collect(),
    )
}

fn functions(state: &State) -> ViewExport {
    let list = &state.functions;
    let shown = list.rows().len();
    let rows = list
        .rows()
        .iter()
        .take(ROWS_MAX)
        .filter_map(|&id| list.table.get(id))
        .map(|function| function_row(state, &function));
    let command = list
        .target
        .as_ref()
        .and_then(|target| command_line::functions(state.peer(), target));
    let columns = [
        "name",
        "package",
        "file",
        "line",
        "address",
        "size_bytes",
        "source",
        "probe",
        "exits",
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
        "total_ns",
    ];
    ViewExport {
        rows_left_out: shown.saturating_sub(ROWS_MAX),
        ..table(
            "functions",
            measuring_command(state).or(command),
            &columns,
            rows.collect(),
        )
    }
}

fn function_row(state: &State, function: &Function<'_>) -> Vec<String> {
    let plan = function.plan;
    let mut row = vec![
        function.name.to_owned(),
        function.package.to_owned(),
        function.file.unwrap_or_default().to_owned(),
        function
            .line
            .map_or_else(String::new, |line| line.to_string()),
        function.address.to_string(),
        function.size.to_string(),
        function.source.name().to_owned(),
        plan.map_or("", |plan| plan.probe.name()).to_owned(),
        plan.map_or_else(String::new, |plan| plan.exits.to_string()),
    ];
    let Some(stats) = state.measurements.stats(function.id) else {
        row.resize(22, String::new());
        return row;
    };
    row.extend([stats.calls, stats.returns, stats.unwound, stats.in_flight].map(|n| n.to_string()));
    row.push(
        stats
            .errors
            .map_or_else(String::new, |errors| errors.to_string()),
    );
    row.push(format!("{:.1}", stats.calls_per_s));
    let latency = &stats.latency;
    row.extend(PERCENTILES.map(|(percent, _)| {
        latency
            .percentile_ns(percent)
            .map_or_else(String::new, |ns| ns.to_string())
    }));
    row.extend([latency.max_ns, latency.total_ns].map(|ns| timed(latency, ns)));
    row
}

fn timed(latency: &Histogram, ns: u64) -> String {
    if latency.buckets.is_empty() {
        String::new()
    } else {
        ns.to_string()
    }
}

fn latency(state: &State) -> ViewExport {
    let function = state.functions.selection.id();
    let stats = function.and_then(|id| state.latency_stats(id));
    let rows = stats.map_or_else(Vec::new, |stats| {
        let row = |bucket: &coral_model::Bucket| {
            let range = bucket_range_ns(bucket.index);
            vec![
                stats.name.clone(),
                range.start.to_string(),
                range.end.to_string(),
                bucket.count.to_string(),
            ]
        };
        stats.latency.buckets.iter().map(row).collect()
    });
    table(
        "latency",
        measuring_command(state),
        &["function", "low_ns", "high_ns", "count"],
        rows,
    )
}

fn events(state: &State) -> ViewExport {
    let rows = state.notices.log().iter().map(|logged| {
        vec![
            format!("{:.1}", logged.at.as_secs_f64()),
            logged.notice.level.name().to_owned(),
            logged.notice.code.clone().unwrap_or_default(),
            logged.notice.message.clone(),
            logged.notice.help.clone(),
        ]
    });
    let columns = ["after_s", "level", "code", "message", "help"];
    table("events", None, &columns, rows.collect())
}

pub(crate) fn table(
    view: &'static str,
    command: Option<String>,
    columns: &[&'static str],
    rows: Vec<Vec<String>>,
) -> ViewExport {
    ViewExport {
        view,
        command,
        columns: columns.iter().map(|&name| name.into()).collect(),
        rows,
        rows_left_out: 0,
    }
}
