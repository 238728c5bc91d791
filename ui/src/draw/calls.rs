//! Slow calls: the slowest single calls that were recorded.

use coral_model::CallRecord;
use ratatui::layout::Rect;

use crate::canvas::{Canvas, row};
use crate::commands::Command;
use crate::layout::ListPane;
use crate::state::State;
use crate::table::{self, Column, Columns, draw_cursor, draw_empty, number, word};
use crate::text::Cut;
use crate::theme::Meaning;

#[derive(Clone, Copy)]
enum Kind {
    Duration,
    StartedAt,
    Thread,
    Goroutine,
}

const COLUMNS: &[Column<Kind>] = &[
    number(Kind::Duration, "duration", 8),
    word(Kind::StartedAt, "began (UTC)", 12),
    number(Kind::Thread, "thread", 8),
    // Last: only Go has them.
    number(Kind::Goroutine, "goroutine", 14),
];

pub(super) fn draw(canvas: &mut Canvas<'_>, state: &State, area: Rect) {
    let pane = ListPane::calls(area);
    let calls = state.slow_calls();
    let mut right = Vec::new();
    if let Some(session) = state.measurements.current() {
        let accounting = &session.snapshot.accounting;
        let lost = accounting.records_lost();
        let meaning = if lost > 0 {
            Meaning::Warning
        } else {
            Meaning::Dim
        };
        right.push((format!("{lost} records lost"), meaning));
        if accounting.sampled_out > 0 {
            let sampled_out = format!("  {} sampled out", accounting.sampled_out);
            right.push((sampled_out, Meaning::Warning));
        }
    }
    let count = format!("  slowest {}", calls.len());
    canvas.title(
        pane.title,
        &[("Calls", Meaning::Title), (&count, Meaning::Dim)],
        &right,
    );
    if calls.is_empty() {
        let space = state.key(Command::ToggleProbe);
        let help = if state.is_live() {
            "Calls appear here when they return.".to_owned()
        } else {
            format!("Probe functions with {space}: their slowest calls are listed here.")
        };
        return draw_empty(canvas, pane.rows, "No call was recorded.", &help);
    }
    let has_goroutines = calls.iter().any(|call| call.goroutine.is_some());
    let columns = Columns::fit(area.width, 20, &COLUMNS[..3 + usize::from(has_goroutines)]);
    columns.draw_head(canvas, pane.head, "function");
    let visible = state
        .calls
        .window(calls.len(), usize::from(pane.rows.height));
    for (line, index) in visible.enumerate() {
        let place = row(pane.rows, line);
        draw_row(canvas, state, &columns, place, &calls[index]);
        if index == state.calls.index() && state.screen == crate::Screen::Calls {
            draw_cursor(canvas, place);
        }
    }
}

fn draw_row(
    canvas: &mut Canvas<'_>,
    state: &State,
    columns: &Columns<Kind>,
    place: Rect,
    call: &CallRecord,
) {
    let function = state.functions.table.get(call.function);
    let name = function.map_or("", |function| function.name);
    canvas.foreign(columns.first(place), name, Cut::Middle, Meaning::Text);
    for (column, cell) in columns.places(place) {
        let text = match column.kind {
            Kind::Duration => canvas.glyphs.duration_ns(call.duration_ns),
            Kind::StartedAt => call.started_at.strftime("%H:%M:%S%.3f").to_string(),
            Kind::Thread => call.tid.to_string(),
            Kind::Goroutine => call
                .goroutine
                .map_or_else(String::new, |goroutine| goroutine.to_string()),
        };
        table::write(canvas, cell, &text, column.right, Meaning::Number);
    }
}
