//! How long one waits for the first measured durations on the screen.

use std::time::Instant;

use crate::Result;
use crate::table::{Table, median};
use crate::terminal::{self, LARGE};

const ROUNDS: usize = 15;

/// Measures and prints.
pub(crate) fn run() -> Result<()> {
    println!(
        "start: from the start of `coral-tui --demo` to what the screen shows\n\
         (ms; median of {ROUNDS} starts)\n"
    );
    let mut waits_ms: [Vec<f64>; 2] = Default::default();
    for _ in 0..ROUNDS {
        let begin = Instant::now();
        let terminal = terminal::start(LARGE, &["--demo"]);
        for (is_shown, waits_ms) in [has_text, has_histogram].iter().zip(&mut waits_ms) {
            terminal.wait_for(is_shown);
            waits_ms.push(begin.elapsed().as_secs_f64() * 1e3);
        }
    }
    let mut table = Table::new(&["shown", "ms"]);
    let [first, histogram] = waits_ms.map(|waits_ms| format!("{:.0}", median(waits_ms)));
    table.row(["the first screen".to_owned(), first]);
    table.row(["the first bars of a histogram".to_owned(), histogram]);
    table.print();
    Ok(())
}

fn has_text(frame: &str) -> bool {
    !frame.trim().is_empty()
}

/// Bars, and below them the mark of a percentile, which nothing else on the screen has.
fn has_histogram(frame: &str) -> bool {
    frame.contains(|it| ('▁'..='█').contains(&it)) && frame.contains("▲p50")
}
