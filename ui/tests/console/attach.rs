//! Attaching with options, the filter of a session, and taking a detach back.

use std::sync::Arc;
use std::time::Duration;

use coral_model::filter::Expression;
use coral_model::{
    Capture, EndReason, ExpectedCost, FunctionId, ProbeSummary, Probeability, SessionSettings,
    SessionState,
};
use coral_ui::{Attach, AttachTo, Effect, Options, SourceEvent};

use crate::fixture::{self, ADD, CHECKOUT};
use crate::harness::Console;
use crate::screens::check_at;

/// The one order among effects.
fn order(effects: &[Effect]) -> &Attach {
    match effects {
        [Effect::Attach(attach)] => attach,
        other => panic!("{other:?}"),
    }
}

fn expected(percent: f64) -> ExpectedCost {
    ExpectedCost {
        hits_per_s: 77e6,
        cpu_percent: Some(percent),
        dearest: Some((ADD, percent)),
        counted: Duration::from_millis(100),
        is_at_least: true,
    }
}

#[test]
fn what_is_filled_in_is_attached_in_a_session_of_its_own() {
    let mut console = Console::open();
    console.press("a Tab");
    console.press("Backspace Backspace Backspace");
    console.type_text("2m");
    console.press("Tab Backspace");
    console.type_text("10");
    console.press("Tab");
    console.type_text("1.5ms");
    console.press("Tab Space Tab Tab");
    console.type_text("amount > 100");
    let effects = console.press("Enter");
    let settings = SessionSettings {
        duration: Duration::from_secs(120),
        sample_rate: 10,
        min: Duration::from_micros(1500),
        capture: Capture {
            arguments: true,
            results: false,
        },
        filter: Some(Expression::parse("amount > 100").unwrap()),
        ..SessionSettings::default()
    };
    let wanted = Attach {
        functions: vec![ADD],
        settings,
        session: AttachTo::New,
        is_confirmed: false,
    };
    assert_eq!(order(&effects), &wanted);
    console.send(SourceEvent::Attached {
        functions: vec![ADD],
        left_out: vec![],
        probes: 3,
    });
    let text = console.text(160, 48);
    let command = "coral debug attach --pid 4242 --function 'main.(*Cart).Add' --duration 120s \
                   --sample-rate 10";
    assert!(text.contains(command), "{text}");
}

#[test]
fn what_means_nothing_is_said_in_place_and_nothing_is_lost() {
    let mut console = Console::open();
    console.press("a Tab");
    console.type_text("x");
    assert_eq!(console.press("Enter"), []);
    let text = console.text(80, 24);
    assert!(text.contains("60sx"), "{text}");
    console.press("Backspace");
    assert_eq!(order(&console.press("Enter")).functions, [ADD]);
}

#[test]
fn groups_are_what_is_in_front_and_a_pattern() {
    let names = ["main.a", "main.b", "http.serve", "main.c"];
    let mut console = Console::open_with(Options::default(), fixture::table_of(names));
    console.press("a Left");
    console.press("Tab");
    console.type_text("main.*");
    assert!(
        console.text(80, 24).contains("3 functions"),
        "{}",
        console.text(80, 24)
    );
    let ids = [0, 1, 3].map(FunctionId);
    assert_eq!(order(&console.press("Enter")).functions, ids);
    console.press("a Left Left");
    assert!(console.text(80, 24).contains("the same as last"));
    assert_eq!(order(&console.press("Enter")).functions, ids);
}

#[test]
fn without_a_function_there_is_no_command_line() {
    let names = ["main.load", "db.load"];
    let mut console = Console::open_with(Options::default(), fixture::table_of(names));
    console.press("a Left Tab");
    for typed in ["", "load", "ing"] {
        console.type_text(typed);
        let text = console.text(80, 24);
        assert!(!text.contains("coral debug attach"), "{typed}: {text}");
    }
    console.press("Ctrl-U");
    console.type_text(" main.load ");
    let text = console.text(80, 24);
    assert!(text.contains("--function main.load --duration"), "{text}");
}

#[test]
fn a_form_that_is_open_learns_what_can_be_probed() {
    let names = ["main.a", "main.b", "main.c"];
    let mut console = Console::open_with(Options::default(), fixture::table_of(names));
    console.press("a Left Tab");
    console.type_text("main.*");
    let text = console.text(80, 24);
    assert!(
        text.contains("3 functions, their probes are not planned yet"),
        "{text}"
    );
    let mut table = fixture::builder_of(names);
    let plans = [
        (Probeability::Full, 2),
        (Probeability::None, 0),
        (Probeability::Full, 1),
    ];
    for (id, (probe, exits)) in (0..).map(FunctionId).zip(plans) {
        let plan = ProbeSummary {
            probe,
            exits,
            reason: None,
        };
        table.set_plan(id, plan);
    }
    console.send(SourceEvent::Functions {
        target: fixture::target(),
        table: Arc::new(table.build()),
        complete: true,
    });
    let text = console.text(80, 24);
    assert!(
        text.contains("2 functions, 5 probes; 1 cannot be probed"),
        "{text}"
    );
}

#[test]
fn a_name_in_the_form_means_one_function_or_is_refused() {
    let names = ["main.load", "main.Load", "db.load", "load"];
    let mut console = Console::open_with(Options::default(), fixture::table_of(names));
    console.press("a Left Tab");
    console.type_text("load");
    assert_eq!(
        order(&console.press("Enter")).functions,
        [FunctionId(3)],
        "the whole name"
    );
    let names = ["main.load", "db.load"];
    let mut console = Console::open_with(Options::default(), fixture::table_of(names));
    console.press("a Left Tab");
    console.type_text("load");
    assert_eq!(console.press("Enter"), []);
    let text = console.text(80, 24);
    assert!(text.contains("it could be any of 2 functions"), "{text}");
}

#[test]
fn callees_are_asked_for_and_attached() {
    let mut console = Console::open();
    console.press("a");
    assert_eq!(
        console.press("Right"),
        [Effect::FindCallees { function: ADD }]
    );
    assert!(console.text(80, 24).contains("reading its code"));
    assert_eq!(console.press("Enter"), [], "not known yet");
    console.send(SourceEvent::Callees {
        function: ADD,
        callees: vec![CHECKOUT],
    });
    assert_eq!(order(&console.press("Enter")).functions, [CHECKOUT]);
}

#[test]
fn what_costs_more_than_its_budget_is_asked_about_and_not_answered_by_chance() {
    let mut console = Console::open();
    let attach = order(&console.press("Space")).clone();
    let costly = SourceEvent::Costly {
        attach: Box::new(attach.clone()),
        expected: expected(369.0),
    };
    console.send(costly.clone());
    let text = console.text(80, 24);
    assert!(text.contains("at least 77.0M hits/s, 369.0 % of"), "{text}");
    assert_eq!(console.press("Enter"), [], "a key that was on its way");
    console.advance(Duration::from_secs(1));
    let confirmed = Attach {
        is_confirmed: true,
        ..attach
    };
    assert_eq!(order(&console.press("Enter")), &confirmed);
    console.press("/");
    console.send(costly);
    let text = console.text(80, 24);
    assert!(
        text.contains("Not attached: at least 77.0M hits/s"),
        "{text}"
    );
}

#[test]
fn a_detach_can_be_taken_back() {
    let mut console = Console::live();
    console.press("Space");
    let effects = console.press("u");
    assert_eq!(order(&effects).functions.len(), 1);
    assert_eq!(console.press("u"), [], "once");
    let mut console = Console::live();
    console.press("D");
    let effects = console.press("u");
    let again = order(&effects);
    let attached: Vec<FunctionId> = fixture::snapshot()
        .functions
        .iter()
        .map(|stats| stats.id)
        .collect();
    assert_eq!(again.functions, attached);
    assert_eq!(again.session, AttachTo::New);
}

#[test]
fn the_filter_of_a_live_session_is_changed_and_taken_away() {
    let mut console = Console::live();
    let session = fixture::snapshot().session.id;
    console.press("F");
    console.type_text("amount > ");
    assert_eq!(console.press("Enter"), []);
    console.type_text("100");
    assert_eq!(
        console.press("Enter"),
        [Effect::SetFilter {
            session: session.clone(),
            filter: Some(Expression::parse("amount > 100").unwrap()),
        }]
    );
    let mut snapshot = fixture::snapshot();
    snapshot.session.settings.filter = Some(Expression::parse("amount > 100").unwrap());
    console.send(SourceEvent::Snapshot(Arc::new(snapshot)));
    console.press("F");
    assert!(console.text(80, 24).contains("amount > 100"));
    console.press("Ctrl-U");
    assert_eq!(
        console.press("Enter"),
        [Effect::SetFilter {
            session,
            filter: None
        }]
    );
}

#[test]
fn form_screens() {
    let mut console = Console::live();
    console.press("a Tab Tab Tab");
    check_at("attach", &mut console, (80, 24));
    check_at("attach", &mut console, (40, 12));
    console.press("Esc F");
    check_at("session_filter", &mut console, (80, 24));
}

/// An agent that is told to end detaches what nobody here has detached.
#[test]
fn what_others_detached_can_be_attached_again() {
    let mut console = Console::live();
    let mut ended = fixture::ended();
    ended.session.state = SessionState::Ended(EndReason::Detached);
    console.send(SourceEvent::SessionEnded(Arc::new(ended)));
    let effects = console.press("u");
    assert_eq!(
        order(&effects).functions.len(),
        fixture::snapshot().functions.len()
    );
    assert_eq!(console.press("u"), [], "once");
}
