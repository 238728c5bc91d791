//! How fast the console is with as much as it may ever show: `cargo bench -p coral-ui`.
#![allow(clippy::print_stdout, clippy::unwrap_used)] // it prints, and its harness is the tests'

#[allow(dead_code)] // the tests use all of it
#[path = "../../tests/console/fixture.rs"]
mod fixture;
#[allow(dead_code)] // the tests use all of it
#[path = "../../tests/console/harness.rs"]
mod harness;
mod load;
mod measure;

use std::sync::Arc;
use std::time::Duration;

use coral_ui::{Options, SourceEvent};

use harness::Console;
use measure::{Row, resident_mib, time};

/// What lists and pictures are moved in by.
const MOVES: &str = "j j k PgDn PgDn PgUp G k g";

fn main() {
    println!("console: 200x60 cells, median and slowest (ms of a core)");
    println!("{}", Row::HEAD);
    history();
    functions();
    calls();
}

fn functions() {
    let table = load::functions();
    let (mut console, opened) = time(|| {
        let mut console = Console::new(Options::default());
        console.send(SourceEvent::Functions {
            target: fixture::target(),
            table,
            complete: true,
        });
        console
    });
    let mut pieces = measure::pieces(&mut console);
    let seconds = fixture::incident(60);
    console.snapshot(seconds[0].clone());
    let mut snapshots = seconds
        .iter()
        .cycle()
        .map(|snapshot| Arc::new(snapshot.clone()));
    let mut next = || SourceEvent::Snapshot(snapshots.next().unwrap());
    let row = Row::of("1,000,000 functions", &mut console, MOVES, &mut next);
    println!("{row}");
    console.press("/");
    pieces.extend(measure::pieces(&mut console));
    let typed = "s t o r e 7 7 Backspace Backspace";
    println!(
        "{}",
        Row::of("  while typing a filter", &mut console, typed, &mut next)
    );
    pieces.extend(measure::pieces(&mut console));
    console.press("Esc Esc /");
    let expression = "n a m e ~ t a b l e 7 7 Space o r Space c a l l s > 9";
    println!(
        "{}",
        Row::of(
            "  while typing conditions",
            &mut console,
            expression,
            &mut next
        )
    );
    pieces.extend(measure::pieces(&mut console));
    console.press("Esc Esc s");
    pieces.extend(measure::pieces(&mut console));
    console.press("Ctrl-P");
    pieces.extend(measure::pieces(&mut console));
    println!(
        "{}",
        Row::of("  while finding one", &mut console, typed, &mut next)
    );
    pieces.extend(measure::pieces(&mut console));
    let longest = pieces.into_iter().max().unwrap_or_default();
    println!("  opened in {opened:.1?}; work put off is done in pieces of at most {longest:.1?}");
}

fn calls() {
    let mut console = Console::open();
    console.press("4");
    let mut trees = load::Trees::default();
    let mut next = || SourceEvent::Snapshot(trees.next());
    for (view, moves) in [
        ("100,000 paths: tree", "j PgDn G k g l h h l s s s s s *"),
        ("  flame", "j j l l h k z j k Z"),
        ("  sandwich", MOVES),
        ("  slow calls", MOVES),
        ("  calls inside of a slow one", MOVES),
        ("  calls in flight", MOVES),
    ] {
        println!("{}", Row::of(view, &mut console, moves, &mut next));
        console.press("v");
    }
    console.press("/");
    println!(
        "{}",
        Row::of(
            "  tree, searched",
            &mut console,
            "c a r t Backspace",
            &mut next
        )
    );
}

fn history() {
    let before_mib = resident_mib();
    let mut console = Console::open();
    let seconds = fixture::incident(60);
    for quarter in 1..=load::QUARTERS {
        console.advance(Duration::from_millis(250));
        console.snapshot(load::at(quarter, &seconds));
    }
    console.press("m 3 g");
    let mut quarter = load::QUARTERS;
    for (view, moves) in [
        ("an hour, 4 a second: histogram", MOVES),
        ("  heatmap", "h h k k b h h j j l Esc"),
        ("  percentile lines", "h h l l x x"),
        ("  comparison", "M M M"),
    ] {
        let mut next = || {
            quarter += 1;
            SourceEvent::Snapshot(Arc::new(load::at(quarter, &seconds)))
        };
        println!("{}", Row::of(view, &mut console, moves, &mut next));
        console.press("v");
    }
    console.press("5");
    let text = console.text(200, 60);
    let kept = text
        .split_once(" of history, ")
        .map_or("", |(_, kept)| kept);
    let kept = kept.split(" ─").next().unwrap_or_default();
    print!("  history takes {kept}, by its own count");
    if let (Some(before), Some(after)) = (before_mib, resident_mib()) {
        print!(
            "; the process has grown by {} MiB",
            after.saturating_sub(before)
        );
    }
    println!();
}
