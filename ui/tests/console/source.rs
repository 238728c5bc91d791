//! The source of functions.

use coral_ui::{Effect, Failure, SourceEvent};

use crate::harness::Console;

const FILE: &str = "/src/shop/checkout.go";

fn asked() -> Console {
    let mut console = Console::live();
    let effects = console.press("w");
    let (file, line) = (FILE.to_owned(), 57);
    assert_eq!(effects, [Effect::ReadSource { file, line }]);
    console
}

#[test]
fn the_lines_around_the_function_are_shown() {
    let mut console = asked();
    assert!(console.text(80, 24).contains("reading it"));
    let lines = (41..=80).map(|line| format!("\tline {line} \u{202e}of\u{1b}[31m it"));
    console.send(SourceEvent::SourceText {
        file: FILE.into(),
        first_line: 41,
        lines: lines.collect(),
    });
    insta::assert_snapshot!("source_80x24", console.screen(80, 24));
    console.press("j j");
    assert!(console.text(80, 24).contains("line 72"));
    let (file, line) = (FILE.to_owned(), 57);
    assert_eq!(console.press("o"), [Effect::Edit { file, line }]);
    console.press("Esc");
    assert!(!console.text(80, 24).contains("line 57"));
}

#[test]
fn what_cannot_be_shown_says_why() {
    let mut console = asked();
    console.send(SourceEvent::SourceFailed {
        file: FILE.into(),
        failure: Failure {
            code: "no-source".into(),
            message: "the source cannot be shown: no such file".into(),
            help: "run coral where the sources are".into(),
        },
    });
    let text = console.text(80, 24);
    assert!(
        text.contains("no such file") && text.contains("run coral where"),
        "{text}"
    );
}
