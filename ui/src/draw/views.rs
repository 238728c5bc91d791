//! Views of the functions that have a name: the list of them, and the question for a name.

use ratatui::layout::Rect;

use crate::canvas::{Canvas, inset, row};
use crate::draw::find::{draw_finder, draw_none};
use crate::draw::{filter_line, overlay};
use crate::filter_input::FilterInput;
use crate::functions::ColumnSet;
use crate::saved_view::SavedView;
use crate::sort::Sort;
use crate::state::State;
use crate::table::{MARGIN, draw_rows};
use crate::text::Cut;
use crate::theme::Meaning;
use crate::view_finder::ViewFinder;

/// Columns for a view's name.
const NAME: u16 = 22;

pub(super) fn draw_list(canvas: &mut Canvas<'_>, body: Rect, finder: &ViewFinder) {
    let rows = finder.rows();
    let found = format!("{} of {} ", rows.len(), finder.all().len());
    let list = draw_finder(canvas, body, "Views", &finder.input, &found);
    if rows.is_empty() {
        draw_none(canvas, list, "view");
    }
    draw_rows(
        canvas,
        list,
        &finder.selection,
        rows.len(),
        |canvas, index, place| {
            draw_view(canvas, inset(place, 2), &finder.all()[rows[index]]);
        },
    );
}

fn draw_view(canvas: &mut Canvas<'_>, place: Rect, view: &SavedView) {
    let head = Rect {
        width: place.width.min(NAME),
        ..place
    };
    canvas.foreign(head, &view.name, Cut::End, Meaning::Text);
    let rest = inset(place, NAME + 1);
    let (sort, columns) = (view.sort, view.columns);
    let described = describe(&view.filter, sort, view.reversed, columns);
    canvas.foreign(rest, &described, Cut::End, Meaning::Dim);
}

pub(super) fn draw_question(
    canvas: &mut Canvas<'_>,
    state: &State,
    body: Rect,
    name: &FilterInput,
) {
    let inside = overlay::draw(canvas, body, "Save this view as", (64, 5));
    filter_line::draw(canvas, name, row(inside, 0), "");
    let list = &state.functions;
    let described = describe(
        list.filter.text(),
        list.sort(),
        list.is_reversed(),
        list.columns,
    );
    let place = inset(row(inside, 2), MARGIN - 1);
    canvas.foreign(place, &described, Cut::End, Meaning::Dim);
}

fn describe(filter: &str, sort: Sort, reversed: bool, columns: ColumnSet) -> String {
    let filter = match filter.trim() {
        "" => "all functions",
        filter => filter,
    };
    let reversed = if reversed { ", reversed" } else { "" };
    let columns = match columns {
        ColumnSet::Measured => "",
        ColumnSet::Code => "; columns about the code",
    };
    format!("{filter}; sort: {}{reversed}{columns}", sort.name())
}
