//! Moving in time: pause, steps, jumps, marks, and a recording that plays.

use std::sync::Arc;
use std::time::Duration;

use coral_model::Snapshot;

use crate::event::Level;
use crate::state::State;
use crate::timeline::{JUMP, Mark, Position};

/// Takes in a whole recording, and plays it.
pub(super) fn take_recording(state: &mut State, recorded: Vec<(Duration, Arc<Snapshot>)>) {
    for (at, snapshot) in recorded {
        state.timeline.push(at, snapshot);
    }
    state.timeline.play(state.now);
    show(state);
}

/// Stops where time is, or goes on.
pub(super) fn pause(state: &mut State) {
    match state.timeline.position() {
        Position::Paused { .. } => state.timeline.resume(state.now, state.options.replay),
        _ => state.timeline.pause_at(state.timeline.at(state.now)),
    }
    show(state);
}

pub(super) fn step(state: &mut State, moments: isize) {
    state.timeline.step(moments, state.now);
    show(state);
}

pub(super) fn jump(state: &mut State, forward: bool) {
    let at = state.timeline.at(state.now);
    let to = if forward {
        at + JUMP
    } else {
        at.saturating_sub(JUMP)
    };
    state.timeline.pause_at(to);
    show(state);
}

/// Back to the newest moment; of a recording, to its end.
pub(super) fn live(state: &mut State) {
    state.leave();
    if state.measurements.opened().is_some() {
        state.measurements.open(None);
        super::source::numbers_changed(state, true);
    }
    if state.timeline.is_live() {
        return;
    }
    if state.options.replay {
        state.timeline.pause_at(state.timeline.end());
    } else {
        state.timeline.resume(state.now, false);
    }
    show(state);
}

/// Remembers the time that is shown.
pub(super) fn mark(state: &mut State) {
    let at = state.timeline.at(state.now);
    let number = state.timeline.marks.len() + 1;
    let name = format!("mark {number}");
    state.notify(Level::Info, format!("{name} is set"), "");
    state.timeline.marks.push(Mark { at, name });
}

/// A recording that plays has come to another moment, perhaps.
pub(super) fn tick(state: &mut State, before: Duration) {
    let (was_at, at) = (state.timeline.at(before), state.timeline.at(state.now));
    if matches!(state.timeline.position(), Position::Playing { .. }) && at != was_at {
        show(state);
    }
}

/// Brings the numbers of the timeline's time to the screens.
fn show(state: &mut State) {
    let known = state.timeline.known_at(state.timeline.at(state.now));
    let snapshots = known.iter().map(|moment| Arc::clone(&moment.snapshot));
    let snapshots: Vec<_> = snapshots.collect();
    state.measurements.show(snapshots, state.now);
    super::source::numbers_changed(state, true);
    state.dirty = true;
}
