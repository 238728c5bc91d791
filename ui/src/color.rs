//! What a theme's colours become on terminals that have fewer of them.

use ratatui::style::{Color, Modifier, Style};

/// The colours that a terminal has.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Colors {
    /// None, or `NO_COLOR` is set: bold, underlined and reversed remain.
    None,
    /// The sixteen of ANSI.
    Ansi16,
    /// The 256 of xterm.
    Ansi256,
    /// 24 bits.
    #[default]
    True,
}

/// A style in the colours that a terminal has.
///
/// Backgrounds become reversed text where there are fewer than 256 colours: the nearest of 16 is
/// as often as not the terminal's own background, and then a selection cannot be seen.
pub(crate) fn adapt(style: Style, colors: Colors) -> Style {
    let convert: fn(Color) -> Color = match colors {
        Colors::True => return style,
        Colors::Ansi256 => nearest_of_256,
        Colors::Ansi16 => nearest_of_16,
        Colors::None => |_| Color::Reset,
    };
    if style.bg.is_some() && matches!(colors, Colors::Ansi16 | Colors::None) {
        return Style::new()
            .fg(Color::Reset)
            .add_modifier(style.add_modifier | Modifier::REVERSED);
    }
    Style {
        fg: style.fg.map(convert),
        bg: style.bg.map(convert),
        ..style
    }
}

/// The levels of xterm's 6 x 6 x 6 colour cube.
const CUBE_LEVELS: [u8; 6] = [0, 95, 135, 175, 215, 255];

fn nearest_of_256(color: Color) -> Color {
    let Color::Rgb(r, g, b) = color else {
        return color;
    };
    let cube = (0..216u8).map(|index| {
        let level = |digit: u8| CUBE_LEVELS[usize::from(digit % 6)];
        (
            16 + index,
            (level(index / 36), level(index / 6), level(index)),
        )
    });
    let greys = (0..24u8).map(|index| {
        let level = 8 + 10 * index;
        (232 + index, (level, level, level))
    });
    cube.chain(greys)
        .min_by_key(|(_, rgb)| distance(*rgb, (r, g, b)))
        .map_or(color, |(index, _)| Color::Indexed(index))
}

const ANSI: [(Color, (u8, u8, u8)); 15] = [
    (Color::Red, (205, 0, 0)),
    (Color::Green, (0, 205, 0)),
    (Color::Yellow, (205, 205, 0)),
    (Color::Blue, (0, 0, 238)),
    (Color::Magenta, (205, 0, 205)),
    (Color::Cyan, (0, 205, 205)),
    (Color::Gray, (229, 229, 229)),
    (Color::DarkGray, (127, 127, 127)),
    (Color::LightRed, (255, 0, 0)),
    (Color::LightGreen, (0, 255, 0)),
    (Color::LightYellow, (255, 255, 0)),
    (Color::LightBlue, (92, 92, 255)),
    (Color::LightMagenta, (255, 0, 255)),
    (Color::LightCyan, (0, 255, 255)),
    (Color::DarkGray, (75, 83, 94)),
];

fn nearest_of_16(color: Color) -> Color {
    let Color::Rgb(r, g, b) = color else {
        return color;
    };
    ANSI.iter()
        .min_by_key(|(_, rgb)| distance(*rgb, (r, g, b)))
        .map_or(color, |(ansi, _)| *ansi)
}

fn distance(a: (u8, u8, u8), b: (u8, u8, u8)) -> u32 {
    let square = |a: u8, b: u8| u32::from(a.abs_diff(b)).pow(2);
    square(a.0, b.0) + square(a.1, b.1) + square(a.2, b.2)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn colours_become_the_nearest_ones() {
        let vermilion = Style::new().fg(Color::Rgb(0xd5, 0x5e, 0x00)).bold();
        let cases = [
            (Colors::True, Color::Rgb(0xd5, 0x5e, 0x00)),
            (Colors::Ansi256, Color::Indexed(166)),
            (Colors::Ansi16, Color::Red),
            (Colors::None, Color::Reset),
        ];
        for (colors, expected) in cases {
            assert_eq!(adapt(vermilion, colors), vermilion.fg(expected));
        }
    }

    #[test]
    fn a_background_stays_visible_without_colours() {
        let selection = Style::new().bg(Color::Rgb(0x26, 0x38, 0x4a));
        let reversed = Style::new().fg(Color::Reset).reversed();
        assert_eq!(adapt(selection, Colors::None), reversed);
        assert_eq!(adapt(selection, Colors::Ansi16), reversed);
    }
}
