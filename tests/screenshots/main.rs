//! The pictures in `screenshots/`: drawn from the shipped recording, compared byte by byte.
//!
//! `CORAL_UPDATE_SCREENSHOTS=1 cargo test --test screenshots` writes them anew.
#![allow(clippy::unwrap_used)] // all of this is tests

mod animation;
mod cast;
mod console;
mod geometry;
mod incident;
mod png;
mod svg;

use std::path::PathBuf;
use std::time::Duration;

use console::Console;
use coral_tui::demo;
use coral_tui::recording::Recording;
use coral_ui::{Colors, Options, Theme};
use svg::Paper;

const DARK: Paper = Paper {
    background: "#14161b",
    foreground: "#d7dae0",
};
const LIGHT: Paper = Paper {
    background: "#fbfaf7",
    foreground: "#2a2c31",
};

/// A picture: its name, its size, and the keys that lead to it.
struct Shot {
    name: &'static str,
    size: (u16, u16),
    colors: Colors,
    keys: &'static str,
}

const fn shot(name: &'static str, size: (u16, u16), keys: &'static str) -> Shot {
    Shot {
        name,
        size,
        colors: Colors::True,
        keys,
    }
}

/// The slow calls of the heatmap: up from the newest column, back over some of time, and up.
const AREA: &str = "jjj3vkkkkkkkkkkkkkkkkkbhhhhhhhhhhhhhhhhhhhhhhhhhkkkkkk\n";

/// The screens that are shown by day and by night.
const SCREENS: [Shot; 18] = [
    shot("processes", (120, 20), "1jj"),
    shot("functions", (160, 44), "jjj"),
    shot("latency", (120, 36), "jjj3"),
    shot("heatmap", (140, 40), "jjj3v"),
    shot("percentiles", (120, 36), "jjj3vv"),
    shot("heatmap-area", (140, 40), AREA),
    shot("compare", (120, 30), "{mLjjj3M"),
    shot("calls", (140, 24), "4jj"),
    shot("flame", (120, 20), "4v"),
    shot("sandwich", (120, 20), "4jvv"),
    shot("slow-calls", (140, 36), "4vvvjjjj"),
    shot("trace", (120, 24), "4vvvvG"),
    shot("in-flight", (140, 30), "4vvvvv"),
    shot("sessions", (120, 24), "5"),
    shot("events", (120, 20), "{mLmy6"),
    shot("help", (120, 44), "?"),
    shot("palette", (120, 30), ":lat"),
    shot("finder", (120, 30), "@pay"),
];

/// Other sizes, and no colours.
const OTHERS: [Shot; 2] = [
    shot("functions-80x24", (80, 24), "jjj"),
    Shot {
        colors: Colors::None,
        ..shot("functions-no-color", (60, 20), "jjj")
    },
];

/// Those that are drawn as PNG too.
const PNGS: [&str; 4] = ["functions", "latency", "heatmap", "calls"];

#[test]
fn pictures_are_those_of_the_screens() {
    let recording = demo::recording().unwrap();
    for shot in SCREENS.iter().chain(&OTHERS) {
        let svg = picture(&recording, shot, Theme::default(), &DARK);
        compare(&format!("{}.svg", shot.name), svg.as_bytes());
        if PNGS.contains(&shot.name) {
            compare(&format!("{}.png", shot.name), &png::render(&svg));
        }
    }
    for shot in &SCREENS {
        let theme = Theme::builtin("coral-light").unwrap();
        let svg = picture(&recording, shot, theme, &LIGHT);
        compare(&format!("{}-light.svg", shot.name), svg.as_bytes());
    }
}

#[test]
fn the_moving_picture_is_that_of_the_screens() {
    let recording = demo::recording().unwrap();
    let scenes = incident::scenes(&recording);
    let svg = animation::render(&scenes, &DARK);
    compare("incident.svg", svg.as_bytes());
    let cast = cast::write(&scenes);
    cast::check(&cast, &scenes);
    compare("incident.cast", cast.as_bytes());
}

fn picture(recording: &Recording, shot: &Shot, theme: Theme, paper: &Paper) -> String {
    let options = Options {
        theme,
        colors: shot.colors,
        ..Options::default()
    };
    let mut console = Console::open(recording, options, shot.size);
    console.play(Duration::MAX);
    console.press(shot.keys);
    svg::render(&console.screen(), paper)
}

fn compare(name: &str, drawn: &[u8]) {
    let path = PathBuf::from(env!("CARGO_MANIFEST_DIR"))
        .join("screenshots")
        .join(name);
    if std::env::var_os("CORAL_UPDATE_SCREENSHOTS").is_some() {
        std::fs::write(&path, drawn).unwrap();
        return;
    }
    let committed = std::fs::read(&path).unwrap_or_default();
    assert!(
        committed == drawn,
        "screenshots/{name} is not what is drawn; look at it, and write it anew with \
         CORAL_UPDATE_SCREENSHOTS=1"
    );
}
