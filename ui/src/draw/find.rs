//! What is found by typing: commands, or functions.

use ratatui::layout::Rect;

use crate::canvas::{Canvas, inset, row};
use crate::command_finder::CommandFinder;
use crate::commands::{COMMANDS, CommandInfo};
use crate::draw::functions::{draw_name, group_digits};
use crate::draw::{filter_line, overlay};
use crate::filter_input::FilterInput;
use crate::function_finder::FunctionFinder;
use crate::layout::split_top;
use crate::scan::NameMatcher;
use crate::state::State;
use crate::table::draw_rows;
use crate::text::{Cut, width};
use crate::theme::Meaning;
use crate::update::places;

/// The size that the overlay would like to have.
pub(super) const SIZE: (u16, u16) = (96, 24);
/// Columns for a command's name.
const NAME: u16 = 22;
/// Columns for a command's key.
const KEY: u16 = 10;

/// Where the overlay is on the terminal as it was last reported.
pub(crate) fn frame(state: &State) -> Rect {
    overlay::frame(state.body(), SIZE)
}

/// Where its rows are.
pub(crate) fn list(state: &State) -> Rect {
    split_top(overlay::inside(frame(state)), 1).1
}

/// How many of them are visible.
pub(crate) fn list_height(state: &State) -> usize {
    usize::from(list(state).height)
}

/// Draws what every finder has: the line that is typed in, with what it found. Returns where its
/// rows are.
pub(super) fn draw_finder(
    canvas: &mut Canvas<'_>,
    body: Rect,
    title: &str,
    input: &FilterInput,
    found: &str,
) -> Rect {
    let inside = overlay::draw(canvas, body, title, SIZE);
    let (line, list) = split_top(inside, 1);
    filter_line::draw(canvas, input, line, found);
    list
}

/// Says in a list that nothing of this kind was found.
pub(super) fn draw_none(canvas: &mut Canvas<'_>, list: Rect, kind: &str) {
    let message = format!("No {kind} matches; Backspace takes a letter back.");
    canvas.text(row(list, 0), &message, Meaning::Dim);
}

pub(super) fn draw_commands(
    canvas: &mut Canvas<'_>,
    state: &State,
    body: Rect,
    finder: &CommandFinder,
) {
    let rows = finder.rows();
    let found = format!("{} of {} ", rows.len(), COMMANDS.len());
    let list = draw_finder(canvas, body, "Commands", &finder.input, &found);
    if rows.is_empty() {
        draw_none(canvas, list, "command");
    }
    draw_rows(
        canvas,
        list,
        &finder.selection,
        rows.len(),
        |canvas, index, place| {
            draw_command(
                canvas,
                state,
                inset(place, 2),
                finder,
                &COMMANDS[rows[index]],
            );
        },
    );
}

fn draw_command(
    canvas: &mut Canvas<'_>,
    state: &State,
    place: Rect,
    finder: &CommandFinder,
    info: &CommandInfo,
) {
    let applies = finder.applies(info);
    let (name, help) = if applies {
        (Meaning::Text, info.help.to_owned())
    } else {
        (Meaning::Dim, format!("only in {}", places(info.scopes)))
    };
    let head = Rect {
        width: place.width.min(NAME),
        ..place
    };
    canvas.text(head, info.name, name);
    let rest = inset(place, NAME + 1);
    let key = state.key(info.command);
    canvas.text(rest, &key, Meaning::Key);
    let rest = inset(rest, KEY.max(width(&key) + 1));
    canvas.foreign(rest, &help, Cut::End, Meaning::Dim);
}

pub(super) fn draw_functions(
    canvas: &mut Canvas<'_>,
    state: &State,
    body: Rect,
    finder: &FunctionFinder,
) {
    let rows = finder.rows();
    let (matches, percent) = finder.found();
    let mut found = format!("{} match ", group_digits(matches as u64));
    if finder.has_work() {
        found = format!("{found}({percent} %) ");
    }
    let list = draw_finder(canvas, body, "Go to function", &finder.input, &found);
    if rows.is_empty() && !finder.has_work() {
        draw_none(canvas, list, "function");
    }
    let mut matcher = NameMatcher::default();
    draw_rows(
        canvas,
        list,
        &finder.selection,
        rows.len(),
        |canvas, index, place| {
            if let Some(function) = state.functions.table.get(rows[index]) {
                let place = inset(place, 2);
                draw_name(canvas, finder.query(), place, &function, &mut matcher);
            }
        },
    );
}
