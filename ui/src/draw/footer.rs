//! The footer: the most useful commands of what is in front, with their real keys.

use ratatui::layout::Rect;

use crate::canvas::{Canvas, inset};
use crate::commands::Command;
use crate::state::State;
use crate::text::width;
use crate::theme::Meaning;

pub(super) fn draw(canvas: &mut Canvas<'_>, state: &State, area: Rect) {
    let mut hints: Vec<(String, &str)> = Vec::new();
    let mut help = None;
    for (info, keys) in state.options.keymap.active(state.scope()) {
        let Some(key) = keys.first().filter(|_| !info.hint.is_empty()) else {
            continue;
        };
        if state.options.replay && info.command.concerns_probes() {
            continue;
        }
        if info.command == Command::ShowReplicas && !state.has_replicas() {
            continue;
        }
        match info.command {
            Command::Help => help = Some((key.to_string(), info.hint)),
            _ => hints.push((key.to_string(), info.hint)),
        }
    }
    let needed = |(key, hint): &(String, &str)| width(key) + 1 + width(hint) + 2;
    let mut room = inset(area, 1);
    if let Some(help) = help {
        // The way to all other commands is never the one that did not fit.
        let place = inset(room, room.width.saturating_sub(needed(&help) - 1));
        draw_hint(canvas, place, &help);
        room.width = room.width.saturating_sub(needed(&help));
    }
    for hint in &hints {
        if needed(hint) > room.width {
            break;
        }
        draw_hint(canvas, room, hint);
        room = inset(room, needed(hint));
    }
}

fn draw_hint(canvas: &mut Canvas<'_>, area: Rect, (key, hint): &(String, &str)) {
    let rest = canvas.text(area, key, Meaning::Key);
    canvas.text(inset(rest, 1), hint, Meaning::Hint);
}
