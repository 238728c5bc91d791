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

const STEPS: [Step; 12] = [
    step(
        "",
        "coral-tui --demo",
        "Some checkouts are slow. Which, and why?",
        2_500,
    ),
    step(
        "ss",
        "s s",
        "By p99: what takes 12 ms most of the time takes 360 ms sometimes.",
        2_500,
    ),
    step(
        "g\n",
        "g Enter",
        "There are two kinds of checkouts, and nothing between them.",
        2_500,
    ),
    step(
        "v",
        "v",
        "Time across, duration upwards: it has been so all the time.",
        2_500,
    ),
    step(
        "4",
        "4",
        "Where the time goes: the call tree of every checkout.",
        2_000,
    ),
    step(
        "jj",
        "j j",
        "callExternalAPI is the slow leaf: 99.8 % of its caller, all of it its own.",
        2_500,
    ),
    step("v", "v", "The same as a flame.", 1_500),
    step(
        "vv",
        "v v",
        "The slowest calls, each with its arguments and its stack.",
        2_000,
    ),
    step(
        "/api\nn",
        "/ a p i Enter n",
        "Those of callExternalAPI: this one was for an amex card,",
        2_500,
    ),
    step("n", "n", "and the next one too,", 1_500),
    step(
        "n",
        "n",
        "and the next. The payment provider is slow for that brand.",
        2_500,
    ),
    step(
        "/handle\nz",
        "/ h a n d l e Enter z",
        "A whole checkout on a time axis: it waits for the provider, and for nothing else.",
        3_500,
    ),
];

/// From one step to the next, so much of the recording goes by.
const BETWEEN: Duration = Duration::from_millis(1_700);

/// What is on the screen after each step.
pub(crate) fn scenes(recording: &Recording) -> Vec<Scene> {
    let options = Options {
        theme: Theme::builtin("coral-dark").unwrap(),
        ..Options::default()
    };
    let mut console = Console::open(recording, options, SIZE);
    let steps = (1..).zip(&STEPS);
    let scenes = steps.map(|(number, step)| {
        console.play(number * BETWEEN);
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
