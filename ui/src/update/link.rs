//! The way to an agent that is another program: it goes, it comes back, and what that leaves out.

use std::sync::Arc;
use std::time::Duration;

use coral_model::{EndReason, SessionId, SessionState, Snapshot};

use super::{probes, source};
use crate::commands::Command;
use crate::draw::time_axis::time_of_day;
use crate::event::{Effect, Level, Link};
use crate::latency::until_ms;
use crate::link::LinkNews;
use crate::measurements::STALE_AFTER;
use crate::options::Peer;
use crate::state::{Screen, State};
use crate::timeline::Gap;

/// Over a link that was down, snapshots are missing from this time on: they come five times a second.
const MISSED_FROM: Duration = Duration::from_millis(400);

/// Takes in whether the agent answers.
pub(super) fn changed(state: &mut State, link: Link) -> Vec<Effect> {
    match state.link.take(link, state.now) {
        Some(LinkNews::Down(failure)) => state.notices.push(failure.into(), state.now),
        Some(LinkNews::Back(after)) => {
            // What can be attached again now is what was lost with the link.
            state.detached.clear();
            let after_s = after.as_secs().max(1);
            let message = format!("The {} answers again, after {after_s} s", kind(state));
            state.notify(Level::Info, message, "");
        }
        None => {}
    }
    if state.link.is_up() && state.screen == Screen::Processes {
        return vec![Effect::ListProcesses];
    }
    Vec::new()
}

fn kind(state: &State) -> &'static str {
    state.peer().map_or("agent", Peer::kind)
}

/// Remembers the time since the last snapshot, if nothing was heard in it that should have been.
pub(super) fn note_gap(state: &mut State, snapshot: &Snapshot) {
    let last = state.timeline.latest_moment(&snapshot.session.id);
    let Some(last) = last.filter(|_| state.peer().is_some()) else {
        return;
    };
    let time_ms = until_ms(&last.snapshot)..until_ms(snapshot);
    let without_data = time_ms.end.saturating_sub(time_ms.start);
    let was_down = state.link.was_down_since(last.at);
    let missed_from = if was_down { MISSED_FROM } else { STALE_AFTER };
    if without_data <= missed_from.as_millis() as i64 {
        return;
    }
    let (from, until) = (time_of_day(time_ms.start), time_of_day(time_ms.end));
    let gap = Gap {
        session: snapshot.session.id.clone(),
        shown: last.at..state.now,
        time_ms,
    };
    // What is shorter than a second is told by the pictures alone.
    if !state.timeline.push_gap(gap) || from == until {
        return;
    }
    let why = if was_down {
        "the link was down".to_owned()
    } else {
        format!("the {} sent nothing", kind(state))
    };
    let message = format!("No data from {from} to {until}: {why}");
    let help = "counts hold the calls of that time; when they were is not known";
    state.notify(Level::Warning, message, help);
}

/// What was last known of a session is all that will ever be known of it.
pub(super) fn session_lost(state: &mut State, id: &SessionId, why: &str) {
    let Some(last) = state.timeline.latest(id).cloned() else {
        return state.notify(Level::Warning, format!("Session {id} is over: {why}"), "");
    };
    if last.session.state != SessionState::Active {
        return;
    }
    let known_until = time_of_day(until_ms(&last));
    let again = probes::again(state, &last);
    let help = again.as_ref().map_or_else(String::new, |_| {
        format!("{} attaches again", state.key(Command::Undo))
    });
    state.detached.extend(again);
    source::take(state, Arc::new(ended(&last)));
    let message = format!("Session {id} is over: {why}; its numbers are those of {known_until}");
    state.notify(Level::Warning, message, help);
}

/// The same numbers, and nothing attached any more.
fn ended(last: &Snapshot) -> Snapshot {
    let mut snapshot = last.clone();
    snapshot.session.state = SessionState::Ended(EndReason::Failed);
    snapshot.session.remaining = Duration::ZERO;
    for stats in &mut snapshot.functions {
        Arc::make_mut(stats).attached = false;
    }
    snapshot
}
