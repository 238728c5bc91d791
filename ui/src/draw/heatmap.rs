//! The heatmap: time across, duration upwards, two half cells in each cell.

use coral_model::format_count;
use ratatui::layout::Rect;

use crate::canvas::{Canvas, inset, row};
use crate::color::Colors;
use crate::draw::functions::group_digits;
use crate::draw::histogram::decade_label;
use crate::draw::time_axis::{self, time_of_day};
use crate::latency::{Cell, Heatmap, History, Panes};
use crate::log_scale::LogScale;
use crate::state::State;
use crate::text::width;
use crate::theme::Meaning;

/// From few calls to many.
const RAMP: [Meaning; 8] = [
    Meaning::Heat1,
    Meaning::Heat2,
    Meaning::Heat3,
    Meaning::Heat4,
    Meaning::Heat5,
    Meaning::Heat6,
    Meaning::Heat7,
    Meaning::Heat8,
];

pub(super) fn draw(
    canvas: &mut Canvas<'_>,
    state: &State,
    panes: &Panes,
    history: &History,
    heatmap: &Heatmap,
) {
    if panes.plot.is_empty() {
        return;
    }
    draw_durations(canvas, &heatmap.scale, panes.gutter, 2);
    // What is to come is empty, and not a time in which nothing was measured.
    for column in 0..panes.plot.width.min(history.newest + 1) {
        for number in 0..panes.plot.height.min(heatmap.rows) {
            draw_cell(
                canvas,
                state,
                panes.plot,
                heatmap,
                Cell {
                    column,
                    row: number,
                },
            );
        }
    }
    time_axis::draw(canvas, history, 1, panes.axis);
    draw_area(canvas, state, panes);
    if let Some(cell) = state.latency.cell() {
        let place = place(panes.plot, cell);
        canvas.text(place, canvas.glyphs.cross, Meaning::Key);
        canvas.reverse(place);
        draw_reading(canvas, state, row(panes.axis, 2), history, heatmap, cell);
    }
}

/// The labels of the decades, beside an axis that goes upwards with so many steps in a row.
pub(super) fn draw_durations(
    canvas: &mut Canvas<'_>,
    scale: &LogScale,
    gutter: Rect,
    per_row: u16,
) {
    let label_place = Rect {
        width: gutter.width.saturating_sub(1),
        ..gutter
    };
    let mut free_below = gutter.height;
    for (step, duration_ns) in scale.decades() {
        let from_bottom = step / per_row;
        if from_bottom >= gutter.height {
            continue;
        }
        let number = gutter.height - 1 - from_bottom;
        if number < free_below {
            let label = decade_label(duration_ns, canvas.glyphs.ascii);
            canvas.right(row(label_place, usize::from(number)), &label, Meaning::Axis);
            free_below = number;
        }
    }
}

fn place(plot: Rect, cell: Cell) -> Rect {
    if cell.row >= plot.height || cell.column >= plot.width {
        return Rect::default();
    }
    let line = row(plot, usize::from(plot.height - 1 - cell.row));
    Rect {
        width: 1,
        ..inset(line, cell.column)
    }
}

fn draw_cell(canvas: &mut Canvas<'_>, state: &State, plot: Rect, heatmap: &Heatmap, cell: Cell) {
    let place = place(plot, cell);
    let Some(counts) = heatmap
        .columns
        .get(usize::from(cell.column))
        .and_then(Option::as_ref)
    else {
        canvas.text(place, canvas.glyphs.not_measured, Meaning::NotMeasured);
        return;
    };
    let half = |offset: u16| {
        let index = usize::from(cell.row * 2 + offset);
        counts.get(index).copied().unwrap_or_default()
    };
    let (lower, upper) = (half(0), half(1));
    let selected = state.latency.selected.as_ref();
    let is_outside = selected.is_some_and(|selected| !selected.area.contains(cell));
    let level = |count| heatmap.level(count, state.latency.linear, RAMP.len());
    if !has_ramp(state) {
        let level = level(lower.max(upper));
        let meaning = if is_outside {
            Meaning::Dim
        } else {
            Meaning::Text
        };
        if let Some(index) = level.checked_sub(1) {
            canvas.text(place, canvas.glyphs.density[index], meaning);
        }
        return;
    }
    let meaning = |count| {
        let meaning = RAMP[level(count).checked_sub(1)?];
        Some(if is_outside { Meaning::Rule } else { meaning })
    };
    match (meaning(upper), meaning(lower)) {
        (Some(upper), Some(lower)) => canvas.halves(place, upper, lower),
        (Some(upper), None) => drop(canvas.text(place, "▀", upper)),
        (None, Some(lower)) => drop(canvas.text(place, "▄", lower)),
        (None, None) => {}
    }
}

/// Whether the ramp's colours can be told apart here; characters show the density otherwise.
fn has_ramp(state: &State) -> bool {
    let colors = state.options.colors;
    matches!(colors, Colors::Ansi256 | Colors::True) && !state.options.glyphs.ascii
}

/// The selected area along both axes, which needs no colour to be seen.
fn draw_area(canvas: &mut Canvas<'_>, state: &State, panes: &Panes) {
    let Some(selected) = &state.latency.selected else {
        return;
    };
    let area = selected.area;
    let edge = inset(panes.gutter, panes.gutter.width.saturating_sub(1));
    for number in area.low.row..=area.high.row.min(panes.plot.height.saturating_sub(1)) {
        let place = place(
            edge,
            Cell {
                column: 0,
                row: number,
            },
        );
        canvas.text(place, canvas.glyphs.cursor, Meaning::Key);
    }
    let line = inset(row(panes.axis, 0), area.low.column);
    let along = Rect {
        width: (area.high.column - area.low.column + 1).min(line.width),
        ..line
    };
    canvas.fill(along, canvas.glyphs.selected, Meaning::Key);
}

/// What is in the cell under the cursor, and what the colours mean.
fn draw_reading(
    canvas: &mut Canvas<'_>,
    state: &State,
    line: Rect,
    history: &History,
    heatmap: &Heatmap,
    cell: Cell,
) {
    let scale = if state.latency.linear { "" } else { " log" };
    let most = format!(
        " {} calls{scale}",
        format_count(f64::from(heatmap.highest).ceil())
    );
    let needed = 2 + RAMP.len() as u16 + width(&most);
    let legend = inset(line, line.width.saturating_sub(needed));
    let column = heatmap.columns.get(usize::from(cell.column));
    let calls = column.and_then(Option::as_ref).map(|counts| {
        let halves = counts.iter().skip(usize::from(cell.row) * 2).take(2);
        halves.sum::<f32>().round() as u64
    });
    let time = time_of_day(history.axis.range_ms(cell.column).start);
    let duration = |number: u16| {
        canvas
            .glyphs
            .duration_ns(heatmap.scale.start_ns(number * 2))
    };
    let (low, high) = (duration(cell.row), duration(cell.row + 1));
    let calls = calls.map_or("not measured".to_owned(), |calls| {
        format!("about {}", group_digits(calls))
    });
    let reading = format!("{time}  {low} to {high}  {calls}");
    if width(&reading) + needed < line.width {
        let mut rest = canvas.text(legend, "1 ", Meaning::Axis);
        for (index, meaning) in RAMP.into_iter().enumerate() {
            let (sign, meaning) = if has_ramp(state) {
                ("█", meaning)
            } else {
                (canvas.glyphs.density[index], Meaning::Text)
            };
            rest = canvas.text(rest, sign, meaning);
        }
        canvas.text(rest, &most, Meaning::Axis);
    }
    canvas.text(line, &reading, Meaning::Number);
}
