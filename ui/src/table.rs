//! Tables of which only the visible rows exist.

use ratatui::layout::{Position, Rect};

use crate::canvas::{Canvas, inset, row};
use crate::selection::Selection;
use crate::text::width;
use crate::theme::Meaning;

/// Columns left of every row: the cursor, a marker, a space.
pub(crate) const MARGIN: u16 = 3;

/// A column of a table.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Column<K> {
    /// What it shows.
    pub(crate) kind: K,
    pub(crate) title: &'static str,
    /// Without the space between columns.
    pub(crate) width: u16,
    /// Numbers stand at the right.
    pub(crate) right: bool,
}

/// A column of numbers.
pub(crate) const fn number<K>(kind: K, title: &'static str, width: u16) -> Column<K> {
    Column {
        kind,
        title,
        width,
        right: true,
    }
}

/// A column of words.
pub(crate) const fn word<K>(kind: K, title: &'static str, width: u16) -> Column<K> {
    Column {
        kind,
        title,
        width,
        right: false,
    }
}

/// Where the columns are: a first one that takes what is left, and others behind it.
pub(crate) struct Columns<K> {
    pub(crate) first_width: u16,
    pub(crate) others: Vec<Column<K>>,
}

impl<K: Copy> Columns<K> {
    /// As many of the columns as fit beside a first one of a least width; the columns come in the
    /// order of their importance, and are shown in that order.
    pub(crate) fn fit(width: u16, first_min: u16, columns: &[Column<K>]) -> Self {
        let mut left = width.saturating_sub(MARGIN);
        let mut others = Vec::new();
        for column in columns {
            let needed = column.width + 1;
            if left < first_min.saturating_add(needed) {
                break;
            }
            left -= needed;
            others.push(*column);
        }
        Self {
            first_width: left,
            others,
        }
    }

    /// The place of the first column in a row.
    pub(crate) fn first(&self, row: Rect) -> Rect {
        Rect {
            width: self.first_width,
            ..inset(row, MARGIN)
        }
        .intersection(row)
    }

    /// The places of the other columns in a row.
    pub(crate) fn places(&self, row: Rect) -> impl Iterator<Item = (Column<K>, Rect)> {
        let mut x = row.x + MARGIN.saturating_add(self.first_width);
        self.others.iter().map(move |&column| {
            let place = Rect {
                x: x + 1,
                width: column.width,
                ..row
            };
            x += column.width + 1;
            (column, place.intersection(row))
        })
    }

    /// What stands at a position of a row: the first column, which is no kind, or another one.
    pub(crate) fn at(&self, row: Rect, position: Position) -> Option<Option<K>> {
        if self.first(row).contains(position) {
            return Some(None);
        }
        let mut places = self.places(row);
        places
            .find(|(_, place)| place.contains(position))
            .map(|(column, _)| Some(column.kind))
    }

    /// Writes the titles.
    pub(crate) fn draw_head(&self, canvas: &mut Canvas<'_>, area: Rect, first_title: &str) {
        canvas.text(self.first(area), first_title, Meaning::Dim);
        for (column, place) in self.places(area) {
            write(canvas, place, column.title, column.right, Meaning::Dim);
        }
    }
}

/// Writes a cell of our own text.
pub(crate) fn write(
    canvas: &mut Canvas<'_>,
    place: Rect,
    text: &str,
    right: bool,
    meaning: Meaning,
) {
    if right && width(text) <= place.width {
        canvas.right(place, text, meaning);
    } else {
        canvas.text(place, text, meaning);
    }
}

/// Draws the rows of a list that its window shows, and marks the selected one.
pub(crate) fn draw_rows<K: Clone + PartialEq>(
    canvas: &mut Canvas<'_>,
    area: Rect,
    selection: &Selection<K>,
    rows: usize,
    mut draw_row: impl FnMut(&mut Canvas<'_>, usize, Rect),
) {
    let window = selection.window(rows, usize::from(area.height));
    for (line, index) in window.enumerate() {
        let place = row(area, line);
        draw_row(canvas, index, place);
        if index == selection.index() {
            draw_cursor(canvas, place);
        }
    }
}

/// Marks the selected row, by a sign and by its background.
fn draw_cursor(canvas: &mut Canvas<'_>, row: Rect) {
    canvas.text(row, canvas.glyphs.cursor, Meaning::Key);
    canvas.restyle(row, Meaning::Selection);
}

/// Says in the middle of an empty list what to do.
pub(crate) fn draw_empty(canvas: &mut Canvas<'_>, area: Rect, message: &str, help: &str) {
    let lines = [(message, Meaning::Text), (help, Meaning::Dim)];
    let top = area.height.saturating_sub(2) / 3;
    let inner = inset(area, MARGIN);
    let mut number = usize::from(top);
    for (text, meaning) in lines {
        for line in crate::text::wrap(text, usize::from(inner.width), 3, canvas.glyphs) {
            canvas.text(crate::canvas::row(inner, number), &line, meaning);
            number += 1;
        }
    }
}
