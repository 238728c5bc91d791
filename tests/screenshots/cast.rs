//! The same scenes as an asciicast: what a terminal is sent, and when.

use std::fmt::Write;

use ratatui::backend::{Backend, CrosstermBackend};
use ratatui::buffer::Buffer;
use serde_json::json;

use crate::animation::Scene;

/// A file for `asciinema play`, version 2.
pub(crate) fn write(scenes: &[Scene]) -> String {
    // Whatever the terminal is that the test runs in.
    crossterm::style::force_color_output(true);
    let area = scenes[0].screen.area;
    let mut cast = json!({"version": 2, "width": area.width, "height": area.height}).to_string();
    let (mut before, mut ms) = (Buffer::empty(area), 0);
    for scene in scenes {
        let mut sent = Vec::new();
        let changed = before.diff(&scene.screen).into_iter();
        CrosstermBackend::new(&mut sent).draw(changed).unwrap();
        let _ = write!(cast, "\n{}", output(ms, &String::from_utf8(sent).unwrap()));
        before = scene.screen.clone();
        ms += scene.ms;
    }
    // The last scene is looked at for a while, too.
    let _ = writeln!(cast, "\n{}", output(ms, ""));
    cast
}

fn output(ms: u32, sent: &str) -> serde_json::Value {
    json!([f64::from(ms) / 1_000.0, "o", sent])
}

/// A terminal that is sent the cast shows the last scene.
pub(crate) fn check(cast: &str, scenes: &[Scene]) {
    let last = &scenes[scenes.len() - 1].screen;
    let [rows, columns] = [last.area.height, last.area.width].map(|n| n.try_into().unwrap());
    let mut terminal = vt100::Parser::new(rows, columns, 0);
    for line in cast.lines().skip(1) {
        let event: (f64, String, String) = serde_json::from_str(line).unwrap();
        terminal.process(event.2.as_bytes());
    }
    for (x, y) in last.area.positions().map(|place| (place.x, place.y)) {
        let cell = terminal.screen().cell(y, x).unwrap();
        assert_eq!(
            cell.contents().trim(),
            last[(x, y)].symbol().trim(),
            "{x}, {y}"
        );
    }
}
