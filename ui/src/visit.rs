//! A session that was not started here, on the same screens: one of the past, or of somebody else.
//!
//! All that the screens show is exchanged for as long as one looks at it. What is open meanwhile
//! goes on: what the source reports of it is taken in where it is kept.

use std::collections::HashSet;
use std::time::Duration;

use coral_model::{FunctionId, SessionId, SessionState};

use crate::calls::CallsScreen;
use crate::event::{OpenTarget, OpenedSession};
use crate::functions::FunctionList;
use crate::latency::LatencyScreen;
use crate::measurements::Measurements;
use crate::replicas::ReplicaList;
use crate::state::{Phase, State};
use crate::timeline::Timeline;

/// A session that is looked at without being this console's own.
#[derive(Debug)]
pub(crate) struct Visit {
    pub(crate) session: SessionId,
    pub(crate) requested_by: String,
    /// Whether it had ended when it was opened.
    pub(crate) is_past: bool,
    /// What was on the screens before.
    pub(crate) away: Shown,
}

/// What the screens show, of one target.
#[derive(Debug)]
pub(crate) struct Shown {
    phase: Phase,
    opened: Option<OpenTarget>,
    reading: Option<(u64, u64)>,
    functions: FunctionList,
    attaching: HashSet<FunctionId>,
    pub(crate) measurements: Measurements,
    timeline: Timeline,
    latency: LatencyScreen,
    calls: CallsScreen,
    replicas: ReplicaList,
}

impl Shown {
    fn empty(record_memory_bytes: usize) -> Self {
        Self {
            phase: Phase::Open,
            opened: None,
            reading: None,
            functions: FunctionList::default(),
            attaching: HashSet::new(),
            measurements: Measurements::default(),
            timeline: Timeline::new(record_memory_bytes),
            latency: LatencyScreen::default(),
            calls: CallsScreen::default(),
            replicas: ReplicaList::default(),
        }
    }

    /// Whether there is anything to detach.
    pub(crate) fn has_probes(&self) -> bool {
        !self.attaching.is_empty() || self.measurements.active().next().is_some()
    }

    fn exchange(&mut self, state: &mut State) {
        std::mem::swap(&mut self.phase, &mut state.phase);
        std::mem::swap(&mut self.opened, &mut state.opened);
        std::mem::swap(&mut self.reading, &mut state.reading);
        std::mem::swap(&mut self.functions, &mut state.functions);
        std::mem::swap(&mut self.attaching, &mut state.attaching);
        std::mem::swap(&mut self.measurements, &mut state.measurements);
        std::mem::swap(&mut self.timeline, &mut state.timeline);
        std::mem::swap(&mut self.latency, &mut state.latency);
        std::mem::swap(&mut self.calls, &mut state.calls);
        std::mem::swap(&mut self.replicas, &mut state.replicas);
    }
}

impl State {
    /// Brings a session that was not started here to the screens.
    pub(crate) fn visit(&mut self, opened: OpenedSession) {
        self.leave();
        let Some((_, last)) = opened.moments.last() else {
            return;
        };
        let mut visit = Visit {
            session: opened.session,
            requested_by: last.session.requested_by.clone(),
            is_past: last.session.state != SessionState::Active,
            away: Shown::empty(self.options.record_memory_bytes),
        };
        visit.away.exchange(self);
        let last = last.clone();
        for (at, snapshot) in opened.moments {
            let at = if visit.is_past { at } else { self.now };
            self.timeline.push(at, snapshot);
        }
        self.measurements.set_target(&opened.target);
        self.measurements.apply(last, self.now);
        self.functions
            .set_table(opened.target, opened.table, true, &self.measurements);
        self.functions.work(&self.measurements);
        self.functions.show_measured(&self.measurements);
        self.overlay = None;
        self.visit = Some(visit);
    }

    /// Brings back what was on the screens before; returns whether anything else was.
    pub(crate) fn leave(&mut self) -> bool {
        let Some(mut visit) = self.visit.take() else {
            return false;
        };
        visit.away.exchange(self);
        self.overlay = None;
        true
    }

    /// Does something to what is open, whatever is on the screens.
    pub(crate) fn at_home<T>(&mut self, act: impl FnOnce(&mut Self) -> T) -> T {
        let Some(mut visit) = self.visit.take() else {
            return act(self);
        };
        visit.away.exchange(self);
        let result = act(self);
        visit.away.exchange(self);
        self.visit = Some(visit);
        result
    }

    /// The session that is looked at without being this console's own.
    pub(crate) fn visited(&self) -> Option<SessionId> {
        self.visit.as_ref().map(|visit| visit.session.clone())
    }

    /// What has been measured here, whatever is on the screens.
    pub(crate) fn own_measurements(&self) -> &Measurements {
        let visit = self.visit.as_ref();
        visit.map_or(&self.measurements, |visit| &visit.away.measurements)
    }

    /// The time of a timeline that is live: of a session of the past it stands still.
    pub(crate) fn shown_now(&self) -> Duration {
        let is_past = self.visit.as_ref().is_some_and(|visit| visit.is_past);
        if self.timeline.is_live() && !is_past {
            self.now
        } else {
            self.timeline.at(self.now)
        }
    }
}
