//! The process picker.

use coral_model::{ProcessSummary, format_bytes};
use ratatui::layout::{Position, Rect};

use crate::canvas::{Canvas, inset, row};
use crate::commands::Command;
use crate::draw::filter_line;
use crate::draw::functions::cut_off;
use crate::layout::ListPane;
use crate::processes::ProcessSort;
use crate::state::{Phase, State};
use crate::table::{self, Columns, draw_empty, draw_rows, number, word};
use crate::text::{Cut, fit};
use crate::theme::Meaning;

#[derive(Clone, Copy, PartialEq)]
enum Kind {
    Pid,
    Language,
    Ports,
    Memory,
    Container,
    User,
    Command,
}

pub(super) fn draw(canvas: &mut Canvas<'_>, state: &State, body: Rect) {
    let pane = ListPane::processes(state, body);
    let list = &state.processes;
    let (shown, total) = (list.rows().len(), list.total());
    let count = if shown == total {
        format!("  {total}")
    } else {
        format!("  {shown} of {total}")
    };
    let sort = format!("sort: {}", list.sort.name());
    canvas.title(
        pane.title,
        &[("Processes", Meaning::Title), (&count, Meaning::Dim)],
        &[(sort, Meaning::Dim)],
    );
    filter_line::draw(
        canvas,
        &list.filter,
        pane.filter,
        &format!("{shown} match "),
    );
    if list.rows().is_empty() {
        let (message, help) = empty(state);
        return draw_empty(canvas, pane.rows, &message, &help);
    }
    let columns = columns(body.width);
    columns.draw_head(canvas, pane.head, "name");
    draw_rows(
        canvas,
        pane.rows,
        &list.selection,
        shown,
        |canvas, index, place| {
            if let Some(process) = list.get(index) {
                draw_row(canvas, &columns, place, process);
            }
        },
    );
    if let Some(process) = list.selected() {
        draw_detail(canvas, state, pane.detail, process);
    }
}

fn empty(state: &State) -> (String, String) {
    let list = &state.processes;
    if !list.listed && state.is_cut_off() {
        return cut_off(state);
    }
    let (message, help) = if state.options.replay {
        (
            "A recording has no other processes.",
            format!(
                "Press {} for its functions.",
                state.key(Command::ShowFunctions)
            ),
        )
    } else if list.filter.is_active() {
        (
            "No process matches the filter.",
            format!("Press {} to clear it.", state.key(Command::Back)),
        )
    } else if list.listed {
        (
            "There is no process to show.",
            format!("Press {} to list them again.", state.key(Command::Refresh)),
        )
    } else if state.phase == Phase::NoTarget {
        ("Listing processes", "This takes a moment.".into())
    } else {
        (
            "Processes were not listed yet.",
            format!("Press {} to list them.", state.key(Command::Refresh)),
        )
    };
    (message.to_owned(), help)
}

/// What the column at a position of the head is sorted by.
pub(crate) fn sort_at(pane: &ListPane, position: Position) -> Option<ProcessSort> {
    match columns(pane.rows.width).at(pane.head, position)? {
        None => Some(ProcessSort::Name),
        Some(Kind::Pid) => Some(ProcessSort::Pid),
        Some(Kind::Memory) => Some(ProcessSort::Memory),
        Some(_) => None,
    }
}

fn columns(width: u16) -> Columns<Kind> {
    let mut columns = vec![
        number(Kind::Pid, "pid", 8),
        word(Kind::Language, "language", 8),
        number(Kind::Memory, "memory", 8),
        word(Kind::Ports, "ports", 12),
        word(Kind::Container, "container", 12),
        word(Kind::User, "user", 10),
    ];
    let used: u16 = columns.iter().map(|column| column.width + 1).sum();
    let command = width.saturating_sub(used + table::MARGIN + 20 + 1);
    if command >= 16 {
        columns.push(word(Kind::Command, "command", command));
    }
    Columns::fit(width, 12, &columns)
}

fn draw_row(
    canvas: &mut Canvas<'_>,
    columns: &Columns<Kind>,
    place: Rect,
    process: &ProcessSummary,
) {
    let probeable = process.refusal.is_none();
    let (name, text) = if probeable {
        (Meaning::Text, Meaning::Number)
    } else {
        (Meaning::Dim, Meaning::Dim)
    };
    if !probeable {
        canvas.text(inset(place, 1), canvas.glyphs.unprobeable, Meaning::Error);
    }
    canvas.foreign(columns.first(place), &process.name, Cut::End, name);
    for (column, cell) in columns.places(place) {
        let value = value(column.kind, process);
        let fitted = fit(&value, usize::from(cell.width), Cut::End, canvas.glyphs);
        let meaning = match column.kind {
            Kind::Command | Kind::User | Kind::Container => Meaning::Dim,
            _ => text,
        };
        table::write(canvas, cell, &fitted, column.right, meaning);
    }
}

fn value(kind: Kind, process: &ProcessSummary) -> String {
    match kind {
        Kind::Pid => process.pid.to_string(),
        Kind::Language => process
            .language
            .map_or("", |language| language.name())
            .into(),
        Kind::Memory => format_bytes(process.resident_bytes),
        Kind::Ports => {
            let ports: Vec<String> = process.ports.iter().take(9).map(u16::to_string).collect();
            ports.join(" ")
        }
        Kind::Container => process.container.clone().unwrap_or_default(),
        Kind::User => process.user.clone(),
        Kind::Command => match &process.refusal {
            Some(refusal) => format!("not probeable: {refusal}"),
            None => process.command.chars().take(500).collect(),
        },
    }
}

/// The selected process in full: its command line, and why it cannot be probed.
fn draw_detail(canvas: &mut Canvas<'_>, state: &State, area: Rect, process: &ProcessSummary) {
    let area = inset(area, table::MARGIN);
    canvas.foreign(row(area, 0), &process.command, Cut::End, Meaning::Dim);
    match &process.refusal {
        Some(refusal) => {
            let text = format!("cannot be probed: {refusal}");
            canvas.foreign(row(area, 1), &text, Cut::End, Meaning::Warning);
        }
        None => {
            let hint = format!("{} reads its functions", state.key(Command::Open));
            canvas.text(row(area, 1), &hint, Meaning::Dim);
        }
    }
}
