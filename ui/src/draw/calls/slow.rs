//! Slow calls: the slowest single calls that were recorded.

use coral_model::CallRecord;
use ratatui::layout::Rect;

use super::{REPLICA, draw_function, draw_replica};
use crate::calls::CallKey;
use crate::canvas::{Canvas, inset, row};
use crate::layout::ListPane;
use crate::selection::Selection;
use crate::state::State;
use crate::table::{self, Column, Columns, draw_rows, number, word};
use crate::theme::Meaning;

#[derive(Clone, Copy)]
enum Kind {
    Duration,
    Replica,
    StartedAt,
    Thread,
    Goroutine,
}

const COLUMNS: &[Column<Kind>] = &[
    number(Kind::Duration, "duration", 8),
    word(Kind::Replica, "replica", REPLICA),
    word(Kind::StartedAt, "began (UTC)", 12),
    number(Kind::Thread, "thread", 8),
    // Last: only Go has them.
    number(Kind::Goroutine, "goroutine", 14),
];

/// Draws the list where somebody has selected a row of it, or the first ones.
pub(super) fn draw(
    canvas: &mut Canvas<'_>,
    state: &State,
    pane: &ListPane,
    selection: Option<&Selection<CallKey>>,
) {
    let Some(snapshot) = state.current_snapshot() else {
        return;
    };
    let calls = &snapshot.slow_calls;
    let has_goroutines = calls.iter().any(|call| call.goroutine.is_some());
    let mut columns = COLUMNS.to_vec();
    columns.retain(|column| match column.kind {
        Kind::Goroutine => has_goroutines,
        Kind::Replica => snapshot.replicas.len() > 1,
        _ => true,
    });
    let columns = Columns::fit(pane.rows.width, 20, &columns);
    columns.draw_head(canvas, pane.head, "function");
    let draw = |canvas: &mut Canvas<'_>, index: usize, place| {
        draw_row(canvas, state, &columns, place, &calls[index]);
    };
    match selection {
        Some(selection) => draw_rows(canvas, pane.rows, selection, calls.len(), draw),
        None => {
            for index in 0..calls.len().min(usize::from(pane.rows.height)) {
                draw(canvas, index, row(pane.rows, index));
            }
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
    if call.failed {
        canvas.text(inset(place, 1), canvas.glyphs.failed, Meaning::Error);
    }
    let first = columns.first(place);
    draw_function(canvas, state, first, call.function, Meaning::Text);
    for (column, cell) in columns.places(place) {
        let text = match column.kind {
            Kind::Replica => {
                draw_replica(canvas, state, cell, call.replica);
                continue;
            }
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
