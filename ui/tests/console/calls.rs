//! The calls screen: its views, by scripts of keys and at the sizes that people have.

use std::sync::Arc;
use std::time::Duration;

use coral_model::{
    CallNode, CallRecord, CallTree, CallValue, FunctionId, Histogram, InFlightCall, InnerCall,
    InnerCalls, Snapshot, StackFrame,
};
use coral_ui::{Colors, Effect, Glyphs, Options};
use crossterm::event::{MouseButton, MouseEventKind};
use proptest::prelude::*;

use crate::fixture::{self, ADD, CHECKOUT, PRICE, SERVE_FOREVER};
use crate::harness::Console;
use crate::screens::check_at;

const SERVE: FunctionId = FunctionId(2);
const CHARGE: FunctionId = FunctionId(3);
const MAIN: FunctionId = FunctionId(9);
const MARSHAL: FunctionId = FunctionId(10);

const MS: u64 = 1_000_000;

fn node(parent: Option<u32>, function: FunctionId, calls: u64, total_ms: u64) -> CallNode {
    let mut latency = Histogram::default();
    latency.record(total_ms * MS / calls);
    CallNode {
        parent,
        function,
        depth: 0,
        calls,
        returns: if total_ms > 0 { calls } else { 0 },
        unwound: 0,
        errors: 0,
        total_ns: total_ms * MS,
        self_ns: total_ms * MS / 4,
        max_ns: 3 * total_ms * MS / calls,
        probes_ns: 0,
        latency: (total_ms > 0).then(|| Arc::new(latency)),
    }
}

/// `main` never returns; two thirds of the time are spent in `Charge`.
fn tree() -> CallTree {
    let mut nodes = vec![
        node(None, MAIN, 1, 0),
        node(Some(0), SERVE, 40, 9_000),
        node(Some(1), CHECKOUT, 462, 8_000),
        node(Some(2), ADD, 9_000, 300),
        node(Some(2), CHARGE, 460, 6_000),
        node(Some(4), MARSHAL, 920, 500),
        node(Some(1), MARSHAL, 80, 200),
        node(None, SERVE_FOREVER, 1, 0),
    ];
    nodes[2].errors = 17;
    CallTree {
        nodes,
        lost_calls: 3,
    }
}

fn frame(function: &str, line: u32, inlined: bool) -> StackFrame {
    StackFrame {
        function: function.into(),
        file: Some("/src/shop/checkout.go".into()),
        line: Some(line),
        inlined,
    }
}

/// The shop with a tree, a slow call that says all, and calls in flight.
pub(crate) fn snapshot() -> Snapshot {
    let mut snapshot = fixture::snapshot();
    snapshot.call_tree = Arc::new(tree());
    snapshot.slow_calls[0] = CallRecord {
        failed: true,
        arguments: vec![CallValue {
            name: "cart".into(),
            type_name: "*main.Cart".into(),
            value: "0xc000012340".into(),
        }],
        results: vec![CallValue {
            name: "err".into(),
            type_name: "error".into(),
            value: "card declined".into(),
        }],
        stack: vec![
            frame("main.handleCheckout", 81, false),
            frame("main.route", 12, true),
        ],
        ..snapshot.slow_calls[0].clone()
    };
    let call = |function, age_ms: u64, goroutine, callers: &[FunctionId]| InFlightCall {
        function,
        age_ns: age_ms * MS,
        pid: 4242,
        tid: None,
        goroutine: Some(goroutine),
        callers: callers.to_vec(),
        is_innermost: true,
        stack: vec![frame("sync.(*Mutex).Lock", 81, false)],
        replica: None,
    };
    snapshot.in_flight = vec![
        call(SERVE_FOREVER, 18_000, 1, &[]),
        call(CHARGE, 2_500, 77, &[MAIN, SERVE, CHECKOUT]),
    ];
    snapshot
}

/// On the tree of the shop.
pub(crate) fn console() -> Console {
    let mut console = Console::open();
    console.snapshot(snapshot());
    console.press("4");
    console
}

/// The names in the first column, with `>` before the selected one.
fn rows(console: &mut Console) -> Vec<String> {
    let text = console.text(119, 60);
    let is_head = |line: &str| line.contains("function, ") && !line.contains(" path");
    let table = text.lines().skip_while(|line| !is_head(line));
    let rows = table.skip(1).take_while(|line| !line.trim().is_empty());
    let rows = rows.take_while(|line| !line.starts_with('─'));
    rows.map(|line| {
        let selected = if line.starts_with('▌') { ">" } else { "" };
        let name = line[3..].trim_start_matches(['▌', ' ', '│', '├', '└', '▾', '▸', '●']);
        let name = name.split("  ").next().unwrap();
        format!("{selected}{name}")
    })
    .collect()
}

fn selected(console: &mut Console) -> String {
    let selected = rows(console).into_iter().find(|row| row.starts_with('>'));
    selected.unwrap_or_default()
}

#[test]
fn views_at_the_sizes_that_people_have() {
    let mut console = console();
    console.press("j j j");
    check_at("calls_tree", &mut console, (40, 12));
    check_at("calls_tree", &mut console, (160, 48));
    console.press("v");
    check_at("calls_flame", &mut console, (80, 24));
    console.press("v");
    check_at("calls_sandwich", &mut console, (80, 24));
    console.press("v");
    check_at("calls_slow", &mut console, (120, 30));
    console.press("v v j");
    check_at("calls_in_flight", &mut console, (80, 24));
}

#[test]
fn what_is_folded_hides_what_it_calls() {
    let mut console = console();
    let all = rows(&mut console);
    assert_eq!(
        all,
        [
            ">main.main",
            "net/http.(*conn).serve",
            "main.handleCheckout",
            "github.com/acme/pay.(*Client).Charge",
            "encoding/json.Marshal",
            "main.(*Cart).Add",
            "encoding/json.Marshal",
            "main.serveForever",
        ]
    );
    console.press("j j h");
    assert_eq!(rows(&mut console).len(), 5);
    assert_eq!(selected(&mut console), ">main.handleCheckout");
    console.press("h");
    assert_eq!(
        selected(&mut console),
        ">net/http.(*conn).serve",
        "the caller"
    );
    console.press("Enter");
    assert_eq!(rows(&mut console).len(), 3);
    console.press("k *");
    assert_eq!(rows(&mut console).len(), all.len());
    console.press("l l");
    assert_eq!(
        selected(&mut console),
        ">main.handleCheckout",
        "the first callee"
    );
}

#[test]
fn the_selection_is_a_path_whatever_place_its_node_has() {
    let mut console = console();
    console.press("j j j h");
    console.press("j");
    assert_eq!(selected(&mut console), ">main.(*Cart).Add");
    let mut grown = snapshot();
    let mut tree = tree();
    let shift = |node: &mut CallNode| node.parent = node.parent.map(|parent| parent + 1);
    tree.nodes.iter_mut().for_each(shift);
    tree.nodes.insert(0, node(None, PRICE, 1, 90_000));
    grown.call_tree = Arc::new(tree);
    console.snapshot(grown);
    let rows = rows(&mut console);
    assert_eq!(rows[0], "main.priceOf");
    assert_eq!(selected(&mut console), ">main.(*Cart).Add");
    assert_eq!(rows.len(), 8, "what was folded stays so: {rows:?}");
}

#[test]
fn siblings_are_sorted_by_the_column_in_turn() {
    let mut console = console();
    console.press("s s");
    let rows = rows(&mut console);
    let place = |name: &str| rows.iter().position(|row| row.contains(name)).unwrap();
    assert!(
        place("Add") < place("Charge"),
        "9000 calls, and 460: {rows:?}"
    );
    assert!(console.text(100, 60).contains("function, by calls"));
}

#[test]
fn frames_are_gone_through_and_zoomed_by_keys() {
    let mut console = console();
    console.press("v");
    let numbers = |console: &mut Console| {
        let text = console.text(160, 24);
        text.lines().rev().nth(1).unwrap().trim().to_owned()
    };
    console.press("j j j");
    assert!(
        numbers(&mut console).contains("Charge  total 6.00 s"),
        "{}",
        numbers(&mut console)
    );
    console.press("l");
    assert!(numbers(&mut console).starts_with("main.(*Cart).Add"));
    console.press("h z");
    let text = console.text(160, 24);
    assert!(
        text.contains("zoomed: github.com/acme/pay.(*Client).Charge"),
        "{text}"
    );
    assert!(!text.contains("main.main"), "{text}");
    console.press("k");
    assert!(
        console
            .text(160, 24)
            .contains("zoomed: main.handleCheckout")
    );
    console.press("Esc");
    assert!(console.text(160, 24).contains("main.main"));
    assert_eq!(console.state.screen(), coral_ui::Screen::Calls);
}

/// What is beside the functions shows the slowest, wherever one was in the list of all.
#[test]
fn the_slowest_beside_the_functions_do_not_scroll() {
    let mut snapshot = snapshot();
    let call = snapshot.slow_calls[1].clone();
    snapshot.slow_calls = (0..200)
        .map(|rank| CallRecord {
            tid: rank,
            duration_ns: (1_000 - u64::from(rank)) * MS,
            ..call.clone()
        })
        .collect();
    let mut console = Console::live();
    console.snapshot(snapshot);
    console.press("2");
    let before = console.text(200, 60);
    assert!(before.contains("1.00 s"), "{before}");
    console.press("4 v v v G");
    let text = console.text(200, 60);
    assert!(!text.contains("1.00 s"), "{text}");
    console.press("2");
    assert_eq!(console.text(200, 60), before);
}

#[test]
fn a_click_selects_the_row_or_the_frame() {
    let mut console = console();
    console.resize(119, 60);
    let click = MouseEventKind::Down(MouseButton::Left);
    console.mouse(click, 20, 7);
    assert_eq!(selected(&mut console), ">main.handleCheckout");
    console.press("v");
    console.mouse(click, 80, 8);
    console.press("V");
    assert_eq!(selected(&mut console), ">main.(*Cart).Add");
}

#[test]
fn the_tree_is_that_of_the_time_that_is_shown() {
    let mut console = console();
    console.press("j j");
    let mut later = snapshot();
    let mut tree = tree();
    tree.nodes[2].calls = 777;
    later.call_tree = Arc::new(tree);
    console.advance(Duration::from_secs(1));
    console.snapshot(later);
    assert!(console.text(119, 60).contains(" 777 "));
    console.press("[");
    let then = console.text(119, 60);
    assert!(then.contains(" 462 ") && !then.contains(" 777 "), "{then}");
    assert_eq!(selected(&mut console), ">main.handleCheckout");
    console.press("L");
    assert!(console.text(119, 60).contains(" 777 "));
}

#[test]
fn a_search_finds_what_is_folded_away() {
    let mut console = console();
    console.press("h /");
    console.type_text("marshal");
    assert!(console.text(100, 40).contains("1 function, 2 paths"));
    console.press("Enter n");
    assert_eq!(selected(&mut console), ">encoding/json.Marshal");
    assert_eq!(rows(&mut console).len(), 8);
    let first = console.text(100, 60);
    console.press("n");
    assert_ne!(console.text(100, 60), first, "the other path");
    console.press("N");
    assert_eq!(console.text(100, 60), first);
    console.press("Esc");
    assert!(!console.text(100, 40).contains("paths  "));
}

#[test]
fn one_goes_on_in_the_sandwich() {
    let mut console = console();
    console.press("j j v v");
    assert_eq!(
        rows(&mut console),
        [
            "net/http.(*conn).serve",
            ">main.handleCheckout",
            "github.com/acme/pay.(*Client).Charge",
            "main.(*Cart).Add",
        ]
    );
    console.press("j Enter j Enter");
    assert_eq!(
        rows(&mut console),
        [
            "github.com/acme/pay.(*Client).Charge",
            "net/http.(*conn).serve",
            ">encoding/json.Marshal",
        ]
    );
}

#[test]
fn a_narrow_screen_opens_the_call_and_goes_back() {
    let mut console = console();
    console.press("v v v");
    assert!(!console.text(60, 20).contains("card declined"));
    console.press("Enter");
    let text = console.text(60, 20);
    for part in [
        "failed",
        "cart *main.Cart = 0xc000012340",
        "err error = card declined",
        "main.route (inlined)  /src/shop/checkout.go:12",
        "slower calls may be missing",
        "17 records lost",
    ] {
        assert!(text.contains(part), "{part}: {text}");
    }
    console.press("j");
    assert!(console.text(60, 20).contains("no arguments were recorded"));
    console.press("Esc");
    assert!(console.text(60, 20).contains("duration"));
}

#[test]
fn a_call_in_flight_is_as_old_as_when_it_was_looked_at() {
    let mut console = console();
    console.press("V");
    assert!(console.text(100, 30).contains("2.50 s"));
    console.advance(Duration::from_secs(1));
    let text = console.text(100, 30);
    assert!(
        text.contains("2.50 s"),
        "it may have returned since: {text}"
    );
}

#[test]
fn what_was_lost_is_in_the_title_of_every_view() {
    let mut console = console();
    for _ in 0..6 {
        let text = console.text(80, 24);
        assert!(text.contains("3 calls lost  17 records lost"), "{text}");
        console.press("v");
    }
    let mut worse = snapshot();
    worse.accounting.sampled_out = 1_234_567;
    worse.accounting.map_full = 89;
    console.snapshot(worse);
    assert!(console.text(40, 12).contains("3 calls lost"));
    let text = console.text(119, 30);
    let losses = "3 calls lost  17 records lost  1234567 sampled out  89 untimed";
    assert!(text.contains(losses), "{text}");
}

#[test]
fn every_view_says_what_to_press_while_it_is_empty() {
    let mut console = Console::open();
    console.press("4");
    for _ in 0..6 {
        for size in [(40, 12), (80, 24), (160, 48)] {
            let text = console.text(size.0, size.1);
            assert!(text.contains("Probe functions with Space"), "{text}");
        }
        console.press("v");
    }
}

#[test]
fn every_view_is_exported() {
    let mut console = console();
    let mut views = Vec::new();
    for _ in 0..6 {
        let effects = console.press("e v");
        let [Effect::ExportView(view)] = &effects[..] else {
            panic!("{effects:?}");
        };
        for row in &view.rows {
            assert_eq!(row.len(), view.columns.len(), "{}", view.view);
        }
        views.push((view.view, view.rows.len()));
    }
    let expected = [
        ("call-tree", 8),
        ("call-tree", 8),
        ("sandwich", 3),
        ("calls", 6),
        ("trace", 1),
        ("in-flight", 2),
    ];
    assert_eq!(views, expected);
}

#[test]
fn hostile_values_act_in_no_view() {
    let hostile = "\u{1b}[2J\u{202e}\u{200b}x".repeat(2_000);
    let mut snapshot = snapshot();
    let call = &mut snapshot.slow_calls[0];
    call.stack[0].function = hostile.clone();
    call.stack[0].file = Some(hostile.clone());
    call.arguments[0].name = hostile.clone();
    call.results[0].value = hostile.clone();
    call.inner = Some(Arc::new(InnerCalls {
        calls: vec![InnerCall {
            function: ADD,
            depth: 1,
            parent_missing: true,
            started_after_ns: 1,
            duration_ns: MS,
            self_ns: MS,
            failed: true,
            arguments: call.arguments.clone(),
            results: call.results.clone(),
        }],
        ..InnerCalls::default()
    }));
    snapshot.in_flight[0].stack[0].function = hostile.clone();
    let names = [hostile.as_str(); 14];
    let mut console = Console::open_with(Options::default(), fixture::table_of(names));
    console.snapshot(snapshot);
    console.press("4");
    for _ in 0..6 {
        for (columns, rows) in [(40, 12), (80, 24), (160, 48)] {
            let buffer = console.buffer(columns, rows);
            for cell in buffer.content() {
                assert_eq!(coral_model::escape(cell.symbol()), cell.symbol());
            }
        }
        console.press("v G");
    }
}

#[test]
fn terminals_without_colours_and_unicode_show_all_views() {
    let options = Options {
        colors: Colors::None,
        glyphs: Glyphs::ASCII,
        ..Options::default()
    };
    let mut console = Console::open_with(options, fixture::table());
    console.snapshot(snapshot());
    console.press("4");
    for _ in 0..6 {
        let text = console.text(80, 24);
        assert!(text.is_ascii(), "{text}");
        console.press("v");
    }
}

prop_compose! {
    /// Any tree, also one whose callers cannot be.
    fn any_tree()(
        nodes in prop::collection::vec((0u32..60, 0u32..16, 0u64..9, any::<u64>()), 0..60),
    ) -> CallTree {
        let nodes = nodes.into_iter().map(|(parent, function, returns, total_ns)| CallNode {
            returns,
            total_ns,
            self_ns: total_ns / 2,
            max_ns: total_ns,
            ..node((parent < 50).then_some(parent), FunctionId(function), 9, 0)
        });
        CallTree { nodes: nodes.collect(), lost_calls: 0 }
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(200))]
    #[test]
    fn any_tree_draws_at_any_size(
        first in any_tree(),
        second in any_tree(),
        columns in 0u16..=200,
        lines in 0u16..=60,
        keys in prop::collection::vec("[vVjkhlsnNzZgGe*/]|Enter|Esc|PgDn|Up", 0..40),
    ) {
        let mut console = Console::open();
        let with = |tree| Snapshot { call_tree: Arc::new(tree), ..snapshot() };
        console.snapshot(with(first));
        console.press("4");
        console.buffer(columns, lines);
        for (number, key) in keys.iter().enumerate() {
            if number == keys.len() / 2 {
                console.snapshot(with(second.clone()));
            }
            console.press(key);
            console.buffer(columns, lines);
        }
    }
}
