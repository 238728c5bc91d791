//! The line that shows a filter while it is typed and while it is kept.

use ratatui::layout::Rect;

use crate::canvas::{Canvas, inset, row};
use crate::filter_input::FilterInput;
use crate::table::MARGIN;
use crate::text::{Cut, fit, width};
use crate::theme::Meaning;
use crate::typed_filter::FilterError;

/// Draws the filter, and at the right what it has found.
pub(super) fn draw(canvas: &mut Canvas<'_>, filter: &FilterInput, area: Rect, found: &str) {
    if area.is_empty() {
        return;
    }
    let area = inset(area, MARGIN - 1);
    let area = canvas.right(area, found, Meaning::Dim);
    let rest = canvas.text(area, "/", Meaning::Key);
    draw_text(canvas, filter, rest, filter.editing);
}

/// Draws what is typed, with a caret where the next character goes.
pub(super) fn draw_text(canvas: &mut Canvas<'_>, filter: &FilterInput, area: Rect, caret: bool) {
    let (before, after) = filter.around_caret();
    // The end of what is typed matters; the caret needs a column of its own.
    let room = usize::from(area.width.saturating_sub(2));
    let rest = canvas.text(
        area,
        &fit(&before, room, Cut::Middle, canvas.glyphs),
        Meaning::Input,
    );
    if caret {
        let caret = Rect {
            width: rest.width.min(1),
            ..rest
        };
        let mut under = after.chars();
        let character = under.next().unwrap_or(' ').to_string();
        let shown = fit(&character, 1, Cut::End, canvas.glyphs);
        canvas.text(
            caret,
            if shown.is_empty() { " " } else { &shown },
            Meaning::Input,
        );
        canvas.reverse(caret);
        canvas.foreign(inset(rest, 1), under.as_str(), Cut::End, Meaning::Input);
    } else {
        canvas.foreign(rest, &after, Cut::End, Meaning::Input);
    }
}

/// Draws on the line below where the filter cannot be understood, and what is expected there.
pub(super) fn draw_error(
    canvas: &mut Canvas<'_>,
    filter: &FilterInput,
    error: &FilterError,
    area: Rect,
) {
    // The filter begins behind the sign for it.
    let place = inset(row(area, 1), MARGIN);
    let expected = format!("expected {}", error.expected);
    let before = filter.text().get(..error.at).unwrap_or_default();
    let column = width(&coral_model::escape(before));
    if column >= place.width {
        // A filter so long is not shown whole: there is no column to point at.
        canvas.foreign(place, &expected, Cut::End, Meaning::Error);
        return;
    }
    let behind = place.width - column - 1;
    if width(&expected) < behind || column < behind {
        let rest = canvas.text(inset(place, column), "^ ", Meaning::Error);
        canvas.foreign(rest, &expected, Cut::End, Meaning::Error);
    } else {
        let left = Rect {
            width: column,
            ..place
        };
        let shown = fit(&expected, usize::from(column - 1), Cut::End, canvas.glyphs);
        canvas.right(left, &format!("{shown} "), Meaning::Error);
        canvas.text(inset(place, column), "^", Meaning::Error);
    }
}
