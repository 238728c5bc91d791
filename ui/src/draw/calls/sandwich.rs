//! One function over all paths: who calls it above, what it calls below.

use coral_model::format_count;
use ratatui::layout::Rect;

use super::{draw_function, number_meaning, percent, share_bar};
use crate::calls::sandwich::{SandwichRow, Side};
use crate::canvas::Canvas;
use crate::layout::ListPane;
use crate::state::State;
use crate::table::{self, Column, Columns, draw_rows, number, word};
use crate::theme::Meaning;

const BAR: u16 = 10;

#[derive(Clone, Copy)]
enum Kind {
    Total,
    Share,
    Calls,
    Bar,
}

const COLUMNS: &[Column<Kind>] = &[
    number(Kind::Total, "total", 8),
    number(Kind::Share, "share", 8),
    number(Kind::Calls, "calls", 6),
    word(Kind::Bar, "", BAR),
];

pub(super) fn draw(canvas: &mut Canvas<'_>, state: &State, pane: &ListPane) {
    let sandwich = &state.calls.sandwich;
    let columns = Columns::fit(pane.rows.width, 16, COLUMNS);
    columns.draw_head(canvas, pane.head, "callers, function, callees");
    let rows = sandwich.rows();
    let selection = &sandwich.selection;
    draw_rows(
        canvas,
        pane.rows,
        selection,
        rows.len(),
        |canvas, index, place| {
            draw_row(canvas, state, &columns, place, &rows[index]);
        },
    );
}

fn draw_row(
    canvas: &mut Canvas<'_>,
    state: &State,
    columns: &Columns<Kind>,
    place: Rect,
    row: &SandwichRow,
) {
    let glyphs = canvas.glyphs;
    let (indent, sign) = match row.key.0 {
        Side::Caller => ("", glyphs.open),
        Side::Itself => ("  ", glyphs.probed),
        Side::Callee => ("    ", glyphs.last_branch),
    };
    let first = columns.first(place);
    let rest = canvas.text(first, &format!("{indent}{sign} "), Meaning::Rule);
    let meaning = match row.key.0 {
        Side::Itself => Meaning::Title,
        _ => Meaning::Text,
    };
    match row.key.1 {
        Some(function) => {
            draw_function(canvas, state, rest, function, meaning);
        }
        None => {
            canvas.text(rest, "no probed caller", Meaning::Dim);
        }
    }
    let share = state.calls.sandwich.share(row);
    for (column, cell) in columns.places(place) {
        let text = match column.kind {
            Kind::Total => glyphs.measured_ns(row.total_ns),
            Kind::Share => percent(canvas, share),
            Kind::Calls => format_count(row.calls as f64),
            Kind::Bar => share_bar(canvas, share, BAR),
        };
        let meaning = match column.kind {
            Kind::Bar => Meaning::Bar,
            _ => number_meaning(canvas, &text),
        };
        table::write(canvas, cell, &text, column.right, meaning);
    }
}
