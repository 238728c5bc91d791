//! The latency screen over time: heatmap and area, percentiles, comparison.

use coral_model::{Histogram, Target};
use coral_ui::{Colors, Effect, Glyphs, Options, SourceEvent, ViewExport};
use crossterm::event::{MouseButton, MouseEventKind};
use proptest::prelude::*;

use crate::fixture;
use crate::harness::Console;
use crate::screens::check_at;

fn plain() -> Options {
    Options {
        colors: Colors::None,
        glyphs: Glyphs::ASCII,
        ..Options::default()
    }
}

fn exported(console: &mut Console) -> ViewExport {
    match console.press("e").pop() {
        Some(Effect::ExportView(view)) => view,
        other => panic!("{other:?}"),
    }
}

fn repeat(key: &str, times: usize) -> String {
    [key].repeat(times).join(" ")
}

#[test]
fn the_heatmap_shows_when_it_became_slow() {
    let mut console = Console::incident(Options::default());
    console.press("v");
    check_at("heatmap", &mut console, (160, 48));
    console.resize(80, 24);
    // The incident's mode from the newest column back.
    console.press(&format!("{} b {} j Enter", repeat("k", 11), repeat("h", 5)));
    check_at("heatmap_area", &mut console, (80, 24));
}

#[test]
fn density_needs_neither_colours_nor_unicode() {
    let mut console = Console::incident(plain());
    console.press("v");
    check_at("heatmap_plain", &mut console, (80, 24));
    console.press("b h h");
    assert!(console.text(80, 24).is_ascii());
    console.press("v");
    check_at("percentiles_plain", &mut console, (80, 24));
    console.press("v");
    assert!(console.text(80, 24).is_ascii());
}

#[test]
fn percentiles_are_lines_over_time() {
    let mut console = Console::incident(Options::default());
    console.press("v v");
    check_at("percentiles", &mut console, (80, 24));
    console.press("x");
    let text = console.text(80, 24);
    assert!(text.contains("linear"), "{text}");
}

#[test]
fn what_changed_since_the_mark() {
    let mut console = Console::incident(Options::default());
    console.press("M");
    check_at("compare", &mut console, (80, 24));
    let text = console.text(60, 20);
    assert!(
        text.contains("before mark 1") && text.contains("real"),
        "{text}"
    );
}

#[test]
fn a_whole_area_holds_every_call_exactly_once() {
    for (columns, rows) in [(80, 24), (120, 30), (200, 60)] {
        let mut console = Console::incident(Options::default());
        console.press("v");
        console.resize(columns, rows);
        let (left, up) = (repeat("h", 300), repeat("k", 100));
        console.press(&format!(
            "{} {up} b {left} {} Enter",
            repeat("l", 300),
            repeat("j", 200)
        ));
        let count = fixture::incident(40).pop().unwrap().functions[0]
            .latency
            .count();
        let text = console.text(columns, rows);
        assert!(text.contains("100.00 %"), "{text}");
        let view = exported(&mut console);
        let sum: u64 = view
            .rows
            .iter()
            .map(|row| row[4].parse::<u64>().unwrap())
            .sum();
        assert_eq!(sum, count);
    }
}

#[test]
fn an_area_holds_its_calls_and_lists_those_that_were_recorded() {
    let mut console = Console::incident(Options::default());
    console.resize(80, 24);
    console.press(&format!(
        "v {} b {} j Enter",
        repeat("k", 20),
        repeat("h", 300)
    ));
    let slow: u64 = (24..=40)
        .map(|second| fixture::latency(&[(44_000_000 + 500_000 * (second % 5), 8, 8)]).count())
        .sum();
    let text = console.text(80, 24);
    assert!(text.contains("17 recorded, the slowest first"), "{text}");
    assert!(text.contains(&format!("{slow} of ")), "{slow}: {text}");
    // An accepted area is what it was, whatever becomes of the picture.
    for size in [(160, 48), (60, 20), (100, 40)] {
        let text = console.text(size.0, size.1);
        assert!(text.contains(&format!("{slow} of ")), "{size:?}: {text}");
    }
    console.press("Esc");
    assert!(!console.text(80, 24).contains("recorded"));
    assert!(console.text(80, 24).contains("Heatmap"));
}

#[test]
fn going_on_moves_neither_cursor_nor_area_to_other_calls() {
    let mut console = Console::incident(Options::default());
    console.resize(80, 24);
    console.press(&format!("v b {} {} Enter", repeat("h", 20), repeat("k", 9)));
    let counted = |text: &str| {
        let line = text.lines().find(|line| line.contains(" calls, ")).unwrap();
        line.split(" of ").next().unwrap().to_owned()
    };
    let before = counted(&console.text(80, 24));
    for snapshot in fixture::incident(60).into_iter().skip(40) {
        console.snapshot(snapshot);
        assert_eq!(counted(&console.text(80, 24)), before);
    }
}

#[test]
fn a_click_moves_the_cursor() {
    let mut console = Console::incident(Options::default());
    console.resize(80, 24);
    console.press("v");
    console.mouse(MouseEventKind::Down(MouseButton::Left), 8, 5);
    let text = console.text(80, 24);
    assert!(
        text.lines().nth(5).unwrap().starts_with(" 100 ms ┼"),
        "{text}"
    );
    assert!(
        text.contains("03:12:09  60.2 ms to 100 ms  about 0"),
        "{text}"
    );
}

#[test]
fn another_function_has_no_area() {
    let mut console = Console::incident(Options::default());
    console.resize(80, 24);
    console.press("v b h Enter PgDn");
    let text = console.text(80, 24);
    assert!(text.contains("Heatmap  main.(*Cart).Add"), "{text}");
    assert!(!text.contains("Esc clears"), "{text}");
}

#[test]
fn an_area_is_still_there_after_a_look_elsewhere() {
    let mut console = Console::incident(Options::default());
    console.resize(80, 24);
    console.press("v b h Enter");
    let before = console.text(80, 24);
    assert!(before.contains("Esc clears"), "{before}");
    console.press("2");
    assert!(!console.text(80, 24).contains("Esc clears"));
    console.press("3");
    assert_eq!(console.text(80, 24), before);
    // The other views have no area; what is accepted is back with the heatmap.
    console.press("v v v v");
    assert_eq!(console.text(80, 24), before);
    console.press("2 j 3");
    let other = console.text(80, 24);
    assert!(!other.contains("Esc clears"), "{other}");
}

#[test]
fn another_process_has_no_area() {
    let mut console = Console::incident(Options::default());
    console.resize(80, 24);
    console.press("v b h Enter");
    console.send(SourceEvent::Functions {
        target: Target {
            pid: 4243,
            ..fixture::target()
        },
        table: fixture::table(),
        complete: true,
    });
    console.settle();
    let text = console.text(80, 24);
    assert!(!text.contains("Esc clears"), "{text}");
}

#[test]
fn pairs_are_compared_in_turn() {
    let mut console = Console::incident(Options::default());
    let mut other = fixture::ended();
    other.session.id.0 = "dbg-other".into();
    console.send(SourceEvent::SessionEnded(std::sync::Arc::new(other)));
    console.resize(80, 24);
    console.press("m Esc M");
    let mut named = Vec::new();
    for _ in 0..4 {
        let text = console.text(80, 24);
        let side = |letter: &str| {
            let line = text.lines().find(|line| line.starts_with(letter)).unwrap();
            line[4..].split("  ").next().unwrap().to_owned()
        };
        named.push(format!("{}, {}", side(" A  "), side(" B  ")));
        console.press("M");
    }
    assert_eq!(
        named,
        [
            "before mark 2, since mark 2",
            "mark 1 to mark 2, since mark 2",
            "before mark 1, since mark 1",
            "dbg-01JD2Q, dbg-other",
        ]
    );
}

#[test]
fn sides_are_the_calls_of_their_time() {
    let mut console = Console::incident(Options::default());
    console.press("M");
    let snapshots = fixture::incident(40);
    let at = |second: usize| -> &Histogram { &snapshots[second - 1].functions[0].latency };
    let since = at(40).since(at(23));
    let view = exported(&mut console);
    assert_eq!(view.view, "latency-comparison");
    let row = |name: &str| view.rows.iter().find(|row| row[0] == name).unwrap();
    let written = |value: Option<u64>| value.unwrap().to_string();
    assert_eq!(row("p50")[3], written(at(23).percentile_ns(50.0)));
    assert_eq!(row("p95")[5], written(since.percentile_ns(95.0)));
    assert_eq!(row("p95")[7], "more than noise");
    assert_eq!(row("p50")[7], "within noise");
    assert_eq!(row("p99.9")[7], "more than noise");
    assert_eq!(row("max")[7], "");
    let rate = since.count() as f64 / 17.0;
    assert_eq!(row("calls/s")[5], format!("{rate:.3}"));
}

#[test]
fn without_anything_to_compare_it_says_what_to_press() {
    let mut console = Console::live();
    console.press("M");
    let text = console.text(80, 24);
    assert!(text.contains("Press m to mark a moment"), "{text}");
}

#[test]
fn only_the_past_of_the_time_that_is_shown_is_shown() {
    let mut console = Console::incident(Options::default());
    console.press("v v");
    console.press("{ {");
    let view = exported(&mut console);
    assert_eq!(view.view, "latency-percentiles");
    assert_eq!(view.rows.len(), 20);
    console.press("L");
    assert_eq!(exported(&mut console).rows.len(), 40);
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(150))]
    #[test]
    fn every_view_draws_at_any_size(
        columns in 0u16..=250,
        rows in 0u16..=80,
        views in 0usize..=3,
        keys in "[hjklbMvxp{}m]{0,12}",
        ascii: bool,
    ) {
        let options = if ascii { plain() } else { Options::default() };
        let mut console = Console::incident(options);
        console.press(&repeat("v", views));
        console.buffer(columns, rows);
        for key in keys.chars() {
            console.press(&key.to_string());
            let buffer = console.buffer(columns, rows);
            prop_assert_eq!((buffer.area.width, buffer.area.height), (columns, rows));
        }
        console.press("Enter");
        console.buffer(columns, rows);
        console.buffer(rows, columns);
    }
}
