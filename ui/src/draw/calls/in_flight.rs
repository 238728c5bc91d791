//! Calls in flight: what has not returned, the oldest first.

use coral_model::InFlightCall;
use ratatui::layout::Rect;

use super::{REPLICA, draw_function, draw_replica};
use crate::canvas::Canvas;
use crate::layout::ListPane;
use crate::state::State;
use crate::table::{self, Column, Columns, draw_rows, number, word};
use crate::text::Cut;
use crate::theme::Meaning;

/// A line shows no more callers than anybody could read there.
const CALLERS_MAX: usize = 8;

#[derive(Clone, Copy, PartialEq)]
enum Kind {
    Age,
    Replica,
    Place,
    Callers,
}

const COLUMNS: &[Column<Kind>] = &[
    number(Kind::Age, "age", 8),
    word(Kind::Replica, "replica", REPLICA),
    word(Kind::Place, "runs on", 14),
    word(Kind::Callers, "called from", 30),
];

pub(super) fn draw(canvas: &mut Canvas<'_>, state: &State, pane: &ListPane) {
    let Some(snapshot) = state.current_snapshot() else {
        return;
    };
    let calls = &snapshot.in_flight;
    let mut columns = COLUMNS.to_vec();
    columns.retain(|column| column.kind != Kind::Replica || snapshot.replicas.len() > 1);
    let columns = Columns::fit(pane.rows.width, 12, &columns);
    columns.draw_head(canvas, pane.head, "function");
    let selection = &state.calls.in_flight;
    draw_rows(
        canvas,
        pane.rows,
        selection,
        calls.len(),
        |canvas, index, place| {
            draw_row(canvas, state, &columns, place, &calls[index]);
        },
    );
}

/// The goroutine that a call runs on, or else the thread.
pub(super) fn place_of(call: &InFlightCall) -> String {
    match (call.goroutine, call.tid) {
        (Some(goroutine), _) => format!("g {goroutine}"),
        (None, Some(tid)) => format!("thread {tid}"),
        (None, None) => format!("process {}", call.pid),
    }
}

fn draw_row(
    canvas: &mut Canvas<'_>,
    state: &State,
    columns: &Columns<Kind>,
    place: Rect,
    call: &InFlightCall,
) {
    let first = columns.first(place);
    draw_function(canvas, state, first, call.function, Meaning::Text);
    for (column, cell) in columns.places(place) {
        let text = match column.kind {
            Kind::Replica => {
                draw_replica(canvas, state, cell, call.replica);
                continue;
            }
            Kind::Age => canvas.glyphs.duration_ns(call.age_ns),
            Kind::Place => place_of(call),
            Kind::Callers => {
                let innermost = call.callers.iter().rev().take(CALLERS_MAX);
                let names: Vec<_> = innermost.map(|&id| state.name_of(id)).collect();
                canvas.foreign(cell, &names.join(" < "), Cut::End, Meaning::Dim);
                continue;
            }
        };
        table::write(canvas, cell, &text, column.right, Meaning::Number);
    }
}
