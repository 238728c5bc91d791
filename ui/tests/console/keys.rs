//! What keys do that concerns no probe: leaving, going back, screens, help.

use coral_model::Target;
use coral_ui::{COMMANDS, Effect, Event, OpenTarget, Options, Screen, SourceEvent};
use crossterm::event::{KeyCode, KeyEvent, KeyEventKind, KeyModifiers};
use crossterm::event::{MouseButton, MouseEventKind};

use crate::fixture;
use crate::harness::Console;

#[test]
fn ctrl_c_quits_at_once_wherever_one_is() {
    for before in ["", "?", "/ c", "1", "6", "3"] {
        let mut console = Console::live();
        console.press(before);
        assert_eq!(console.press("Ctrl-C"), [Effect::Quit], "after {before:?}");
    }
    let mut console = Console::new(Options::default());
    assert_eq!(console.press("Ctrl-C"), [Effect::Quit], "with nothing open");
}

#[test]
fn esc_never_quits() {
    for before in ["", "?", "/ c", "1", "2", "6", "3", "D"] {
        let mut console = Console::live();
        console.press(before);
        assert_eq!(console.press("Esc Esc Esc"), [], "after {before:?}");
    }
}

#[test]
fn q_goes_back_and_quits_only_at_home() {
    let mut console = Console::live();
    assert_eq!(console.press("3 q"), []);
    assert_eq!(console.state.screen(), Screen::Functions);
    assert_eq!(console.press("? q"), []);
    assert_eq!(console.press("q"), [Effect::Quit]);
}

#[test]
fn tabs_go_round() {
    let mut console = Console::live();
    let screens = ["3", "4", "5", "6", "2"].map(|key| {
        console.press(key);
        console.state.screen()
    });
    use Screen::{Calls, Events, Functions, Latency, Sessions};
    assert_eq!(screens, [Latency, Calls, Sessions, Events, Functions]);
    console.press("Tab Tab Tab Tab");
    assert_eq!(console.state.screen(), Events);
    console.press("Tab");
    assert_eq!(console.state.screen(), Screen::Processes);
    console.press("Shift-Tab");
    assert_eq!(console.state.screen(), Events);
}

#[test]
fn a_released_key_does_nothing() {
    let mut console = Console::live();
    let mut key = KeyEvent::new(KeyCode::Char('q'), KeyModifiers::NONE);
    key.kind = KeyEventKind::Release;
    assert_eq!(console.event(Event::Key(key)), []);
}

#[test]
fn clicking_selects_rows_and_tabs() {
    let mut console = Console::live();
    console.resize(80, 24);
    let click = MouseEventKind::Down(MouseButton::Left);
    console.mouse(click, 20, 7);
    assert!(console.text(80, 24).contains("▌● main.serveForever"));
    console.mouse(click, 40, 2);
    assert_eq!(console.state.screen(), Screen::Calls);
}

#[test]
fn every_command_is_in_the_help_of_its_screen() {
    for (screen, title) in [("1", "Processes"), ("2", "Functions"), ("3", "Latency")] {
        let mut console = Console::live();
        console.press(screen);
        console.press("?");
        let text = console.text(120, 300);
        for info in COMMANDS {
            assert!(text.contains(info.help), "{} on {title}", info.name);
        }
    }
}

#[test]
fn the_footer_shows_configured_keys() {
    let keymap = coral_ui::Keymap::new(&[("toggle-probe".into(), vec!["t".into()])]).unwrap();
    let options = Options {
        keymap,
        ..Options::default()
    };
    let mut console = Console::open_with(options, fixture::table());
    let text = console.text(80, 24);
    assert!(text.contains(" t probe on/off "), "{text}");
    assert!(text.contains("Press t to measure"), "{text}");
}

#[test]
fn processes_are_listed_again_while_they_are_shown() {
    let (mut console, second) = (
        Console::new(Options::default()),
        std::time::Duration::from_secs(1),
    );
    console.send(SourceEvent::Processes(fixture::processes()));
    assert_eq!(console.advance(second), []);
    assert_eq!(console.advance(second), [Effect::ListProcesses]);
    assert_eq!(console.press("2"), []);
    assert_eq!(console.advance(9 * second), []);
}

#[test]
fn opening_a_process_asks_for_it_and_says_why_not() {
    let mut console = Console::new(Options::default());
    console.send(SourceEvent::Processes(fixture::processes()));
    assert_eq!(console.press("G Enter"), [], "a kernel thread");
    assert!(
        console
            .text(80, 24)
            .contains("cannot be probed: a kernel thread")
    );
    assert_eq!(
        console.press("g Enter"),
        [Effect::Open(OpenTarget::Process(4242))]
    );
    assert!(console.text(80, 24).contains("OPENING 4242…"));
    let target = Target {
        pid: 4242,
        ..fixture::target()
    };
    console.send(SourceEvent::Functions {
        target,
        table: fixture::table(),
        complete: true,
    });
    assert_eq!(
        console.press("1 Enter"),
        [Effect::ListProcesses],
        "it is open already"
    );
    assert_eq!(console.state.screen(), Screen::Functions);
}
