//! The source around a function's line.

use ratatui::layout::Rect;

use crate::canvas::{Canvas, inset, row};
use crate::commands::Command;
use crate::draw::overlay;
use crate::source_view::{SourceText, SourceView};
use crate::state::State;
use crate::text::{Cut, wrap};
use crate::theme::Meaning;

/// Columns for the numbers of lines, with the mark of the one that was asked for.
const NUMBERS: u16 = 9;

pub(super) fn draw(canvas: &mut Canvas<'_>, state: &State, body: Rect, view: &SourceView) {
    let size = (
        body.width.saturating_sub(4).min(120),
        body.height.saturating_sub(1),
    );
    let edit = state.key(Command::EditSource);
    let title = format!("Source, {edit} opens it in your editor");
    let inside = overlay::draw(canvas, body, &title, size);
    let place = format!("{}:{}", view.file, view.line);
    canvas.foreign(inside, &place, Cut::Middle, Meaning::Dim);
    let text = Rect {
        y: inside.y.saturating_add(1),
        height: inside.height.saturating_sub(1),
        ..inside
    };
    match &view.text {
        SourceText::Waiting => {
            canvas.text(text, "reading it", Meaning::Busy);
        }
        SourceText::Failed(failure) => {
            let message = format!("{}. {}.", failure.message, failure.help);
            let lines = wrap(&message, usize::from(text.width), 6, canvas.glyphs);
            for (number, line) in lines.iter().enumerate() {
                canvas.text(row(text, number), line, Meaning::Warning);
            }
        }
        SourceText::Lines { first_line, lines } => {
            draw_lines(canvas, text, view, *first_line, lines);
        }
    }
}

fn draw_lines(
    canvas: &mut Canvas<'_>,
    area: Rect,
    view: &SourceView,
    first_line: u32,
    lines: &[String],
) {
    let start = view.first_shown(first_line, lines.len(), usize::from(area.height));
    let visible = lines
        .iter()
        .enumerate()
        .skip(start)
        .take(usize::from(area.height));
    for (index, line) in visible {
        let place = row(area, index - start);
        let number = first_line + index as u32;
        let is_meant = number == view.line;
        let (mark, meaning) = match is_meant {
            true => (canvas.glyphs.cursor, Meaning::Title),
            false => (" ", Meaning::Dim),
        };
        canvas.text(place, &format!("{mark}{number:>6}"), meaning);
        let line = line.replace('\t', "    ");
        canvas.foreign(inset(place, NUMBERS), &line, Cut::End, Meaning::Text);
        if is_meant {
            canvas.restyle(place, Meaning::Selection);
        }
    }
}
