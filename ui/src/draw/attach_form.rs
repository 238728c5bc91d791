//! The forms for attaching with options, and for the filter of a session.

use ratatui::layout::Rect;

use crate::attach_form::{AttachForm, Field, Group, Members};
use crate::canvas::{Canvas, inset, row};
use crate::command_line;
use crate::draw::functions::group_digits;
use crate::draw::{filter_line, overlay, question};
use crate::state::{SessionFilter, State};
use crate::text::{Cut, fit, wrap};
use crate::theme::Meaning;
use crate::update::expected_cost;

/// Columns that the form would like to have.
const COLUMNS: u16 = 84;
/// Columns for what stands before a line, with its cursor.
const LABEL: u16 = 14;
/// Columns for what is typed, where there is room for hints behind it.
const INPUT: u16 = 20;
/// Lines of text below the form.
const NOTES: u16 = 7;
/// Columns that a function's name may take in the name of a group.
const NAME: usize = 44;
/// A command line of more functions is too long to show.
const NAMES_SHOWN_MAX: usize = 20;

pub(super) fn draw(canvas: &mut Canvas<'_>, state: &State, body: Rect, form: &AttachForm) {
    let fields: Vec<Field> = form.fields().collect();
    let size = (COLUMNS, fields.len() as u16 + NOTES + 2);
    let inside = overlay::draw(canvas, body, "Attach with options", size);
    let lines = usize::from(inside.height);
    // On a small screen the lines around the one in front are shown, and the notes give way.
    let at = fields
        .iter()
        .position(|&field| field == form.field)
        .unwrap_or(0);
    let first = (at + 2)
        .saturating_sub(lines)
        .min(fields.len().saturating_sub(1));
    for (line, &field) in fields[first..].iter().enumerate() {
        draw_field(canvas, state, row(inside, line), form, field);
    }
    let below = fields.len() - first + 1;
    let notes = Rect {
        y: inside.y + inside.height.min(below as u16),
        height: inside.height.saturating_sub(below as u16),
        ..inside
    };
    draw_notes(canvas, state, notes, form);
}

fn draw_field(
    canvas: &mut Canvas<'_>,
    state: &State,
    place: Rect,
    form: &AttachForm,
    field: Field,
) {
    let in_front = field == form.field;
    if in_front {
        canvas.text(place, canvas.glyphs.cursor, Meaning::Title);
    }
    let label = if in_front {
        Meaning::Title
    } else {
        Meaning::Text
    };
    canvas.text(inset(place, 2), field.label(), label);
    let value = inset(place, LABEL);
    let wrong = form.error.as_ref().filter(|error| error.field == field);
    if let Some(input) = form.input(field) {
        let has_hint =
            value.width > 2 * INPUT && (input.text().len() < usize::from(INPUT) || wrong.is_some());
        let width = if has_hint { INPUT } else { value.width };
        filter_line::draw_text(canvas, input, Rect { width, ..value }, in_front);
        if has_hint || wrong.is_some() {
            draw_hint(
                canvas,
                inset(value, INPUT + 1),
                field,
                wrong.map(|error| error.message.as_str()),
            );
        }
    } else if let Some(chosen) = form.choice(field) {
        let word = if chosen { "yes" } else { "no" };
        canvas.text(
            value,
            word,
            if chosen { Meaning::Live } else { Meaning::Text },
        );
        if value.width > 2 * INPUT {
            draw_hint(canvas, inset(value, INPUT + 1), field, None);
        }
    } else {
        let group = form
            .group()
            .map_or_else(String::new, |group| described(state, group, canvas));
        canvas.text(value, &group, Meaning::Input);
    }
}

fn draw_hint(canvas: &mut Canvas<'_>, place: Rect, field: Field, wrong: Option<&str>) {
    match wrong {
        Some(message) => canvas.foreign(place, message, Cut::End, Meaning::Error),
        None => canvas.foreign(place, field.hint(), Cut::End, Meaning::Dim),
    };
}

/// What a group is called.
fn described(state: &State, group: &Group, canvas: &Canvas<'_>) -> String {
    let short = |name: &str| fit(name, NAME, Cut::Middle, canvas.glyphs);
    match group {
        Group::Selected(id) => short(&state.name_of(*id)),
        Group::Shown(_) => "all that the filter shows".to_owned(),
        Group::Package(package) => format!("package {}", short(package)),
        Group::Callees(id) => format!("what {} calls", short(&state.name_of(*id))),
        Group::Last(_) => "the same as last".to_owned(),
        Group::Pattern => "a pattern".to_owned(),
    }
}

/// How many functions that is, what it costs, and the command line that does the same.
fn draw_notes(canvas: &mut Canvas<'_>, state: &State, area: Rect, form: &AttachForm) {
    let (count, meaning) = counted(state, form);
    let width = usize::from(area.width);
    let mut lines: Vec<(String, Meaning)> = Vec::new();
    let mut add = |text: &str, most: usize, meaning: Meaning, canvas: &Canvas<'_>| {
        let wrapped = wrap(text, width, most, canvas.glyphs);
        lines.extend(wrapped.into_iter().map(|line| (line, meaning)));
    };
    add(&count, 2, meaning, canvas);
    add(&expected_cost(state), 2, Meaning::Dim, canvas);
    if let Some(command) = command(state, form) {
        add(&format!("the same: {command}"), 3, Meaning::Dim, canvas);
    }
    for (number, (line, meaning)) in lines.iter().enumerate() {
        canvas.text(row(area, number), line, *meaning);
    }
}

fn counted(state: &State, form: &AttachForm) -> (String, Meaning) {
    let known = match &form.members {
        Members::Known(known) => known,
        Members::Looking(search) => {
            let found = group_digits(search.found.len() as u64);
            return (format!("{found} functions so far"), Meaning::Busy);
        }
        Members::Asked => return ("reading its code".to_owned(), Meaning::Busy),
        Members::Wrong(why) => return (why.clone(), Meaning::Warning),
    };
    if known.len() == 0 {
        return ("it means no function".to_owned(), Meaning::Warning);
    }
    let can = known.probeable.len();
    let cannot = known.len() - can;
    if can == 0 {
        return (
            "there is no function in it that can be probed".to_owned(),
            Meaning::Warning,
        );
    }
    let attached = state.measurements.attached().into_iter();
    let moved = attached.filter(|&id| known.is_probeable(id)).count();
    let probes = question::probes(known.probes);
    let mut text = match can {
        1 => format!("1 function, {probes}"),
        many => format!("{} functions, {probes}", group_digits(many as u64)),
    };
    if cannot > 0 {
        text += &format!("; {} cannot be probed", group_digits(cannot as u64));
    }
    if moved > 0 {
        text += &format!(
            "; {} leave the session that measures them now",
            group_digits(moved as u64)
        );
    }
    (text, Meaning::Text)
}

fn command(state: &State, form: &AttachForm) -> Option<String> {
    let target = state.functions.target.as_ref()?;
    let settings = form.settings(&state.options.limits).ok()?;
    let functions = form.probeable();
    if functions.is_empty() {
        return None;
    }
    if let Some(Group::Pattern) = form.group() {
        return command_line::attach(state.peer(), target, [form.text(Field::Pattern)], &settings);
    }
    if functions.len() > NAMES_SHOWN_MAX {
        return None;
    }
    let functions = functions
        .iter()
        .filter_map(|&id| state.functions.table.get(id));
    let names = functions.map(|function| function.name);
    command_line::attach(state.peer(), target, names, &settings)
}

pub(super) fn draw_filter(
    canvas: &mut Canvas<'_>,
    state: &State,
    body: Rect,
    filter: &SessionFilter,
) {
    let inside = overlay::draw(canvas, body, "Record only calls where", (COLUMNS, 8));
    filter_line::draw_text(canvas, &filter.input, row(inside, 0), true);
    if let Some(error) = &filter.error {
        let lines = wrap(error, usize::from(inside.width), 2, canvas.glyphs);
        for (number, line) in lines.iter().enumerate() {
            canvas.text(row(inside, number + 1), line, Meaning::Error);
        }
    }
    let seen = arguments_seen(state, filter);
    let notes = [
        "Such as: amount > 100 and user == \"u_1\". Empty: all calls are recorded.".to_owned(),
        "Counts, histograms and the call tree hold all calls in any case.".to_owned(),
        seen,
    ];
    for (number, note) in notes.iter().enumerate() {
        canvas.foreign(row(inside, number + 3), note, Cut::End, Meaning::Dim);
    }
}

/// The arguments by which calls of a session can be told apart, as far as some were read.
fn arguments_seen(state: &State, filter: &SessionFilter) -> String {
    let Some(session) = state.measurements.get(&filter.session) else {
        return String::new();
    };
    let calls = session.snapshot.slow_calls.iter();
    let mut seen: Vec<String> = calls
        .flat_map(|call| &call.arguments)
        .map(|argument| format!("{} {}", argument.name, argument.type_name))
        .collect();
    seen.sort_unstable();
    seen.dedup();
    match seen.is_empty() {
        true => String::new(),
        false => format!("Read so far: {}", seen.join(", ")),
    }
}
