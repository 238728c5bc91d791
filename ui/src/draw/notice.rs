//! The notice in place: what happened, why, and the next step.

use ratatui::layout::Rect;

use crate::canvas::{Canvas, inset, row};
use crate::commands::Command;
use crate::event::{Level, Notice};
use crate::state::{Screen, State};
use crate::text::{width, wrap};
use crate::theme::Meaning;

/// Lines that the message, and the help, may take.
const LINES_MAX: usize = 2;

pub(super) fn draw(canvas: &mut Canvas<'_>, state: &State, area: Rect) {
    let Some(notice) = state.notices.shown() else {
        return;
    };
    for (number, (line, meaning)) in lines(state, notice, area.width).iter().enumerate() {
        canvas.text(inset(row(area, number), 1), line, *meaning);
    }
    if notice.level > Level::Info && area.height > 0 {
        let dismiss = dismiss_hint(state);
        canvas.right(inset(row(area, 0), 1), &dismiss, Meaning::Hint);
    }
}

impl State {
    /// Lines that the notice in place takes on a terminal of that width.
    pub(crate) fn notice_lines(&self, columns: u16) -> u16 {
        // The log says the same, in full.
        let shown = self
            .notices
            .shown()
            .filter(|_| self.screen != Screen::Events);
        shown.map_or(0, |notice| lines(self, notice, columns).len() as u16)
    }
}

fn dismiss_hint(state: &State) -> String {
    format!("{} dismisses", state.key(Command::Back))
}

fn lines(state: &State, notice: &Notice, columns: u16) -> Vec<(String, Meaning)> {
    let glyphs = &state.options.glyphs;
    let columns = usize::from(columns.saturating_sub(2));
    let room = columns.saturating_sub(usize::from(width(&dismiss_hint(state)) + 2));
    let mut lines: Vec<_> = wrap(&headline(notice), room, LINES_MAX, glyphs)
        .into_iter()
        .map(|line| (line, meaning(notice.level)))
        .collect();
    if !notice.help.is_empty() {
        let help = format!("help: {}", notice.help);
        let help = wrap(&help, columns, LINES_MAX, glyphs);
        lines.extend(help.into_iter().map(|line| (line, Meaning::Dim)));
    }
    lines
}

/// `error[CODE]: what, why`, as on the command line.
pub(super) fn headline(notice: &Notice) -> String {
    match (&notice.code, notice.level) {
        (Some(code), level) => format!("{}[{code}]: {}", level.name(), notice.message),
        (None, Level::Info) => notice.message.clone(),
        (None, level) => format!("{}: {}", level.name(), notice.message),
    }
}

pub(super) fn meaning(level: Level) -> Meaning {
    match level {
        Level::Info => Meaning::Text,
        Level::Warning => Meaning::Warning,
        Level::Error => Meaning::Error,
    }
}
