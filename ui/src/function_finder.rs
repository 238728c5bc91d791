//! Go to a function: the best matches among all functions, found a piece at a time.

use std::cmp::Reverse;

use coral_model::{FunctionId, FunctionTable};

use crate::filter_input::FilterInput;
use crate::function_filter::Filter;
use crate::functions::{FunctionList, WORK_PIECE};
use crate::measurements::Measurements;
use crate::scan::{Query, Scan};
use crate::selection::Selection;

/// Whoever has to look through more matches than this types another letter.
const BEST_MAX: usize = 500;

/// Functions found by what is typed.
#[derive(Debug)]
pub(crate) struct FunctionFinder {
    pub(crate) input: FilterInput,
    pub(crate) selection: Selection<FunctionId>,
    /// Where to look: all functions, the nearest first. A copy, since the list may be sorted anew
    /// meanwhile.
    list: Vec<FunctionId>,
    scan: Scan,
    /// The best matches so far, the best first.
    best: Vec<(FunctionId, Reverse<u32>)>,
    /// How many of the scan's matches were looked at for `best`.
    looked_at: usize,
    rows: Vec<FunctionId>,
    /// Whether somebody has moved the selection away from the best match.
    moved: bool,
}

impl FunctionFinder {
    pub(crate) fn new(functions: &FunctionList) -> Self {
        let list = functions.order().to_vec();
        let mut finder = Self {
            input: FilterInput::typing(),
            selection: Selection::default(),
            scan: Scan::new(Filter::Words(Query::new("")), list.len(), None),
            list,
            best: Vec::new(),
            looked_at: 0,
            rows: Vec::new(),
            moved: false,
        };
        finder.work(functions);
        finder
    }

    /// What is typed has changed: looks at the first functions at once.
    pub(crate) fn find(&mut self, functions: &FunctionList) {
        self.restart(true);
        self.moved = false;
        self.work(functions);
    }

    pub(crate) fn has_work(&self) -> bool {
        !self.scan.is_complete()
    }

    /// Does a piece of work, if there is any.
    pub(crate) fn work(&mut self, functions: &FunctionList) {
        if functions.order().len() != self.list.len() {
            self.list = functions.order().to_vec();
            self.restart(false);
        }
        // Names are all that is looked at.
        let measurements = Measurements::default();
        let known = functions.known(&measurements);
        self.scan.step(WORK_PIECE, &self.list, known);
        self.best
            .extend_from_slice(self.scan.found_after(self.looked_at));
        self.looked_at = self.scan.match_count();
        // Stable: of equal matches the nearest stays first.
        self.best.sort_by_key(|&(_, score)| score);
        self.best.truncate(BEST_MAX);
        self.rows = self.best.iter().map(|&(id, _)| id).collect();
        if !self.moved {
            self.selection = Selection::default();
        }
        self.selection.restore(&self.rows);
    }

    fn restart(&mut self, narrow: bool) {
        let query = Filter::Words(Query::new(self.input.text()));
        let earlier = narrow.then_some(&self.scan);
        self.scan = Scan::new(query, self.list.len(), earlier);
        self.best.clear();
        self.looked_at = 0;
    }

    pub(crate) fn rows(&self) -> &[FunctionId] {
        &self.rows
    }

    pub(crate) fn query(&self) -> Option<&Query> {
        self.scan.filter().query()
    }

    /// How many functions match so far, and how far it has come in percent.
    pub(crate) fn found(&self) -> (usize, usize) {
        (self.scan.match_count(), self.scan.percent())
    }

    pub(crate) fn move_by(&mut self, delta: isize, height: usize) {
        self.moved = true;
        self.selection.move_by(delta, &self.rows, height);
    }

    /// The selected function, if it is of that table.
    pub(crate) fn selected(&self, table: &FunctionTable) -> Option<FunctionId> {
        let id = self.selection.id()?;
        table.get(id).map(|function| function.id)
    }
}
