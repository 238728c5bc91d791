//! The list of functions: which of them are shown, in which order, and which one is selected.
//!
//! Classifying, sorting and filtering a million names takes longer than a frame, so all three are
//! done a piece at a time: [`FunctionList::work`] is called until there is nothing left to do.
//!
//! Rows move only when somebody asks for it (a filter, another order, going to the top), or at
//! most once a second in an order by live numbers; the selected row then keeps its place.

use std::collections::HashSet;
use std::sync::Arc;
use std::time::Duration;

use coral_model::{Function, FunctionId, FunctionTable, Target};
use serde::{Deserialize, Serialize};

use crate::filter_input::FilterInput;
use crate::function_filter::{Filter, FunctionFilter};
use crate::measurements::Measurements;
use crate::own::{Nearness, nearness};
use crate::scan::{FunctionSet, Query, Scan};
use crate::selection::Selection;
use crate::sort::Sort;
use crate::sorter::Sorter;
use crate::typed_filter::{FilterError, Known};

/// Names that are classified, merged or matched in one piece of work: a few milliseconds.
pub(crate) const WORK_PIECE: usize = 16_384;

/// While a filter is at work, rows are shown as they are found up to this many.
const ARRANGED_AT_ONCE_MAX: usize = 50_000;

/// In an order by live numbers, rows move at most this often.
const LIVE_ORDER_EVERY: Duration = Duration::from_secs(1);

/// Which columns the list shows.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum ColumnSet {
    #[default]
    Measured,
    Code,
}

/// The list and everything that its order depends on.
#[derive(Debug, Default)]
pub(crate) struct FunctionList {
    pub(crate) target: Option<Target>,
    pub(crate) table: Arc<FunctionTable>,
    /// Whether the table holds all functions of the target.
    pub(crate) complete: bool,
    pub(crate) columns: ColumnSet,
    /// What is typed.
    pub(crate) filter: FilterInput,
    filter_read: FunctionFilter,
    pub(crate) selection: Selection<FunctionId>,
    sort: Sort,
    reversed: bool,
    unpinned: bool,
    nearness: Vec<Nearness>,
    order: Vec<FunctionId>,
    sorter: Option<Sorter>,
    scan: Option<Scan>,
    /// What the last filter matched, for `next-match` after it was cleared.
    last_matches: FunctionSet,
    rows: Vec<FunctionId>,
    /// The functions that had numbers when those were followed last.
    measured: Vec<FunctionId>,
    /// Whether numbers that the rows depend on have changed since then.
    is_behind: bool,
    arranged_at: Duration,
    /// Whether the first row is selected because nobody has chosen another one.
    at_top: bool,
}

impl FunctionList {
    /// Takes the functions of a process, or more functions of the same one.
    pub(crate) fn set_table(
        &mut self,
        target: Target,
        table: Arc<FunctionTable>,
        complete: bool,
        measurements: &Measurements,
    ) {
        if self.target.as_ref() != Some(&target) {
            *self = Self {
                target: Some(target),
                columns: self.columns,
                unpinned: self.unpinned,
                at_top: true,
                ..Self::default()
            };
        }
        let known = self.order.len();
        self.table = table;
        self.complete = complete;
        if self.table.len() != known {
            self.order.truncate(self.table.len());
            self.nearness.truncate(self.table.len());
            self.order
                .extend((known..self.table.len()).map(|index| FunctionId(index as u32)));
            self.sorter = Some(Sorter::new(self.order.clone()));
            self.restart_scan(false);
            self.arrange(measurements);
        } else if self.query().is_none() {
            // The same functions, of which more is known now: what a typed filter asks about.
            self.restart_scan(false);
        }
    }

    /// Whether there is a piece of work to do.
    pub(crate) fn has_work(&self) -> bool {
        self.sorter.is_some() || self.scan.as_ref().is_some_and(|scan| !scan.is_complete())
    }

    /// Does a piece of work, if there is any.
    pub(crate) fn work(&mut self, measurements: &Measurements) {
        if self.sorter.is_some() && self.nearness.len() < self.table.len() {
            self.classify();
        } else if let Some(sorter) = &mut self.sorter {
            let (table, known, sort) = (&self.table, &self.nearness, self.sort);
            let flip = sort.is_descending() != self.reversed && !sort.is_live();
            let sorted = sorter.step(WORK_PIECE, |a, b| {
                let order = sort.compare(table, known, a, b);
                if flip { order.reverse() } else { order }
            });
            if let Some(sorted) = sorted {
                self.order = sorted;
                self.sorter = None;
                self.restart_scan(false);
                self.arrange(measurements);
            }
        } else if let Some(scan) = self.scan.as_mut().filter(|scan| !scan.is_complete()) {
            let known = Known {
                table: &self.table,
                nearness: &self.nearness,
                measurements,
            };
            scan.step(WORK_PIECE, &self.order, known);
            // Nobody reads on among a hundred thousand matches: those wait for the rest.
            if scan.is_complete() || scan.match_count() <= ARRANGED_AT_ONCE_MAX {
                self.arrange(measurements);
            }
        }
    }

    /// How far the work has come: what is done, and percent.
    pub(crate) fn progress(&self) -> Option<(&'static str, usize)> {
        match (&self.sorter, &self.scan) {
            (Some(sorter), _) => Some(("sorting", sorter.percent())),
            (None, Some(scan)) if !scan.is_complete() => Some(("filtering", scan.percent())),
            _ => None,
        }
    }

    /// Numbers have changed, and with them the rows if order or filter depend on them.
    pub(crate) fn numbers_changed(&mut self, measurements: &Measurements, now: Duration) {
        self.is_behind |= self.sort.is_live() || self.filter_is_live();
        self.follow_numbers(measurements, now);
    }

    /// Moves rows to where the latest numbers want them, if they have not moved for a second.
    /// Returns whether it did.
    pub(crate) fn follow_numbers(&mut self, measurements: &Measurements, now: Duration) -> bool {
        let due = now.saturating_sub(self.arranged_at) >= LIVE_ORDER_EVERY;
        // What is filtered or sorted meanwhile would be asked too early, or for nothing.
        if !(self.is_behind && due) || self.has_work() {
            return false;
        }
        (self.is_behind, self.arranged_at) = (false, now);
        let others_match = self.look_again(measurements);
        if self.sort.is_live() || others_match {
            self.arrange(measurements);
        }
        true
    }

    /// Other functions have numbers now: shows them, unless somebody is at work in the list.
    pub(crate) fn show_measured(&mut self, measurements: &Measurements) {
        if self.at_top {
            self.arrange(measurements);
        }
    }

    /// Puts the rows in order by what is known now.
    pub(crate) fn arrange(&mut self, measurements: &Measurements) {
        let front = self.front(measurements);
        let in_front: HashSet<FunctionId> = front.iter().copied().collect();
        let others = match &self.scan {
            None => self.order.clone(),
            Some(scan) if self.sort == Sort::Relevance => scan.ranked(),
            Some(scan) => scan.in_list_order().collect(),
        };
        let mut rows = front;
        rows.extend(others.into_iter().filter(|id| !in_front.contains(id)));
        if self.at_top {
            self.rows = rows;
            self.selection = Selection::default();
            self.selection.restore(&self.rows);
            return;
        }
        // While the selected function has not been looked at yet, the old rows stay.
        let mut selection = self.selection.clone();
        if selection.restore(&rows) || !self.has_work() {
            self.selection = selection;
            self.rows = rows;
        }
    }

    /// All functions, in the order of the list.
    pub(crate) fn order(&self) -> &[FunctionId] {
        &self.order
    }

    /// Selects a function; a filter that hides it is cleared.
    pub(crate) fn select(&mut self, id: FunctionId, height: usize, measurements: &Measurements) {
        if !self.rows.contains(&id) {
            self.filter.clear();
            self.filter_changed(measurements);
        }
        if let Some(index) = self.rows.iter().position(|&row| row == id) {
            self.go_to(index, height);
        }
    }

    /// The functions that are shown, in order.
    pub(crate) fn rows(&self) -> &[FunctionId] {
        &self.rows
    }

    /// The selected function.
    pub(crate) fn selected(&self) -> Option<Function<'_>> {
        self.table.get(self.selection.id()?)
    }

    pub(crate) fn sort(&self) -> Sort {
        self.sort
    }

    pub(crate) fn is_pinned(&self) -> bool {
        !self.unpinned
    }

    /// Whether the order is turned round.
    pub(crate) fn is_reversed(&self) -> bool {
        self.reversed
    }

    /// Whether large values come first.
    pub(crate) fn is_descending(&self) -> bool {
        self.sort.is_descending() != self.reversed
    }

    /// The query that is shown, for marking what it matched.
    pub(crate) fn query(&self) -> Option<&Query> {
        self.scan.as_ref()?.filter().query()
    }

    /// Where the filter that is typed cannot be understood.
    pub(crate) fn filter_error(&self) -> Option<&FilterError> {
        self.filter_read.error()
    }

    /// What a filter can ask about.
    pub(crate) fn known<'a>(&'a self, measurements: &'a Measurements) -> Known<'a> {
        Known {
            table: &self.table,
            nearness: &self.nearness,
            measurements,
        }
    }

    /// All functions that the filter matches, once it is understood and has looked at all of them.
    pub(crate) fn filtered(&self) -> Option<Vec<FunctionId>> {
        let is_done = self.filter_error().is_none() && !self.has_work();
        let scan = self.scan.as_ref().filter(|_| is_done)?;
        Some(scan.in_list_order().collect())
    }

    /// How many functions match the filter so far.
    pub(crate) fn match_count(&self) -> Option<usize> {
        self.scan.as_ref().map(Scan::match_count)
    }

    /// Selects the row at an index.
    pub(crate) fn go_to(&mut self, index: usize, height: usize) {
        self.at_top = false;
        self.selection.go_to(index, &self.rows, height);
    }

    /// Goes to the first row; what is probed by now is there.
    pub(crate) fn go_to_top(&mut self, measurements: &Measurements) {
        self.at_top = true;
        self.arrange(measurements);
    }

    pub(crate) fn move_by(&mut self, delta: isize, height: usize) {
        self.at_top = false;
        self.selection.move_by(delta, &self.rows, height);
    }

    /// Keeps the selection where it is, even if better matches or own code turn up above it.
    pub(crate) fn hold_selection(&mut self) {
        self.at_top = false;
    }

    /// Sorts by something else.
    pub(crate) fn sort_by(&mut self, sort: Sort, reversed: bool, measurements: &Measurements) {
        (self.sort, self.reversed) = (sort, reversed);
        // An order by live numbers concerns the measured ones; the others stay as they are.
        if !sort.is_live() || self.sorter.is_some() {
            self.sorter = Some(Sorter::new(self.order.clone()));
        }
        self.arrange(measurements);
    }

    pub(crate) fn toggle_pinned(&mut self, measurements: &Measurements) {
        self.unpinned = !self.unpinned;
        self.arrange(measurements);
    }

    /// The filter's text has changed: looks at the first names at once.
    pub(crate) fn filter_changed(&mut self, measurements: &Measurements) {
        if !self.filter_read.change(self.filter.text()) {
            return;
        }
        self.measured = measurements.measured();
        let cleared = !self.filter.is_active();
        if cleared && let Some(scan) = &self.scan {
            self.last_matches = scan.set().clone();
        }
        self.restart_scan(true);
        self.at_top = !cleared;
        self.arrange(measurements);
        self.work(measurements);
    }

    /// Selects the next row (or the previous one) that the last filter matched, if there is one.
    pub(crate) fn go_to_match(&mut self, forward: bool, height: usize) -> bool {
        let matches = match &self.scan {
            Some(scan) => scan.set(),
            None => &self.last_matches,
        };
        let (len, here) = (self.rows.len(), self.selection.index());
        let found = (1..=len)
            .map(|step| {
                if forward {
                    (here + step) % len
                } else {
                    (here + len - step) % len
                }
            })
            .find(|&index| matches.contains(self.rows[index]));
        if let Some(index) = found {
            self.go_to(index, height);
        }
        found.is_some()
    }

    /// What comes before all others: what has numbers, if that is wanted.
    fn front(&self, measurements: &Measurements) -> Vec<FunctionId> {
        if self.unpinned && !self.sort.is_live() {
            return Vec::new();
        }
        let mut front = measurements.measured();
        if let Some(scan) = &self.scan {
            front.retain(|&id| scan.set().contains(id));
        }
        front.retain(|&id| self.table.get(id).is_some());
        if self.sort.is_live() {
            self.sort
                .sort_measured(&mut front, measurements, self.is_descending());
        }
        front
    }

    fn filter_is_live(&self) -> bool {
        let filter = self.filter_read.in_effect();
        filter.is_some_and(Filter::is_live)
    }

    /// Asks the filter again about what has numbers, or had some; returns whether others match.
    fn look_again(&mut self, measurements: &Measurements) -> bool {
        let now_measured = measurements.measured();
        let before = std::mem::replace(&mut self.measured, now_measured);
        let known = Known {
            table: &self.table,
            nearness: &self.nearness,
            measurements,
        };
        let ids = before.iter().chain(&self.measured).copied();
        match &mut self.scan {
            Some(scan) if scan.filter().is_live() && scan.is_complete() => {
                scan.look_again(ids, &self.order, known)
            }
            _ => false,
        }
    }

    fn classify(&mut self) {
        let Some(target) = &self.target else {
            return;
        };
        let from = self.nearness.len();
        let to = (from + 4 * WORK_PIECE).min(self.table.len());
        self.nearness.extend((from..to).map(|index| {
            self.table
                .get(FunctionId(index as u32))
                .map_or(Nearness::Other, |function| nearness(&function, target))
        }));
    }

    fn restart_scan(&mut self, narrow: bool) {
        let earlier = self.scan.take().filter(|_| narrow);
        if let Some(filter) = self.filter_read.in_effect() {
            let filter = filter.clone();
            self.scan = Some(Scan::new(filter, self.order.len(), earlier.as_ref()));
        }
    }
}
