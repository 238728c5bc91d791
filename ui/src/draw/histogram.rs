//! The histogram: durations along a logarithmic axis, decades labelled, percentiles marked.

use coral_model::{Histogram, format_count};
use ratatui::layout::Rect;

use crate::canvas::{Canvas, inset, row};
use crate::layout::{split_bottom, split_left};
use crate::log_scale::LogScale;
use crate::text::width;
use crate::theme::Meaning;

/// Columns left of the bars, for the height of the highest.
const GUTTER: u16 = 7;

/// The percentiles that are marked; the maximum is marked too.
const MARKED: [(f64, &str); 4] = [(50.0, "p50"), (90.0, "p90"), (99.0, "p99"), (99.9, "p99.9")];

/// Draws a histogram that is not empty.
pub(super) fn draw(canvas: &mut Canvas<'_>, histogram: &Histogram, area: Rect, log_heights: bool) {
    let (gutter, plot) = split_left(area, GUTTER);
    let plot = Rect {
        width: plot.width.saturating_sub(1),
        ..plot
    };
    let mark_rows = match area.height {
        0..=6 => 1,
        _ => 2,
    };
    let (bars, below) = split_bottom(plot, 2 + mark_rows);
    let scale = LogScale::of(histogram, plot.width);
    let counts = scale.spread(histogram);
    let highest = counts.iter().copied().fold(0.0, f64::max);
    draw_gutter(canvas, gutter, bars.height, highest, log_heights);
    draw_bars(canvas, bars, &counts, highest, log_heights, Meaning::Bar);
    draw_axis(canvas, &scale, below);
    draw_marks(canvas, histogram, &scale, inset_rows(below, 2));
}

fn draw_gutter(canvas: &mut Canvas<'_>, area: Rect, height: u16, highest: f64, log_heights: bool) {
    let place = |number: u16| Rect {
        width: GUTTER - 1,
        ..row(area, usize::from(number))
    };
    if height == 0 {
        return;
    }
    canvas.right(place(0), &format_count(highest), Meaning::Axis);
    if height >= 3 {
        let unit = if log_heights { "log" } else { "calls" };
        canvas.right(place(1), unit, Meaning::Rule);
        canvas.right(place(height - 1), "0", Meaning::Axis);
    }
}

/// Draws bars from the bottom of an area, one for each column.
pub(super) fn draw_bars(
    canvas: &mut Canvas<'_>,
    area: Rect,
    counts: &[f64],
    highest: f64,
    log_heights: bool,
    meaning: Meaning,
) {
    let share = |count: f64| {
        if log_heights {
            count.ln_1p() / highest.ln_1p()
        } else {
            count / highest
        }
    };
    for (column, &count) in counts.iter().enumerate() {
        if count <= 0.0 {
            continue;
        }
        // Whatever was measured is seen, and be it a single call among millions.
        let eighths = (share(count) * f64::from(area.height) * 8.0)
            .round()
            .max(1.0) as usize;
        for number in 0..usize::from(area.height) {
            let filled = eighths.saturating_sub(8 * number).min(8);
            if filled == 0 {
                break;
            }
            let line = row(area, usize::from(area.height) - 1 - number);
            let cell = Rect {
                width: 1,
                ..inset(line, column as u16)
            };
            canvas.text(cell, canvas.glyphs.bars[filled], meaning);
        }
    }
}

/// Draws the axis, and below it the labels of its decades.
pub(super) fn draw_axis(canvas: &mut Canvas<'_>, scale: &LogScale, area: Rect) {
    let line = row(area, 0);
    canvas.fill(line, canvas.glyphs.horizontal, Meaning::Rule);
    let mut free_from = 0;
    for (column, duration_ns) in scale.decades() {
        canvas.text(inset(line, column), canvas.glyphs.tick, Meaning::Axis);
        let label = decade_label(duration_ns, canvas.glyphs.ascii);
        let start = column
            .saturating_sub(width(&label) / 2)
            .min(area.width.saturating_sub(width(&label)));
        if start >= free_from {
            canvas.text(inset(row(area, 1), start), &label, Meaning::Axis);
            free_from = start + width(&label) + 1;
        }
    }
}

/// `1 µs`, `10 µs`: a power of ten without decimals.
pub(super) fn decade_label(duration_ns: u64, ascii: bool) -> String {
    let (divisor, unit) = match duration_ns {
        0..1_000 => (1, "ns"),
        1_000..1_000_000 if ascii => (1_000, "us"),
        1_000..1_000_000 => (1_000, "µs"),
        1_000_000..1_000_000_000 => (1_000_000, "ms"),
        _ => (1_000_000_000, "s"),
    };
    format!("{} {unit}", duration_ns / divisor)
}

/// Marks below the axis, each in the first row in which it does not touch another.
fn draw_marks(canvas: &mut Canvas<'_>, histogram: &Histogram, scale: &LogScale, area: Rect) {
    let marks = MARKED
        .iter()
        .filter_map(|&(percent, name)| Some((histogram.percentile_ns(percent)?, name)))
        .chain([(histogram.max_ns, "max")]);
    let mut free_from = vec![0; usize::from(area.height)];
    for (duration_ns, name) in marks {
        let column = scale.column(duration_ns);
        let label = format!("{}{name}", canvas.glyphs.mark);
        let mirrored = format!("{name}{}", canvas.glyphs.mark);
        let needed = width(&label);
        let fits = column + needed <= area.width;
        let (start, label) = if fits {
            (column, label)
        } else {
            ((column + 1).saturating_sub(needed), mirrored)
        };
        if let Some(number) = free_from.iter().position(|&free| free <= start) {
            canvas.text(inset(row(area, number), start), &label, Meaning::Mark);
            free_from[number] = start + needed + 1;
        }
    }
}

fn inset_rows(area: Rect, rows: u16) -> Rect {
    crate::layout::split_top(area, rows).1
}
