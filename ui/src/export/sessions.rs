//! The sessions as a table for a file: those of this console, and those of everybody.

use coral_model::{SessionState, SessionSummary};

use super::table;
use crate::event::ViewExport;
use crate::measurements::Session;
use crate::session_list::SessionRow;
use crate::state::State;

const COLUMNS: [&str; 12] = [
    "id",
    "service",
    "requested_by",
    "replicas",
    "pid",
    "started_at",
    "duration_s",
    "end_reason",
    "functions",
    "probes",
    "hits",
    "lost",
];

pub(super) fn view(state: &State) -> ViewExport {
    let rows = state.session_rows().into_iter().map(|row| match row {
        SessionRow::Own(session) => own(session),
        SessionRow::Listed(summary) => listed(summary),
    });
    table(
        "sessions",
        Some("coral debug list".into()),
        &COLUMNS,
        rows.collect(),
    )
}

fn own(session: &Session) -> Vec<String> {
    let snapshot = &session.snapshot;
    let info = &snapshot.session;
    vec![
        info.id.to_string(),
        info.target.service.clone(),
        info.requested_by.clone(),
        snapshot.replicas.len().max(1).to_string(),
        info.target.pid.to_string(),
        info.started_at.to_string(),
        format!("{:.1}", info.elapsed.as_secs_f64()),
        end_reason(info.state),
        snapshot.functions.len().to_string(),
        info.probes.to_string(),
        snapshot.accounting.hits.to_string(),
        session.lost().to_string(),
    ]
}

/// Its numbers are not here.
fn listed(summary: &SessionSummary) -> Vec<String> {
    let lasted = summary
        .ended_at
        .map(|ended| ended.duration_since(summary.started_at));
    let mut cells = vec![
        summary.id.to_string(),
        summary.service.clone(),
        summary.requested_by.clone(),
        summary.replicas.to_string(),
        String::new(),
        summary.started_at.to_string(),
        lasted.map_or_else(String::new, |it| format!("{:.1}", it.as_secs_f64())),
        end_reason(summary.state),
        summary.functions.len().to_string(),
    ];
    cells.resize(COLUMNS.len(), String::new());
    cells
}

fn end_reason(state: SessionState) -> String {
    match state {
        SessionState::Active => String::new(),
        SessionState::Ended(reason) => reason.name().to_owned(),
    }
}
