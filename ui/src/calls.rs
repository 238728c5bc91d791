//! What the calls screen shows: the call tree in three views, slow calls, what one of them spent its
//! time in, and calls in flight.

pub(crate) mod arranged;
pub(crate) mod flame;
pub(crate) mod forest;
pub(crate) mod sandwich;
pub(crate) mod trace;

use std::collections::HashSet;
use std::sync::Arc;

use coral_model::{CallRecord, FunctionId, FunctionTable, InFlightCall, Snapshot};

use crate::filter_input::FilterInput;
use crate::scan::{NameMatcher, Query};
use crate::selection::Selection;
use arranged::ArrangedTree;
use flame::Flame;
use sandwich::Sandwich;
use trace::Trace;

/// The views of the calls screen, one at a time.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum View {
    #[default]
    Tree,
    Flame,
    Sandwich,
    Slow,
    Trace,
    InFlight,
}

impl View {
    /// In the order in which a key goes through them.
    pub(crate) const ALL: [Self; 6] = [
        Self::Tree,
        Self::Flame,
        Self::Sandwich,
        Self::Slow,
        Self::Trace,
        Self::InFlight,
    ];

    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Tree => "Tree",
            Self::Flame => "Flame",
            Self::Sandwich => "Sandwich",
            Self::Slow => "Slow",
            Self::Trace => "Trace",
            Self::InFlight => "In flight",
        }
    }

    /// The view that is so many further, round and round.
    pub(crate) fn after(self, views: usize) -> Self {
        Self::ALL[(self as usize + views) % Self::ALL.len()]
    }

    /// Whether its rows have more to say than fits in a line.
    pub(crate) fn has_detail(self) -> bool {
        matches!(self, Self::Tree | Self::Slow | Self::InFlight)
    }
}

/// What tells a slow call from all others.
pub(crate) type CallKey = (Option<u32>, FunctionId, u32, i128, u64);

/// What tells a call in flight from all others: a goroutine or thread of a replica is in one call
/// at each depth of callers.
pub(crate) type InFlightKey = (
    Option<u32>,
    FunctionId,
    u32,
    Option<u32>,
    Option<u64>,
    usize,
);

/// The state of the calls screen. Everything that costs more than a frame may is kept here, and
/// made anew only when what it is made of changes.
#[derive(Debug, Default)]
pub(crate) struct CallsScreen {
    pub(crate) view: View,
    pub(crate) tree: ArrangedTree,
    pub(crate) flame: Flame,
    pub(crate) sandwich: Sandwich,
    pub(crate) slow: Selection<CallKey>,
    /// Of the slow call that is selected.
    pub(crate) trace: Trace,
    pub(crate) in_flight: Selection<InFlightKey>,
    pub(crate) search: FilterInput,
    /// Whether the selected call's detail takes the place of the rows, where both do not fit.
    pub(crate) detail_is_open: bool,
    /// The functions whose names match the search.
    matches: HashSet<FunctionId>,
    matching_paths: usize,
    /// What all of this was made of.
    shown: Option<Arc<Snapshot>>,
}

impl CallsScreen {
    /// Takes in other numbers, if they are others.
    pub(crate) fn follow(&mut self, snapshot: Option<&Arc<Snapshot>>, table: &FunctionTable) {
        let Some(snapshot) = snapshot else {
            return;
        };
        let before = self.shown.as_ref();
        if before.is_some_and(|before| Arc::ptr_eq(before, snapshot)) {
            return;
        }
        if before.is_some_and(|before| before.session.target != snapshot.session.target) {
            *self = Self {
                view: self.view,
                ..Self::default()
            };
        }
        let changed = self.tree.follow(&snapshot.call_tree);
        let slow: Vec<_> = snapshot.slow_calls.iter().map(call_key).collect();
        let is_listed = self.slow.restore(&slow);
        if is_listed || !self.trace.is_known_at(snapshot) {
            self.trace.show(snapshot.slow_calls.get(self.slow.index()));
        }
        let in_flight: Vec<_> = snapshot.in_flight.iter().map(in_flight_key).collect();
        self.in_flight.restore(&in_flight);
        self.shown = Some(Arc::clone(snapshot));
        if changed {
            self.follow_selection();
        }
        self.find_matches(table);
    }

    /// The sandwich is that of the function that is selected in the tree, until one goes on there.
    pub(crate) fn tree_selection_moved(&mut self) {
        let forest = self.tree.forest();
        let function = self.tree.selected().map(|node| forest.node(node).function);
        if let Some(function) = function {
            self.sandwich.show(function, forest);
        }
    }

    /// Shows the callers and callees of another function.
    pub(crate) fn show_sandwich_of(&mut self, function: FunctionId) {
        self.sandwich.show(function, self.tree.forest());
    }

    /// The trace is that of the slow call that is selected.
    pub(crate) fn slow_selection_moved(&mut self, table: &FunctionTable) {
        let snapshot = self.shown.as_ref();
        let call = snapshot.and_then(|shown| shown.slow_calls.get(self.slow.index()));
        self.trace.show(call);
        self.find_matches(table);
    }

    /// The function that is selected in the view in front.
    pub(crate) fn selected_function(&self) -> Option<FunctionId> {
        match self.view {
            View::Tree | View::Flame => {
                let forest = self.tree.forest();
                self.tree.selected().map(|node| forest.node(node).function)
            }
            View::Sandwich => self.sandwich.function(),
            View::Slow => self.slow.id().map(|(_, function, ..)| function),
            View::Trace => self.trace.selected().map(|row| row.function),
            View::InFlight => self.in_flight.id().map(|(_, function, ..)| function),
        }
    }

    pub(crate) fn matches(&self, function: FunctionId) -> bool {
        self.matches.contains(&function)
    }

    /// How many functions and paths the search has found.
    pub(crate) fn match_counts(&self) -> (usize, usize) {
        (self.matches.len(), self.matching_paths)
    }

    fn follow_selection(&mut self) {
        match self.sandwich.function() {
            Some(function) => self.show_sandwich_of(function),
            None => self.tree_selection_moved(),
        }
    }

    /// Looks for what the search says among what is shown.
    pub(crate) fn find_matches(&mut self, table: &FunctionTable) {
        self.matches.clear();
        self.matching_paths = 0;
        let (true, Some(snapshot)) = (self.search.is_active(), &self.shown) else {
            return;
        };
        let nodes = &snapshot.call_tree.nodes;
        let slow = snapshot.slow_calls.iter().map(|call| call.function);
        let in_flight = snapshot.in_flight.iter().map(|call| call.function);
        let functions = nodes.iter().map(|node| node.function);
        let functions = functions.chain(slow).chain(in_flight);
        let mut functions: HashSet<_> = functions.chain(self.trace.functions()).collect();
        let query = Query::new(self.search.text());
        let mut matcher = NameMatcher::default();
        functions.retain(|&id| {
            let name = table.get(id).map_or("", |function| function.name);
            query.score(name, &mut matcher).is_some()
        });
        let is_match = |node: &&coral_model::CallNode| functions.contains(&node.function);
        self.matching_paths = nodes.iter().filter(is_match).count();
        self.matches = functions;
    }
}

pub(crate) fn call_key(call: &CallRecord) -> CallKey {
    (
        call.replica,
        call.function,
        call.tid,
        call.started_at.as_nanosecond(),
        call.duration_ns,
    )
}

pub(crate) fn in_flight_key(call: &InFlightCall) -> InFlightKey {
    (
        call.replica,
        call.function,
        call.pid,
        call.tid,
        call.goroutine,
        call.callers.len(),
    )
}
