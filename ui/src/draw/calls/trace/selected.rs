//! What else there is to say about the selected call of a trace.

use coral_model::{CallValue, StackFrame};
use ratatui::layout::Rect;

use super::super::draw_function;
use crate::call_text;
use crate::calls::trace::TraceRow;
use crate::canvas::{Canvas, inset, row};
use crate::glyphs::Glyphs;
use crate::state::State;
use crate::text::Cut;
use crate::theme::Meaning;

/// Its times, and what else was recorded of it.
pub(super) fn draw(canvas: &mut Canvas<'_>, state: &State, area: Rect) {
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
    let values: Vec<_> = values.iter().map(call_text::value).collect();
    (format!("{title}: {}", values.join("; ")), Meaning::Text)
}

fn stack(stack: &[StackFrame]) -> (String, Meaning) {
    if stack.is_empty() {
        return ("no stack was recorded".into(), Meaning::NotMeasured);
    }
    let frames: Vec<_> = stack.iter().map(call_text::frame).collect();
    (format!("stack: {}", frames.join(" < ")), Meaning::Text)
}
