//! The call tree as a table: a path in each row, below the one that called it.

use coral_model::{CallNode, format_count};
use ratatui::layout::{Position, Rect};

use super::{draw_function, number_meaning, percent, share_bar};
use crate::calls::arranged::{Fold, TreeRow, TreeSort};
use crate::canvas::Canvas;
use crate::layout::ListPane;
use crate::state::State;
use crate::table::{self, Column, Columns, draw_rows, number, word};
use crate::theme::Meaning;

const BAR: u16 = 8;

/// Guides and a name need as many columns; in wide panes, a third of them.
const NAME_MIN: u16 = 22;

#[derive(Clone, Copy, PartialEq)]
enum Kind {
    Total,
    Share,
    Own,
    Calls,
    Bar,
    P99,
    Max,
    Errors,
}

const COLUMNS: &[Column<Kind>] = &[
    number(Kind::Total, "total", 8),
    number(Kind::Share, "of caller", 9),
    number(Kind::Own, "self", 8),
    number(Kind::Calls, "calls", 6),
    number(Kind::Errors, "errors", 6),
    word(Kind::Bar, "", BAR),
    number(Kind::P99, "p99", 8),
    number(Kind::Max, "max", 8),
];

/// What the column at a position of the head is sorted by.
pub(crate) fn sort_at(pane: &ListPane, position: Position) -> Option<TreeSort> {
    match columns(pane).at(pane.head, position)?? {
        Kind::Total => Some(TreeSort::Total),
        Kind::Own => Some(TreeSort::Own),
        Kind::Calls => Some(TreeSort::Calls),
        Kind::Errors => Some(TreeSort::Errors),
        Kind::P99 => Some(TreeSort::P99),
        Kind::Share | Kind::Bar | Kind::Max => None,
    }
}

fn columns(pane: &ListPane) -> Columns<Kind> {
    let width = pane.rows.width;
    Columns::fit(width, NAME_MIN.max(width / 3), COLUMNS)
}

pub(super) fn draw(canvas: &mut Canvas<'_>, state: &State, pane: &ListPane) {
    let tree = &state.calls.tree;
    let columns = columns(pane);
    let sorted = format!("function, by {}", tree.sort().name());
    columns.draw_head(canvas, pane.head, &sorted);
    let rows = tree.rows();
    let selection = tree.selection();
    draw_rows(
        canvas,
        pane.rows,
        selection,
        rows.len(),
        |canvas, index, place| {
            draw_row(canvas, state, &columns, place, &rows[index]);
        },
    );
}

fn draw_row(
    canvas: &mut Canvas<'_>,
    state: &State,
    columns: &Columns<Kind>,
    place: Rect,
    row: &TreeRow,
) {
    let forest = state.calls.tree.forest();
    let node = forest.node(row.node);
    let first = columns.first(place);
    let guides = guides(canvas, row, first.width);
    let rest = canvas.text(first, &guides, Meaning::Rule);
    draw_function(canvas, state, rest, node.function, Meaning::Text);
    let share = forest.share(row.node);
    for (column, cell) in columns.places(place) {
        let text = match column.kind {
            Kind::Share => percent(canvas, share),
            Kind::Bar => share_bar(canvas, share, BAR),
            kind => measured(canvas, state, node, kind),
        };
        let meaning = match column.kind {
            Kind::Bar => Meaning::Bar,
            Kind::Errors if node.errors > 0 => Meaning::Error,
            _ => number_meaning(canvas, &text),
        };
        table::write(canvas, cell, &text, column.right, meaning);
    }
}

/// A number of a path; what only a return measures is known once there was one.
fn measured(canvas: &Canvas<'_>, state: &State, node: &CallNode, kind: Kind) -> String {
    let glyphs = canvas.glyphs;
    let timed = |ns| glyphs.measured_ns(node.timed(ns));
    match kind {
        Kind::Total => timed(node.total_ns),
        Kind::Own => timed(node.self_ns),
        Kind::Max => timed(node.max_ns),
        Kind::P99 => glyphs.measured_ns(node.p99_ns()),
        Kind::Calls => format_count(node.calls as f64),
        Kind::Errors => {
            let stats = state.measurements.stats(node.function);
            match stats.and_then(|stats| stats.errors) {
                Some(_) => format_count(node.errors as f64),
                None => glyphs.not_measured.to_owned(),
            }
        }
        Kind::Share | Kind::Bar => String::new(),
    }
}

/// The lines that lead to a row, and whether it is folded. Where the lines would leave no room for
/// the name, a row says how deep it is instead.
fn guides(canvas: &Canvas<'_>, row: &TreeRow, columns: u16) -> String {
    let glyphs = canvas.glyphs;
    let levels_max = u32::from(columns / 4).min(u64::BITS - 1);
    let sign = match row.fold {
        Fold::Leaf => " ",
        Fold::Open => glyphs.open,
        Fold::Folded => glyphs.folded,
    };
    if row.depth > levels_max {
        return format!("{}{} {sign} ", glyphs.ellipsis, row.depth);
    }
    let mut guides = String::new();
    for level in 1..row.depth {
        let goes_on = row.guides >> level & 1 == 1;
        guides.push_str(if goes_on { glyphs.vertical } else { " " });
        guides.push(' ');
    }
    if row.depth > 0 {
        guides.push_str(if row.is_last {
            glyphs.last_branch
        } else {
            glyphs.branch
        });
        guides.push(' ');
    }
    format!("{guides}{sign} ")
}
