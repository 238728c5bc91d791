//! What the latency screen shows besides the numbers of one moment: its views, and what they need
//! of the past. It is computed when something changes, never while drawing.

mod area;
mod comparison;
mod heatmap;
mod history;
mod lines;
mod panes;

use std::time::Duration;

use coral_model::FunctionId;

pub(crate) use area::{Brush, Point, Selected};
pub(crate) use comparison::{Compared, Comparison, Pair, STATISTICS, Side, pairs};
pub(crate) use heatmap::{Cell, Heatmap};
pub(crate) use history::{History, Of, until_ms};
pub(crate) use lines::{Lines, MARKED};
pub(crate) use panes::Panes;

use crate::replicas::ReplicaKey;
use crate::state::{Screen, State};

/// How the latency is looked at.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum View {
    /// All durations until now.
    #[default]
    Histogram,
    /// Time across, duration upwards, calls as colours.
    Heatmap,
    /// Percentiles over time.
    Lines,
    /// Two histograms against each other.
    Compare,
    /// A row for each replica; only where there are some.
    Replicas,
}

impl View {
    const ALL: [Self; 5] = [
        Self::Histogram,
        Self::Heatmap,
        Self::Lines,
        Self::Compare,
        Self::Replicas,
    ];

    /// The title of the pane.
    pub(crate) fn title(self) -> &'static str {
        match self {
            Self::Histogram => "Latency",
            Self::Heatmap => "Heatmap",
            Self::Lines => "Percentiles",
            Self::Compare => "Compare",
            Self::Replicas => "Replicas",
        }
    }

    /// The next view or the one before, round and round.
    pub(crate) fn neighbour(self, forward: bool, has_replicas: bool) -> Self {
        let views = Self::ALL.len() - usize::from(!has_replicas);
        let step = if forward { 1 } else { views - 1 };
        Self::ALL[(self as usize + step) % views]
    }
}

/// What is chosen on the latency screen, and what has been computed for it.
#[derive(Debug, Default)]
pub(crate) struct LatencyScreen {
    pub(crate) view: View,
    /// Whether the colours of the heatmap and the axis of the lines are linear.
    pub(crate) linear: bool,
    /// Where the cursor was put; else it follows the newest calls.
    pub(crate) cursor: Option<Point>,
    pub(crate) brush: Option<Brush>,
    /// What is compared, if somebody has chosen it.
    pub(crate) pair: Option<Pair>,
    pub(crate) history: Option<History>,
    pub(crate) heatmap: Option<Heatmap>,
    pub(crate) lines: Option<Lines>,
    pub(crate) selected: Option<Selected>,
    pub(crate) comparison: Option<Comparison>,
    /// The function that the cursor and the brush are of. It stays while other screens are looked
    /// at, and they with it.
    pub(crate) function: Option<FunctionId>,
    computed_for: Option<Key>,
}

/// What the computed parts depend on.
#[derive(Clone, Debug, PartialEq)]
struct Key {
    function: FunctionId,
    only: Option<ReplicaKey>,
    view: View,
    columns: u16,
    rows: u16,
    moments: usize,
    end: Duration,
    shown_at: Duration,
    marks: usize,
    cursor: Option<Point>,
    brush: Option<Brush>,
    pair: Option<Pair>,
}

impl LatencyScreen {
    /// Forgets the brush; returns whether there was one.
    pub(crate) fn clear_brush(&mut self) -> bool {
        self.view == View::Heatmap && self.brush.take().is_some()
    }

    /// The cell under the cursor: where it was put, or the newest calls.
    pub(crate) fn cell(&self) -> Option<Cell> {
        let (history, heatmap) = (self.history.as_ref()?, self.heatmap.as_ref()?);
        Some(match self.cursor {
            Some(point) => heatmap.cell(&history.axis, point),
            None => heatmap.newest(),
        })
    }
}

/// Computes what the view in front needs, if anything has changed that it depends on.
pub(crate) fn refresh(state: &mut State) {
    let key = key(state);
    if state.latency.computed_for == key {
        return;
    }
    let function = key.as_ref().map(|key| key.function);
    if function.is_some() && function != state.latency.function {
        // An area of durations means nothing for another function.
        (state.latency.cursor, state.latency.brush) = (None, None);
        state.latency.function = function;
    }
    let key = self::key(state);
    let history = key.as_ref().and_then(|key| {
        let target = state.functions.target.as_ref()?;
        History::of(
            &state.timeline,
            target,
            Of {
                function: key.function,
                only: key.only.as_ref(),
            },
            key.shown_at,
            key.columns,
        )
    });
    let heatmap = key
        .as_ref()
        .zip(history.as_ref())
        .filter(|(key, _)| key.view == View::Heatmap)
        .map(|(key, history)| Heatmap::of(history, key.rows));
    state.latency.lines = key
        .as_ref()
        .zip(history.as_ref())
        .filter(|(key, _)| key.view == View::Lines)
        .map(|(_, history)| Lines::of(history));
    state.latency.history = history;
    state.latency.heatmap = heatmap;
    state.latency.selected = Selected::of(state);
    state.latency.comparison = Comparison::of(state);
    state.latency.computed_for = key;
    state.dirty = true;
}

/// `None` while nothing of the past is shown.
fn key(state: &State) -> Option<Key> {
    let latency = &state.latency;
    let is_of_now = matches!(latency.view, View::Histogram | View::Replicas);
    if state.screen != Screen::Latency || is_of_now {
        return None;
    }
    let panes = Panes::of(state.body(), latency);
    let dots = if latency.view == View::Lines && !state.options.glyphs.ascii {
        // A cell of braille is two dots wide.
        2
    } else {
        1
    };
    Some(Key {
        function: state.functions.selection.id()?,
        only: state.only_replica().cloned(),
        view: latency.view,
        columns: panes.plot.width.saturating_mul(dots).max(1),
        rows: panes.plot.height,
        moments: state.timeline.moments().len(),
        end: state.timeline.end(),
        shown_at: state.timeline.at(state.now),
        marks: state.timeline.marks.len(),
        cursor: latency.cursor,
        brush: latency.brush,
        pair: latency.pair.clone(),
    })
}
