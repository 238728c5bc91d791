//! The time axis of a trace, and the bars of its calls.

use std::ops::Range;

use ratatui::layout::Rect;

use crate::calls::trace::Trace;
use crate::canvas::{Canvas, inset};
use crate::glyphs::Glyphs;
use crate::text::width;
use crate::theme::Meaning;

/// Columns between two labels of the axis, at least.
const LABEL_COLUMNS: u64 = 10;

/// Labels with round numbers, counted from the beginning of the whole call.
pub(super) fn draw_axis(canvas: &mut Canvas<'_>, trace: &Trace, area: Rect) {
    let scale = Scale::of(trace, area);
    let span_ns = scale.time_ns.end - scale.time_ns.start;
    let labels_max = (u64::from(scale.columns) / LABEL_COLUMNS).max(1);
    let step_ns = nice_step_ns(span_ns / labels_max);
    let mut at_ns = scale
        .time_ns
        .start
        .div_ceil(step_ns)
        .saturating_mul(step_ns);
    while at_ns < scale.time_ns.end {
        let label = format!("{}{}", canvas.glyphs.vertical, short(canvas.glyphs, at_ns));
        let place = inset(area, scale.column(at_ns));
        if width(&label) <= place.width {
            canvas.text(place, &label, Meaning::Axis);
        }
        at_ns = at_ns.saturating_add(step_ns);
    }
}

/// The next of 1, 2, 5, 10, 20, 50 and so on.
fn nice_step_ns(least_ns: u64) -> u64 {
    let mut decade: u64 = 1;
    while decade <= least_ns / 10 {
        decade *= 10;
    }
    let steps = [1, 2, 5, 10].map(|digit| decade.saturating_mul(digit));
    let fitting = steps.into_iter().find(|&step| step >= least_ns);
    fitting.unwrap_or(u64::MAX)
}

/// A round duration without the zeros behind its point.
fn short(glyphs: &Glyphs, ns: u64) -> String {
    let text = glyphs.duration_ns(ns);
    match text.split_once(' ') {
        _ if ns == 0 => "0".to_owned(),
        Some((value, unit)) if value.contains('.') => {
            let value = value.trim_end_matches('0').trim_end_matches('.');
            format!("{value} {unit}")
        }
        _ => text,
    }
}

/// A bar from the beginning of a call to its end.
pub(super) fn draw_bar(canvas: &mut Canvas<'_>, trace: &Trace, number: usize, area: Rect) {
    let scale = Scale::of(trace, area);
    let call = trace.row(number);
    let cells = scale.cells(&call.time_ns);
    if call.duration_ns() <= scale.cell_ns() / 2 {
        let cell = inset(area, cells.start);
        canvas.text(cell, canvas.glyphs.vertical, Meaning::Bar);
        return;
    }
    let mut inside_ns = vec![0; usize::from(area.width)];
    for inner in trace.inside(number) {
        scale.cover(&inner.time_ns, &mut inside_ns);
    }
    let mut own_ns = vec![0; usize::from(area.width)];
    scale.cover(&call.time_ns, &mut own_ns);
    // Where in the call that was which has no row, nobody knows.
    let is_unknown = call.self_ns.is_none() || call.missing_ns >= scale.cell_ns().max(1);
    let own = if is_unknown {
        canvas.glyphs.density[3]
    } else {
        canvas.glyphs.bars[8]
    };
    for column in cells {
        let cell = Rect {
            width: 1,
            ..inset(area, column)
        };
        let (inside_ns, own_ns) = (inside_ns[usize::from(column)], own_ns[usize::from(column)]);
        if inside_ns * 2 >= own_ns && inside_ns > 0 {
            canvas.text(cell, canvas.glyphs.left, Meaning::Dim);
        } else {
            canvas.text(cell, own, Meaning::Bar);
        }
    }
}

/// Where a time is on the screen.
struct Scale {
    time_ns: Range<u64>,
    columns: u16,
}

impl Scale {
    fn of(trace: &Trace, area: Rect) -> Self {
        Self {
            time_ns: trace.time_ns(),
            columns: area.width,
        }
    }

    fn cell_ns(&self) -> u64 {
        (self.time_ns.end - self.time_ns.start) / u64::from(self.columns.max(1))
    }

    fn column(&self, at_ns: u64) -> u16 {
        let span_ns = u128::from((self.time_ns.end - self.time_ns.start).max(1));
        let after_ns = u128::from(at_ns.saturating_sub(self.time_ns.start));
        let column = after_ns * u128::from(self.columns) / span_ns;
        column.min(u128::from(self.columns.saturating_sub(1))) as u16
    }

    /// The time of a cell's beginning.
    fn start_ns(&self, column: u16) -> u64 {
        let span_ns = u128::from(self.time_ns.end - self.time_ns.start);
        let after_ns = span_ns * u128::from(column) / u128::from(self.columns.max(1));
        self.time_ns.start.saturating_add(after_ns as u64)
    }

    /// The cells that a time touches: at least one, if there is any.
    fn cells(&self, time_ns: &Range<u64>) -> Range<u16> {
        let last_ns = time_ns.end.saturating_sub(1).max(time_ns.start);
        let end = self.column(last_ns).saturating_add(1);
        self.column(time_ns.start)..end.min(self.columns)
    }

    /// Adds to each cell how much of it a time takes.
    fn cover(&self, time_ns: &Range<u64>, cells: &mut [u64]) {
        for column in self.cells(time_ns) {
            let start_ns = self.start_ns(column).max(time_ns.start);
            let end_ns = self.start_ns(column + 1).min(time_ns.end);
            if let Some(cell) = cells.get_mut(usize::from(column)) {
                *cell += end_ns.saturating_sub(start_ns);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn steps_are_round_and_no_smaller_than_needed() {
        let steps = [0, 1, 2, 3, 6, 10, 11, 99, 100, 1_234_567].map(nice_step_ns);
        assert_eq!(steps, [1, 1, 2, 5, 10, 10, 20, 100, 100, 2_000_000]);
        assert!(nice_step_ns(u64::MAX) > 1 << 63);
    }

    #[test]
    fn labels_are_short() {
        let labels =
            [0, 50, 1_500, 20_000_000, 1_000_000_000].map(|ns| short(&Glyphs::UNICODE, ns));
        assert_eq!(labels, ["0", "50 ns", "1.5 µs", "20 ms", "1 s"]);
    }

    #[test]
    fn what_a_time_covers_adds_up_to_it() {
        for columns in [1, 7, 100] {
            let scale = Scale {
                time_ns: 50..1_050,
                columns,
            };
            for time_ns in [50..1_050, 50..51, 400..777, 1_049..1_050] {
                let mut cells = vec![0; usize::from(columns)];
                scale.cover(&time_ns, &mut cells);
                assert_eq!(cells.iter().sum::<u64>(), time_ns.end - time_ns.start);
            }
        }
    }
}
