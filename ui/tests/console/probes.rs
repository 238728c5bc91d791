//! What changes something in the target, and what is refused.

use std::sync::Arc;
use std::time::Duration;

use coral_model::{FunctionId, Limits, SessionSettings};
use coral_ui::{Attach, AttachTo, Effect, Options, SourceEvent, Start};

use crate::fixture::{self, ADD, CHECKOUT, SERVE_FOREVER};
use crate::harness::Console;

const LEASE: Duration = Duration::from_secs(60);

fn attach(functions: &[FunctionId]) -> Vec<Effect> {
    vec![Effect::Attach(Attach {
        functions: functions.to_vec(),
        settings: SessionSettings::default(),
        session: AttachTo::Newest,
        is_confirmed: false,
    })]
}

fn detach(functions: &[FunctionId]) -> Vec<Effect> {
    vec![Effect::Detach {
        functions: functions.to_vec(),
    }]
}

/// Selects a function by filtering for its name.
fn select(console: &mut Console, name: &str) {
    console.press("/");
    console.type_text(&format!("'{name}"));
    console.press("Enter");
}

#[test]
fn space_attaches_and_detaches() {
    let mut console = Console::open();
    assert_eq!(console.press("Space"), attach(&[ADD]));
    assert!(console.text(80, 24).contains("▌◌ main.(*Cart).Add"));
    console.send(SourceEvent::Attached {
        functions: vec![ADD],
        left_out: vec![],
        probes: 3,
    });
    console.snapshot(fixture::snapshot());
    let text = console.text(80, 24);
    assert!(text.contains("▌● main.(*Cart).Add"), "{text}");
    assert!(
        text.contains("Attached to main.(*Cart).Add: 3 probes"),
        "{text}"
    );
    assert_eq!(console.press("Space"), detach(&[ADD]));
}

#[test]
fn what_was_left_out_is_no_longer_being_attached_to() {
    let mut console = Console::open();
    console.press("Space");
    assert!(console.text(80, 24).contains("▌◌ main.(*Cart).Add"));
    console.send(SourceEvent::Attached {
        functions: vec![CHECKOUT],
        left_out: vec![ADD],
        probes: 3,
    });
    let text = console.text(80, 24);
    assert!(!text.contains("◌"), "{text}");
    assert!(!text.contains("error["), "its notice comes once: {text}");
}

#[test]
fn space_while_attaching_takes_it_back() {
    let mut console = Console::open();
    console.press("Space");
    assert_eq!(console.press("Space"), detach(&[ADD]));
}

#[test]
fn entries_only_is_said_and_no_probe_is_refused_with_the_reason() {
    let mut console = Console::open();
    select(&mut console, "serveForever");
    assert_eq!(console.press("Space"), attach(&[SERVE_FOREVER]));
    let text = console.text(160, 48);
    assert!(
        text.contains("only calls are counted, durations are not"),
        "{text}"
    );
    console.press("Esc Esc");
    select(&mut console, "memmove");
    assert_eq!(console.press("Space"), []);
    let text = console.text(80, 24);
    assert!(
        text.contains("its first instructions must not be probed"),
        "{text}"
    );
}

#[test]
fn failures_stay_until_they_are_dismissed() {
    let mut console = Console::open();
    console.press("Space");
    console.send(SourceEvent::AttachFailed {
        functions: vec![ADD],
        failure: coral_ui::Failure {
            code: "probe-refused".into(),
            message: "the kernel refuses it".into(),
            help: "choose another".into(),
        },
    });
    console.advance(Duration::from_secs(600));
    let text = console.text(80, 24);
    assert!(
        text.contains("error[probe-refused]: the kernel refuses it"),
        "{text}"
    );
    assert!(text.contains("help: choose another"), "{text}");
    assert!(text.contains("READY"), "no longer attaching: {text}");
    console.press("Esc");
    assert!(!console.text(80, 24).contains("probe-refused"));
    console.press("6");
    assert!(console.text(80, 24).contains("the kernel refuses it"));
}

#[test]
fn good_news_leave_by_themselves() {
    let mut console = Console::live();
    console.press("D");
    assert!(console.text(80, 24).contains("Detaching everything"));
    console.advance(Duration::from_secs(6));
    assert!(!console.text(80, 24).contains("Detaching everything"));
}

#[test]
fn the_kill_switch_works_at_any_time() {
    assert_eq!(Console::live().press("D"), [Effect::DetachAll]);
    assert_eq!(Console::open().press("Space D")[1..], [Effect::DetachAll]);
    assert_eq!(
        Console::new(Options::default()).press("D"),
        [Effect::DetachAll]
    );
}

#[test]
fn attaching_to_all_needs_a_filter_and_asks_when_they_are_many() {
    let names: Vec<String> = (0..60).map(|n| format!("main.handler{n:02}")).collect();
    let table = fixture::table_of(names.iter().map(String::as_str));
    let mut console = Console::open_with(Options::default(), table);
    assert_eq!(console.press("A"), [], "no filter");
    select(&mut console, "handler1");
    let ten: Vec<FunctionId> = (10..20).map(FunctionId).collect();
    assert_eq!(console.press("A"), attach(&ten));
    console.press("D Esc Esc");
    select(&mut console, "handler");
    assert_eq!(console.press("A"), [], "asks first");
    assert!(console.text(80, 24).contains("Attach to 60 functions"));
    assert_eq!(console.press("n"), []);
    let all: Vec<FunctionId> = (0..60).map(FunctionId).collect();
    assert_eq!(console.press("A y"), attach(&all));
}

#[test]
fn the_limit_is_named() {
    let options = Options {
        limits: Limits {
            functions_per_session: 2,
            ..Limits::default()
        },
        ..Options::default()
    };
    let mut console = Console::open_with(options, fixture::table());
    select(&mut console, "main");
    assert_eq!(console.press("A"), []);
    let text = console.text(160, 48);
    assert!(text.contains("over the limit of 2 in a session"), "{text}");
}

#[test]
fn the_lease_is_extended_only_while_there_is_one() {
    assert_eq!(Console::open().press("+"), []);
    assert_eq!(Console::live().press("+"), [Effect::Extend { by: LEASE }]);
}

#[test]
fn numbers_stay_when_the_session_ends() {
    let mut console = Console::live();
    console.send(SourceEvent::SessionEnded(Arc::new(fixture::ended())));
    let text = console.text(80, 24);
    assert!(text.contains("ENDED expired"), "{text}");
    assert!(
        text.contains("▌○ main.handleCheckout               242  184 µs"),
        "{text}"
    );
    assert!(
        text.contains("ended after 60.0 s: its lease ran out"),
        "{text}"
    );
    assert_eq!(console.press("Space"), attach(&[CHECKOUT]), "again");
}

#[test]
fn nothing_is_probed_in_a_recording() {
    let mut console = Console::new(Options {
        start: Start::Source,
        replay: true,
        ..Options::default()
    });
    console.send(SourceEvent::Functions {
        target: fixture::target(),
        table: fixture::table(),
        complete: true,
    });
    console.settle();
    assert_eq!(console.press("Space A"), []);
    let text = console.text(80, 24);
    assert!(text.contains("REPLAY"), "{text}");
    assert!(
        text.contains("error[replay]: This is a recording"),
        "{text}"
    );
}

#[test]
fn exports_hold_what_the_screen_shows() {
    let mut console = Console::live();
    let effects = console.press("3 e");
    let [Effect::ExportView(export)] = effects.as_slice() else {
        panic!("{effects:?}");
    };
    assert_eq!(export.columns, ["function", "low_ns", "high_ns", "count"]);
    let counted: u64 = export
        .rows
        .iter()
        .map(|row| row[3].parse::<u64>().unwrap())
        .sum();
    assert_eq!(counted, fixture::snapshot().functions[0].latency.count());
    for screen in ["1", "2", "4", "5", "6"] {
        let effects = console.press(&format!("{screen} e"));
        let Some(Effect::ExportView(export)) = effects.last() else {
            panic!("{effects:?}");
        };
        for row in &export.rows {
            assert_eq!(row.len(), export.columns.len(), "{}", export.view);
        }
    }
    let effects = console.press("2 E");
    assert_eq!(
        effects,
        [Effect::ExportSession(Arc::new(fixture::snapshot()))]
    );
}

#[test]
fn what_an_export_left_out_and_what_prints_all_of_it_is_said() {
    for (command, rows_left_out, expected) in [
        (None, 0, "Exported to ./coral.csv\n"),
        (
            Some("coral functions --pid 4242"),
            0,
            "Exported to ./coral.csv\n help: the same numbers: coral functions --pid 4242\n",
        ),
        (
            Some("coral functions --pid 4242"),
            3,
            "warning: Exported to ./coral.csv, without the last 3 rows: too many",
        ),
    ] {
        let mut console = Console::open();
        console.send(SourceEvent::Exported {
            path: "./coral.csv".into(),
            command: command.map(str::to_owned),
            rows_left_out,
        });
        let text = console.text(100, 24);
        assert!(text.contains(expected), "{expected} in {text}");
        assert_eq!(text.contains("help:"), command.is_some(), "{text}");
    }
}

#[test]
fn a_probed_function_without_calls_says_what_to_do() {
    let mut snapshot = fixture::snapshot();
    let latency = fixture::latency(&[]);
    let add = Arc::make_mut(&mut snapshot.functions[1]);
    (add.calls, add.returns, add.unwound, add.in_flight) = (0, 0, 0, 0);
    add.latency = latency;
    let mut console = Console::open();
    console.snapshot(snapshot);
    select(&mut console, "main.(*Cart).Add");
    let text = console.text(100, 24);
    assert!(text.contains("Probed, and not called yet."), "{text}");
    assert!(text.contains("Make the program call it"), "{text}");
}
