//! What changes something in the target: opening, attaching, detaching, extending.

use std::time::Duration;

use coral_model::{
    ExpectedCost, FunctionId, ProbeReason, Probeability, Snapshot, format_count, format_duration,
};

use crate::attach_form::is_probeable;
use crate::commands::{Command, Scope};
use crate::event::{Attach, AttachTo, Effect, Level, Notice, OpenTarget};
use crate::options::Peer;
use crate::state::{Overlay, Phase, Question, Screen, State};
use crate::text::{Cut, fit};

/// Attaching to more functions than this at once is asked about first.
const UNASKED_MAX: usize = 50;

/// A question that comes by itself can be answered after this time.
const ANSWER_AFTER: Duration = Duration::from_millis(400);

/// Columns that a function's name may take in a notice.
const NAME_WIDTH: usize = 60;

pub(super) fn open(state: &mut State) -> Vec<Effect> {
    let Some(process) = state.processes.selected() else {
        return Vec::new();
    };
    let pid = process.pid;
    if state.options.replay {
        return refuse_in_replay(state);
    }
    if let Some(refusal) = &process.refusal {
        let message = format!("{} ({pid}) cannot be probed: {refusal}", process.name);
        let help = format!("choose another process; `coral doctor --pid {pid}` says more");
        return refuse(state, "not-probeable", message, help);
    }
    let open_already = state.functions.target.as_ref().map(|target| target.pid) == Some(pid);
    state.screen = Screen::Functions;
    if open_already && state.phase == Phase::Open {
        return Vec::new();
    }
    begin_to_open(state, OpenTarget::Process(pid))
}

pub(super) fn begin_to_open(state: &mut State, what: OpenTarget) -> Vec<Effect> {
    state.opened = Some(what.clone());
    state.phase = Phase::Opening {
        what: Some(what.clone()),
    };
    vec![Effect::Open(what)]
}

/// Attaches to what the selected session had attached.
pub(super) fn repeat(state: &mut State) -> Vec<Effect> {
    if let Some(refused) = refuse_without_target(state) {
        return refused;
    }
    let session = state
        .sessions
        .selection
        .id()
        .and_then(|id| state.measurements.get(&id));
    let target = state.functions.target.as_ref();
    let same = session.filter(|session| Some(&session.snapshot.session.target) == target);
    let Some(session) = same else {
        let message = "There is no session of this process to repeat".to_owned();
        return refuse(
            state,
            "nothing-to-attach",
            message,
            "select one of its sessions".into(),
        );
    };
    let functions = session.snapshot.functions.iter().map(|stats| stats.id);
    let functions: Vec<FunctionId> = functions.filter(|&id| is_candidate(state, id)).collect();
    match functions.len() {
        0 => {
            let message = "Everything that the session measured is probed already".to_owned();
            refuse(state, "nothing-to-attach", message, String::new())
        }
        _ => {
            let settings = session.snapshot.session.settings.clone();
            let mut attach = order(state, functions);
            attach.settings = settings;
            attach.session = AttachTo::New;
            ask_or_attach(state, attach)
        }
    }
}

/// Attaches to the selected function, or detaches from it.
pub(super) fn toggle(state: &mut State) -> Vec<Effect> {
    if let Some(refused) = refuse_without_target(state) {
        return refused;
    }
    let Some(function) = state.functions.selected() else {
        return refuse(
            state,
            "nothing-selected",
            "No function is selected".into(),
            "go to one with the arrow keys".into(),
        );
    };
    let (id, plan) = (function.id, function.plan);
    let name = fit(
        function.name,
        NAME_WIDTH,
        Cut::Middle,
        &state.options.glyphs,
    );
    state.functions.hold_selection();
    let attached_in = state
        .measurements
        .session_of(id)
        .filter(|_| state.measurements.is_attached(id));
    if let Some(session) = attached_in {
        let settings = session.snapshot.session.settings.clone();
        state.detached = vec![Attach {
            settings,
            ..order(state, vec![id])
        }];
    }
    if attached_in.is_some() || state.attaching.remove(&id) {
        return vec![Effect::Detach {
            functions: vec![id],
        }];
    }
    let reason = plan
        .and_then(|plan| plan.reason)
        .map_or("", ProbeReason::text);
    match plan.map(|plan| plan.probe) {
        Some(Probeability::None) => {
            return refuse(
                state,
                "not-probeable",
                format!("{name} cannot be probed: {reason}"),
                "probe a function that calls it instead".into(),
            );
        }
        Some(Probeability::EntryOnly) => state.notify(
            Level::Warning,
            format!("{name}: only calls are counted, durations are not invented: it {reason}"),
            "probe a function that calls it to see how long it takes",
        ),
        Some(Probeability::Full) | None => {}
    }
    let attach = order(state, vec![id]);
    start(state, attach)
}

/// Attaches to everything that the filter shows; asks first if that is much.
pub(super) fn attach_matching(state: &mut State) -> Vec<Effect> {
    if let Some(refused) = refuse_without_target(state) {
        return refused;
    }
    let Some(mut functions) = state.functions.filtered() else {
        let help = format!(
            "type one with {}, and wait until it has looked at every name",
            state.key(Command::Filter)
        );
        let message = "Attaching to all needs a filter that says which".to_owned();
        return refuse(state, "filter-needed", message, help);
    };
    functions.retain(|&id| is_candidate(state, id));
    match functions.len() {
        0 => refuse(
            state,
            "nothing-to-attach",
            "Every function that the filter shows is probed already or cannot be probed".into(),
            "change the filter".into(),
        ),
        _ => {
            let attach = order(state, functions);
            ask_or_attach(state, attach)
        }
    }
}

/// Attaches again to what was detached last.
pub(super) fn undo(state: &mut State) -> Vec<Effect> {
    if let Some(refused) = refuse_without_target(state) {
        return refused;
    }
    let detached = std::mem::take(&mut state.detached);
    if detached.is_empty() {
        let message = "Nothing was detached that could be attached again".to_owned();
        return refuse(state, "nothing-to-undo", message, String::new());
    }
    let mut effects = Vec::new();
    for attach in detached {
        effects.extend(start(state, attach));
    }
    effects
}

/// Attaches, after a question where that is much.
pub(super) fn ask_or_attach(state: &mut State, attach: Attach) -> Vec<Effect> {
    if attach.functions.len() <= UNASKED_MAX {
        return start(state, attach);
    }
    if let Some(refused) = refuse_over_limit(state, attach.functions.len()) {
        return refused;
    }
    ask(state, attach, None);
    Vec::new()
}

/// Attaching would cost more than its budget: asks, where no key is on its way to something else.
pub(super) fn costly(state: &mut State, attach: Attach, expected: ExpectedCost) {
    for id in &attach.functions {
        state.attaching.remove(id);
    }
    let is_typing = state.overlay.is_some() || state.scope() == Scope::Filter;
    if !is_typing {
        return ask(state, attach, Some(expected));
    }
    let (what, _) = cost_words(state, &attach, &expected);
    let help = "ask for it again to be asked whether to attach all the same";
    state.notify(Level::Warning, format!("Not attached: {what}"), help);
}

fn ask(state: &mut State, attach: Attach, expected: Option<ExpectedCost>) {
    let asked_at = state.now;
    state.overlay = Some(Overlay::Question(Question {
        attach,
        expected,
        asked_at,
    }));
}

/// The answer to the question is yes.
pub(super) fn confirm(state: &mut State) -> Vec<Effect> {
    match state.overlay.take() {
        Some(Overlay::Question(question)) if is_read(state, &question) => {
            let mut attach = question.attach;
            attach.is_confirmed = question.expected.is_some();
            start(state, attach)
        }
        other => {
            state.overlay = other;
            Vec::new()
        }
    }
}

/// What attaching to many functions is expected to cost, in words.
pub(crate) fn expected_cost(state: &State) -> String {
    let measured = state
        .measurements
        .sessions()
        .find_map(|session| session.snapshot.overhead.ns_per_hit);
    match measured {
        Some(ns_per_hit) => format!(
            "A hit costs {} here (measured), a call is at least two hits: every 1,000 calls a \
             second cost about {:.2} % of a core.",
            state.options.glyphs.duration_ns(ns_per_hit as u64),
            // Two hits, a thousand times a second, as a share of 10^9 ns, in percent.
            ns_per_hit * 2.0 * 1_000.0 / 1e9 * 100.0
        ),
        None => "The cost of a hit is not calibrated yet; a call usually costs 1 to 15 \
                 microseconds, so 1,000 calls a second cost about 1 % of a core."
            .to_owned(),
    }
}

/// What a count of the calls says about the cost, and what happens if that is agreed to.
pub(crate) fn cost_words(
    state: &State,
    attach: &Attach,
    expected: &ExpectedCost,
) -> (String, String) {
    let least = if expected.is_at_least {
        "at least "
    } else {
        ""
    };
    let hits = format_count(expected.hits_per_s);
    let percent = expected.cpu_percent.unwrap_or(0.0);
    let dearest = expected.dearest.filter(|_| attach.functions.len() > 1);
    let dearest = dearest.map_or_else(String::new, |(id, percent)| {
        let name = fit(
            &state.name_of(id),
            NAME_WIDTH,
            Cut::Middle,
            &state.options.glyphs,
        );
        format!("; {name} alone {percent:.1} %")
    });
    let what = format!("{least}{hits} hits/s, {percent:.1} % of a core{dearest}");
    let budget = attach.settings.budget_percent.unwrap_or(f64::INFINITY);
    let then = format!("The budget is {budget} %: what costs more is detached by itself.");
    (what, then)
}

pub(super) fn extend(state: &mut State) -> Vec<Effect> {
    let by = state.options.settings.duration;
    if state.measurements.active().next().is_none() {
        let message = "There is no live session to extend".to_owned();
        return refuse(
            state,
            "no-session",
            message,
            format!(
                "probe a function with {} first",
                state.key(Command::ToggleProbe)
            ),
        );
    }
    state.notify(
        Level::Info,
        format!("Asked for {} more", format_duration(by)),
        "",
    );
    vec![Effect::Extend { by }]
}

pub(super) fn detach_all(state: &mut State) -> Vec<Effect> {
    state.attaching.clear();
    if state.link.is_down() {
        // It is asked for all the same: the link may be back by then.
        let kind = state.peer().map_or("agent", Peer::kind);
        let message = format!("The {kind} does not answer: it is asked to detach everything");
        state.notify(
            Level::Warning,
            message,
            "probes end with their lease at the latest",
        );
        return vec![Effect::DetachAll];
    }
    let probed = attached_sessions(state);
    let mut help = String::new();
    if !probed.is_empty() {
        help = format!("{} attaches again", state.key(Command::Undo));
        state.detached = probed;
    }
    state.notify(Level::Info, "Detaching everything", help);
    vec![Effect::DetachAll]
}

/// Whether a question was on the screen long enough: one that comes by itself is not answered by a
/// key that was meant for something else.
fn is_read(state: &State, question: &Question) -> bool {
    question.expected.is_none() || state.now.saturating_sub(question.asked_at) >= ANSWER_AFTER
}

/// What attaching to functions means if nothing else is said.
fn order(state: &State, functions: Vec<FunctionId>) -> Attach {
    Attach {
        functions,
        settings: state.options.settings.clone(),
        session: AttachTo::Newest,
        is_confirmed: false,
    }
}

pub(super) fn start(state: &mut State, attach: Attach) -> Vec<Effect> {
    if let Some(refused) = refuse_over_limit(state, attach.functions.len()) {
        return refused;
    }
    state.functions.hold_selection();
    state.attaching.extend(&attach.functions);
    state.last_attached = Some(attach.clone());
    vec![Effect::Attach(attach)]
}

/// What would attach again to all that is attached now.
fn attached_sessions(state: &State) -> Vec<Attach> {
    let sessions = state.measurements.active();
    let sessions = sessions.filter_map(|session| again(state, &session.snapshot));
    sessions
        .filter(|attach| !attach.functions.is_empty())
        .collect()
}

/// What would attach again to what a session has attached. On another target, the same numbers
/// are other functions.
pub(super) fn again(state: &State, session: &Snapshot) -> Option<Attach> {
    let attached = session.functions.iter().filter(|stats| stats.attached);
    let is_here = state.functions.target.as_ref() == Some(&session.session.target);
    is_here.then(|| Attach {
        settings: session.session.settings.clone(),
        session: AttachTo::New,
        ..order(state, attached.map(|stats| stats.id).collect())
    })
}

/// Whether a function is not probed yet and can be.
fn is_candidate(state: &State, id: FunctionId) -> bool {
    is_probeable(&state.functions.table, id)
        && !state.measurements.is_attached(id)
        && !state.attaching.contains(&id)
}

fn refuse_over_limit(state: &mut State, more: usize) -> Option<Vec<Effect>> {
    let probed = state.measurements.attached().len() + state.attaching.len();
    let limit = state.options.limits.functions_per_session;
    (probed + more > limit).then(|| {
        let message = format!(
            "{} functions would be over the limit of {} in a session (functions_per_session)",
            format_count((probed + more) as f64),
            format_count(limit as f64)
        );
        refuse(
            state,
            "too-many-functions",
            message,
            "narrow the filter".into(),
        )
    })
}

pub(super) fn refuse_without_target(state: &mut State) -> Option<Vec<Effect>> {
    if state.options.replay {
        return Some(refuse_in_replay(state));
    }
    let (message, help) = match state.phase {
        Phase::Open => return None,
        Phase::NoTarget => ("No process is open", "choose one on the processes screen"),
        Phase::Opening { .. } => ("The process is still being opened", "wait a moment"),
        Phase::Exited => (
            "The process has ended",
            "choose another one on the processes screen",
        ),
    };
    Some(refuse(state, "no-target", message.into(), help.into()))
}

fn refuse_in_replay(state: &mut State) -> Vec<Effect> {
    let message = "This is a recording: nothing can be probed in it".to_owned();
    let help = "to probe a process, run `coral-tui --local <pid>`".to_owned();
    refuse(state, "replay", message, help)
}

pub(super) fn refuse(state: &mut State, code: &str, message: String, help: String) -> Vec<Effect> {
    let notice = Notice {
        level: Level::Error,
        code: Some(code.to_owned()),
        message,
        help,
    };
    state.notices.push(notice, state.now);
    Vec::new()
}
