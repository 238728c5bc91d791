//! What else there is to say about the selected row.

use coral_model::{CallRecord, CallValue, InFlightCall, StackFrame, format_count};
use ratatui::layout::Rect;

use super::in_flight::place_of;
use super::percent;
use super::title::slowest_are_complete;
use crate::call_text;
use crate::calls::View;
use crate::canvas::{Canvas, inset, row};
use crate::commands::Command;
use crate::glyphs::Glyphs;
use crate::layout::split_top;
use crate::state::State;
use crate::text::Cut;
use crate::theme::Meaning;

/// The lines of a detail, as many as there is room for.
struct Lines {
    lines: Vec<(String, Meaning)>,
    room: usize,
    /// The lines for which there was no room.
    left_out: usize,
}

impl Lines {
    fn push(&mut self, line: impl Into<String>, meaning: Meaning) {
        if self.lines.len() < self.room {
            self.lines.push((line.into(), meaning));
        } else {
            self.left_out += 1;
        }
    }

    fn values(&mut self, title: &str, values: &[CallValue]) {
        if values.is_empty() {
            return self.push(format!("no {title} were recorded"), Meaning::NotMeasured);
        }
        self.push(title, Meaning::Dim);
        for value in values {
            self.push(format!("  {}", call_text::value(value)), Meaning::Text);
        }
    }

    fn stack(&mut self, stack: &[StackFrame]) {
        if stack.is_empty() {
            return self.push("no stack was recorded", Meaning::NotMeasured);
        }
        self.push("stack, innermost first", Meaning::Dim);
        for frame in stack {
            let inlined = if frame.inlined { " (inlined)" } else { "" };
            let place = call_text::place(frame);
            let place = place.map_or_else(String::new, |place| format!("  {place}"));
            self.push(
                format!("  {}{inlined}{place}", frame.function),
                Meaning::Text,
            );
        }
    }
}

pub(super) fn draw(canvas: &mut Canvas<'_>, state: &State, area: Rect) {
    let (title, rest) = split_top(area, 1);
    let mut lines = Lines {
        lines: Vec::new(),
        room: usize::from(rest.height),
        left_out: 0,
    };
    let calls = &state.calls;
    let snapshot = state.current_snapshot();
    match calls.view {
        View::Slow => {
            let call = snapshot.and_then(|all| all.slow_calls.get(calls.slow.index()));
            if let Some(call) = call {
                describe_slow(&mut lines, state, canvas.glyphs, call);
            }
        }
        View::InFlight => {
            let call = snapshot.and_then(|all| all.in_flight.get(calls.in_flight.index()));
            if let Some(call) = call {
                describe_in_flight(&mut lines, state, canvas.glyphs, call);
            }
        }
        _ => describe_path(&mut lines, state, canvas),
    }
    let heading = match calls.view {
        View::Tree => "Path",
        _ => "Call",
    };
    let left_out = match lines.left_out {
        0 => Vec::new(),
        lines => vec![(format!("{lines} more lines"), Meaning::Dim)],
    };
    canvas.title(title, &[(heading, Meaning::Title)], &left_out);
    for (number, (line, meaning)) in lines.lines.iter().enumerate() {
        let place = row(inset(rest, 1), number);
        canvas.foreign(place, line, Cut::Middle, *meaning);
    }
}

fn describe_slow(lines: &mut Lines, state: &State, glyphs: &Glyphs, call: &CallRecord) {
    lines.push(state.name_of(call.function), Meaning::Title);
    let duration = glyphs.duration_ns(call.duration_ns);
    if call.failed {
        lines.push(format!("{duration}, failed"), Meaning::Error);
    } else {
        lines.push(duration, Meaning::Number);
    }
    let goroutine = call.goroutine;
    let goroutine = goroutine.map_or_else(String::new, |id| format!(", goroutine {id}"));
    let place = format!("process {}, thread {}{goroutine}", call.pid, call.tid);
    lines.push(place, Meaning::Dim);
    if slowest_are_complete(state, call.function) {
        lines.push("certainly its slowest calls", Meaning::Dim);
    } else {
        lines.push("slower calls may be missing here", Meaning::Warning);
    }
    if let Some(inner) = call
        .inner
        .as_deref()
        .filter(|inner| !inner.calls.is_empty())
    {
        let (calls, key) = (inner.calls.len(), state.key(Command::Zoom));
        lines.push(
            format!("{calls} calls inside: {key} shows them"),
            Meaning::Text,
        );
    }
    lines.values("arguments", &call.arguments);
    lines.values("results", &call.results);
    lines.stack(&call.stack);
}

fn describe_in_flight(lines: &mut Lines, state: &State, glyphs: &Glyphs, call: &InFlightCall) {
    lines.push(state.name_of(call.function), Meaning::Title);
    let age = glyphs.duration_ns(call.age_ns);
    let age = format!("had run for {age} on {}", place_of(call));
    lines.push(age, Meaning::Number);
    let innermost = if call.is_innermost {
        "it waits or works here, not in a probed call"
    } else {
        "a probed call that it made is in flight"
    };
    lines.push(innermost, Meaning::Dim);
    lines.stack(&call.stack);
    if call.callers.is_empty() {
        return lines.push("called from no probed function", Meaning::Dim);
    }
    lines.push("called from, innermost first", Meaning::Dim);
    for &caller in call.callers.iter().rev() {
        lines.push(format!("  {}", state.name_of(caller)), Meaning::Text);
    }
}

fn describe_path(lines: &mut Lines, state: &State, canvas: &Canvas<'_>) {
    let forest = state.calls.tree.forest();
    let Some(id) = state.calls.tree.selected() else {
        return;
    };
    let (node, glyphs) = (forest.node(id), canvas.glyphs);
    lines.push(state.name_of(node.function), Meaning::Title);
    let function = state.functions.table.get(node.function);
    if let Some((file, line)) = function.and_then(|function| function.file.zip(function.line)) {
        lines.push(format!("{file}:{line}"), Meaning::Dim);
    }
    let timed = |ns| glyphs.measured_ns(node.timed(ns));
    let share = percent(canvas, forest.share(id));
    let whole = match forest.caller(id) {
        Some(_) => "its caller",
        None => "all that was not called by probed functions",
    };
    let total = format!("total {}, {share} of {whole}", timed(node.total_ns));
    lines.push(total, Meaning::Number);
    let own = format!(
        "self {}, longest {}",
        timed(node.self_ns),
        timed(node.max_ns)
    );
    lines.push(own, Meaning::Number);
    if let Some(percentiles) = node.latency.as_ref().and_then(|all| all.percentiles()) {
        let [p50, p90, p99] = [percentiles.p50_ns, percentiles.p90_ns, percentiles.p99_ns]
            .map(|ns| glyphs.duration_ns(ns));
        lines.push(format!("p50 {p50}, p90 {p90}, p99 {p99}"), Meaning::Number);
    }
    let [calls, returns, unwound] =
        [node.calls, node.returns, node.unwound].map(|count| format_count(count as f64));
    let counts = format!("{calls} calls, {returns} returned, {unwound} unwound");
    lines.push(counts, Meaning::Number);
    let stats = state.measurements.stats(node.function);
    match stats.and_then(|stats| stats.errors) {
        Some(_) if node.errors > 0 => {
            lines.push(format!("{} returned an error", node.errors), Meaning::Error);
        }
        Some(_) => lines.push("none returned an error", Meaning::Dim),
        None => lines.push("errors cannot be told", Meaning::NotMeasured),
    }
    if node.probes_ns > 0 {
        let probes = glyphs.duration_ns(node.probes_ns);
        lines.push(
            format!("probes inside took {probes} of the total"),
            Meaning::Dim,
        );
    }
    if forest.caller(id).is_none() {
        return lines.push("called from no probed function", Meaning::Dim);
    }
    lines.push("called from, innermost first", Meaning::Dim);
    // A deep path has more callers than there are lines; those are counted, not named.
    let room = lines.room.saturating_sub(lines.lines.len());
    for caller in forest.chain(id).skip(1).take(room + 1) {
        let name = state.name_of(forest.node(caller).function);
        lines.push(format!("  {name}"), Meaning::Text);
    }
    lines.left_out += (node.depth as usize).saturating_sub(room + 1);
}
