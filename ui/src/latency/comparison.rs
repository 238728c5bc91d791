//! Two histograms of a function: before and since a mark, within and outside of a selected time,
//! or of two sessions.

use std::time::Duration;

use coral_model::{
    FunctionId, Histogram, PERCENTILES, SessionId, Snapshot, Verdict, compare_percentile,
};

use crate::measurements::Session;
use crate::replicas::stats_of;
use crate::state::State;

/// The rows of the table; those after the percentiles have no test.
pub(crate) const STATISTICS: usize = PERCENTILES.len() + 3;

/// What is compared. Marks are named by their place, which never changes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Pair {
    /// Before the mark, and since then.
    Mark(usize),
    /// From the mark before to this one, and since then.
    Marks(usize),
    /// Outside of the accepted area's time, and within.
    Area,
    /// This session, and the one in which the function was measured last.
    Session(SessionId),
}

/// The calls of a side.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct Side {
    pub(crate) name: String,
    pub(crate) latency: Histogram,
    /// How long it was measured.
    pub(crate) time: Duration,
}

/// A value on both sides.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Compared {
    pub(crate) name: &'static str,
    /// Whether it is a duration in nanoseconds; calls a second otherwise.
    pub(crate) is_duration: bool,
    pub(crate) a: Option<f64>,
    pub(crate) b: Option<f64>,
    /// Whether the difference is more than noise; `None` where there is no test for it.
    pub(crate) verdict: Option<Verdict>,
}

impl Compared {
    /// From `a` to `b`, in percent of `a`.
    pub(crate) fn difference_percent(&self) -> Option<f64> {
        let (a, b) = (self.a?, self.b?);
        (a > 0.0).then(|| (b - a) / a * 100.0)
    }
}

/// Both sides, and what differs.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Comparison {
    pub(crate) pair: Pair,
    pub(crate) a: Side,
    pub(crate) b: Side,
    pub(crate) rows: Vec<Compared>,
}

impl Comparison {
    /// Compares the chosen pair; the first one if none is chosen or it is gone.
    pub(crate) fn of(state: &State) -> Option<Self> {
        if state.latency.view != super::View::Compare {
            return None;
        }
        let pairs = pairs(state);
        let chosen = state.latency.pair.as_ref();
        let pair = chosen.filter(|pair| pairs.contains(pair));
        let pair = pair.or(pairs.first())?.clone();
        let (a, b) = sides(state, &pair)?;
        let rows = rows(&a, &b);
        Some(Self { pair, a, b, rows })
    }
}

/// Everything that can be compared, what is most likely meant first.
pub(crate) fn pairs(state: &State) -> Vec<Pair> {
    let mut pairs = Vec::new();
    if state.latency.brush.is_some_and(super::Brush::is_accepted) {
        pairs.push(Pair::Area);
    }
    let shown_at = state.timeline.at(state.now);
    let marks = &state.timeline.marks;
    for number in (0..marks.len()).rev() {
        if marks[number].at > shown_at {
            continue;
        }
        pairs.push(Pair::Mark(number));
        if number > 0 {
            pairs.push(Pair::Marks(number));
        }
    }
    let Some(function) = state.functions.selection.id() else {
        return pairs;
    };
    let current = state.measurements.session_of(function);
    let current = current.map(|session| &session.snapshot.session.id);
    let others = state.measurements.sessions().filter(|session| {
        Some(&session.snapshot.session.id) != current && latency(state, session, function).is_some()
    });
    pairs.extend(others.map(|session| Pair::Session(session.snapshot.session.id.clone())));
    pairs
}

fn sides(state: &State, pair: &Pair) -> Option<(Side, Side)> {
    let function = state.functions.selection.id()?;
    let shown_at = state.timeline.at(state.now);
    let mark = |number: usize| state.timeline.marks.get(number);
    let side = |name: String, from: Option<Duration>, until| {
        let (latency, time) = between(state, function, from, until);
        Side {
            name,
            latency,
            time,
        }
    };
    Some(match pair {
        Pair::Mark(number) => {
            let mark = mark(*number)?;
            (
                side(format!("before {}", mark.name), None, mark.at),
                side(format!("since {}", mark.name), Some(mark.at), shown_at),
            )
        }
        Pair::Marks(number) => {
            let (first, second) = (mark(number.checked_sub(1)?)?, mark(*number)?);
            let (from, to) = (first.at.min(second.at), first.at.max(second.at));
            (
                side(format!("{} to {}", first.name, second.name), Some(from), to),
                side(format!("since {}", second.name), Some(to), shown_at),
            )
        }
        Pair::Area => area_sides(state)?,
        Pair::Session(id) => {
            let current = state.measurements.session_of(function)?;
            (
                session_side(state, state.measurements.get(id)?, function)?,
                session_side(state, current, function)?,
            )
        }
    })
}

/// The columns of the accepted area, and all others.
fn area_sides(state: &State) -> Option<(Side, Side)> {
    let super::Brush::Accepted(bounds) = state.latency.brush? else {
        return None;
    };
    let mut outside = Side {
        name: "outside of the area".into(),
        ..Side::default()
    };
    let mut inside = Side {
        name: "the area's time".into(),
        ..Side::default()
    };
    for slice in &state.latency.history.as_ref()?.slices {
        let is_inside = slice.from_ms < bounds.until_ms && slice.until_ms > bounds.from_ms;
        let side = if is_inside { &mut inside } else { &mut outside };
        side.latency.merge(&slice.latency);
        let length_ms = slice.until_ms.saturating_sub(slice.from_ms);
        side.time += Duration::from_millis(length_ms.unsigned_abs());
    }
    Some((outside, inside))
}

fn session_side(state: &State, session: &Session, function: FunctionId) -> Option<Side> {
    Some(Side {
        name: session.snapshot.session.id.to_string(),
        latency: latency(state, session, function)?.clone(),
        time: session.snapshot.session.elapsed,
    })
}

/// What a session knows of a function. Of another process it is the one of that name: its table is
/// another one.
fn latency<'a>(state: &State, session: &'a Session, function: FunctionId) -> Option<&'a Histogram> {
    let snapshot = &session.snapshot;
    let same_target = state.functions.target.as_ref() == Some(&snapshot.session.target);
    let name = state.functions.table.get(function)?.name;
    let function = if same_target {
        Some(function)
    } else {
        let mut functions = snapshot.functions.iter();
        functions
            .find(|stats| stats.name == name)
            .map(|stats| stats.id)
    };
    stats_of(snapshot, function?, state.only_replica())
        .map(|stats| &stats.latency)
        .filter(|latency| !latency.buckets.is_empty())
}

/// What a function did after a time and until another, in all sessions on the target.
fn between(
    state: &State,
    function: FunctionId,
    from: Option<Duration>,
    until: Duration,
) -> (Histogram, Duration) {
    let earlier = from.map_or_else(Vec::new, |from| state.timeline.known_at(from));
    let mut latency = Histogram::default();
    let mut time = Duration::ZERO;
    for moment in state.timeline.known_at(until) {
        let session = &moment.snapshot.session;
        if state.functions.target.as_ref() != Some(&session.target) {
            continue;
        }
        let before = earlier
            .iter()
            .find(|earlier| earlier.snapshot.session.id == session.id);
        let before = before.map(|before| &*before.snapshot);
        let Some(now) = of_function(state, &moment.snapshot, function) else {
            continue;
        };
        match before.and_then(|before| of_function(state, before, function)) {
            Some(before) => latency.merge(&now.since(before)),
            None => latency.merge(now),
        }
        let elapsed = before.map_or(Duration::ZERO, |before| before.session.elapsed);
        time += session.elapsed.saturating_sub(elapsed);
    }
    (latency, time)
}

fn of_function<'a>(
    state: &State,
    snapshot: &'a Snapshot,
    function: FunctionId,
) -> Option<&'a Histogram> {
    let stats = stats_of(snapshot, function, state.only_replica());
    stats.map(|stats| &stats.latency)
}

fn rows(a: &Side, b: &Side) -> Vec<Compared> {
    let mut rows: Vec<Compared> = PERCENTILES
        .into_iter()
        .map(|(percent, name)| Compared {
            name,
            is_duration: true,
            a: a.latency.percentile_ns(percent).map(|ns| ns as f64),
            b: b.latency.percentile_ns(percent).map(|ns| ns as f64),
            verdict: Some(compare_percentile(&a.latency, &b.latency, percent)),
        })
        .collect();
    let max = |side: &Side| (side.latency.count() > 0).then_some(side.latency.max_ns as f64);
    let rate = |side: &Side| {
        let seconds = side.time.as_secs_f64();
        (seconds > 0.0).then(|| side.latency.count() as f64 / seconds)
    };
    let untested = |name, is_duration, a, b| Compared {
        name,
        is_duration,
        a,
        b,
        verdict: None,
    };
    rows.push(untested("max", true, max(a), max(b)));
    rows.push(untested(
        "mean",
        true,
        a.latency.mean_ns(),
        b.latency.mean_ns(),
    ));
    rows.push(untested("calls/s", false, rate(a), rate(b)));
    rows
}
