//! What the source reports.

use std::sync::Arc;

use coral_model::{EndReason, FunctionId, SessionState, Snapshot, format_duration};

use super::{attach, code, link, probes, time, visit};
use crate::commands::Command;
use crate::event::{Attach, Effect, Failure, Level, SourceEvent};
use crate::functions::FunctionList;
use crate::source_view::SourceText;
use crate::state::{Phase, Screen, State};
use crate::text::{Cut, fit};

/// Takes what the source says: to where it belongs, whatever is on the screens.
pub(super) fn report(state: &mut State, event: SourceEvent) -> Vec<Effect> {
    match event {
        SourceEvent::SessionOpened(opened) => return visit::opened(state, *opened),
        SourceEvent::Visited(snapshot) => visit::follow(state, snapshot),
        SourceEvent::VisitLost { session, why } => visit::lost(state, &session, &why),
        event => return state.at_home(|state| take_report(state, event)),
    }
    Vec::new()
}

fn take_report(state: &mut State, event: SourceEvent) -> Vec<Effect> {
    match event {
        SourceEvent::Processes(processes) => {
            state.processes.set(processes);
        }
        SourceEvent::Services { services, agents } => {
            state.services.set(services, agents, state.now);
        }
        SourceEvent::History(sessions) => {
            (state.sessions.history, state.sessions.is_listed) = (sessions, true);
            state.follow_sessions();
        }
        SourceEvent::SessionNotOpened { session, failure } => {
            visit::not_opened(state, &session, failure);
        }
        // They are taken before they come here.
        SourceEvent::SessionOpened(_) | SourceEvent::Visited(_) | SourceEvent::VisitLost { .. } => {
        }
        SourceEvent::SqlSchema(schema) => {
            state.options.has_history = true;
            state.sql.is_schema_asked = true;
            state.sql.schema = schema;
        }
        SourceEvent::SqlRows { query, result } => state.sql.take(query, Ok(result)),
        SourceEvent::SqlFailed { query, failure } => state.sql.take(query, Err(failure)),
        SourceEvent::Opening(what) => {
            state.opened = Some(what.clone());
            state.phase = Phase::Opening { what: Some(what) };
            state.reading = None;
        }
        SourceEvent::Reading { functions, total } => state.reading = Some((functions, total)),
        SourceEvent::Functions {
            target,
            table,
            complete,
        } => {
            if state.functions.target.as_ref() != Some(&target) {
                // The same number is another function now.
                state.attaching.clear();
                state.detached.clear();
                state.overlay.take_if(|overlay| overlay.names_functions());
                state.latency.function = None;
            }
            state.phase = Phase::Open;
            state.reading = None;
            state.measurements.set_target(&target);
            state
                .functions
                .set_table(target, table, complete, &state.measurements);
            state.functions.work(&state.measurements);
            attach::take_plans(state);
        }
        SourceEvent::OpenFailed(failure) => return open_failed(state, failure),
        SourceEvent::Costly { attach, expected } => probes::costly(state, *attach, expected),
        SourceEvent::Callees { function, callees } => attach::callees(state, function, callees),
        SourceEvent::Attached {
            functions,
            left_out,
            probes,
        } => {
            for id in functions.iter().chain(&left_out) {
                state.attaching.remove(id);
            }
            attached(state, &functions, probes);
        }
        SourceEvent::AttachFailed { functions, failure } => {
            for id in &functions {
                state.attaching.remove(id);
            }
            state.notices.push(failure.into(), state.now);
        }
        SourceEvent::Detached { functions } => {
            for id in &functions {
                state.attaching.remove(id);
            }
            let names = name_or_count(state, &functions);
            state.notify(Level::Info, format!("Detached from {names}"), "");
        }
        SourceEvent::Snapshot(snapshot) => take(state, snapshot),
        SourceEvent::SessionEnded(snapshot) => session_ended(state, snapshot),
        SourceEvent::SessionLost { session, why } => link::session_lost(state, &session, &why),
        SourceEvent::Link(link) => return link::changed(state, link),
        SourceEvent::Limits(limits) => state.options.limits = limits,
        SourceEvent::Recorded(recorded) => time::take_recording(state, recorded),
        SourceEvent::Exported {
            path,
            command,
            rows_left_out,
        } => exported(state, &path, command, rows_left_out),
        SourceEvent::ExportFailed(failure) => state.notices.push(failure.into(), state.now),
        SourceEvent::SourceText {
            file,
            first_line,
            lines,
        } => code::take(state, &file, SourceText::Lines { first_line, lines }),
        SourceEvent::SourceFailed { file, failure } => {
            code::take(state, &file, SourceText::Failed(failure));
        }
        // Each session tells it, and so does who watches the process.
        SourceEvent::TargetExited if state.phase == Phase::Exited => {}
        SourceEvent::TargetExited => {
            state.phase = Phase::Exited;
            state.attaching.clear();
            let processes = state.key(Command::ShowProcesses);
            let help =
                format!("what was measured stays here; choose another process with {processes}");
            state.notify(Level::Warning, "The process has ended", help);
        }
        SourceEvent::Notice(notice) => state.notices.push(notice, state.now),
    }
    Vec::new()
}

fn open_failed(state: &mut State, failure: Failure) -> Vec<Effect> {
    state.phase = Phase::NoTarget;
    state.opened = None;
    state.reading = None;
    state.functions = FunctionList::default();
    state.attaching.clear();
    state.screen = Screen::Processes;
    state.notices.push(failure.into(), state.now);
    state.processes_asked_at = Some(state.now);
    vec![Effect::ListProcesses]
}

fn exported(state: &mut State, path: &str, command: Option<String>, rows_left_out: usize) {
    let help = command.map_or_else(String::new, |command| {
        format!("the same numbers: {command}")
    });
    if rows_left_out == 0 {
        return state.notify(Level::Info, format!("Exported to {path}"), help);
    }
    let message = format!("Exported to {path}, without the last {rows_left_out} rows: too many");
    state.notify(Level::Warning, message, help);
}

fn attached(state: &mut State, functions: &[FunctionId], probes: u32) {
    let names = name_or_count(state, functions);
    let message = format!("Attached to {names}: {probes} probes");
    let command = super::attaching_command(state, functions);
    let help = command.map_or_else(String::new, |command| format!("the same: {command}"));
    state.notify(Level::Info, message, help);
}

pub(super) fn take(state: &mut State, snapshot: Arc<Snapshot>) {
    let attached = snapshot.functions.iter().filter(|stats| stats.attached);
    for stats in attached {
        state.attaching.remove(&stats.id);
    }
    link::note_gap(state, &snapshot);
    tell_news(state, &snapshot);
    state.timeline.push(state.now, Arc::clone(&snapshot));
    if state.timeline.is_live() {
        let known = state.measurements.measured_count();
        state.measurements.apply(snapshot, state.now);
        numbers_changed(state, state.measurements.measured_count() != known);
    }
}

/// What has happened to the session since its last snapshot.
fn tell_news(state: &mut State, snapshot: &Snapshot) {
    let last = state.timeline.latest(&snapshot.session.id);
    let known = last.map_or(0, |last| last.notices.len());
    for notice in snapshot.notices.iter().skip(known) {
        state.notify(Level::Warning, notice.text.clone(), "");
    }
}

/// The lists follow numbers that have changed, and functions that are measured now or no more.
pub(super) fn numbers_changed(state: &mut State, measured_others: bool) {
    let measurements = &state.measurements;
    if measured_others {
        state.functions.show_measured(measurements);
    }
    state.functions.numbers_changed(measurements, state.now);
    state.follow_sessions();
}

fn session_ended(state: &mut State, snapshot: Arc<Snapshot>) {
    let session = &snapshot.session;
    let SessionState::Ended(reason) = session.state else {
        // A source that calls a live session ended contradicts itself; the numbers still count.
        return take(state, snapshot);
    };
    let (level, why) = match reason {
        EndReason::Expired => (Level::Info, "its lease ran out"),
        EndReason::Detached => (Level::Info, "it was detached"),
        EndReason::TargetExited if session.target.pid == 0 => {
            (Level::Warning, "its processes have ended")
        }
        EndReason::TargetExited => (Level::Warning, "the process has ended"),
        EndReason::TargetExeced => (Level::Warning, "the process runs another program now"),
        EndReason::Budget => (Level::Warning, "its probes cost more than the budget"),
        EndReason::Failed => (Level::Error, "the agent failed"),
    };
    let elapsed = format_duration(session.elapsed);
    let message = format!("Session {} ended after {elapsed}: {why}", session.id);
    // The final snapshot has nothing attached any more.
    let last = state.timeline.latest(&session.id);
    let again = last.and_then(|last| probes::again(state, last));
    let is_news = |again: &Attach| match reason {
        EndReason::Expired => true,
        EndReason::Detached => !is_detached(state, again),
        _ => false,
    };
    if let Some(again) = again.filter(is_news) {
        state.detached = vec![again];
    }
    state.attaching.clear();
    take(state, snapshot);
    let again = match reason {
        EndReason::Expired | EndReason::Detached => Command::Undo,
        _ => Command::ToggleProbe,
    };
    let help = format!("the numbers stay; probe again with {}", state.key(again));
    state.notify(level, message, help);
}

/// Whether all of it was detached here, and perhaps attached again: an agent that is told to end
/// detaches by itself.
fn is_detached(state: &State, attach: &Attach) -> bool {
    let mut functions = attach.functions.iter();
    functions.all(|id| {
        let mut detached = state.detached.iter();
        state.attaching.contains(id) || detached.any(|it| it.functions.contains(id))
    })
}

/// `main.f`, or `17 functions`.
fn name_or_count(state: &State, functions: &[FunctionId]) -> String {
    let only = match functions {
        [only] => state.functions.table.get(*only),
        _ => None,
    };
    only.map_or_else(
        || format!("{} functions", functions.len()),
        |function| fit(function.name, 60, Cut::Middle, &state.options.glyphs),
    )
}
