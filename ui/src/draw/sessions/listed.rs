//! A session of somebody else or of the past, as far as the history lists it.

use coral_model::{EndReason, SessionState, SessionSummary, format_count, format_duration};
use ratatui::layout::Rect;

use super::{BEGAN, Kind};
use crate::canvas::{Canvas, inset, row};
use crate::commands::Command;
use crate::state::State;
use crate::table::MARGIN;
use crate::text::{Cut, plural};
use crate::theme::Meaning;

/// Names of functions that anybody would read in a line.
const NAMES_MAX: usize = 12;

/// What a cell says; only opening the session tells its numbers.
pub(super) fn value(
    canvas: &Canvas<'_>,
    kind: Kind,
    summary: &SessionSummary,
) -> (String, Meaning) {
    match kind {
        Kind::Countdown | Kind::State => match summary.state {
            SessionState::Active => ("live".into(), Meaning::Live),
            SessionState::Ended(reason) => (reason.name().into(), Meaning::Ended),
        },
        Kind::Who => (summary.requested_by.clone(), Meaning::Dim),
        Kind::Service => (summary.service.clone(), Meaning::Dim),
        Kind::Replicas => (summary.replicas.to_string(), Meaning::Number),
        Kind::Functions => (summary.functions.len().to_string(), Meaning::Number),
        Kind::Began => (summary.started_at.strftime(BEGAN).to_string(), Meaning::Dim),
        Kind::Probes | Kind::Hits | Kind::HitsPerS | Kind::Lost | Kind::Cost => {
            (canvas.glyphs.not_measured.to_owned(), Meaning::NotMeasured)
        }
    }
}

/// Who asked for what, why it ended, and what to press.
pub(super) fn draw(canvas: &mut Canvas<'_>, state: &State, area: Rect, summary: &SessionSummary) {
    let area = inset(area, MARGIN);
    let on = plural(summary.replicas as usize, "replica");
    let asked = format!("{} on {on} by {}", summary.service, summary.requested_by);
    canvas.foreign(row(area, 1), &asked, Cut::End, Meaning::Dim);
    canvas.foreign(row(area, 2), &time(summary), Cut::End, Meaning::Dim);
    let functions = plural(summary.functions.len(), "function");
    let names = summary.functions.iter().take(NAMES_MAX);
    let names: Vec<&str> = names.map(String::as_str).collect();
    let records = format_count(summary.records as f64);
    let measured = format!("{functions}, {records} calls kept: {}", names.join(", "));
    canvas.foreign(row(area, 3), &measured, Cut::End, Meaning::Dim);
    let key = state.key(Command::OpenSession);
    let is_visited = state.visited().as_ref() == Some(&summary.id);
    let hint = match (is_visited, summary.state) {
        (true, _) => format!("{key} goes back to what is open here"),
        (false, SessionState::Active) => format!("{key} watches it on all screens"),
        (false, SessionState::Ended(_)) => format!("{key} opens it on all screens"),
    };
    canvas.text(row(area, 4), &hint, Meaning::Text);
}

/// When it was, and why it ended.
fn time(summary: &SessionSummary) -> String {
    let began = summary.started_at.strftime("%Y-%m-%d %H:%M:%S");
    let lasted = summary.ended_at.map(|ended| {
        let lasted = ended.duration_since(summary.started_at).unsigned_abs();
        format!(", measured for {}", format_duration(lasted))
    });
    let why = match summary.state {
        SessionState::Active => ", goes on",
        SessionState::Ended(EndReason::Expired) => ", its lease ran out",
        SessionState::Ended(EndReason::Detached) => ", it was detached",
        SessionState::Ended(EndReason::TargetExited) => ", its processes ended",
        SessionState::Ended(EndReason::TargetExeced) => ", its processes run another program",
        SessionState::Ended(EndReason::Budget) => ", its probes cost more than the budget",
        SessionState::Ended(EndReason::Failed) => ", its agents failed",
    };
    format!("began {began} UTC{}{why}", lasted.unwrap_or_default())
}
