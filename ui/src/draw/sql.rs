//! The SQL screen: the query, what is wrong with it, and the rows that it gave.

use coral_model::SqlColumn;
use ratatui::layout::Rect;

use crate::canvas::{Canvas, inset, row};
use crate::commands::Command;
use crate::draw::functions::group_digits;
use crate::filter_input::FilterInput;
use crate::layout::SqlPanes;
use crate::sql::{NULL, Table};
use crate::state::State;
use crate::table::{self, MARGIN, draw_empty, draw_rows};
use crate::text::{Cut, fit, fit_pieces, width, wrap};
use crate::theme::Meaning;
use crate::update::SPINNER_MS;

/// Columns between two columns.
const BETWEEN: u16 = 2;

/// More of a row than fits is not shown below the table either.
const DETAIL_CHARACTERS: usize = 2_000;

pub(super) fn draw(canvas: &mut Canvas<'_>, state: &State, body: Rect) {
    let panes = SqlPanes::of(state, body);
    draw_title(canvas, state, panes.title);
    draw_input(
        canvas,
        &state.sql.input,
        panes.input,
        state.sql.input.editing,
    );
    draw_hint(canvas, state, panes.hint);
    draw_failure(canvas, state, panes.failure);
    match &state.sql.result {
        Some(table) if !table.result.columns.is_empty() => {
            draw_table(canvas, state, &panes, table);
        }
        _ => {
            let (message, help) = nothing(state);
            draw_empty(canvas, panes.rows, &message, &help);
        }
    }
}

fn nothing(state: &State) -> (String, String) {
    if state.sql.running.is_some() {
        let key = state.key(Command::CancelQuery);
        return (
            "The query runs.".into(),
            format!("Press {key} to give it up."),
        );
    }
    if state.sql.result.is_some() {
        return ("The query gave no columns.".into(), String::new());
    }
    let tables = state.sql.schema.tables.iter();
    let names: Vec<&str> = tables.map(|table| table.name.as_str()).collect();
    let help = match names.is_empty() {
        true => "The names of the tables have not come yet.".to_owned(),
        false => format!("Tables: {}", names.join(", ")),
    };
    (
        "Ask the history in SQL; it can change nothing.".into(),
        help,
    )
}

fn draw_title(canvas: &mut Canvas<'_>, state: &State, area: Rect) {
    let mut right = Vec::new();
    if let Some(running) = &state.sql.running {
        let ran = state.now.saturating_sub(running.since);
        let frames = &canvas.glyphs.spinner;
        let sign = frames[(ran.as_millis() / SPINNER_MS) as usize % frames.len()];
        right.push((
            format!("{sign} running for {} s", ran.as_secs()),
            Meaning::Busy,
        ));
    } else if let Some(table) = &state.sql.result {
        let result = &table.result;
        if result.is_cut {
            right.push(("more were left out  ".into(), Meaning::Warning));
        }
        let at = result.as_of.strftime("%H:%M:%S");
        let took = canvas.glyphs.duration_ns(result.elapsed.as_nanos() as u64);
        right.push((format!("as of {at} UTC, took {took}"), Meaning::Dim));
    }
    let count = state.sql.result.as_ref().map_or_else(String::new, |table| {
        format!("  {} rows", group_digits(table.result.rows.len() as u64))
    });
    canvas.title(
        area,
        &[("SQL", Meaning::Title), (&count, Meaning::Dim)],
        &right,
    );
}

/// The lines that a query takes, and the one with the caret.
pub(crate) fn lines(
    input: &FilterInput,
    columns: usize,
    glyphs: &crate::glyphs::Glyphs,
) -> (Vec<Vec<(usize, String)>>, usize) {
    let text = input.text();
    let caret = input.around_caret().0.len();
    let mut lines: Vec<Vec<(usize, String)>> = vec![Vec::new()];
    let (mut used, mut caret_line) = (0, 0);
    for piece in fit_pieces(text, usize::MAX, Cut::End, glyphs) {
        let (Some(offset), wide) = (piece.offset, usize::from(width(&piece.shown))) else {
            continue;
        };
        if used + wide > columns && used > 0 {
            lines.push(Vec::new());
            used = 0;
        }
        used += wide;
        let last = lines.len() - 1;
        if offset <= caret {
            caret_line = last;
        }
        lines[last].push((offset, piece.shown.into_owned()));
    }
    if caret >= text.len() {
        if used >= columns {
            lines.push(Vec::new());
        }
        caret_line = lines.len() - 1;
    }
    (lines, caret_line)
}

fn draw_input(canvas: &mut Canvas<'_>, input: &FilterInput, area: Rect, has_caret: bool) {
    let place = inset(area, MARGIN);
    let (lines, caret_line) = lines(input, usize::from(place.width.max(1)), canvas.glyphs);
    let caret = input.around_caret().0.len();
    let height = usize::from(area.height);
    let first = (caret_line + 1).saturating_sub(height);
    canvas.text(inset(row(area, 0), 1), canvas.glyphs.folded, Meaning::Key);
    for (number, line) in lines.iter().skip(first).take(height).enumerate() {
        let mut rest = row(place, number);
        for (offset, shown) in line {
            let before = rest;
            rest = canvas.text(rest, shown, Meaning::Input);
            if has_caret && *offset == caret {
                canvas.reverse(Rect {
                    width: width(shown).max(1).min(before.width),
                    ..before
                });
            }
        }
        if has_caret && first + number == caret_line && caret >= input.text().len() {
            canvas.reverse(Rect {
                width: rest.width.min(1),
                ..rest
            });
        }
    }
}

/// What the word that is typed could become.
fn draw_hint(canvas: &mut Canvas<'_>, state: &State, area: Rect) {
    let place = inset(area, MARGIN);
    let completion = state.sql.completion();
    if !state.sql.input.editing || completion.candidates.is_empty() {
        return;
    }
    let key = state.key(Command::CompleteQuery);
    let rest = canvas.text(place, &key, Meaning::Key);
    let names = completion.candidates.join("  ");
    canvas.foreign(inset(rest, 1), &names, Cut::End, Meaning::Dim);
}

fn draw_failure(canvas: &mut Canvas<'_>, state: &State, area: Rect) {
    let place = inset(area, MARGIN);
    for (number, (line, meaning)) in failure_lines(state, place.width).into_iter().enumerate() {
        canvas.text(row(place, number), &line, meaning);
    }
}

/// Why the last query gave nothing, with its code, and what to do.
pub(crate) fn failure_lines(state: &State, columns: u16) -> Vec<(String, Meaning)> {
    let Some(failure) = &state.sql.failure else {
        return Vec::new();
    };
    let glyphs = &state.options.glyphs;
    let message = format!("error[{}]: {}", failure.code, failure.message);
    let help = match failure.help.is_empty() {
        true => String::new(),
        false => format!("help: {}", failure.help),
    };
    let of = |text: &str, lines, meaning| {
        let lines = wrap(text, usize::from(columns), lines, glyphs);
        lines.into_iter().map(move |line| (line, meaning))
    };
    let lines = of(&message, 3, Meaning::Error).chain(of(&help, 2, Meaning::Dim));
    lines.collect()
}

fn draw_table(canvas: &mut Canvas<'_>, state: &State, panes: &SqlPanes, table: &Table) {
    let sql = &state.sql;
    let (columns, rows) = (&table.result.columns, &table.result.rows);
    for (index, place) in places(table, sql.first_column, panes.head) {
        let title = fit(
            &columns[index].name,
            usize::from(place.width),
            Cut::Middle,
            canvas.glyphs,
        );
        table::write(
            canvas,
            place,
            &title,
            columns[index].is_number(),
            Meaning::Dim,
        );
    }
    if sql.first_column > 0 {
        let hidden = format!("+{}", sql.first_column);
        let place = Rect {
            width: panes.head.width.min(MARGIN),
            ..panes.head
        };
        canvas.text(place, &hidden, Meaning::Dim);
    }
    if rows.is_empty() {
        return draw_empty(canvas, panes.rows, "No row matches.", "");
    }
    draw_rows(
        canvas,
        panes.rows,
        &sql.selection,
        rows.len(),
        |canvas, index, place| {
            for (column, cell) in places(table, sql.first_column, place) {
                let value = rows[index].get(column).and_then(Option::as_deref);
                draw_cell(canvas, cell, &columns[column], value);
            }
        },
    );
    draw_detail(canvas, state, panes.detail, table);
}

fn draw_cell(canvas: &mut Canvas<'_>, cell: Rect, column: &SqlColumn, value: Option<&str>) {
    let (text, meaning) = match value {
        None => (NULL.to_owned(), Meaning::NotMeasured),
        Some(value) => {
            let text = fit(value, usize::from(cell.width), Cut::End, canvas.glyphs);
            let meaning = if column.is_number() {
                Meaning::Number
            } else {
                Meaning::Text
            };
            (text, meaning)
        }
    };
    table::write(canvas, cell, &text, column.is_number(), meaning);
}

/// The columns that a row has room for, from the first one that is shown on, and where they are.
fn places(table: &Table, first: usize, row: Rect) -> Vec<(usize, Rect)> {
    let mut rest = inset(row, MARGIN);
    let mut places = Vec::new();
    for (index, width) in table.widths.iter().enumerate().skip(first) {
        // A column that does not fit is cut, unless nothing of it would be seen.
        if rest.width < (*width).min(4) || rest.is_empty() {
            break;
        }
        let place = Rect {
            width: (*width).min(rest.width),
            ..rest
        };
        places.push((index, place));
        rest = inset(rest, place.width + BETWEEN);
    }
    places
}

/// The selected row in full: a table cuts what is wide.
fn draw_detail(canvas: &mut Canvas<'_>, state: &State, area: Rect, table: &Table) {
    let Some(values) = table.result.rows.get(state.sql.selection.index()) else {
        return;
    };
    let columns = table
        .result
        .columns
        .iter()
        .zip(values)
        .skip(state.sql.first_column);
    let mut text = String::new();
    for (column, value) in columns {
        let value = value.as_deref().unwrap_or(NULL);
        let end = value.floor_char_boundary(DETAIL_CHARACTERS);
        text += &format!("{}: {}  ", column.name, &value[..end]);
        if text.len() > DETAIL_CHARACTERS {
            break;
        }
    }
    let area = inset(area, MARGIN);
    let lines = wrap(
        text.trim_end(),
        usize::from(area.width),
        usize::from(area.height),
        canvas.glyphs,
    );
    for (number, line) in lines.iter().enumerate() {
        canvas.text(row(area, number), line, Meaning::Dim);
    }
}
