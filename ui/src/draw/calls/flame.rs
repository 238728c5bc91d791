//! The call tree as an icicle. The first cell of a frame is a bar of its self time, so that the
//! colour says nothing alone.

use coral_model::format_count;
use ratatui::layout::Rect;

use super::{draw_function, percent};
use crate::calls::flame::{FlameFrame, layout};
use crate::canvas::{Canvas, inset};
use crate::layout::ListPane;
use crate::state::State;
use crate::text::width;
use crate::theme::Meaning;

/// How much of a frame must be its own before it looks like that.
const RAMP: [(f64, Meaning); 3] = [
    (0.6, Meaning::Mark),
    (0.3, Meaning::Bar),
    (0.1, Meaning::Sparkline),
];

/// Of a name in fewer columns nothing could be read.
const LABEL_MIN: u16 = 5;

/// The selected name keeps as many columns beside its numbers.
const NAME_MIN: u16 = 20;

pub(super) fn draw(canvas: &mut Canvas<'_>, state: &State, pane: &ListPane) {
    let forest = state.calls.tree.forest();
    let root = state.calls.flame.root(forest);
    draw_head(canvas, state, pane.head, root);
    let frames = layout(forest, root, pane.rows.width, pane.rows.height);
    if frames.is_empty() {
        canvas.text(
            inset(pane.rows, 1),
            "No call of this path has returned yet.",
            Meaning::Dim,
        );
    }
    for frame in &frames {
        draw_frame(canvas, state, pane.rows, frame);
    }
    if let Some(node) = state.calls.tree.selected() {
        draw_numbers(canvas, state, pane.detail, node);
    }
}

fn draw_head(canvas: &mut Canvas<'_>, state: &State, area: Rect, root: Option<u32>) {
    let area = inset(area, 1);
    match root {
        Some(root) => {
            let rest = canvas.text(area, "zoomed: ", Meaning::Dim);
            let function = state.calls.tree.forest().node(root).function;
            draw_function(canvas, state, rest, function, Meaning::Text);
        }
        None => {
            canvas.text(
                area,
                "all paths, callers above callees; bars are self time",
                Meaning::Dim,
            );
        }
    }
}

fn draw_frame(canvas: &mut Canvas<'_>, state: &State, area: Rect, frame: &FlameFrame) {
    let forest = state.calls.tree.forest();
    let node = forest.node(frame.node);
    let own = node.self_ns as f64 / forest.extent_ns(Some(frame.node)).max(1) as f64;
    let ramp = RAMP.iter().find(|(from, _)| own >= *from);
    let meaning = ramp.map_or(Meaning::Dim, |&(_, meaning)| meaning);
    let place = Rect {
        x: area.x + frame.start,
        y: area.y + frame.line,
        width: frame.end - frame.start,
        height: 1,
    };
    let block = inset(place, 1);
    canvas.fill(block, " ", meaning);
    let is_match = state.calls.matches(node.function);
    let rest = if block.width < LABEL_MIN {
        Rect::default()
    } else {
        draw_function(canvas, state, block, node.function, meaning)
    };
    let share = format!(" {}", percent(canvas, share_of_shown(state, frame.node)));
    if width(&share) <= rest.width {
        canvas.text(rest, &share, meaning);
    }
    if state.calls.tree.selected() == Some(frame.node) {
        canvas.text(place, canvas.glyphs.cursor, Meaning::Key);
        canvas.restyle(place, Meaning::Selection);
        return;
    }
    let eighths = (own * 8.0).round().clamp(0.0, 8.0) as usize;
    canvas.text(place, canvas.glyphs.bars[eighths], meaning);
    if !is_match {
        canvas.reverse(block);
    }
}

/// How much of what the flame shows a node took.
fn share_of_shown(state: &State, node: u32) -> Option<f64> {
    let forest = state.calls.tree.forest();
    let whole_ns = forest.extent_ns(state.calls.flame.root(forest));
    (whole_ns > 0).then(|| forest.extent_ns(Some(node)) as f64 / whole_ns as f64)
}

/// The selected path's numbers, those that say most first.
fn draw_numbers(canvas: &mut Canvas<'_>, state: &State, area: Rect, id: u32) {
    let node = state.calls.tree.forest().node(id);
    let glyphs = canvas.glyphs;
    let timed = |ns| glyphs.measured_ns(node.timed(ns));
    let numbers = [
        ("total", timed(node.total_ns)),
        ("share", percent(canvas, share_of_shown(state, id))),
        ("self", timed(node.self_ns)),
        ("calls", format_count(node.calls as f64)),
        ("p99", glyphs.measured_ns(node.p99_ns())),
        ("max", timed(node.max_ns)),
    ];
    let area = inset(area, 1);
    let mut name_columns = area.width;
    let mut shown = Vec::new();
    for (name, number) in numbers {
        let name = format!("  {name} ");
        let needed = width(&name) + width(&number);
        if name_columns < NAME_MIN + needed {
            break;
        }
        name_columns -= needed;
        shown.extend([(name, Meaning::Dim), (number, Meaning::Number)]);
    }
    let name = Rect {
        width: name_columns,
        ..area
    };
    let left = draw_function(canvas, state, name, node.function, Meaning::Title);
    canvas.spans(inset(area, name_columns - left.width), &shown);
}
