//! Past sessions: looked at again, and repeated.

use coral_model::{EndReason, SessionId, SessionState, Snapshot};
use coral_ui::{Attach, Effect, SourceEvent};

use crate::fixture;
use crate::harness::Console;

/// The shop's session under another name and with other numbers, ended.
fn past() -> Snapshot {
    let mut snapshot = fixture::snapshot();
    snapshot.session.id = SessionId("dbg-past".into());
    snapshot.session.state = SessionState::Ended(EndReason::Expired);
    snapshot.overhead.hits_per_s = 3.0;
    for stats in &mut snapshot.functions {
        std::sync::Arc::make_mut(stats).attached = false;
    }
    snapshot
}

/// A past session selected, and a live one.
fn console() -> Console {
    let mut console = Console::open();
    console.send(SourceEvent::SessionEnded(std::sync::Arc::new(past())));
    console.snapshot(fixture::snapshot());
    console.press("Esc 5 G");
    console
}

#[test]
fn a_past_session_is_on_all_screens_until_one_goes_back() {
    let mut console = console();
    console.press("Enter 2");
    assert!(console.text(120, 40).contains("PAST SESSION"));
    console.press("L");
    assert!(console.text(120, 40).contains("LIVE"));
    console.press("5 G Enter Enter");
    assert!(console.text(120, 40).contains("LIVE"));
}

#[test]
fn the_end_of_the_process_is_told_once() {
    let mut console = Console::live();
    for _ in 0..3 {
        console.send(SourceEvent::TargetExited);
    }
    console.press("6");
    let text = console.text(120, 40);
    assert!(text.contains("Events  1, the newest first"), "{text}");
}

#[test]
fn a_past_session_can_be_repeated() {
    let mut console = Console::open();
    console.send(SourceEvent::SessionEnded(std::sync::Arc::new(past())));
    console.press("Esc 5");
    let effects = console.press("r");
    let expected: Vec<_> = past().functions.iter().map(|stats| stats.id).collect();
    let [Effect::Attach(Attach { functions, .. })] = &effects[..] else {
        panic!("{effects:?}");
    };
    assert_eq!(functions, &expected);
    let mut console = self::console();
    assert_eq!(console.press("r"), []);
    assert!(console.text(120, 40).contains("probed already"));
}
