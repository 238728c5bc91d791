//! The axis of the time of day below a picture, with the marks that were set.

use ratatui::layout::Rect;

use crate::canvas::{Canvas, inset, row};
use crate::latency::History;
use crate::text::width;
use crate::theme::Meaning;

/// Seconds between two labels.
const NICE_SECONDS: [i64; 16] = [
    1, 2, 5, 10, 15, 30, 60, 120, 300, 600, 900, 1_800, 3_600, 7_200, 21_600, 86_400,
];

/// Columns that a label needs at least.
const LABEL_COLUMNS: i64 = 11;

/// Draws axis and labels; a cell is so many columns of the history wide.
pub(super) fn draw(canvas: &mut Canvas<'_>, history: &History, per_cell: u16, area: Rect) {
    let axis = &history.axis;
    let line = row(area, 0);
    canvas.fill(line, canvas.glyphs.horizontal, Meaning::Rule);
    for gap in &history.gaps {
        for cell in gap.start() / per_cell..=gap.end() / per_cell {
            canvas.text(inset(line, cell), canvas.glyphs.left, Meaning::Warning);
        }
    }
    let cell_ms = axis.step_ms.saturating_mul(i64::from(per_cell));
    let between_ms = between_labels_ms(cell_ms);
    let first_ms = axis
        .start_ms
        .div_euclid(between_ms)
        .saturating_mul(between_ms);
    let end_ms = axis
        .start_ms
        .saturating_add(cell_ms.saturating_mul(i64::from(area.width)));
    let mut at_ms = first_ms;
    while at_ms < end_ms {
        if at_ms >= axis.start_ms {
            let cell = axis.column(at_ms) / per_cell;
            canvas.text(inset(line, cell), canvas.glyphs.tick, Meaning::Axis);
            let label = time_of_day(at_ms);
            let start = cell.saturating_sub(width(&label) / 2);
            if start + width(&label) <= area.width {
                canvas.text(inset(row(area, 1), start), &label, Meaning::Axis);
            }
        }
        at_ms = at_ms.saturating_add(between_ms);
    }
    for column in &history.marks {
        canvas.text(
            inset(line, column / per_cell),
            canvas.glyphs.mark,
            Meaning::Mark,
        );
    }
}

/// `03:12:09`, in UTC.
pub(crate) fn time_of_day(at_ms: i64) -> String {
    let seconds = at_ms.div_euclid(1_000).rem_euclid(86_400);
    format!(
        "{:02}:{:02}:{:02}",
        seconds / 3_600,
        seconds / 60 % 60,
        seconds % 60
    )
}

fn between_labels_ms(cell_ms: i64) -> i64 {
    let needed_ms = cell_ms.saturating_mul(LABEL_COLUMNS);
    let nice = NICE_SECONDS.iter().map(|seconds| seconds * 1_000);
    nice.into_iter()
        .find(|&nice| nice >= needed_ms)
        .unwrap_or(needed_ms)
}
