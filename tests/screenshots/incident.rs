//! An incident being solved: the script of the moving picture.

use std::time::Duration;

use coral_tui::recording::Recording;
use coral_ui::{Options, Theme};
use ratatui::buffer::Buffer;
use ratatui::layout::Rect;
use ratatui::style::{Modifier, Style};

use crate::animation::Scene;
use crate::console::Console;

const SIZE: (u16, u16) = (120, 30);

/// What is pressed, how that is written, and what is seen then.
struct Step {
    keys: &'static str,
    written: &'static str,
    seen: &'static str,
    ms: u32,
}

const fn step(keys: &'static str, written: &'static str, seen: &'static str, ms: u32) -> Step {
    Step {
        keys,
        written,
        seen,
        ms,
    }
}

const STEPS: [Step; 10] = [
    step("", "coral-tui --demo", "Some checkouts are slow. Which, and why?", 2_500),
    step("ss", "s s", "Sorted by p99: a function that takes 12 ms takes 360 ms sometimes.", 2_500),
    step("g\n", "g Enter", "Its latency has two modes: the slow one was never an average.", 2_500),
    step("v", "v", "As a heatmap: it has been so all the time, in about one call of twenty.", 2_500),
    step("4", "4", "Where a request's time goes: the call tree.", 2_000),
    step("jj", "j j", "callExternalAPI makes no other call: the time is its own.", 2_500),
    step("v", "v", "The same as a flame.", 2_000),
    step("vv", "v v", "The slowest calls, with what they were called for.", 2_000),
    step("jj", "j j", "callExternalAPI was slow for brand = amex ...", 2_000),
    step("jjj", "j j j", "... and again. It is the payment provider, for one card brand.", 3_000),
];

/// What is on the screen after each step, two seconds after the one before.
pub(crate) fn scenes(recording: &Recording) -> Vec<Scene> {
    let options = Options {
        theme: Theme::builtin("coral-dark").unwrap(),
        ..Options::default()
    };
    let mut console = Console::open(recording, options, SIZE);
    let steps = (1u64..).zip(&STEPS);
    let scenes = steps.map(|(number, step)| {
        console.play(Duration::from_secs(2 * number));
        console.press(step.keys);
        Scene {
            screen: with_caption(&console.screen(), step),
            ms: step.ms,
        }
    });
    scenes.collect()
}

/// The screen with two lines below it: the keys, and what is seen.
fn with_caption(screen: &Buffer, step: &Step) -> Buffer {
    let (columns, rows) = SIZE;
    let mut captioned = Buffer::empty(Rect::new(0, 0, columns, rows + 2));
    captioned.merge(screen);
    let keys = Style::new().add_modifier(Modifier::REVERSED | Modifier::BOLD);
    let written = format!(" {} ", step.written);
    let width = usize::from(columns);
    let (end, line) = captioned.set_stringn(1, rows + 1, written, width, keys);
    captioned.set_stringn(end + 2, line, step.seen, width, Modifier::BOLD);
    captioned
}
