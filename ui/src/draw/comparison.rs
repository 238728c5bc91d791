//! Two histograms on one axis, and a table of what differs.

use coral_model::{Histogram, Verdict};
use ratatui::layout::Rect;

use crate::canvas::{Canvas, inset, row};
use crate::commands::Command;
use crate::draw::functions::group_digits;
use crate::draw::histogram::{draw_axis, draw_bars};
use crate::latency::{Compared, Comparison, STATISTICS, Side};
use crate::layout::{split_bottom, split_left, split_top};
use crate::log_scale::LogScale;
use crate::state::State;
use crate::table::{self, Column, Columns, MARGIN, draw_empty, number, word};
use crate::text::{Cut, width};
use crate::theme::Meaning;

#[derive(Clone, Copy)]
enum Kind {
    A,
    B,
    Difference,
    Short,
    Verdict,
}

const NARROW: &[Column<Kind>] = &[
    number(Kind::A, "A", 7),
    number(Kind::B, "B", 7),
    number(Kind::Difference, "B-A", 7),
    word(Kind::Short, "real?", 5),
];
const WIDE: &[Column<Kind>] = &[
    number(Kind::A, "A", 9),
    number(Kind::B, "B", 9),
    number(Kind::Difference, "B-A", 9),
    word(Kind::Verdict, " more than noise?", 24),
];

/// From this width on, the table stands beside the pictures.
const SIDE_BY_SIDE: u16 = 120;
const TABLE_WIDTH: u16 = 68;
/// From this width on, the table has words for its verdicts.
const WORDS: u16 = 66;
/// Columns that the names of the rows need.
const NAMES: u16 = 7;
/// Rows that the pictures need.
const PICTURES_MIN: u16 = 7;
/// The names, the head, the rows, and what the test is.
const TABLE_ROWS: u16 = STATISTICS as u16 + 2;

pub(super) fn draw(canvas: &mut Canvas<'_>, state: &State, area: Rect) {
    let Some(comparison) = &state.latency.comparison else {
        return draw_nothing(canvas, state, area);
    };
    let (pictures, table) = if area.width >= SIDE_BY_SIDE {
        let (pictures, table) = split_left(area, area.width - TABLE_WIDTH);
        (pictures, inset(table, 1))
    } else if area.height >= TABLE_ROWS + PICTURES_MIN {
        split_bottom(area, TABLE_ROWS)
    } else {
        (Rect::default(), area)
    };
    draw_pictures(canvas, state, comparison, pictures);
    let rows = if pictures.is_empty() {
        // The names stand above the pictures; without them, above the table.
        let (names, rest) = split_top(table, 2);
        draw_name(canvas, row(names, 0), "A", &comparison.a, Meaning::SeriesA);
        draw_name(canvas, row(names, 1), "B", &comparison.b, Meaning::SeriesC);
        rest
    } else {
        table
    };
    draw_table(canvas, comparison, rows);
}

fn draw_nothing(canvas: &mut Canvas<'_>, state: &State, area: Rect) {
    let help = format!(
        "Press {} to mark a moment: what was before it is compared with what comes after. Or select an area of the heatmap with {}, or measure the function in a second session.",
        state.key(Command::Mark),
        state.key(Command::SelectArea),
    );
    let message = match state.timeline.marks.is_empty() {
        true => "There is nothing to compare with yet.",
        false => "There are no calls of this function on both sides of a mark.",
    };
    draw_empty(canvas, area, message, &help);
}

/// `A  before mark 1, n 4,214`.
fn draw_name(canvas: &mut Canvas<'_>, place: Rect, letter: &str, side: &Side, meaning: Meaning) {
    let counted = format!("n {}", group_digits(side.latency.count()));
    let rest = canvas.text(inset(place, 1), letter, meaning);
    let mut rest = inset(rest, 2);
    rest.width = rest.width.saturating_sub(width(&counted) + 3);
    canvas.foreign(rest, &side.name, Cut::Middle, Meaning::Text);
    canvas.right(
        Rect {
            width: place.width.saturating_sub(1),
            ..place
        },
        &counted,
        Meaning::Number,
    );
}

/// Both histograms one above the other, over the same axis and in the same scale: the share of a
/// side's calls, since one side may have been measured for longer.
fn draw_pictures(canvas: &mut Canvas<'_>, state: &State, comparison: &Comparison, area: Rect) {
    if area.height < PICTURES_MIN - 1 {
        return;
    }
    let plot = Rect {
        x: area.x + 1,
        width: area.width.saturating_sub(2),
        ..area
    };
    let mut both = comparison.a.latency.clone();
    both.merge(&comparison.b.latency);
    let scale = LogScale::of(&both, plot.width);
    let shares = |latency: &Histogram| -> Vec<f64> {
        let count = latency.count().max(1) as f64;
        // Per million: logarithmic heights need numbers above 1.
        let share = |calls: f64| calls / count * 1e6;
        scale.spread(latency).into_iter().map(share).collect()
    };
    let (a, b) = (shares(&comparison.a.latency), shares(&comparison.b.latency));
    let highest = a.iter().chain(&b).copied().fold(0.0, f64::max);
    let (upper, rest) = split_top(area, (area.height - 2) / 2);
    let (lower, _) = split_top(rest, upper.height);
    let sides = [
        (upper, "A", &comparison.a, a, Meaning::SeriesA),
        (lower, "B", &comparison.b, b, Meaning::SeriesC),
    ];
    for (place, letter, side, shares, meaning) in sides {
        let (name, bars) = split_top(place, 1);
        draw_name(canvas, name, letter, side, meaning);
        let bars = Rect {
            x: plot.x,
            width: plot.width,
            ..bars
        };
        draw_bars(canvas, bars, &shares, highest, state.log_scale, meaning);
    }
    let (_, axis) = split_top(rest, upper.height);
    let axis = Rect {
        x: plot.x,
        width: plot.width,
        ..axis
    };
    draw_axis(canvas, &scale, axis);
}

fn draw_table(canvas: &mut Canvas<'_>, comparison: &Comparison, area: Rect) {
    let (head, rows) = split_top(area, 1);
    let columns = if area.width >= WORDS { WIDE } else { NARROW };
    let needed = columns.iter().map(|column| column.width + 1).sum::<u16>() + MARGIN + NAMES;
    let columns = Columns::fit(area.width.min(needed), NAMES, columns);
    columns.draw_head(canvas, head, "");
    for (number, compared) in comparison.rows.iter().enumerate() {
        let place = row(rows, number);
        canvas.text(columns.first(place), compared.name, Meaning::Dim);
        for (column, cell) in columns.places(place) {
            let (text, meaning) = cell_text(canvas, compared, column.kind);
            table::write(canvas, cell, &text, column.right, meaning);
        }
    }
    let test = "Real: the 95 % intervals of both sides do not overlap.";
    canvas.text(inset(row(rows, STATISTICS), 3), test, Meaning::Dim);
}

fn cell_text(canvas: &Canvas<'_>, compared: &Compared, kind: Kind) -> (String, Meaning) {
    let value = |value: Option<f64>| {
        let text = match value {
            Some(value) if compared.is_duration => canvas.glyphs.duration_ns(value as u64),
            Some(value) => coral_model::format_count(value),
            None => canvas.glyphs.not_measured.to_owned(),
        };
        (text, Meaning::Number)
    };
    let missing = || (canvas.glyphs.not_measured.to_owned(), Meaning::NotMeasured);
    let verdict = |real: &str, noise: &str, few: &str| match compared.verdict {
        Some(Verdict::Real) => (real.to_owned(), Meaning::Warning),
        Some(Verdict::Noise) => (noise.to_owned(), Meaning::Dim),
        Some(Verdict::TooFew) => (few.to_owned(), Meaning::NotMeasured),
        None => (
            format!(" {}", canvas.glyphs.not_measured),
            Meaning::NotMeasured,
        ),
    };
    match kind {
        Kind::A => value(compared.a),
        Kind::B => value(compared.b),
        Kind::Difference => compared
            .difference_percent()
            .map_or_else(missing, |percent| {
                let text = match percent {
                    ..1_000.0 => format!("{percent:+.1}%"),
                    _ => format!("x {}", coral_model::format_count(percent / 100.0 + 1.0)),
                };
                (text, Meaning::Number)
            }),
        Kind::Short => verdict("real", "noise", "few n"),
        Kind::Verdict => verdict(" more than noise", " within noise", " n too small"),
    }
}
