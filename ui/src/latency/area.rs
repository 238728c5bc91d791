//! An area of the heatmap, and the calls in it.

use std::collections::HashSet;
use std::ops::Range;

use coral_model::{Bucket, CallRecord, Histogram, bucket_range_ns};

use super::history::{Slice, until_ms};
use super::{Cell, Heatmap, History};
use crate::calls::call_key;
use crate::state::State;

/// Recorded calls of an area that are listed.
const CALLS_MAX: usize = 500;

/// A place in the heatmap that stays the same when the picture is drawn anew.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Point {
    pub(crate) at_ms: i64,
    pub(crate) duration_ns: u64,
}

/// A selection that grows with the cursor, or the one that was accepted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Brush {
    /// From there to the cursor.
    Open { from: Point },
    /// What was in it when it was accepted.
    Accepted(Bounds),
}

/// The times and durations of an area; ends are beyond it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Bounds {
    pub(crate) from_ms: i64,
    pub(crate) until_ms: i64,
    pub(crate) low_ns: u64,
    pub(crate) high_ns: u64,
}

impl Brush {
    pub(crate) fn is_accepted(self) -> bool {
        matches!(self, Self::Accepted(_))
    }
}

/// The cells of an area, all four edges included.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Area {
    pub(crate) low: Cell,
    pub(crate) high: Cell,
}

impl Area {
    fn between(a: Cell, b: Cell) -> Self {
        Self {
            low: Cell {
                column: a.column.min(b.column),
                row: a.row.min(b.row),
            },
            high: Cell {
                column: a.column.max(b.column),
                row: a.row.max(b.row),
            },
        }
    }

    pub(crate) fn contains(self, cell: Cell) -> bool {
        (self.low.column..=self.high.column).contains(&cell.column)
            && (self.low.row..=self.high.row).contains(&cell.row)
    }
}

/// What is in an area. Buckets and slices are counted whole: an area holds those that it touches.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Selected {
    /// Where it is drawn.
    pub(crate) area: Area,
    /// What it is once it is accepted, whatever becomes of the picture.
    pub(crate) bounds: Bounds,
    /// The durations of the buckets in it; empty if there are none.
    pub(crate) duration_ns: Range<u64>,
    pub(crate) calls: u64,
    pub(crate) calls_of_all: u64,
    /// By duration, the longest first.
    pub(crate) buckets: Vec<Bucket>,
    /// The recorded calls that ended in it, the slowest first.
    pub(crate) slow_calls: Vec<CallRecord>,
}

impl Selected {
    /// What the brush holds; `None` without one.
    pub(crate) fn of(state: &State) -> Option<Self> {
        let latency = &state.latency;
        let (history, heatmap) = (latency.history.as_ref()?, latency.heatmap.as_ref()?);
        let mut selected = match latency.brush? {
            Brush::Open { from } => {
                let from = heatmap.cell(&history.axis, from);
                let area = Area::between(from, latency.cell()?);
                let columns = area.low.column..=area.high.column;
                let reached = |slice: &&Slice| {
                    slice.first <= *columns.end() && slice.last >= *columns.start()
                };
                let slices = history.slices.iter().filter(reached);
                Self::count(area, bounds(area, history, heatmap), slices)
            }
            Brush::Accepted(bounds) => {
                let reached = |slice: &&Slice| {
                    slice.from_ms < bounds.until_ms && slice.until_ms > bounds.from_ms
                };
                let slices = history.slices.iter().filter(reached);
                let area = area(bounds, history, heatmap);
                Self::count(area, bounds, slices)
            }
        };
        selected.calls_of_all = history.all.count();
        selected.slow_calls = slow_calls(state, &selected);
        Some(selected)
    }

    fn count<'a>(
        area: Area,
        mut bounds: Bounds,
        slices: impl Iterator<Item = &'a Slice> + Clone,
    ) -> Self {
        let mut counted = Histogram::default();
        for slice in slices.clone() {
            counted.merge(&slice.latency);
        }
        if let Some(from_ms) = slices.clone().map(|slice| slice.from_ms).min() {
            bounds.from_ms = from_ms;
            bounds.until_ms = slices.map(|slice| slice.until_ms).max().unwrap_or(from_ms);
        }
        counted.buckets.retain(|bucket| {
            let range = bucket_range_ns(bucket.index);
            range.start < bounds.high_ns && range.end > bounds.low_ns
        });
        counted.buckets.reverse();
        let range = |bucket: Option<&Bucket>| bucket.map(|bucket| bucket_range_ns(bucket.index));
        let lowest = range(counted.buckets.last()).map_or(0, |range| range.start);
        let highest = range(counted.buckets.first()).map_or(0, |range| range.end);
        Self {
            area,
            bounds,
            duration_ns: lowest..highest,
            calls: counted.count(),
            calls_of_all: 0,
            buckets: counted.buckets,
            slow_calls: Vec::new(),
        }
    }
}

/// The times and durations of some cells. The picture's edges hold whatever is beyond them.
fn bounds(area: Area, history: &History, heatmap: &Heatmap) -> Bounds {
    Bounds {
        from_ms: history.axis.range_ms(area.low.column).start,
        until_ms: history.axis.range_ms(area.high.column).end,
        low_ns: match area.low.row {
            0 => 0,
            row => heatmap.scale.start_ns(row * 2),
        },
        high_ns: match area.high.row + 1 {
            row if row >= heatmap.rows => u64::MAX,
            row => heatmap.scale.start_ns(row * 2),
        },
    }
}

/// The cells of some times and durations.
fn area(bounds: Bounds, history: &History, heatmap: &Heatmap) -> Area {
    let cell = |at_ms, duration_ns| heatmap.cell(&history.axis, Point { at_ms, duration_ns });
    // Times begin and end with snapshots: half a column further in is where their calls are drawn.
    let half_ms = history.axis.step_ms / 2;
    let from_ms = bounds.from_ms.saturating_add(half_ms);
    let until_ms = bounds.until_ms.saturating_sub(1).max(from_ms);
    Area::between(
        cell(from_ms, bounds.low_ns),
        cell(until_ms, bounds.high_ns.saturating_sub(1)),
    )
}

/// The recorded calls that returned in the area. Snapshots hold only the slowest of their time, so
/// those of the area's time are looked through too.
fn slow_calls(state: &State, selected: &Selected) -> Vec<CallRecord> {
    let Some(function) = state.functions.selection.id() else {
        return Vec::new();
    };
    let shown_at = state.timeline.at(state.now);
    let moments = state.timeline.moments().iter();
    let in_time = moments
        .take_while(|moment| moment.at <= shown_at)
        .map(|moment| &moment.snapshot)
        .filter(|snapshot| {
            let until_ms = until_ms(snapshot);
            selected.bounds.from_ms < until_ms && until_ms <= selected.bounds.until_ms
        });
    let shown = state.measurements.sessions();
    let mut seen = HashSet::new();
    let mut calls: Vec<CallRecord> = in_time
        .chain(shown.map(|session| &session.snapshot))
        .filter(|snapshot| state.functions.target.as_ref() == Some(&snapshot.session.target))
        .flat_map(|snapshot| {
            let is_wanted = |call: &&CallRecord| state.is_of_only_replica(snapshot, call.replica);
            snapshot.slow_calls.iter().filter(is_wanted)
        })
        .filter(|call| call.function == function && is_in(call, selected))
        .filter(|call| seen.insert(call_key(call)))
        .take(CALLS_MAX)
        .cloned()
        .collect();
    calls.sort_unstable_by_key(|call| std::cmp::Reverse(call.duration_ns));
    calls
}

/// A call is counted when it returns.
fn is_in(call: &CallRecord, selected: &Selected) -> bool {
    let duration_ms = i64::try_from(call.duration_ns / 1_000_000).unwrap_or(i64::MAX);
    let ended_ms = call.started_at.as_millisecond().saturating_add(duration_ms);
    (selected.bounds.from_ms..selected.bounds.until_ms).contains(&ended_ms)
        && selected.duration_ns.contains(&call.duration_ns)
}
