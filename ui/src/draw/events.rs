//! The log of what happened and what was refused, with reasons.

use ratatui::layout::Rect;

use crate::canvas::{Canvas, inset, row};
use crate::draw::header::clock;
use crate::draw::notice::{headline, meaning};
use crate::event::Level;
use crate::layout::ListPane;
use crate::notices::LoggedNotice;
use crate::state::State;
use crate::table::{MARGIN, draw_empty, draw_rows};
use crate::text::{Cut, wrap};
use crate::theme::Meaning;

pub(super) fn draw(canvas: &mut Canvas<'_>, state: &State, body: Rect) {
    let pane = ListPane::events(body);
    let log = state.notices.log();
    let count = format!("  {}, the newest first", log.len());
    canvas.title(
        pane.title,
        &[("Events", Meaning::Title), (&count, Meaning::Dim)],
        &[],
    );
    if log.is_empty() {
        let help = "What is attached, detached, refused or lost is written here, with the reason.";
        return draw_empty(canvas, pane.rows, "Nothing has happened yet.", help);
    }
    let head = inset(pane.head, MARGIN);
    canvas.text(head, "after  level    what happened, and why", Meaning::Dim);
    let selection = &state.notices.selection;
    draw_rows(
        canvas,
        pane.rows,
        selection,
        log.len(),
        |canvas, index, place| {
            draw_row(canvas, place, &log[index]);
        },
    );
    if let Some(logged) = log.get(selection.index()) {
        draw_detail(canvas, pane.detail, logged);
    }
}

fn draw_row(canvas: &mut Canvas<'_>, place: Rect, logged: &LoggedNotice) {
    let notice = &logged.notice;
    let time = format!("{:<7}", clock(logged.at));
    let level = format!("{:<9}", notice.level.name());
    let level_meaning = match notice.level {
        Level::Info => Meaning::Dim,
        level => meaning(level),
    };
    let rest = canvas.spans(
        inset(place, MARGIN),
        &[(time, Meaning::Dim), (level, level_meaning)],
    );
    canvas.foreign(rest, &notice.message, Cut::End, Meaning::Text);
}

/// The selected event in full.
fn draw_detail(canvas: &mut Canvas<'_>, area: Rect, logged: &LoggedNotice) {
    let area = inset(area, MARGIN);
    let columns = usize::from(area.width);
    let mut lines: Vec<_> = wrap(&headline(&logged.notice), columns, 3, canvas.glyphs)
        .into_iter()
        .map(|line| (line, meaning(logged.notice.level)))
        .collect();
    if !logged.notice.help.is_empty() {
        let help = wrap(
            &format!("help: {}", logged.notice.help),
            columns,
            2,
            canvas.glyphs,
        );
        lines.extend(help.into_iter().map(|line| (line, Meaning::Dim)));
    }
    for (number, (line, meaning)) in lines.iter().enumerate() {
        canvas.text(row(area, number), line, *meaning);
    }
}
