//! The typed filter of functions, over what is in the code and over what is measured.

use std::sync::Arc;
use std::time::Duration;

use coral_model::{Function, FunctionStats, Snapshot};
use coral_ui::{Effect, Options, SourceEvent};
use insta::assert_snapshot;
use proptest::prelude::*;

use crate::fixture;
use crate::harness::Console;
use crate::rows::rows;

fn filtered(console: &mut Console, filter: &str) -> Vec<String> {
    console.press("Esc Esc g /");
    console.type_text(filter);
    console.press("Enter");
    let mut names = rows(console);
    for name in &mut names {
        *name = name.trim_start_matches('>').to_owned();
    }
    names.sort();
    names
}

/// A name as the list has room for it.
fn shown(name: &str) -> String {
    name.replace("github.com/acme/pay.(*C", "github.co…ay.(*C")
}

/// What the filter should show, by looking at every function.
fn expected(holds: impl Fn(&Function<'_>, Option<&FunctionStats>) -> bool) -> Vec<String> {
    let (table, snapshot) = (fixture::table(), fixture::snapshot());
    let stats = |function: &Function<'_>| {
        let mut all = snapshot.functions.iter();
        all.find(|stats| stats.id == function.id)
            .map(|stats| &**stats)
    };
    let holding = table.iter().filter(|it| holds(it, stats(it)));
    let mut names: Vec<String> = holding.map(|it| shown(it.name)).collect();
    names.sort();
    names
}

fn p99_ns(stats: Option<&FunctionStats>) -> Option<u64> {
    stats?.latency.percentile_ns(99.0)
}

/// Filters, and the functions of which each should hold.
type Case = (
    &'static str,
    fn(&Function<'_>, Option<&FunctionStats>) -> bool,
);

const CASES: [Case; 13] = [
    ("name = main.*", |it, _| it.name.starts_with("main.")),
    ("not package = main", |it, _| it.package != "main"),
    ("file = *cart.go", |it, _| {
        it.file.is_some_and(|file| file.ends_with("cart.go"))
    }),
    ("size >= 1k", |it, _| it.size >= 1024),
    ("line < 20", |it, _| it.line.is_some_and(|line| line < 20)),
    ("probe = entry_only", |it, _| {
        it.plan
            .is_some_and(|plan| plan.probe.name() == "entry_only")
    }),
    ("lang = rust", |_, _| false),
    ("probed", |_, stats| stats.is_some_and(|it| it.attached)),
    ("own_code and name ~ CART", |_, _| false),
    ("own_code and name ~ cart", |it, _| {
        it.name.starts_with("main.(*Cart)")
    }),
    ("p99 > 1ms", |_, stats| {
        p99_ns(stats).is_some_and(|ns| ns > 1_000_000)
    }),
    ("p99 <= 1ms", |_, stats| {
        p99_ns(stats).is_some_and(|ns| ns <= 1_000_000)
    }),
    ("errors > 0 or in_flight = 1 and calls < 5", |_, stats| {
        stats.is_some_and(|it| it.errors.unwrap_or(0) > 0 || it.in_flight == 1 && it.calls < 5)
    }),
];

#[test]
fn what_is_shown_is_what_holds() {
    let mut console = Console::live();
    for (filter, holds) in CASES {
        assert_eq!(filtered(&mut console, filter), expected(holds), "{filter}");
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(48))]

    #[test]
    fn filters_combine_as_sets_do(
        a in 0..CASES.len(), b in 0..CASES.len(), and in any::<bool>(), not in any::<bool>(),
    ) {
        let ((left, in_left), (right, in_right)) = (CASES[a], CASES[b]);
        let (word, sign) = (if and { "and" } else { "or" }, if not { "not " } else { "" });
        let filter = format!("({left}) {word} {sign}({right})");
        let holds = move |it: &Function<'_>, stats: Option<&FunctionStats>| {
            let (left, right) = (in_left(it, stats), in_right(it, stats) != not);
            if and { left && right } else { left || right }
        };
        prop_assert_eq!(filtered(&mut Console::live(), &filter), expected(holds), "{}", filter);
    }
}

fn with_p99(ns: u64) -> Snapshot {
    let mut snapshot = fixture::snapshot();
    let checkout = Arc::make_mut(&mut snapshot.functions[0]);
    checkout.latency = fixture::latency(&[(ns, 100, 1)]);
    snapshot
}

#[test]
fn rows_come_and_go_with_the_numbers_at_most_once_a_second() {
    let mut console = Console::live();
    console.advance(Duration::from_secs(5));
    assert_eq!(filtered(&mut console, "p99 > 1s"), [] as [&str; 0]);
    console.snapshot(with_p99(2_000_000_000));
    assert_eq!(rows(&mut console), [">main.handleCheckout"]);
    console.advance(Duration::from_millis(500));
    console.snapshot(with_p99(1_000));
    assert_eq!(
        rows(&mut console),
        [">main.handleCheckout"],
        "not within the second"
    );
    console.advance(Duration::from_millis(500));
    assert_eq!(
        rows(&mut console),
        [] as [&str; 0],
        "by the clock, without another snapshot"
    );
}

#[test]
fn what_cannot_be_understood_changes_nothing_and_loses_nothing() {
    let mut console = Console::live();
    console.press("/");
    console.type_text("name = main.p* and ");
    assert_eq!(rows(&mut console), [">main.priceOf"]);
    let text = console.text(80, 24);
    assert!(text.contains("/name = main.p* and"), "{text}");
    assert!(text.contains("^ expected a field such as name"), "{text}");
    console.press("Enter");
    assert_eq!(console.press("A"), [], "nobody knows yet which");
    console.press("/");
    console.type_text("size > 100");
    assert!(!console.text(80, 24).contains("expected"));
    let effects = console.press("Enter A");
    assert!(matches!(&effects[..], [Effect::Attach(attach)] if attach.functions.len() == 1));
}

#[test]
fn what_began_as_words_does_not_stay_in_effect_as_words() {
    let mut console = Console::live();
    let all = rows(&mut console).len();
    console.press("/");
    console.type_text("p99 ");
    assert_eq!(rows(&mut console).len(), 0);
    console.type_text(">");
    assert_eq!(rows(&mut console).len(), all);
    console.type_text(" 1ms");
    assert_eq!(rows(&mut console), [">main.handleCheckout"]);
}

#[test]
fn what_is_found_out_later_about_the_same_functions_counts() {
    let names: Vec<String> = fixture::table()
        .iter()
        .map(|it| it.name.to_owned())
        .collect();
    let unplanned = fixture::table_of(names.iter().map(String::as_str));
    let mut console = Console::open_with(Options::default(), unplanned);
    assert_eq!(filtered(&mut console, "probe = none"), [] as [&str; 0]);
    console.send(SourceEvent::Functions {
        target: fixture::target(),
        table: fixture::table(),
        complete: true,
    });
    console.settle();
    assert_eq!(rows(&mut console), [">runtime.memmove"]);
}

#[test]
fn tab_completes_a_field() {
    let mut console = Console::live();
    console.press("/");
    console.type_text("pac");
    console.press("Tab");
    console.type_text("= sync");
    assert_eq!(rows(&mut console), [">sync.(*Mutex).Lock"]);
}

#[test]
fn a_million_functions_are_filtered_in_pieces() {
    let names: Vec<String> = (0..1_000_000).map(|n| format!("pkg.function{n}")).collect();
    let table = fixture::table_of(names.iter().map(String::as_str));
    let mut console = Console::open_with(Options::default(), table);
    console.press("/");
    for key in "name=*99999".chars() {
        console.press(&key.to_string());
    }
    assert!(console.settle() > 10);
    let text = console.text(100, 30);
    assert!(text.contains("10 match"), "{text}");
}

#[test]
fn errors_stand_below_the_filter() {
    let mut console = Console::live();
    console.press("/");
    console.type_text("p99 > 10");
    assert_snapshot!("filter_error_80x24", console.screen(80, 24));
}
