//! The place that is drawn on. Nothing drawn through it can leave its area, whatever the size.

use ratatui::buffer::Buffer;
use ratatui::layout::Rect;
use ratatui::style::{Modifier, Style};

use crate::glyphs::Glyphs;
use crate::text::{Cut, fit, width};
use crate::theme::{Meaning, Theme};

/// A buffer, and what it is drawn with.
pub(crate) struct Canvas<'a> {
    pub(crate) buffer: &'a mut Buffer,
    pub(crate) theme: &'a Theme,
    pub(crate) glyphs: &'a Glyphs,
}

impl Canvas<'_> {
    /// Writes our own text at the left of an area's first row; returns what is left of the row.
    pub(crate) fn text(&mut self, area: Rect, text: &str, meaning: Meaning) -> Rect {
        let row = first_row(area).intersection(self.buffer.area);
        if row.is_empty() {
            return Rect::default();
        }
        let style = self.theme.style(meaning);
        let (end, _) = self
            .buffer
            .set_stringn(row.x, row.y, text, usize::from(row.width), style);
        Rect {
            x: end,
            width: row.right() - end,
            ..row
        }
    }

    /// Writes our own texts behind each other.
    pub(crate) fn spans<T: AsRef<str>>(&mut self, area: Rect, spans: &[(T, Meaning)]) -> Rect {
        spans.iter().fold(first_row(area), |row, (text, meaning)| {
            self.text(row, text.as_ref(), *meaning)
        })
    }

    /// Writes somebody else's text: escaped, and cut to fit.
    pub(crate) fn foreign(&mut self, area: Rect, text: &str, cut: Cut, meaning: Meaning) -> Rect {
        let fitted = fit(text, usize::from(area.width), cut, self.glyphs);
        self.text(area, &fitted, meaning)
    }

    /// Writes our own text at the right of an area's first row; returns what is left of it.
    pub(crate) fn right(&mut self, area: Rect, text: &str, meaning: Meaning) -> Rect {
        let used = width(text).min(area.width);
        let place = Rect {
            x: area.x + area.width - used,
            width: used,
            ..area
        };
        self.text(place, text, meaning);
        Rect {
            width: area.width - used,
            ..first_row(area)
        }
    }

    /// Fills an area with one symbol.
    pub(crate) fn fill(&mut self, area: Rect, symbol: &str, meaning: Meaning) {
        let style = self.theme.style(meaning);
        for position in area.intersection(self.buffer.area).positions() {
            if let Some(cell) = self.buffer.cell_mut(position) {
                cell.set_symbol(symbol).set_style(style);
            }
        }
    }

    /// Empties an area, for what is drawn above something else.
    pub(crate) fn clear(&mut self, area: Rect) {
        let area = area.intersection(self.buffer.area);
        let before = area.columns().next().and_then(|first| {
            let x = first.x.checked_sub(1)?;
            Some(Rect { x, ..first })
        });
        // A wide letter that would be cut in half goes too: terminals draw all of it or nothing.
        for position in before.iter().flat_map(|column| column.positions()) {
            if let Some(cell) = self.buffer.cell_mut(position)
                && width(cell.symbol()) > 1
            {
                cell.reset();
            }
        }
        for position in area.positions() {
            if let Some(cell) = self.buffer.cell_mut(position) {
                cell.reset();
            }
        }
    }

    /// Draws the upper and the lower half of a cell in two colours.
    pub(crate) fn halves(&mut self, cell: Rect, upper: Meaning, lower: Meaning) {
        let background = self.theme.style(lower).fg.unwrap_or_default();
        self.text(cell, "▀", upper);
        self.buffer.set_style(
            cell.intersection(self.buffer.area),
            Style::new().bg(background),
        );
    }

    /// Adds a style to what is drawn already.
    pub(crate) fn restyle(&mut self, area: Rect, meaning: Meaning) {
        let style = self.theme.style(meaning);
        self.buffer
            .set_style(area.intersection(self.buffer.area), style);
    }

    /// Reverses what is drawn already, as a caret does.
    pub(crate) fn reverse(&mut self, area: Rect) {
        let style = Style::new().add_modifier(Modifier::REVERSED);
        self.buffer
            .set_style(area.intersection(self.buffer.area), style);
    }

    /// A pane's title: text at both ends of a line.
    pub(crate) fn title<T: AsRef<str>>(
        &mut self,
        area: Rect,
        left: &[(T, Meaning)],
        right: &[(String, Meaning)],
    ) {
        let row = first_row(area);
        self.fill(row, self.glyphs.horizontal, Meaning::Rule);
        let start = Rect {
            x: row.x.saturating_add(1),
            width: row.width.saturating_sub(1),
            ..row
        };
        let start = self.text(start, " ", Meaning::Text);
        let rest = self.spans(start, left);
        let mut rest = self.text(rest, " ", Meaning::Text);
        if right.is_empty() {
            return;
        }
        let needed: u16 = right.iter().map(|(text, _)| width(text)).sum::<u16>() + 3;
        if needed > rest.width {
            return;
        }
        rest.x = rest.right() - needed;
        rest.width = needed - 1;
        let rest = self.text(rest, " ", Meaning::Text);
        let rest = self.spans(rest, right);
        self.text(rest, " ", Meaning::Text);
    }
}

/// The row of an area with that number; empty if there is none.
pub(crate) fn row(area: Rect, number: usize) -> Rect {
    match u16::try_from(number) {
        Ok(number) if number < area.height => Rect {
            y: area.y + number,
            height: 1,
            ..area
        },
        _ => Rect::default(),
    }
}

/// An area without its first columns.
pub(crate) fn inset(area: Rect, columns: u16) -> Rect {
    let columns = columns.min(area.width);
    Rect {
        x: area.x + columns,
        width: area.width - columns,
        ..area
    }
}

fn first_row(area: Rect) -> Rect {
    Rect {
        height: area.height.min(1),
        ..area
    }
}
