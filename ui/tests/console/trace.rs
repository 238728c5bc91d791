//! The trace of a slow call, by scripts of keys and at the sizes that people have.

use std::sync::Arc;

use coral_model::{CallRecord, CallValue, FunctionId, InnerCall, InnerCalls, Snapshot};
use coral_ui::{Colors, Effect, Glyphs, Options, Screen};
use proptest::prelude::*;

use crate::fixture::{self, ADD, PRICE};
use crate::harness::Console;
use crate::screens::check_at;

const CHARGE: FunctionId = FunctionId(3);
const RETRYABLE: FunctionId = FunctionId(4);
const MARSHAL: FunctionId = FunctionId(10);

const MS: u64 = 1_000_000;

fn inner(function: FunctionId, depth: u32, start: u64, took: u64, own: u64) -> InnerCall {
    InnerCall {
        function,
        depth,
        parent_missing: false,
        started_after_ns: start * MS,
        duration_ns: took * MS,
        self_ns: own * MS,
        failed: false,
        arguments: Vec::new(),
        results: Vec::new(),
    }
}

/// A checkout of 310 ms: most of it is the payment's second attempt, and 20 ms are in calls that
/// made no records.
fn inner_calls() -> InnerCalls {
    let mut calls = vec![
        inner(ADD, 1, 2, 20, 5),
        inner(PRICE, 2, 4, 15, 15),
        inner(CHARGE, 1, 40, 240, 20),
        inner(MARSHAL, 2, 42, 10, 10),
        inner(RETRYABLE, 2, 60, 50, 50),
        inner(RETRYABLE, 2, 115, 150, 150),
        inner(MARSHAL, 1, 300, 0, 0),
    ];
    calls[2].arguments = vec![CallValue {
        name: "cents".into(),
        type_name: "int".into(),
        value: "4200".into(),
    }];
    calls[4].failed = true;
    calls[5].parent_missing = true;
    InnerCalls {
        calls,
        left_out: 12,
        self_ns: 40 * MS,
        missing_ns: 20 * MS,
    }
}

fn snapshot() -> Snapshot {
    let mut snapshot = fixture::snapshot();
    snapshot.slow_calls[0].inner = Some(Arc::new(inner_calls()));
    snapshot
}

/// On the trace of the slowest call.
fn console_with(options: Options) -> Console {
    let mut console = Console::open_with(options, fixture::table());
    console.snapshot(snapshot());
    console.press("4 v v v z");
    console
}

fn console() -> Console {
    console_with(Options::default())
}

/// The row that the cursor is on.
fn cursor(console: &mut Console) -> String {
    let text = console.text(100, 40);
    let line = text.lines().find(|line| line.starts_with('▌'));
    let words = line.unwrap().trim_start_matches(['▌', ' ', '!', '…', '●']);
    words.split_whitespace().next().unwrap().to_owned()
}

#[test]
fn it_reads_well_at_any_size() {
    let mut console = console();
    console.press("j j j");
    check_at("trace", &mut console, (160, 48));
    check_at("trace", &mut console, (80, 24));
}

#[test]
fn it_is_usable_small_and_without_colour() {
    let options = Options {
        colors: Colors::None,
        glyphs: Glyphs::ASCII,
        ..Options::default()
    };
    let mut console = console_with(options);
    check_at("trace-no-color", &mut console, (60, 20));
}

#[test]
fn keys_go_through_the_calls_and_zoom() {
    let mut console = console();
    assert_eq!(cursor(&mut console), "main.handleCheckout");
    console.press("G");
    assert_eq!(cursor(&mut console), "encoding/json.Marshal");
    console.press("g l l");
    assert_eq!(cursor(&mut console), "main.priceOf");
    console.press("h h");
    assert_eq!(cursor(&mut console), "main.handleCheckout");
    console.press("j j j z");
    let text = console.text(100, 40);
    assert!(
        text.contains("Charge") && !text.contains("priceOf"),
        "{text}"
    );
    console.press("G Esc");
    let text = console.text(100, 40);
    assert!(text.contains("priceOf"), "the zoom is undone first: {text}");
    console.press("Esc");
    let text = console.text(100, 40);
    assert!(text.contains("─ Slow") || text.contains("[Slow]"), "{text}");
    let text = console.text(100, 40);
    assert!(text.contains("7 calls inside: z shows them"), "{text}");
    console.press("Enter g j Enter");
    assert_eq!(console.state.screen(), Screen::Functions);
    assert_eq!(cursor(&mut console), "main.(*Cart).Add");
}

#[test]
fn the_call_stays_when_slower_ones_take_its_place() {
    let mut console = console();
    console.press("j j j z");
    let before = console.text(100, 40);
    let mut later = snapshot();
    later.slow_calls.remove(0);
    console.snapshot(later.clone());
    assert_eq!(console.text(100, 40), before);
    // At a time before it began, nothing of it can be known.
    later.session.elapsed = std::time::Duration::from_millis(100);
    console.snapshot(later);
    let text = console.text(100, 40);
    assert!(!text.contains("Charge"), "{text}");
}

#[test]
fn where_nothing_is_inside_it_says_why() {
    let cases = [
        (None, "were not recorded"),
        (
            Some(InnerCalls::default()),
            "Probe what it calls: 2, then Space.",
        ),
        (
            Some(InnerCalls {
                missing_ns: 30 * MS,
                ..InnerCalls::default()
            }),
            "took 30.0 ms, but made no records",
        ),
    ];
    for (inner, why) in cases {
        let mut console = console();
        let mut snapshot = snapshot();
        snapshot.slow_calls = vec![CallRecord {
            duration_ns: 50 * MS,
            inner: inner.map(Arc::new),
            ..snapshot.slow_calls[0].clone()
        }];
        console.snapshot(snapshot);
        console.press("Esc z");
        let text = console.text(80, 24);
        assert!(text.contains(why), "{why}: {text}");
    }
}

#[test]
fn a_search_goes_to_calls_inside() {
    let mut console = console();
    console.press("/");
    console.type_text("marshal");
    console.press("Enter n");
    assert_eq!(cursor(&mut console), "encoding/json.Marshal");
}

#[test]
fn what_is_shown_is_exported() {
    let mut console = console();
    console.press("j j j z");
    let effects = console.press("e");
    let [Effect::ExportView(export)] = &effects[..] else {
        panic!("{effects:?}");
    };
    assert_eq!(export.view, "trace");
    assert_eq!(export.rows.len(), 4);
    let charge = [
        "1",
        "github.com/acme/pay.(*Client).Charge",
        "40000000",
        "240000000",
        "20000000",
        "10000000",
        "false",
        "false",
        "cents int = 4200",
        "",
    ];
    assert_eq!(export.rows[0], charge);
    let place = |column| export.columns.iter().position(|it| *it == column).unwrap();
    assert_eq!(export.rows[3][place("parent_missing")], "true");
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(100))]
    #[test]
    fn it_draws_at_any_size(columns in 0u16..=250, rows in 0u16..=60, keys in "[jkhlzZgG]{0,8}") {
        let mut console = console();
        console.resize(columns, rows);
        for key in keys.chars() {
            console.press(&key.to_string());
            console.buffer(columns, rows);
        }
    }
}
