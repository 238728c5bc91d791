//! Text from a target is data: in no place does any of it act, hide, or take too much.

use std::collections::BTreeSet;

use coral_model::escape;
use coral_ui::{Effect, Failure, Glyphs, Options, SourceEvent};
use ratatui::buffer::Buffer;
use unicode_width::{UnicodeWidthChar, UnicodeWidthStr};

use crate::everywhere;
use crate::fixture;
use crate::harness::Console;

const SIZES: [(u16, u16); 3] = [(160, 48), (80, 24), (60, 20)];

/// All tables that can be exported.
const VIEWS: [&str; 16] = [
    "call-tree",
    "calls",
    "events",
    "functions",
    "in-flight",
    "latency",
    "latency-comparison",
    "latency-heatmap",
    "latency-percentiles",
    "processes",
    "replicas",
    "sandwich",
    "services",
    "sessions",
    "sql",
    "trace",
];

/// What the text is, and the text.
fn hostile_texts() -> [(&'static str, String); 14] {
    [
        ("escape sequences", "main.\u{1b}[2J\u{1b}[31m\u{1b}cclear".into()),
        ("a title and the clipboard", "\u{1b}]0;owned\u{7}\u{1b}]52;c;b3duZWQ=\u{1b}\\".into()),
        ("C1", "main.\u{9b}31m\u{9d}52;c;eA==\u{9c}\u{85}\u{90}".into()),
        ("overrides", "main.\u{202e}gnp.exe\u{202d}\u{202a}\u{202b}\u{202c}".into()),
        ("isolates and marks", "\u{2066}a\u{2067}b\u{2068}c\u{2069}\u{200e}\u{200f}\u{61c}".into()),
        ("zero width", "main.zero\u{200b}w\u{200c}i\u{200d}d\u{2060}t\u{feff}h\u{ad}".into()),
        ("nothing and new lines", "main.new\nline\r\ttab\0nul\u{8}\u{c}\u{2028}\u{7f}".into()),
        ("invalid UTF-8", String::from_utf8_lossy(b"main.\xff\xfe\xc0\xafx").into_owned()),
        ("64 KiB", format!("main.{}", "x".repeat(65_536))),
        ("64 KiB of escapes", "\u{1b}".repeat(65_536)),
        ("emoji", "\u{1f9ea}\u{1f468}\u{200d}\u{1f469}\u{1f44d}\u{1f3fd}\u{1f1e9}\u{1f1ea}\u{2764}\u{fe0f}".repeat(9)),
        ("wide letters", "main.漢字".repeat(20)),
        ("combining marks", format!("main.{}", "e\u{301}\u{336}\u{489}".repeat(200))),
        ("nothing at all", String::new()),
    ]
}

/// No character acts or hides, and every row is as wide as the screen.
fn check(buffer: &Buffer, context: &str) {
    for y in 0..buffer.area.height {
        let mut x = 0;
        while x < buffer.area.width {
            let symbol = buffer[(x, y)].symbol();
            for character in symbol.chars() {
                let is_seen = character.width().is_some_and(|width| width > 0);
                assert!(is_seen && !acts(character), "{symbol:?}, {context}");
            }
            let columns = symbol.width() as u16;
            let apart: usize = symbol.chars().filter_map(UnicodeWidthChar::width).sum();
            assert_eq!(
                usize::from(columns),
                apart,
                "terminals disagree about {symbol:?}, {context}"
            );
            for covered in x + 1..(x + columns).min(buffer.area.width) {
                let covered = buffer[(covered, y)].symbol();
                assert_eq!(covered, " ", "behind {symbol:?}, {context}");
            }
            x += columns.max(1);
        }
        assert_eq!(x, buffer.area.width, "row {y}, {context}");
    }
}

/// Whether a character moves others about, by Unicode's list of them, or does something.
fn acts(character: char) -> bool {
    character.is_control()
        || matches!(character, '\u{61c}' | '\u{200b}'..='\u{200f}' | '\u{202a}'..='\u{202e}')
        || matches!(
            character,
            '\u{2028}' | '\u{2029}' | '\u{2060}'..='\u{2069}' | '\u{feff}'
        )
}

#[test]
fn nothing_acts_in_any_place() {
    for (kind, text) in &hostile_texts() {
        everywhere::visit(Options::default(), Some(text), |place, console| {
            for size in SIZES {
                let context = format!("{kind}, {place}, {size:?}");
                check(&console.buffer(size.0, size.1), &context);
            }
        });
    }
}

#[test]
fn notices_act_as_little_as_names() {
    for (kind, text) in &hostile_texts() {
        let mut console = Console::live();
        console.send(everywhere::notice(text));
        console.send(SourceEvent::Exported {
            path: text.clone(),
            command: Some(text.clone()),
            rows_left_out: 1,
        });
        for screen in ["1", "2", "3", "4", "5", "6"] {
            console.press(screen);
            for size in SIZES {
                let context = format!("{kind}, {screen}, {size:?}");
                check(&console.buffer(size.0, size.1), &context);
            }
        }
    }
}

#[test]
fn what_lies_above_cuts_no_wide_letter_in_half() {
    let mut console = Console::open_with(
        Options::default(),
        fixture::table_of(["漢字漢字漢字漢字漢字漢字"; 90]),
    );
    for overlay in ["?", ":", "Ctrl-P"] {
        console.press(overlay);
        for columns in 60..=120 {
            check(
                &console.buffer(columns, 24),
                &format!("{overlay}, {columns} columns"),
            );
        }
        console.press("Esc");
    }
}

#[test]
fn ascii_terminals_get_ascii_whatever_the_text() {
    let options = Options {
        glyphs: Glyphs::ASCII,
        ..Options::default()
    };
    for (kind, text) in &hostile_texts() {
        everywhere::visit(options.clone(), Some(text), |place, console| {
            let text = console.text(80, 24);
            assert!(text.is_ascii(), "{kind}, {place}: {text}");
        });
    }
}

#[test]
fn exports_and_copies_have_their_columns_and_commands_that_do_not_act() {
    for (kind, text) in &hostile_texts() {
        let mut views = BTreeSet::new();
        everywhere::visit(Options::default(), Some(text), |place, console| {
            // Where something is typed, these are letters of it.
            if place.contains("typing") || place == "function finder" {
                return;
            }
            for effect in console.press("e y") {
                match effect {
                    Effect::ExportView(view) => {
                        let columns = view.columns.len();
                        assert!(view.rows.iter().all(|row| row.len() == columns), "{place}");
                        let command = view.command.unwrap_or_default();
                        assert_eq!(escape(&command), command, "{kind}, {place}");
                        views.insert(view.view);
                    }
                    Effect::Copy(command) => assert_eq!(escape(&command), command, "{kind}"),
                    _ => {}
                }
            }
        });
        assert_eq!(Vec::from_iter(views), VIEWS, "{kind}");
    }
}

#[test]
fn a_filter_shows_what_was_pasted_escaped() {
    let mut console = Console::open();
    console.press("/");
    console.event(coral_ui::Event::Paste("\u{1b}[2J\u{202e}x".into()));
    console.settle();
    let text = console.text(80, 24);
    assert!(text.contains("/\\u{1b}[2J\\u{202e}x"), "{text}");
}

#[test]
fn a_name_that_could_act_is_never_copied() {
    let mut console = Console::open_with(Options::default(), fixture::table_of(["main.\u{1b}[2J"]));
    assert_eq!(console.press("y"), [], "refused with a notice");
    let mut console = Console::open();
    let effects = console.press("y");
    assert_eq!(
        effects,
        [Effect::Copy(
            "coral debug attach --pid 4242 --function 'main.(*Cart).Add' --duration 60s".into()
        )]
    );
}

#[test]
fn a_failure_of_any_length_leaves_room_for_the_screen() {
    let mut console = Console::live();
    console.send(SourceEvent::OpenFailed(Failure {
        code: "no-such-process".into(),
        message: "word ".repeat(10_000),
        help: "word ".repeat(10_000),
    }));
    let text = console.text(80, 24);
    assert!(text.contains("Processes"), "{text}");
    assert_eq!(text.matches("error[no-such-process]").count(), 1);
}
