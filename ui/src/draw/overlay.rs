//! A frame above the screen.

use ratatui::layout::Rect;

use crate::canvas::{Canvas, inset, row};
use crate::text::width;
use crate::theme::Meaning;

/// Draws an empty frame of at most that size in the middle of an area; returns its inside.
pub(super) fn draw(canvas: &mut Canvas<'_>, area: Rect, title: &str, size: (u16, u16)) -> Rect {
    let frame = frame(area, size);
    if frame.is_empty() {
        return frame;
    }
    canvas.clear(frame);
    let (columns, rows) = (frame.width, frame.height);
    let glyphs = canvas.glyphs;
    let last = usize::from(rows - 1);
    for (number, [left, right]) in [
        (0, [glyphs.corners[0], glyphs.corners[1]]),
        (last, [glyphs.corners[2], glyphs.corners[3]]),
    ] {
        let line = row(frame, number);
        canvas.fill(line, glyphs.horizontal, Meaning::Dialog);
        canvas.text(line, left, Meaning::Dialog);
        canvas.text(inset(line, columns - 1), right, Meaning::Dialog);
    }
    for number in 1..last {
        let line = row(frame, number);
        canvas.text(line, glyphs.vertical, Meaning::Dialog);
        canvas.text(inset(line, columns - 1), glyphs.vertical, Meaning::Dialog);
    }
    let room = Rect {
        width: columns.saturating_sub(4).min(width(title) + 2),
        ..inset(row(frame, 0), 2)
    };
    canvas.text(room, &format!(" {title} "), Meaning::Title);
    inside(frame)
}

/// Where a frame of at most that size is; nowhere if there is no room.
pub(super) fn frame(area: Rect, (columns, rows): (u16, u16)) -> Rect {
    let (columns, rows) = (columns.min(area.width), rows.min(area.height));
    if columns < 4 || rows < 3 {
        return Rect::default();
    }
    Rect {
        x: area.x + (area.width - columns) / 2,
        y: area.y + (area.height - rows) / 2,
        width: columns,
        height: rows,
    }
}

/// What a frame has room for.
pub(super) fn inside(frame: Rect) -> Rect {
    Rect {
        x: frame.x.saturating_add(2),
        y: frame.y.saturating_add(1),
        width: frame.width.saturating_sub(4),
        height: frame.height.saturating_sub(2),
    }
}
