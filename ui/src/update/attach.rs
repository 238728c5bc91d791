//! The forms for attaching with options, and for the filter of a session.

use coral_model::FunctionId;
use crossterm::event::KeyEvent;

use super::probes;
use crate::attach_form::{AttachForm, Group, Members, parsed};
use crate::commands::Command;
use crate::event::{Attach, AttachTo, Effect};
use crate::filter_input::FilterInput;
use crate::measurements::Session;
use crate::state::{Overlay, Screen, SessionFilter, State};

/// Opens the form for attaching with options.
pub(super) fn open(state: &mut State) -> Vec<Effect> {
    if let Some(refused) = probes::refuse_without_target(state) {
        return refused;
    }
    let form = AttachForm::new(
        groups(state),
        &state.options.settings,
        &state.functions.table,
    );
    state.overlay = Some(Overlay::Attach(Box::new(form)));
    Vec::new()
}

/// The groups that can be attached to from here; a pattern always.
fn groups(state: &State) -> Vec<Group> {
    let mut groups = Vec::new();
    let selected = state
        .function_in_front()
        .and_then(|id| state.functions.table.get(id));
    groups.extend(selected.iter().map(|function| Group::Selected(function.id)));
    if state.functions.filter.is_active() {
        groups.extend(state.functions.filtered().map(Group::Shown));
    }
    if let Some(function) = selected {
        groups.push(Group::Callees(function.id));
        if !function.package.is_empty() {
            groups.push(Group::Package(function.package.to_owned()));
        }
    }
    if let Some(last) = &state.last_attached {
        groups.push(Group::Last(last.functions.clone()));
    }
    groups.push(Group::Pattern);
    groups
}

/// Opens the line for the filter of the live session; on the sessions screen, of the selected one.
pub(super) fn open_filter(state: &mut State) -> Vec<Effect> {
    let is_live = |session: &&Session| session.is_active();
    let selected = state
        .sessions
        .selection
        .id()
        .filter(|_| state.screen == Screen::Sessions);
    let selected = selected
        .and_then(|id| state.measurements.get(&id))
        .filter(is_live);
    let Some(session) = selected.or_else(|| state.measurements.active().next()) else {
        let message = "There is no live session to filter".to_owned();
        let key = state.key(Command::ToggleProbe);
        return probes::refuse(
            state,
            "no-session",
            message,
            format!("probe a function with {key} first"),
        );
    };
    let info = &session.snapshot.session;
    let mut input = FilterInput::typing();
    if let Some(filter) = &info.settings.filter {
        input.insert(&filter.to_string());
    }
    let session = info.id.clone();
    state.overlay = Some(Overlay::SessionFilter(SessionFilter {
        session,
        input,
        error: None,
    }));
    Vec::new()
}

/// Whether the keys of choices are text now.
pub(super) fn takes_text(state: &State) -> bool {
    match &state.overlay {
        Some(Overlay::Attach(form)) => form.takes_text(),
        Some(Overlay::SessionFilter(_)) => true,
        _ => false,
    }
}

pub(super) fn type_key(state: &mut State, event: KeyEvent) {
    edit(state, |input| input.type_key(event));
}

pub(super) fn paste(state: &mut State, text: &str) {
    edit(state, |input| input.insert(text));
}

fn edit(state: &mut State, edit: impl FnOnce(&mut FilterInput) -> bool) {
    match &mut state.overlay {
        Some(Overlay::Attach(form)) => form.edit(edit),
        Some(Overlay::SessionFilter(filter)) => {
            if edit(&mut filter.input) {
                filter.error = None;
            }
        }
        _ => {}
    }
    work(state);
}

pub(super) fn move_by(state: &mut State, lines: isize) {
    if let Some(Overlay::Attach(form)) = &mut state.overlay {
        form.move_by(lines);
    }
}

/// The next choice, or the one before; asks the source for what only it can know.
pub(super) fn change(state: &mut State, forwards: bool) -> Vec<Effect> {
    let Some(Overlay::Attach(form)) = &mut state.overlay else {
        return Vec::new();
    };
    form.change(forwards, &state.functions.table);
    let effects = match (form.group(), &form.members) {
        (Some(&Group::Callees(function)), Members::Asked) => vec![Effect::FindCallees { function }],
        _ => Vec::new(),
    };
    work(state);
    effects
}

pub(super) fn callees(state: &mut State, function: FunctionId, callees: Vec<FunctionId>) {
    if let Some(Overlay::Attach(form)) = &mut state.overlay {
        form.take_callees(function, callees, &state.functions.table);
    }
}

/// The table has changed.
pub(super) fn take_plans(state: &mut State) {
    if let Some(Overlay::Attach(form)) = &mut state.overlay {
        form.take_plans(&state.functions.table);
    }
}

/// Looks at the next functions.
pub(super) fn work(state: &mut State) {
    if let Some(Overlay::Attach(form)) = &mut state.overlay
        && form.has_work()
    {
        form.work(&state.functions.table);
        state.dirty = true;
    }
}

/// Does what is filled in; where it means nothing, the form stays and says why.
pub(super) fn accept(state: &mut State) -> Vec<Effect> {
    match state.overlay.take() {
        Some(Overlay::Attach(form)) => accept_form(state, form),
        Some(Overlay::SessionFilter(filter)) => accept_filter(state, filter),
        other => {
            state.overlay = other;
            Vec::new()
        }
    }
}

fn accept_form(state: &mut State, mut form: Box<AttachForm>) -> Vec<Effect> {
    let settings = match form.settings(&state.options.limits) {
        Ok(settings) => settings,
        Err(error) => {
            form.field = error.field;
            form.error = Some(error);
            state.overlay = Some(Overlay::Attach(form));
            return Vec::new();
        }
    };
    let functions = form.probeable().to_vec();
    if functions.is_empty() {
        // The line about the functions says what is the matter.
        state.overlay = Some(Overlay::Attach(form));
        return Vec::new();
    }
    let attach = Attach {
        functions,
        settings,
        session: AttachTo::New,
        is_confirmed: false,
    };
    probes::ask_or_attach(state, attach)
}

fn accept_filter(state: &mut State, mut filter: SessionFilter) -> Vec<Effect> {
    let expression = match filter.input.text().trim() {
        "" => Ok(None),
        text => parsed(text).map(Some),
    };
    match expression {
        Ok(expression) => vec![Effect::SetFilter {
            session: filter.session,
            filter: expression,
        }],
        Err(error) => {
            filter.error = Some(error);
            state.overlay = Some(Overlay::SessionFilter(filter));
            Vec::new()
        }
    }
}
