//! A million functions: no event and no frame takes long.

use std::time::{Duration, Instant};

use coral_ui::{Options, SourceEvent, Start, draw};
use ratatui::Terminal;
use ratatui::backend::TestBackend;

use crate::fixture;
use crate::harness::Console;

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

#[test]
#[cfg_attr(
    debug_assertions,
    ignore = "measures time, which only a release build is good for"
)]
fn a_million_functions_are_shown_filtered_and_sorted_without_a_pause() {
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
    assert!(frame < Duration::from_millis(8));
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
    assert!(slowest < Duration::from_millis(50));
}
