//! One slow call on a time axis. A bar is full where a call did its own work, and light where a
//! call inside of it did.

mod bars;
mod selected;

use ratatui::layout::Rect;

use super::{draw_function, number_meaning};
use crate::calls::trace::{Trace, TraceRow};
use crate::canvas::{Canvas, inset, row};
use crate::commands::Command;
use crate::glyphs::Glyphs;
use crate::layout::ListPane;
use crate::state::State;
use crate::table::{self, Columns, MARGIN, draw_rows, number, word};
use crate::theme::Meaning;

/// From this width on, there is a column for what calls did themselves.
const WIDE: u16 = 76;
/// A row is indented no further than this, whatever it is inside of.
const INDENT_MAX: u32 = 16;

#[derive(Clone, Copy)]
enum Kind {
    Duration,
    Own,
    Bar,
}

pub(super) fn draw(canvas: &mut Canvas<'_>, state: &State, pane: &ListPane) {
    let trace = &state.calls.trace;
    let columns = columns(pane.rows.width);
    draw_head(canvas, state, &columns, pane.head);
    let places = trace.places();
    let selection = &trace.selection;
    draw_rows(
        canvas,
        pane.rows,
        selection,
        places.len(),
        |canvas, index, place| {
            draw_row(canvas, state, &columns, place, places[index]);
        },
    );
    if places.len() == 1 && trace.zoomed().is_none() {
        let why = why_alone(state, canvas.glyphs);
        canvas.text(inset(row(pane.rows, 2), MARGIN), &why, Meaning::Dim);
    }
    selected::draw(canvas, state, pane.detail);
}

/// The name and the numbers take as little as they can, and the bars the rest.
fn columns(width: u16) -> Columns<Kind> {
    let name = (width * 3 / 10).clamp(14, 48);
    let duration = number(Kind::Duration, "duration", 8);
    let own = number(Kind::Own, "self", 8);
    let mut columns = vec![duration];
    if width >= WIDE {
        columns.push(own);
    }
    let taken: u16 = columns.iter().map(|column| column.width + 1).sum();
    let rest = width.saturating_sub(MARGIN + name + taken + 1);
    columns.push(word(Kind::Bar, "", rest));
    Columns::fit(width, name, &columns)
}

fn draw_head(canvas: &mut Canvas<'_>, state: &State, columns: &Columns<Kind>, area: Rect) {
    let trace = &state.calls.trace;
    let title = match trace.zoomed() {
        Some(_) => "function, zoomed",
        None => "function",
    };
    columns.draw_head(canvas, area, title);
    for (column, place) in columns.places(area) {
        if let Kind::Bar = column.kind {
            bars::draw_axis(canvas, trace, place);
        }
    }
}

fn draw_row(
    canvas: &mut Canvas<'_>,
    state: &State,
    columns: &Columns<Kind>,
    place: Rect,
    number: usize,
) {
    let trace = &state.calls.trace;
    let call = trace.row(number);
    if call.failed {
        canvas.text(inset(place, 1), canvas.glyphs.failed, Meaning::Error);
    }
    let first = indented(columns.first(place), trace, call);
    let first = if call.parent_missing {
        let rest = canvas.text(first, canvas.glyphs.ellipsis, Meaning::Warning);
        inset(rest, 1)
    } else {
        first
    };
    draw_function(canvas, state, first, call.function, Meaning::Text);
    for (column, cell) in columns.places(place) {
        let text = match column.kind {
            Kind::Duration => canvas.glyphs.duration_ns(call.duration_ns()),
            Kind::Own => canvas.glyphs.measured_ns(call.self_ns),
            Kind::Bar => {
                bars::draw_bar(canvas, trace, number, cell);
                continue;
            }
        };
        let meaning = number_meaning(canvas, &text);
        table::write(canvas, cell, &text, column.right, meaning);
    }
}

/// The place of a name. At least half of the column stays for it.
fn indented(place: Rect, trace: &Trace, call: &TraceRow) -> Rect {
    let outermost = trace.zoomed().map_or(0, |zoomed| zoomed.depth);
    let levels = call.depth.saturating_sub(outermost).min(INDENT_MAX) as u16;
    inset(place, (2 * levels).min(place.width / 2))
}

/// Why there is nothing inside of the call, and what to press.
fn why_alone(state: &State, glyphs: &Glyphs) -> String {
    let Some(inner) = state.calls.trace.inner() else {
        return "The calls inside of it were not recorded.".into();
    };
    if inner.missing_ns > 0 {
        let missing = glyphs.duration_ns(inner.missing_ns);
        return format!("Its probed calls took {missing}, but made no records.");
    }
    format!(
        "It made no probed call. Probe what it calls: {}, then {}.",
        state.key(Command::ShowFunctions),
        state.key(Command::ToggleProbe)
    )
}
