//! Sessions that were not started here: listed, looked at, watched, and left again.

use std::sync::Arc;
use std::time::Duration;

use coral_model::{EndReason, FunctionId, SessionId, SessionState, Snapshot};
use coral_ui::{Effect, Failure, OpenedSession, Options, Screen, SourceEvent};

use crate::harness::Console;
use crate::screens::check_at;
use crate::{colony, fixture};

fn options() -> Options {
    Options {
        has_history: true,
        ..Options::default()
    }
}

fn id(id: &str) -> SessionId {
    SessionId(id.into())
}

/// On the sessions screen, with a live session of its own and those of everybody.
fn console() -> Console {
    let mut console = Console::open_with(options(), fixture::table());
    console.snapshot(fixture::snapshot());
    assert_eq!(console.press("5"), [Effect::ListHistory]);
    console.send(SourceEvent::History(colony::history().into()));
    console
}

/// The session as its source opens it, its functions with the ids of its own table.
fn opened(id: &str) -> OpenedSession {
    let mut opened = colony::opened(id);
    let (at, snapshot) = opened.moments.pop().unwrap();
    opened
        .moments
        .push((at, Arc::new(renumbered((*snapshot).clone()))));
    opened
}

/// The checkout is the second function of the table that a past session comes with.
fn renumbered(mut snapshot: Snapshot) -> Snapshot {
    snapshot.functions.truncate(1);
    Arc::make_mut(&mut snapshot.functions[0]).id = FunctionId(1);
    for replica in snapshot.replicas.iter_mut().map(Arc::make_mut) {
        replica.functions.truncate(1);
    }
    snapshot
}

/// Opens the session that the keys select.
fn visiting(keys: &str, session: &str) -> Console {
    let mut console = console();
    let effects = console.press(&format!("{keys} Enter"));
    assert_eq!(
        effects,
        [Effect::OpenSession {
            session: id(session)
        }]
    );
    assert!(
        console
            .text(120, 30)
            .contains(&format!("opening {session}"))
    );
    assert_eq!(
        console.send(SourceEvent::SessionOpened(Box::new(opened(session)))),
        []
    );
    console.settle();
    console
}

#[test]
fn sessions_of_everybody_say_who_on_what_and_why_they_ended() {
    let mut console = console();
    for size in [(80, 24), (160, 48)] {
        check_at("sessions_shared", &mut console, size);
    }
    console.press("G k");
    let text = console.text(100, 30);
    for words in [
        "Sessions  2 live, 2 ended",
        "checkout on 3 replicas by bob",
        "its probes cost more than the budget",
        "2 functions, 1.24k calls kept: main.handleCheckout, main.priceOf",
        "Enter opens it on all screens",
    ] {
        assert!(text.contains(words), "without {words:?}: {text}");
    }
    let listed = console.advance(Duration::from_secs(5));
    assert_eq!(listed, [Effect::ListHistory], "it is listed again");
}

#[test]
fn a_past_session_is_on_the_same_screens_and_leaves_what_is_open_as_it_was() {
    let mut console = visiting("G", "dbg-old");
    assert_eq!(console.state.screen(), Screen::Functions);
    check_at("visit_past", &mut console, (80, 24));
    let text = console.text(120, 30);
    assert!(text.contains("PAST SESSION"), "{text}");
    assert!(text.contains("other.first"), "its own functions: {text}");
    assert!(text.contains("on 2 replicas"), "{text}");
    console.press("R");
    assert!(console.text(120, 30).contains("4301"));
    // What goes on meanwhile is there afterwards.
    let mut newer = fixture::snapshot();
    Arc::make_mut(&mut newer.functions[0]).calls = 777_000;
    console.snapshot(newer);
    assert!(console.text(120, 30).contains("PAST SESSION"));
    assert_eq!(
        console.press("Esc Esc"),
        [Effect::CloseSession {
            session: id("dbg-old")
        }]
    );
    let text = console.text(120, 30);
    assert!(text.contains("LIVE") && text.contains("777k"), "{text}");
    assert!(!text.contains("other.first"), "{text}");
}

#[test]
fn a_session_of_somebody_else_is_watched_without_being_owned() {
    let mut console = visiting("j", "dbg-ann");
    let text = console.text(120, 30);
    assert!(text.contains("WATCHING ann: LIVE"), "{text}");
    let (_, snapshot) = opened("dbg-ann").moments.pop().unwrap();
    let mut newer = (*snapshot).clone();
    Arc::make_mut(&mut newer.functions[0]).calls = 888_000;
    console.send(SourceEvent::Visited(newer.clone().into()));
    assert!(console.text(120, 30).contains("888,000 calls"));
    assert_eq!(console.press("g Space"), [], "it cannot be probed in");
    assert!(console.text(120, 30).contains("was not started here"));
    newer.session.state = SessionState::Ended(EndReason::Detached);
    console.send(SourceEvent::Visited(newer.into()));
    assert!(console.text(120, 30).contains("WATCHING ann: ENDED"));
    assert_eq!(
        console.press("L"),
        [Effect::CloseSession {
            session: id("dbg-ann")
        }]
    );
    assert!(console.text(120, 30).contains("\u{25cf} LIVE"));
    assert_eq!(console.press("u"), [], "what ended was not this console's");
}

#[test]
fn what_is_heard_of_a_session_that_was_left_is_nobodys() {
    let mut console = visiting("j", "dbg-ann");
    console.press("L D");
    console.send(SourceEvent::SessionEnded(Arc::new(fixture::ended())));
    console.press("5");
    let before = console.text(120, 30);
    let (_, snapshot) = opened("dbg-ann").moments.pop().unwrap();
    let mut late = (*snapshot).clone();
    console.send(SourceEvent::Visited(late.clone().into()));
    late.session.state = SessionState::Ended(EndReason::Expired);
    console.send(SourceEvent::Visited(late.into()));
    console.send(SourceEvent::VisitLost {
        session: id("dbg-ann"),
        why: "it is gone".into(),
    });
    assert_eq!(console.text(120, 30), before);
    // What can be attached again is what was this console's own.
    let effects = console.press("u");
    let [Effect::Attach(again)] = &effects[..] else {
        panic!("{effects:?}");
    };
    let own = fixture::snapshot().functions;
    let own: Vec<FunctionId> = own.iter().map(|stats| stats.id).collect();
    assert_eq!(again.functions, own);
}

#[test]
fn detaching_everything_works_from_there() {
    let mut console = visiting("j", "dbg-ann");
    let close = Effect::CloseSession {
        session: id("dbg-ann"),
    };
    assert_eq!(console.press("D"), [Effect::DetachAll, close]);
}

#[test]
fn what_is_somebody_elses_is_not_detached() {
    let mut console = visiting("j", "dbg-ann");
    console.send(SourceEvent::SessionEnded(Arc::new(fixture::ended())));
    assert_eq!(console.press("D"), [], "nothing of its own is live");
    let text = console.text(120, 30);
    assert!(text.contains("was not started here"), "{text}");
    assert!(text.contains("WATCHING ann: LIVE"), "{text}");
    assert!(!text.contains("Detaching everything"), "{text}");
}

#[test]
fn what_cannot_be_opened_says_why_and_what_comes_too_late_is_closed() {
    let mut console = console();
    console.press("G Enter");
    console.send(SourceEvent::SessionNotOpened {
        session: id("dbg-old"),
        failure: Failure {
            code: "no-such-session".into(),
            message: "the history holds it no more".into(),
            help: "sessions are kept for 7 days".into(),
        },
    });
    let text = console.text(120, 30);
    assert!(
        text.contains("the history holds it no more") && !text.contains("opening"),
        "{text}"
    );
    console.press("Enter 2");
    let late = console.send(SourceEvent::SessionOpened(Box::new(opened("dbg-old"))));
    assert_eq!(
        late,
        [Effect::CloseSession {
            session: id("dbg-old")
        }]
    );
    assert!(!console.text(120, 30).contains("PAST"));
}

#[test]
fn a_session_that_is_left_can_be_exchanged_for_another() {
    let mut console = visiting("G", "dbg-old");
    console.press("5 k");
    let effects = console.press("Enter");
    let open = Effect::OpenSession {
        session: id("dbg-bob"),
    };
    let close = Effect::CloseSession {
        session: id("dbg-old"),
    };
    assert_eq!(effects, [open, close]);
    console.send(SourceEvent::SessionOpened(Box::new(opened("dbg-bob"))));
    console.press("5");
    assert_eq!(
        console.press("Enter"),
        [Effect::CloseSession {
            session: id("dbg-bob")
        }]
    );
    assert!(console.text(120, 30).contains("\u{25cf} LIVE"));
}

#[test]
fn without_a_history_nobody_is_asked_for_one() {
    let mut console = Console::live();
    assert_eq!(console.press("5"), []);
    assert_eq!(console.advance(Duration::from_secs(60)), []);
}
