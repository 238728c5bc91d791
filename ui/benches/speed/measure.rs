//! Times of one place of the console.

use std::fmt;
use std::time::Duration;

use coral_ui::{SourceEvent, draw};
use ratatui::Terminal;
use ratatui::backend::TestBackend;
use rustix::time::{ClockId, clock_gettime};

use crate::harness::Console;

/// How often each thing is done.
const ROUNDS: usize = 9;

/// What was done, and how long a core worked for it: what else the machine does at the same time is
/// not the console's.
pub(crate) fn time<T>(run: impl FnOnce() -> T) -> (T, Duration) {
    let now = || Duration::try_from(clock_gettime(ClockId::ThreadCPUTime)).unwrap_or_default();
    let begin = now();
    let done = run();
    (done, now().saturating_sub(begin))
}

/// Does all the work that was put off; returns how long each piece took.
pub(crate) fn pieces(console: &mut Console) -> Vec<Duration> {
    let mut pieces = Vec::new();
    while console.state.has_work() {
        pieces.push(time(|| console.advance(Duration::ZERO)).1);
    }
    pieces
}

/// What the process has in memory, where the system tells.
pub(crate) fn resident_mib() -> Option<u64> {
    let statm = std::fs::read_to_string("/proc/self/statm").ok()?;
    let pages: u64 = statm.split(' ').nth(1)?.parse().ok()?;
    Some(pages * 4 / 1024)
}

/// One place: how long a frame takes, from a key to its frame, and to take a snapshot in.
pub(crate) struct Row {
    name: &'static str,
    times: [Vec<Duration>; 3],
}

impl Row {
    pub(crate) const HEAD: &str =
        "                                          a frame     key to frame  a snapshot taken";

    /// Measures what is in front; pieces of work are done between the keys, as by the console.
    pub(crate) fn of(
        name: &'static str,
        console: &mut Console,
        keys: &str,
        mut next: impl FnMut() -> SourceEvent,
    ) -> Self {
        let (columns, rows) = (200, 60);
        console.resize(columns, rows);
        let mut terminal = Terminal::new(TestBackend::new(columns, rows)).unwrap();
        let mut draw = |console: &Console| {
            terminal.draw(|frame| draw(frame, &console.state)).unwrap();
        };
        let [mut frames, mut pressed, mut taken] = [const { Vec::new() }; 3];
        for _ in 0..ROUNDS {
            let snapshot = next();
            console.advance(Duration::from_millis(250));
            taken.push(time(|| console.send(snapshot)).1);
            frames.push(time(|| draw(console)).1);
            for key in keys.split(' ') {
                let press = || {
                    console.press(key);
                    draw(console);
                };
                pressed.push(time(press).1);
                if console.state.has_work() {
                    console.advance(Duration::ZERO);
                }
            }
        }
        let times = [frames, pressed, taken].map(|mut times| {
            times.sort_unstable();
            times
        });
        Self { name, times }
    }
}

impl fmt::Display for Row {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "  {:<34}", self.name)?;
        for times in &self.times {
            let [median, slowest] = [times[times.len() / 2], times[times.len() - 1]];
            let ms = |time: Duration| time.as_secs_f64() * 1_000.0;
            write!(formatter, "  {:6.2} {:7.2}", ms(median), ms(slowest))?;
        }
        Ok(())
    }
}
