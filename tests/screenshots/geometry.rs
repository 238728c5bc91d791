//! Box, block, shade and braille characters as rectangles within a cell.

use std::fmt::Write;

use crate::svg::{CELL_HEIGHT, CELL_WIDTH};

/// Rectangles in pixels of a cell, and how opaque they are.
pub(crate) struct Shape {
    rectangles: Vec<[u32; 4]>,
    opacity: f32,
}

/// The shape of a character that is drawn instead of written.
pub(crate) fn of(symbol: &str) -> Option<Shape> {
    let mut characters = symbol.chars();
    let character = characters.next()?;
    if characters.next().is_some() {
        return None;
    }
    let (rectangles, opacity) = match character {
        '\u{2500}'..='\u{257f}' => (lines(character)?, 1.0),
        '\u{2580}'..='\u{2595}' => blocks(character)?,
        '\u{2800}'..='\u{28ff}' => (dots(character as u32 - 0x2800), 1.0),
        _ => return None,
    };
    Some(Shape {
        rectangles,
        opacity,
    })
}

/// Writes the shape of a cell whose corner is at `x` and `y`.
pub(crate) fn draw(svg: &mut String, shape: &Shape, x: u32, y: u32, color: &str) {
    if shape.rectangles.is_empty() {
        return;
    }
    let mut path = String::new();
    for [left, top, width, height] in &shape.rectangles {
        let _ = write!(path, "M{} {}h{width}v{height}h-{width}z", x + left, y + top);
    }
    let opacity = if shape.opacity < 1.0 {
        format!(" fill-opacity=\"{}\"", shape.opacity)
    } else {
        String::new()
    };
    let _ = writeln!(svg, "<path fill=\"{color}\"{opacity} d=\"{path}\"/>");
}

const MIDDLE_X: u32 = CELL_WIDTH / 2 - 1;
const MIDDLE_Y: u32 = CELL_HEIGHT / 2 - 1;

/// Which of left, right, up and down a line character reaches, and how thick it is.
fn lines(character: char) -> Option<Vec<[u32; 4]>> {
    const THIN: u32 = 1;
    const THICK: u32 = 3;
    let (left, right, up, down) = match character {
        '─' | '╌' | '┄' | '┈' => (THIN, THIN, 0, 0),
        '━' | '╍' | '┅' | '┉' => (THICK, THICK, 0, 0),
        '│' | '╎' | '┆' | '┊' => (0, 0, THIN, THIN),
        '┃' | '╏' | '┇' | '┋' => (0, 0, THICK, THICK),
        '┌' | '╭' => (0, THIN, 0, THIN),
        '┐' | '╮' => (THIN, 0, 0, THIN),
        '└' | '╰' => (0, THIN, THIN, 0),
        '┘' | '╯' => (THIN, 0, THIN, 0),
        '├' => (0, THIN, THIN, THIN),
        '┤' => (THIN, 0, THIN, THIN),
        '┬' => (THIN, THIN, 0, THIN),
        '┴' => (THIN, THIN, THIN, 0),
        '┼' => (THIN, THIN, THIN, THIN),
        '╴' => (THIN, 0, 0, 0),
        '╵' => (0, 0, THIN, 0),
        '╶' => (0, THIN, 0, 0),
        '╷' => (0, 0, 0, THIN),
        '╸' => (THICK, 0, 0, 0),
        '╹' => (0, 0, THICK, 0),
        '╺' => (0, THICK, 0, 0),
        '╻' => (0, 0, 0, THICK),
        _ => return None,
    };
    let mut rectangles = Vec::new();
    let mut horizontal = |from: u32, to: u32, thick: u32| {
        if thick > 0 {
            rectangles.push([from, MIDDLE_Y - thick / 2, to - from, thick]);
        }
    };
    horizontal(0, MIDDLE_X + 1, left);
    horizontal(MIDDLE_X, CELL_WIDTH, right);
    let mut vertical = |from: u32, to: u32, thick: u32| {
        if thick > 0 {
            rectangles.push([MIDDLE_X - thick / 2, from, thick, to - from]);
        }
    };
    vertical(0, MIDDLE_Y + 1, up);
    vertical(MIDDLE_Y, CELL_HEIGHT, down);
    Some(rectangles)
}

fn blocks(character: char) -> Option<(Vec<[u32; 4]>, f32)> {
    let (width, height) = (CELL_WIDTH, CELL_HEIGHT);
    let rectangle = match character {
        '▀' => [0, 0, width, height / 2],
        '▁'..='█' => {
            let eighths = character as u32 - 0x2580;
            let filled = (height * eighths).div_ceil(8);
            [0, height - filled, width, filled]
        }
        '▉'..='▏' => {
            let eighths = 8 - (character as u32 - 0x2588);
            [0, 0, (width * eighths).div_ceil(8), height]
        }
        '▐' => [width / 2, 0, width - width / 2, height],
        '░' | '▒' | '▓' => {
            let opacity = match character {
                '░' => 0.25,
                '▒' => 0.5,
                _ => 0.75,
            };
            return Some((vec![[0, 0, width, height]], opacity));
        }
        '▔' => [0, 0, width, height.div_ceil(8)],
        '▕' => [width - width.div_ceil(8), 0, width.div_ceil(8), height],
        _ => return None,
    };
    Some((vec![rectangle], 1.0))
}

/// Braille: two columns of four dots; the bits go down the columns, the lowest row comes last.
fn dots(bits: u32) -> Vec<[u32; 4]> {
    const PLACES: [(u32, u32); 8] = [
        (0, 0),
        (0, 1),
        (0, 2),
        (1, 0),
        (1, 1),
        (1, 2),
        (0, 3),
        (1, 3),
    ];
    let (step_x, step_y) = (CELL_WIDTH / 2, CELL_HEIGHT / 4);
    PLACES
        .iter()
        .enumerate()
        .filter(|(bit, _)| bits & (1 << bit) != 0)
        .map(|(_, (column, row))| [column * step_x + 1, row * step_y + 1, 3, 3])
        .collect()
}
