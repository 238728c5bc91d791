//! One slow call on a time axis. A bar is full where a call did its own work, and light where a
//! call inside of it did.

use std::ops::Range;

use coral_model::{CallValue, StackFrame};
use ratatui::layout::Rect;

use super::{draw_function, number_meaning};
use crate::calls::trace::{Trace, TraceRow};
use crate::canvas::{Canvas, inset, row};
use crate::commands::Command;
use crate::glyphs::Glyphs;
use crate::layout::ListPane;
use crate::state::State;
use crate::table::{self, Columns, MARGIN, draw_cursor, number, word};
use crate::text::{Cut, width};
use crate::theme::Meaning;

/// Columns between two labels of the axis, at least.
const LABEL_COLUMNS: u64 = 10;
/// From this width on, there is a column for what calls did themselves.
const WIDE: u16 = 76;
/// A row is indented no further than this, whatever it is inside of.
const INDENT_MAX: u32 = 16;

#[derive(Clone, Copy)]
enum Kind {
    Duration,
    Own,
    Bar,
}

/// Where a time is on the screen.
struct Scale {
    time_ns: Range<u64>,
    columns: u16,
}

pub(super) fn draw(canvas: &mut Canvas<'_>, state: &State, pane: &ListPane) {
    let trace = &state.calls.trace;
    let columns = columns(pane.rows.width);
    draw_head(canvas, state, &columns, pane.head);
    let places = trace.places();
    let selection = &trace.selection;
    let visible = selection.window(places.len(), usize::from(pane.rows.height));
    let shown = visible.len();
    for (line, index) in visible.enumerate() {
        let place = row(pane.rows, line);
        draw_row(canvas, state, &columns, place, places[index]);
        if index == selection.index() {
            draw_cursor(canvas, place);
        }
    }
    if places.len() == 1
        && trace.zoomed().is_none()
        && let Some(why) = why_alone(state, canvas.glyphs)
    {
        canvas.text(inset(row(pane.rows, shown + 1), MARGIN), &why, Meaning::Dim);
    }
    draw_selected(canvas, state, pane.detail);
}

/// The name and the numbers take as little as they can, and the bars the rest.
fn columns(width: u16) -> Columns<Kind> {
    let name = (width * 3 / 10).clamp(14, 48);
    let duration = number(Kind::Duration, "duration", 8);
    let own = number(Kind::Own, "self", 8);
    let mut columns = vec![duration];
    if width >= WIDE {
        columns.push(own);
    }
    let taken: u16 = columns.iter().map(|column| column.width + 1).sum();
    let rest = width.saturating_sub(MARGIN + name + taken + 1);
    columns.push(word(Kind::Bar, "", rest));
    Columns::fit(width, name, &columns)
}

fn draw_head(canvas: &mut Canvas<'_>, state: &State, columns: &Columns<Kind>, area: Rect) {
    let trace = &state.calls.trace;
    let title = match trace.zoomed() {
        Some(_) => "function, zoomed",
        None => "function",
    };
    columns.draw_head(canvas, area, title);
    for (column, place) in columns.places(area) {
        if let Kind::Bar = column.kind {
            draw_axis(canvas, &Scale::of(trace, place), place);
        }
    }
}

/// Labels with round numbers, counted from the beginning of the whole call.
fn draw_axis(canvas: &mut Canvas<'_>, scale: &Scale, area: Rect) {
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

fn draw_row(
    canvas: &mut Canvas<'_>,
    state: &State,
    columns: &Columns<Kind>,
    place: Rect,
    number: usize,
) {
    let trace = &state.calls.trace;
    let call = trace.row(number);
    if call.failed {
        canvas.text(inset(place, 1), canvas.glyphs.failed, Meaning::Error);
    }
    let first = indented(columns.first(place), trace, call);
    let first = if call.parent_missing {
        let rest = canvas.text(first, canvas.glyphs.ellipsis, Meaning::Warning);
        inset(rest, 1)
    } else {
        first
    };
    draw_function(canvas, state, first, call.function, Meaning::Text);
    for (column, cell) in columns.places(place) {
        let text = match column.kind {
            Kind::Duration => canvas.glyphs.duration_ns(call.duration_ns()),
            Kind::Own => canvas.glyphs.measured_ns(call.self_ns),
            Kind::Bar => {
                draw_bar(canvas, trace, number, cell);
                continue;
            }
        };
        let meaning = number_meaning(canvas, &text);
        table::write(canvas, cell, &text, column.right, meaning);
    }
}

/// The place of a name. At least half of the column stays for it.
fn indented(place: Rect, trace: &Trace, call: &TraceRow) -> Rect {
    let outermost = trace.zoomed().map_or(0, |zoomed| zoomed.depth);
    let levels = call.depth.saturating_sub(outermost).min(INDENT_MAX) as u16;
    inset(place, (2 * levels).min(place.width / 2))
}

fn draw_bar(canvas: &mut Canvas<'_>, trace: &Trace, number: usize, area: Rect) {
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

/// Why there is nothing inside of the call, and what to press; nothing if there is no such reason.
fn why_alone(state: &State, glyphs: &Glyphs) -> Option<String> {
    let trace = &state.calls.trace;
    trace.call()?;
    let Some(inner) = trace.inner() else {
        return Some("The calls inside of it were not recorded.".into());
    };
    if inner.missing_ns > 0 {
        let missing = glyphs.duration_ns(inner.missing_ns);
        return Some(format!(
            "Its probed calls took {missing}, but made no records."
        ));
    }
    Some(format!(
        "It made no probed call. Probe what it calls: {}, then {}.",
        state.key(Command::ShowFunctions),
        state.key(Command::ToggleProbe)
    ))
}

/// The selected call: its times, and what else was recorded of it.
fn draw_selected(canvas: &mut Canvas<'_>, state: &State, area: Rect) {
    let trace = &state.calls.trace;
    let Some(selected) = trace.selected() else {
        return;
    };
    let line = row(area, 0);
    canvas.fill(line, canvas.glyphs.horizontal, Meaning::Rule);
    let title = canvas.text(inset(line, 1), " ", Meaning::Text);
    let rest = draw_function(canvas, state, title, selected.function, Meaning::Title);
    let rest = canvas.text(rest, " ", Meaning::Text);
    if selected.failed {
        canvas.text(rest, "failed ", Meaning::Error);
    }
    let times = times(canvas.glyphs, selected);
    canvas.spans(inset(row(area, 1), 1), &times);
    let (arguments, results) = trace.selected_values().unwrap_or_default();
    let mut texts = vec![values("arguments", arguments)];
    if !results.is_empty() {
        texts.push(values("results", results));
    }
    if let Some(call) = trace.call().filter(|_| selected.depth == 0) {
        texts.push(stack(&call.stack));
    }
    for (line, (text, meaning)) in (2..).zip(texts) {
        canvas.foreign(inset(row(area, line), 1), &text, Cut::End, meaning);
    }
}

fn times(glyphs: &Glyphs, call: &TraceRow) -> Vec<(String, Meaning)> {
    let mut times = vec![
        (
            "took",
            glyphs.duration_ns(call.duration_ns()),
            Meaning::Number,
        ),
        ("self", glyphs.measured_ns(call.self_ns), Meaning::Number),
    ];
    if call.missing_ns > 0 {
        let missing = format!("{} in probed calls", glyphs.duration_ns(call.missing_ns));
        times.push(("not recorded:", missing, Meaning::Warning));
    }
    if call.depth > 0 {
        let began = format!("+{}", glyphs.duration_ns(call.time_ns.start));
        times.push(("began", began, Meaning::Number));
    }
    let spans =
        |(name, time, meaning)| [(format!("{name} "), Meaning::Dim), (time + "  ", meaning)];
    times.into_iter().flat_map(spans).collect()
}

fn values(title: &str, values: &[CallValue]) -> (String, Meaning) {
    if values.is_empty() {
        return (format!("no {title} were recorded"), Meaning::NotMeasured);
    }
    let value = |value: &CallValue| format!("{} {} = {}", value.name, value.type_name, value.value);
    let values: Vec<_> = values.iter().map(value).collect();
    (format!("{title}: {}", values.join("; ")), Meaning::Text)
}

fn stack(stack: &[StackFrame]) -> (String, Meaning) {
    if stack.is_empty() {
        return ("no stack was recorded".into(), Meaning::NotMeasured);
    }
    let frame = |frame: &StackFrame| match (&frame.file, frame.line) {
        (Some(file), Some(line)) => format!("{} {file}:{line}", frame.function),
        _ => frame.function.clone(),
    };
    let frames: Vec<_> = stack.iter().map(frame).collect();
    (format!("stack: {}", frames.join(" < ")), Meaning::Text)
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
