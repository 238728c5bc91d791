//! Percentiles over time, as lines of dots that can be told apart without colours.

use ratatui::layout::Rect;

use crate::canvas::{Canvas, inset, row};
use crate::draw::heatmap::draw_durations;
use crate::draw::time_axis;
use crate::latency::{History, Lines, MARKED, Panes};
use crate::state::State;
use crate::text::width;
use crate::theme::Meaning;

/// How each line looks, in the order of [`MARKED`].
const SERIES: [Meaning; MARKED.len()] = [
    Meaning::SeriesA,
    Meaning::SeriesB,
    Meaning::SeriesC,
    Meaning::SeriesD,
];

/// Of four dots along a line, those that are drawn: solid, dashed, dotted, sparse.
const PATTERNS: [[bool; 4]; MARKED.len()] = [
    [true, true, true, true],
    [true, true, true, false],
    [true, false, true, false],
    [true, false, false, false],
];

/// The bits of a cell of braille, from its lowest row up: left and right dot.
const BRAILLE: [[u8; 2]; 4] = [[0x40, 0x80], [0x04, 0x20], [0x02, 0x10], [0x01, 0x08]];

pub(super) fn draw(
    canvas: &mut Canvas<'_>,
    state: &State,
    panes: &Panes,
    history: &History,
    lines: &Lines,
) {
    let plot = panes.plot;
    if plot.is_empty() {
        return;
    }
    let (per_column, per_row) = if canvas.glyphs.ascii { (1, 1) } else { (2, 4) };
    let steps = plot.height.saturating_mul(per_row);
    let scale = lines.scale(steps);
    if state.latency.linear {
        draw_linear_axis(canvas, lines, panes.gutter);
    } else {
        draw_durations(canvas, &scale, panes.gutter, per_row);
    }
    let step = |duration_ns| {
        if state.latency.linear {
            lines.linear_step(duration_ns, steps)
        } else {
            scale.column(duration_ns)
        }
    };
    let mut dots = Dots::new(plot);
    for series in 0..MARKED.len() {
        for (x, values) in lines.columns.iter().enumerate() {
            let Some(values) = values else { continue };
            if canvas.glyphs.ascii || PATTERNS[series][x % 4] {
                dots.set(x, step(values[series]), per_column, per_row, series);
            }
        }
    }
    dots.draw(canvas);
    time_axis::draw(canvas, history, per_column as u16, panes.axis);
    draw_legend(canvas, state, row(panes.axis, 2));
}

/// What is in the cells of a plot: dots, and the line that came last.
struct Dots {
    plot: Rect,
    cells: Vec<(u8, Option<usize>)>,
}

impl Dots {
    fn new(plot: Rect) -> Self {
        Self {
            plot,
            cells: vec![(0, None); usize::from(plot.width) * usize::from(plot.height)],
        }
    }

    fn set(&mut self, x: usize, y: u16, per_column: usize, per_row: u16, series: usize) {
        let (column, from_bottom) = (x / per_column, y / per_row);
        if column >= usize::from(self.plot.width) || from_bottom >= self.plot.height {
            return;
        }
        let line = usize::from(self.plot.height - 1 - from_bottom);
        let cell = &mut self.cells[line * usize::from(self.plot.width) + column];
        cell.0 |= BRAILLE[usize::from(y % per_row)][x % per_column];
        cell.1 = Some(series);
    }

    fn draw(&self, canvas: &mut Canvas<'_>) {
        for (index, &(bits, series)) in self.cells.iter().enumerate() {
            let Some(series) = series else { continue };
            let width = usize::from(self.plot.width);
            let place = inset(row(self.plot, index / width), (index % width) as u16);
            if canvas.glyphs.ascii {
                let sign = &canvas.glyphs.lines[series][..1];
                canvas.text(place, sign, SERIES[series]);
            } else if let Some(sign) = char::from_u32(0x2800 + u32::from(bits)) {
                canvas.text(place, sign.encode_utf8(&mut [0; 4]), SERIES[series]);
            }
        }
    }
}

fn draw_linear_axis(canvas: &mut Canvas<'_>, lines: &Lines, gutter: Rect) {
    let place = Rect {
        width: gutter.width.saturating_sub(1),
        ..gutter
    };
    let highest = canvas.glyphs.duration_ns(lines.high_ns);
    canvas.right(row(place, 0), &highest, Meaning::Axis);
    if gutter.height >= 5 {
        let middle = canvas.glyphs.duration_ns(lines.high_ns / 2);
        canvas.right(
            row(place, usize::from(gutter.height / 2)),
            &middle,
            Meaning::Axis,
        );
    }
    if gutter.height >= 2 {
        canvas.right(
            row(place, usize::from(gutter.height - 1)),
            "0",
            Meaning::Axis,
        );
    }
}

/// Each line with its newest value, as many as there is room for.
fn draw_legend(canvas: &mut Canvas<'_>, state: &State, line: Rect) {
    let lines = state.latency.lines.as_ref();
    let newest = lines.and_then(|lines| lines.columns.iter().rev().flatten().next());
    let mut rest = line;
    for (series, (_, name)) in MARKED.into_iter().enumerate() {
        let value = newest.map(|values| values[series]);
        let entry = [
            (canvas.glyphs.lines[series].to_owned(), SERIES[series]),
            (format!(" {name} "), Meaning::Dim),
            (canvas.glyphs.measured_ns(value), Meaning::Number),
        ];
        let needed: u16 = entry.iter().map(|(text, _)| width(text)).sum();
        if needed > rest.width {
            return;
        }
        rest = inset(canvas.spans(rest, &entry), 2);
    }
    let scale = if state.latency.linear {
        "linear"
    } else {
        "log"
    };
    canvas.text(rest, scale, Meaning::Axis);
}
