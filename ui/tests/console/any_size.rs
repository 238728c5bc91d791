//! Whatever the size, the colours and the characters, and whatever is open: drawing never panics
//! and stays on the screen.

use coral_ui::{Colors, Glyphs, Options};
use crossterm::event::{MouseButton, MouseEventKind};
use proptest::prelude::*;

use crate::everywhere::{self, PLACES, console_at};
use crate::harness::Console;

/// A console in a place, with or without a notice.
fn console(place: usize, noticed: bool, options: Options) -> Console {
    let mut console = console_at(options, place);
    if noticed {
        console.send(everywhere::notice("the kernel refuses the probe "));
    }
    console
}

fn any_options() -> impl Strategy<Value = Options> {
    let colors = [Colors::True, Colors::Ansi256, Colors::Ansi16, Colors::None];
    let glyphs = [Glyphs::UNICODE, Glyphs::ASCII];
    let modes = (
        prop::sample::select(colors.to_vec()),
        prop::sample::select(glyphs.to_vec()),
    );
    modes.prop_map(|(colors, glyphs)| Options {
        colors,
        glyphs,
        ..Options::default()
    })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(80))]
    #[test]
    fn every_place_draws_at_any_size(
        options in any_options(),
        columns in 0u16..=300,
        rows in 0u16..=100,
        place in 0..PLACES.len(),
        noticed: bool,
        pointer in (0u16..=250, 0u16..=80),
    ) {
        let mut console = console(place, noticed, options);
        let buffer = console.buffer(columns, rows);
        prop_assert_eq!((buffer.area.width, buffer.area.height), (columns, rows));
        for kind in [
            MouseEventKind::ScrollDown,
            MouseEventKind::ScrollUp,
            MouseEventKind::Down(MouseButton::Left),
        ] {
            let (column, row) = pointer;
            console.mouse(kind, column, row);
        }
        console.buffer(columns, rows);
        console.press("j G PgUp k g");
        console.buffer(columns, rows);
        console.buffer(rows, columns.min(100));
    }
}

#[test]
fn small_sizes_all_draw() {
    everywhere::visit(Options::default(), None, |_, console| {
        for columns in [0, 1, 39, 40, 41, 79, 80, 119, 120, 121] {
            for rows in 0..=16 {
                console.buffer(columns, rows);
            }
        }
    });
}
