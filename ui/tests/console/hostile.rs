//! Text from a target is data: on no screen does any of it act, hide, or take too much.

use std::sync::Arc;

use coral_model::FunctionId;
use coral_ui::{Effect, Failure, Level, Notice, Options, SourceEvent};

use crate::fixture;
use crate::harness::Console;

fn hostile_names() -> Vec<String> {
    vec![
        "main.\u{1b}[2J\u{1b}]0;owned\u{7}clear".into(),
        "main.\u{202e}gnp.exe".into(),
        "main.new\nline\tand\0nul".into(),
        "main.zero\u{200b}width\u{feff}".into(),
        format!("main.{}", "e\u{301}\u{301}".repeat(200)),
        format!("main.{}", "x".repeat(65_536)),
        format!("main.{}", "\u{1b}".repeat(65_536)),
        "main.漢字漢字漢字漢字漢字漢字漢字漢字漢字漢字漢字漢字漢字漢字".into(),
        String::new(),
    ]
}

/// A console in which everything that can come from outside is that text.
fn console(hostile: &str) -> Console {
    let table = fixture::table_of([hostile, "main.plain"]);
    let mut target = fixture::target();
    target.service = hostile.into();
    let mut console = Console::new(Options::default());
    let mut processes = fixture::processes().to_vec();
    for process in &mut processes {
        process.name = hostile.into();
        process.command = hostile.into();
        process.user = hostile.into();
        process.container = Some(hostile.into());
        process.refusal = Some(hostile.into());
    }
    console.send(SourceEvent::Processes(processes.into()));
    console.send(SourceEvent::Functions {
        target: target.clone(),
        table,
        complete: true,
    });
    console.settle();
    let mut snapshot = fixture::snapshot();
    snapshot.session.id.0 = hostile.into();
    snapshot.session.requested_by = hostile.into();
    snapshot.session.target = target;
    for call in &mut snapshot.slow_calls {
        call.function = FunctionId(0);
    }
    let stats = Arc::make_mut(&mut snapshot.functions[0]);
    (stats.id, stats.name, stats.reason) = (FunctionId(0), hostile.into(), Some(hostile.into()));
    snapshot.functions.truncate(1);
    console.snapshot(snapshot);
    console.send(SourceEvent::Notice(Notice {
        level: Level::Warning,
        code: Some(hostile.into()),
        message: hostile.into(),
        help: hostile.into(),
    }));
    console
}

#[test]
fn nothing_acts_on_any_screen() {
    for name in hostile_names() {
        let mut console = console(&name);
        for screen in ["1", "2", "3", "4", "5", "6"] {
            console.press(screen);
            for (columns, rows) in [(40, 12), (80, 24), (160, 48)] {
                let buffer = console.buffer(columns, rows);
                for cell in buffer.content() {
                    let symbol = cell.symbol();
                    assert_eq!(coral_model::escape(symbol), symbol, "on screen {screen}");
                    assert!(symbol.chars().count() <= 1, "{symbol:?} on screen {screen}");
                }
            }
        }
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
