//! The question before something that costs.

use coral_model::format_duration;
use ratatui::layout::Rect;

use crate::attach_form::planned_probes;
use crate::canvas::{Canvas, row};
use crate::commands::Command;
use crate::draw::functions::group_digits;
use crate::draw::overlay;
use crate::state::{Question, State};
use crate::text::{Cut, fit, wrap};
use crate::theme::Meaning;
use crate::update::{cost_words, expected_cost};

pub(super) fn draw(canvas: &mut Canvas<'_>, state: &State, body: Rect, asked: &Question) {
    let columns = body.width.min(68);
    let text_width = usize::from(columns.saturating_sub(4));
    let functions = &asked.attach.functions;
    let question = match functions.as_slice() {
        [only] => format!(
            "Attach to {}?",
            fit(
                &state.name_of(*only),
                text_width.saturating_sub(11),
                Cut::Middle,
                canvas.glyphs
            )
        ),
        _ => format!(
            "Attach to {} functions ({})?",
            group_digits(functions.len() as u64),
            probes(planned_probes(&state.functions.table, functions))
        ),
    };
    let (cost, then) = match &asked.expected {
        Some(expected) => {
            let (cost, then) = cost_words(state, &asked.attach, expected);
            let counted = format_duration(expected.counted);
            (format!("Calls were counted for {counted}: {cost}."), then)
        }
        None => (expected_cost(state), String::new()),
    };
    let seconds = asked.attach.settings.duration.as_secs();
    let lease = format!("They detach by themselves after {seconds} s.");
    let mut lines: Vec<_> = wrap(&question, text_width, 2, canvas.glyphs)
        .into_iter()
        .map(|line| (line, Meaning::Title))
        .collect();
    for text in [cost, then, lease] {
        let wrapped = wrap(&text, text_width, 4, canvas.glyphs);
        lines.extend(wrapped.into_iter().map(|line| (line, Meaning::Text)));
    }
    let (yes, no) = (state.key(Command::Confirm), state.key(Command::Cancel));
    lines.push((String::new(), Meaning::Text));
    lines.push((format!("{yes} yes   {no} no"), Meaning::Key));
    let title = match asked.expected {
        Some(_) => "Over the budget",
        None => "Attach to many",
    };
    let rows = lines.len() as u16 + 2;
    let inside = overlay::draw(canvas, body, title, (columns, rows));
    for (number, (line, meaning)) in lines.iter().enumerate() {
        canvas.text(row(inside, number), line, *meaning);
    }
}

/// How many probes are needed, as far as they were planned.
pub(super) fn probes(planned: Option<u64>) -> String {
    match planned {
        Some(probes) => format!("{} probes", group_digits(probes)),
        None => "their probes are not planned yet".to_owned(),
    }
}
