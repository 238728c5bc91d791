//! The help: every key that is in force, by the table of commands.

use ratatui::layout::Rect;

use crate::canvas::{Canvas, inset, row};
use crate::commands::Scope;
use crate::draw::overlay;
use crate::key::Key;
use crate::state::State;
use crate::text::{Cut, width};
use crate::theme::Meaning;
use crate::typed_filter;

/// Columns for a command's keys.
const KEYS: u16 = 18;

/// A line of the help: a title, or keys and what they do.
enum HelpLine {
    Title(&'static str),
    Command(String, &'static str),
    Empty,
}

/// How many columns it would like to have.
const WIDTH: u16 = 84;

/// Where it is on the terminal as it was last reported.
pub(crate) fn frame(state: &State) -> Rect {
    overlay::frame(state.body(), size(&lines(state)))
}

fn size(lines: &[HelpLine]) -> (u16, u16) {
    let rows = u16::try_from(lines.len()).unwrap_or(u16::MAX);
    (WIDTH, rows.saturating_add(2))
}

pub(super) fn draw(canvas: &mut Canvas<'_>, state: &State, body: Rect, scroll: u16) {
    let lines = lines(state);
    let inside = overlay::draw(canvas, body, "Keys", size(&lines));
    let last_start = lines.len().saturating_sub(usize::from(inside.height));
    let start = usize::from(scroll).min(last_start);
    for (number, line) in lines.iter().skip(start).enumerate() {
        let place = row(inside, number);
        match line {
            HelpLine::Title(title) => {
                canvas.text(place, title, Meaning::Title);
            }
            HelpLine::Command(keys, help) => {
                canvas.text(inset(place, 2), keys, Meaning::Key);
                let keys_width = KEYS.max(width(keys) + 3);
                canvas.foreign(inset(place, keys_width), help, Cut::End, Meaning::Text);
            }
            HelpLine::Empty => {}
        }
    }
    if start < last_start && inside.height > 1 {
        let more = format!(
            " {} more ",
            lines.len() - start - usize::from(inside.height) + 1
        );
        let last = row(inside, usize::from(inside.height) - 1);
        canvas.clear(last);
        canvas.right(last, &more, Meaning::Dim);
    }
}

/// The keys of the screen in front come first.
fn lines(state: &State) -> Vec<HelpLine> {
    let front = state.screen_scope();
    let others = Scope::ALL
        .into_iter()
        .filter(|&scope| scope != front && scope != Scope::Screens);
    let mut lines = Vec::new();
    for scope in [front, Scope::Screens].into_iter().chain(others) {
        let commands: Vec<_> = state.options.keymap.of(scope).collect();
        if commands.is_empty() {
            continue;
        }
        if !lines.is_empty() {
            lines.push(HelpLine::Empty);
        }
        lines.push(HelpLine::Title(scope.title()));
        lines.extend(commands.into_iter().map(|(info, keys)| {
            let keys: Vec<String> = keys.iter().map(Key::to_string).collect();
            HelpLine::Command(keys.join("  "), info.help)
        }));
        if scope == Scope::Filter {
            lines.extend([
                HelpLine::Empty,
                HelpLine::Title("Typed filters of functions"),
            ]);
            let fields = typed_filter::HELP.iter();
            lines.extend(fields.map(|&(fields, help)| HelpLine::Command(fields.into(), help)));
        }
    }
    lines
}
