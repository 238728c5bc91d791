//! A row for each replica: the odd one out, the silent ones, and one of them alone.

use std::sync::Arc;
use std::time::Duration;

use coral_model::{EndReason, ReplicaState};
use coral_ui::{Colors, Effect, Options, Screen, SourceEvent};

use crate::harness::Console;
use crate::screens::check_at;
use crate::{colony, fixture};

/// A service on three replicas, all measured; the selected function is the one with a slow one.
fn console() -> Console {
    let mut console = Console::open();
    console.snapshot(colony::snapshot());
    console
}

/// The names of the replicas that are shown, from the top.
fn rows(console: &mut Console) -> Vec<String> {
    let text = console.text(120, 30);
    let rows = text.lines().filter(|line| line.contains(" node-"));
    let words = |line: &str| {
        let mut words = line
            .trim_start_matches(['\u{258c}', ' '])
            .split_whitespace();
        let marker = words.next();
        marker.and(words.next()).unwrap_or_default().to_owned() + " " + words.next().unwrap_or("")
    };
    rows.filter(|line| !line.contains("alone"))
        .map(words)
        .collect()
}

#[test]
fn a_slow_replica_stands_out() {
    let mut console = console();
    console.press("R");
    assert_eq!(console.state.screen(), Screen::Latency);
    check_at("replicas", &mut console, (80, 24));
    check_at("replicas", &mut console, (160, 48));
    let text = console.text(80, 24);
    assert!(text.contains("checkout on 3 replicas (2 agents)"), "{text}");
    assert!(text.contains("1 stands out"), "{text}");
    assert_eq!(
        rows(&mut console),
        ["node-2 991", "node-1 4242", "node-1 4301"]
    );
    let row = text.lines().find(|line| line.contains("node-2")).unwrap();
    assert!(row.contains("slow 4.0x"), "{row}");
}

#[test]
fn functions_say_that_a_replica_stands_out() {
    let mut console = console();
    check_at("functions_replicas", &mut console, (160, 48));
    let text = console.text(80, 24);
    let row = text
        .lines()
        .find(|line| line.contains("main.handleCheckout"))
        .unwrap();
    assert!(row.contains("slow 4.0x"), "{text}");
    let row = text
        .lines()
        .find(|line| line.contains("Cart).Add"))
        .unwrap();
    assert!(!row.contains("slow"), "{text}");
    assert!(
        !Console::live().text(80, 24).contains("a replica"),
        "there is none"
    );
}

#[test]
fn silent_and_refused_ones_are_counted_and_say_since_when_and_why() {
    let mut console = console();
    console.advance(Duration::from_secs(12));
    console.snapshot(colony::troubled());
    console.press("R");
    let options = (80, 24);
    let text = console.text(options.0, options.1);
    assert!(
        text.contains("2 of 4 measured, 1 silent 12 s, 1 refused"),
        "{text}"
    );
    let row = |agent: &str| text.lines().find(|line| line.contains(agent)).unwrap();
    assert!(row("4301").contains("silent 12 s"), "{text}");
    assert!(row("node-3").contains("refused"), "{text}");
    assert!(row("640").contains("exited"), "{text}");
    console.press("G");
    let text = console.text(80, 24);
    assert!(
        text.contains("node-3 lacks the right for probes (cap-missing)"),
        "{text}"
    );
    check_at("replicas_troubled", &mut console, (80, 24));
}

#[test]
fn one_is_looked_at_alone_until_one_goes_back() {
    let mut console = console();
    console.press("R");
    let all = "n 1,";
    assert_eq!(console.press("Enter"), []);
    let text = console.text(120, 30);
    let header = text.lines().next().unwrap();
    assert!(header.contains("checkout  node-2 991 alone of 3"), "{text}");
    assert!(!text.contains(all), "{text}");
    check_at("replica_alone", &mut console, (80, 24));
    for view in ["v", "v", "v"] {
        console.press(view);
        assert!(console.text(120, 30).contains("node-2 991 alone"), "{view}");
    }
    console.press("Esc");
    assert_eq!(rows(&mut console).len(), 3, "back among all of them");
    assert!(console.text(120, 30).contains("checkout on 3 replicas"));
    console.press("Esc");
    assert_eq!(console.state.screen(), Screen::Functions);
}

#[test]
fn a_process_that_outlives_its_agent_is_two_of_which_each_is_looked_at_alone() {
    let mut parts = colony::parts();
    parts[0].replica.state = ReplicaState::Ended(EndReason::Failed);
    parts[1].replica.target = parts[0].replica.target.clone();
    for (part, calls) in parts.iter_mut().zip([11_111, 77_777]) {
        let snapshot = part.snapshot.as_mut().map(Arc::make_mut).unwrap();
        Arc::make_mut(&mut snapshot.functions[0]).calls = calls;
    }
    let mut console = Console::open();
    console.snapshot(colony::merged(&parts));
    console.press("R");
    let listed = rows(&mut console);
    assert_eq!(listed, ["node-2 991", "node-1 4242", "node-1 4242"]);
    for (keys, calls) in [("g j", "11,111"), ("j", "77,777"), ("k", "11,111")] {
        console.press(keys);
        console.press("Enter");
        let text = console.text(120, 30);
        assert!(text.contains(&format!("{calls} calls = ")), "{text}");
        console.press("Esc");
    }
}

#[test]
fn its_past_is_its_own() {
    let mut console = Console::open();
    for second in 1..=6 {
        console.advance(Duration::from_secs(1));
        let mut parts = colony::parts();
        for part in &mut parts {
            let mut snapshot = part.snapshot.as_deref().unwrap().clone();
            snapshot.session.elapsed = Duration::from_secs(second);
            part.snapshot = Some(snapshot.into());
        }
        let mut snapshot = colony::merged(&parts);
        snapshot.session.elapsed = Duration::from_secs(second);
        console.snapshot(snapshot);
    }
    console.press("R Enter v");
    let exported = |console: &mut Console| {
        let effects = console.press("e");
        let Some(Effect::ExportView(view)) = effects.into_iter().next() else {
            panic!("nothing was exported");
        };
        assert_eq!(view.view, "latency-heatmap");
        let count = |row: &Vec<String>| row[4].parse::<u64>().unwrap();
        view.rows.iter().map(count).sum::<u64>()
    };
    let expected = |place: usize| {
        let parts = colony::parts();
        parts[place].snapshot.as_ref().unwrap().functions[0]
            .latency
            .count()
    };
    assert_eq!(exported(&mut console), expected(2));
    console.press("Esc");
    console.press("V V V");
    let all: u64 = (0..3).map(expected).sum();
    assert_eq!(exported(&mut console), all);
}

#[test]
fn they_are_sorted_and_filtered_and_the_selection_stays() {
    let mut console = console();
    console.press("R G");
    let selected = |console: &mut Console| {
        let text = console.text(120, 30);
        let row = text
            .lines()
            .find(|line| line.starts_with('\u{258c}'))
            .unwrap();
        assert!(row.contains("4301"), "{text}");
    };
    selected(&mut console);
    for _ in 0..7 {
        console.press("s");
        selected(&mut console);
        console.snapshot(colony::snapshot());
        selected(&mut console);
    }
    console.press("/");
    console.type_text("slow");
    console.press("Enter");
    assert_eq!(rows(&mut console), ["node-2 991"]);
    console.press("Esc /");
    console.type_text("zzz");
    console.press("Enter");
    let text = console.text(120, 30);
    assert!(text.contains("No replica matches the filter."), "{text}");
    assert!(text.contains("all of them"), "the sum is that of all");
}

#[test]
fn slow_calls_and_calls_in_flight_say_where() {
    let mut console = console();
    console.press("4 v v v");
    let text = console.text(120, 30);
    assert!(
        text.contains("node-2 991") && text.contains("node-1 4242"),
        "{text}"
    );
    console.press("v v G");
    let text = console.text(120, 30);
    assert!(
        text.contains("node-2 991") && text.contains("node-1 4301"),
        "{text}"
    );
    let row = text
        .lines()
        .find(|line| line.starts_with('\u{258c}'))
        .unwrap();
    assert!(
        row.contains("node-1 4301"),
        "the same goroutine elsewhere is another call: {text}"
    );
}

#[test]
fn without_replicas_there_is_nothing_to_compare() {
    let mut console = Console::live();
    console.press("R");
    assert_eq!(console.state.screen(), Screen::Functions);
    assert!(
        console
            .text(80, 24)
            .contains("There are no replicas to compare")
    );
    console.press("3 v v v v");
    assert!(
        console
            .text(80, 24)
            .contains("Latency  main.handleCheckout"),
        "it is passed over"
    );
}

#[test]
fn what_stands_out_is_said_without_colour() {
    let options = Options {
        colors: Colors::None,
        ..Options::default()
    };
    let mut console = Console::open_with(options, fixture::table());
    console.send(SourceEvent::Snapshot(colony::snapshot().into()));
    console.press("R");
    check_at("replicas_plain", &mut console, (60, 20));
}
