//! The pictures in `screenshots/`: drawn from the shipped recording, compared byte by byte.
//!
//! `CORAL_UPDATE_SCREENSHOTS=1 cargo test --test screenshots` writes them anew.
#![allow(clippy::unwrap_used)] // all of this is tests

mod geometry;
mod png;
mod svg;

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use coral_tui::demo;
use coral_tui::recording::Recording;
use coral_ui::{Colors, Event, Glyphs, Options, SourceEvent, Start, State, Theme, draw, update};
use crossterm::event::{KeyCode, KeyEvent, KeyModifiers};
use ratatui::Terminal;
use ratatui::backend::TestBackend;
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
    theme: &'static str,
    colors: Colors,
    keys: &'static str,
}

const fn shot(name: &'static str, size: (u16, u16), keys: &'static str) -> Shot {
    Shot {
        name,
        size,
        theme: "coral-dark",
        colors: Colors::True,
        keys,
    }
}

const SHOTS: [Shot; 13] = [
    shot("functions", (160, 44), "jjj"),
    shot("functions-80x24", (80, 24), "jjj"),
    shot("latency", (120, 36), "jjj3"),
    shot("heatmap", (140, 40), "jjj3v"),
    shot("percentiles", (120, 36), "jjj3vv"),
    shot("calls", (140, 24), "4jj"),
    shot("flame", (120, 20), "4v"),
    shot("slow-calls", (140, 36), "4vvv"),
    shot("in-flight", (140, 30), "4vvvv"),
    shot("sessions", (120, 24), "5"),
    shot("help", (120, 44), "?"),
    Shot {
        theme: "coral-light",
        ..shot("functions-light", (160, 44), "jjj")
    },
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
    for shot in &SHOTS {
        let svg = picture(&recording, shot);
        compare(&format!("{}.svg", shot.name), svg.as_bytes());
        if PNGS.contains(&shot.name) {
            compare(&format!("{}.png", shot.name), &png::render(&svg));
        }
    }
}

fn picture(recording: &Recording, shot: &Shot) -> String {
    let options = Options {
        start: Start::Source,
        replay: true,
        theme: Theme::builtin(shot.theme).unwrap(),
        colors: shot.colors,
        glyphs: Glyphs::UNICODE,
        ..Options::default()
    };
    let (mut state, _) = State::new(options);
    let (columns, rows) = shot.size;
    update(&mut state, Event::Resize { columns, rows });
    let functions = SourceEvent::Functions {
        target: recording.target().clone(),
        table: Arc::clone(recording.table()),
        complete: true,
    };
    update(&mut state, Event::Source(functions));
    // Short of the end, so that the session is still live.
    let frames = recording.frames();
    for (at, snapshot) in &frames[..frames.len() - 2] {
        update(&mut state, Event::Tick { now: *at });
        let snapshot = SourceEvent::Snapshot(Arc::clone(snapshot));
        update(&mut state, Event::Source(snapshot));
    }
    settle(&mut state, frames[frames.len() - 3].0);
    for key in shot.keys.chars() {
        let key = KeyEvent::new(KeyCode::Char(key), KeyModifiers::NONE);
        update(&mut state, Event::Key(key));
    }
    let mut terminal = Terminal::new(TestBackend::new(columns, rows)).unwrap();
    terminal.draw(|frame| draw(frame, &state)).unwrap();
    let paper = if shot.theme == "coral-light" {
        &LIGHT
    } else {
        &DARK
    };
    svg::render(terminal.backend().buffer(), paper)
}

/// Lets the screens finish what they put off.
fn settle(state: &mut State, now: Duration) {
    while state.has_work() {
        update(state, Event::Tick { now });
    }
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
