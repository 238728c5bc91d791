//! A terminal's cells as an SVG: text as text, box, block and braille cells as geometry on whole
//! pixels, because fonts lack them or leave gaps between them.

use std::fmt::Write;

use ratatui::buffer::{Buffer, Cell};
use ratatui::layout::Rect;
use ratatui::style::{Color, Modifier};
use unicode_width::UnicodeWidthStr;

use crate::geometry;

/// A cell's width in pixels.
pub(crate) const CELL_WIDTH: u32 = 10;
/// A cell's height in pixels.
pub(crate) const CELL_HEIGHT: u32 = 20;
const FONT_SIZE: u32 = 16;
/// From a cell's top to the line that its text stands on.
const BASELINE: u32 = 15;
const PADDING: u32 = 10;

/// What a terminal's own colours are drawn as.
pub(crate) struct Paper {
    /// Behind everything.
    pub(crate) background: &'static str,
    /// Text without a colour of its own.
    pub(crate) foreground: &'static str,
}

/// Draws a buffer.
pub(crate) fn render(buffer: &Buffer, paper: &Paper) -> String {
    let mut svg = head(buffer.area, paper);
    for number in 0..buffer.area.height {
        svg.push_str(&row(buffer, number, paper));
    }
    svg.push_str("</svg>\n");
    svg
}

/// What comes before the rows of so many cells.
pub(crate) fn head(area: Rect, paper: &Paper) -> String {
    let width = u32::from(area.width) * CELL_WIDTH + 2 * PADDING;
    let height = u32::from(area.height) * CELL_HEIGHT + 2 * PADDING;
    format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" width=\"{width}\" height=\"{height}\" \
         viewBox=\"0 0 {width} {height}\" font-family=\"'DejaVu Sans Mono',monospace\" \
         font-size=\"{FONT_SIZE}\">\n\
         <rect width=\"{width}\" height=\"{height}\" rx=\"8\" fill=\"{}\"/>\n",
        paper.background
    )
}

/// Draws a row of cells.
pub(crate) fn row(buffer: &Buffer, number: u16, paper: &Paper) -> String {
    let mut svg = String::new();
    backgrounds(&mut svg, buffer, number, paper);
    glyphs(&mut svg, buffer, number, paper);
    svg
}

fn backgrounds(svg: &mut String, buffer: &Buffer, row: u16, paper: &Paper) {
    let mut column = 0;
    while column < buffer.area.width {
        let color = colors(&buffer[(column, row)], paper).1;
        let start = column;
        while column < buffer.area.width && colors(&buffer[(column, row)], paper).1 == color {
            column += 1;
        }
        if color != paper.background {
            let (x, y) = origin(start, row);
            let width = u32::from(column - start) * CELL_WIDTH;
            let _ = writeln!(
                svg,
                "<rect x=\"{x}\" y=\"{y}\" width=\"{width}\" height=\"{CELL_HEIGHT}\" fill=\"{color}\"/>"
            );
        }
    }
}

/// Runs of text in one style become one element, which keeps files small and text selectable.
fn glyphs(svg: &mut String, buffer: &Buffer, row: u16, paper: &Paper) {
    let mut column = 0;
    while column < buffer.area.width {
        let cell = &buffer[(column, row)];
        let (x, y) = origin(column, row);
        if let Some(shape) = geometry::of(cell.symbol()) {
            geometry::draw(svg, &shape, x, y, &colors(cell, paper).0);
            column += 1;
            continue;
        }
        let mut text = String::new();
        let mut cells = 0u16;
        while column + cells < buffer.area.width {
            let next = &buffer[(column + cells, row)];
            if style_of(next, paper) != style_of(cell, paper)
                || geometry::of(next.symbol()).is_some()
            {
                break;
            }
            text.push_str(next.symbol());
            cells += next.symbol().width().max(1) as u16;
        }
        column += cells;
        if !text.trim().is_empty() {
            write_text(svg, &text, cells, (x, y), &style_of(cell, paper));
        }
    }
}

fn write_text(svg: &mut String, text: &str, cells: u16, (x, y): (u32, u32), style: &str) {
    let trimmed = text.trim_end();
    let cells = u32::from(cells) - (text.width() - trimmed.width()) as u32;
    let _ = writeln!(
        svg,
        "<text x=\"{x}\" y=\"{}\" textLength=\"{}\" xml:space=\"preserve\"{style}>{}</text>",
        y + BASELINE,
        cells * CELL_WIDTH,
        escape(trimmed)
    );
}

fn origin(column: u16, row: u16) -> (u32, u32) {
    (
        PADDING + u32::from(column) * CELL_WIDTH,
        PADDING + u32::from(row) * CELL_HEIGHT,
    )
}

fn style_of(cell: &Cell, paper: &Paper) -> String {
    let mut style = format!(" fill=\"{}\"", colors(cell, paper).0);
    if cell.modifier.contains(Modifier::BOLD) {
        style.push_str(" font-weight=\"bold\"");
    }
    if cell.modifier.contains(Modifier::DIM) {
        style.push_str(" opacity=\"0.65\"");
    }
    if cell.modifier.contains(Modifier::UNDERLINED) {
        style.push_str(" text-decoration=\"underline\"");
    }
    style
}

/// Foreground and background as they are seen.
fn colors(cell: &Cell, paper: &Paper) -> (String, String) {
    let foreground = color(cell.fg, paper.foreground);
    let background = color(cell.bg, paper.background);
    if cell.modifier.contains(Modifier::REVERSED) {
        (background, foreground)
    } else {
        (foreground, background)
    }
}

fn color(color: Color, default: &str) -> String {
    match color {
        Color::Rgb(red, green, blue) => format!("#{red:02x}{green:02x}{blue:02x}"),
        Color::Reset => default.to_owned(),
        Color::Indexed(index) => indexed(index),
        named => ANSI
            .iter()
            .find(|(candidate, _)| *candidate == named)
            .map_or(default, |(_, hex)| hex)
            .to_owned(),
    }
}

const ANSI: [(Color, &str); 16] = [
    (Color::Black, "#1c1c1c"),
    (Color::Red, "#cc4d4d"),
    (Color::Green, "#5fa35f"),
    (Color::Yellow, "#c9a227"),
    (Color::Blue, "#5f87d7"),
    (Color::Magenta, "#af87d7"),
    (Color::Cyan, "#5fafaf"),
    (Color::Gray, "#bcbcbc"),
    (Color::DarkGray, "#767676"),
    (Color::LightRed, "#ff7070"),
    (Color::LightGreen, "#87d787"),
    (Color::LightYellow, "#ffd75f"),
    (Color::LightBlue, "#87afff"),
    (Color::LightMagenta, "#d7afff"),
    (Color::LightCyan, "#87d7d7"),
    (Color::White, "#eeeeee"),
];

fn indexed(index: u8) -> String {
    match index {
        0..16 => ANSI[usize::from(index)].1.to_owned(),
        16..232 => {
            let level = |value: u8| if value == 0 { 0 } else { 55 + 40 * value };
            let cube = index - 16;
            format!(
                "#{:02x}{:02x}{:02x}",
                level(cube / 36),
                level(cube / 6 % 6),
                level(cube % 6)
            )
        }
        232.. => {
            let gray = 8 + 10 * (index - 232);
            format!("#{gray:02x}{gray:02x}{gray:02x}")
        }
    }
}

fn escape(text: &str) -> String {
    text.replace('&', "&amp;")
        .replace('<', "&lt;")
        .replace('>', "&gt;")
}
