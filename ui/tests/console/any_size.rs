//! Whatever the size and whatever is open, drawing never panics and stays on the screen.

use std::sync::Arc;

use coral_ui::{Event, Glyphs, Options, SourceEvent};
use crossterm::event::{KeyModifiers, MouseButton, MouseEvent, MouseEventKind};
use proptest::prelude::*;

use crate::fixture;
use crate::harness::Console;

/// A console on a screen, with a filter, a notice, or an overlay open.
fn console(screen: u8, above: u8, ascii: bool) -> Console {
    let glyphs = if ascii {
        Glyphs::ASCII
    } else {
        Glyphs::UNICODE
    };
    let options = Options {
        glyphs,
        ..Options::default()
    };
    let mut console = Console::open_with(options, fixture::table());
    console.send(SourceEvent::Processes(fixture::processes()));
    console.send(SourceEvent::SessionEnded(Arc::new(fixture::ended())));
    let mut live = fixture::snapshot();
    live.session.id.0 = "dbg-2".into();
    console.snapshot(live);
    console.press(&screen.to_string());
    match above {
        1 => console.press("?"),
        2 => console.press("/ c a"),
        3 => console.press("c x s s s"),
        4 => console.press("{ w"),
        5 => console.press(": a"),
        6 => console.press("@ m a i"),
        7 => console.press("' e"),
        8 => console.press("W m i n e"),
        9 => console.press("2 / p 9 9 Space > Space 1 0 Space n o"),
        _ => console.press("Esc"),
    };
    console.send(SourceEvent::SourceText {
        file: "/src/shop/checkout.go".into(),
        first_line: 50,
        lines: (50..70).map(|line| format!("\tline {line}")).collect(),
    });
    console
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(400))]
    #[test]
    fn every_screen_draws_at_any_size(
        columns in 0u16..=250,
        rows in 0u16..=80,
        screen in 1u8..=6,
        above in 0u8..=9,
        ascii: bool,
        pointer in (0u16..=250, 0u16..=80),
    ) {
        let mut console = console(screen, above, ascii);
        let buffer = console.buffer(columns, rows);
        prop_assert_eq!((buffer.area.width, buffer.area.height), (columns, rows));
        for kind in [
            MouseEventKind::ScrollDown,
            MouseEventKind::ScrollUp,
            MouseEventKind::Down(MouseButton::Left),
        ] {
            let (column, row) = pointer;
            console.event(Event::Mouse(MouseEvent {
                kind,
                column,
                row,
                modifiers: KeyModifiers::NONE,
            }));
        }
        console.buffer(columns, rows);
        console.press("j G PgUp k g");
        console.buffer(columns, rows);
    }
}

#[test]
fn small_sizes_all_draw() {
    for screen in 1..=6 {
        for above in 0..=6 {
            let mut console = console(screen, above, false);
            for columns in [0, 1, 39, 40, 41, 79, 80, 119, 120, 121] {
                for rows in 0..=16 {
                    console.buffer(columns, rows);
                }
            }
        }
    }
}
