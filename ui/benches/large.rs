//! A million functions: how long a frame, a key and a sorting take. `cargo bench -p coral-ui`.
#![allow(clippy::print_stdout, clippy::unwrap_used)] // it prints, and its harness is the tests'

#[allow(dead_code)] // the tests use all of it
#[path = "../tests/console/fixture.rs"]
mod fixture;
#[allow(dead_code)] // the tests use all of it
#[path = "../tests/console/harness.rs"]
mod harness;

use std::time::{Duration, Instant};

use coral_ui::{Options, SourceEvent, Start, draw};
use ratatui::Terminal;
use ratatui::backend::TestBackend;

use harness::Console;

const FUNCTIONS: usize = 1_000_000;

/// The slowest of some runs would be noise: what counts is that the best one is fast.
fn fastest(mut run: impl FnMut()) -> Duration {
    let once = |_| {
        let begin = Instant::now();
        run();
        begin.elapsed()
    };
    (0..5).map(once).min().unwrap()
}

fn main() {
    history();
    let names: Vec<String> = (0..FUNCTIONS)
        .map(|n| {
            format!(
                "github.com/acme/service{}/store.(*Table{}).Get{n}",
                n % 97,
                n % 1_009
            )
        })
        .collect();
    let table = fixture::table_of(names.iter().map(String::as_str));
    let mut console = Console::new(Options {
        start: Start::Process(4242),
        ..Options::default()
    });
    let begin = Instant::now();
    console.send(SourceEvent::Functions {
        target: fixture::target(),
        table,
        complete: true,
    });
    println!("table taken in {:?}", begin.elapsed());
    let begin = Instant::now();
    let pieces = console.settle();
    println!("sorted in {:?}, {pieces} pieces", begin.elapsed());
    let mut terminal = Terminal::new(TestBackend::new(200, 60)).unwrap();
    let frame = fastest(|| {
        terminal.draw(|frame| draw(frame, &console.state)).unwrap();
    });
    println!("a frame in {frame:?}");
    console.press("/");
    let mut slowest = Duration::ZERO;
    for key in ["s", "t", "o", "r", "e", "7", "7"] {
        let begin = Instant::now();
        console.press(key);
        slowest = slowest.max(begin.elapsed());
        let begin = Instant::now();
        let pieces = console.settle();
        println!("{key}: {:?} in {pieces} pieces", begin.elapsed());
    }
    println!("the slowest key took {slowest:?}");
    typed_filter(&mut console);
}

/// An expression over all names, and numbers that change what it matches.
fn typed_filter(console: &mut Console) {
    console.press("Esc Esc /");
    console.press("n a m e ~ T a b l e 7 7 Space o r Space c a l l s > 9");
    let (mut slowest, mut pieces) = (Duration::ZERO, 0);
    while console.state.has_work() {
        let begin = Instant::now();
        console.advance(Duration::ZERO);
        slowest = slowest.max(begin.elapsed());
        pieces += 1;
    }
    println!("a typed filter in {pieces} pieces, the slowest in {slowest:?}");
    let mut calls = 0;
    let follow = fastest(|| {
        calls = 20 - calls;
        let mut snapshot = fixture::snapshot();
        std::sync::Arc::make_mut(&mut snapshot.functions[0]).calls = calls;
        console.advance(Duration::from_secs(1));
        console.snapshot(snapshot);
    });
    println!("numbers that change what it matches in {follow:?}");
}

/// An hour of snapshots, four a second: what a new one costs while a view over time is shown, and
/// a frame of it.
fn history() {
    let mut console = Console::open();
    let seconds = fixture::incident(60);
    for quarter in 1..=14_400u64 {
        let mut snapshot = seconds[(quarter as usize / 240).min(59)].clone();
        snapshot.session.elapsed = Duration::from_millis(250 * quarter);
        console.advance(Duration::from_millis(250));
        console.snapshot(snapshot);
    }
    console.press("3 g");
    console.resize(200, 60);
    let mut terminal = Terminal::new(TestBackend::new(200, 60)).unwrap();
    for view in ["heatmap", "percentiles", "comparison"] {
        console.press(if view == "comparison" { "m M" } else { "v" });
        let taken = fastest(|| {
            let snapshot = seconds[59].clone();
            console.advance(Duration::from_millis(250));
            console.snapshot(snapshot);
        });
        let frame = fastest(|| {
            terminal.draw(|frame| draw(frame, &console.state)).unwrap();
        });
        println!("{view} of an hour: a snapshot taken in {taken:?}, a frame in {frame:?}");
    }
}
