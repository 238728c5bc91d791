//! The call tree as rows: what is open, in which order, and which path is selected.

use std::borrow::Cow;
use std::cmp::Reverse;
use std::collections::HashSet;
use std::sync::Arc;

use coral_model::CallTree;

use super::forest::{Forest, PathId, Paths};
use crate::selection::Selection;

/// What siblings are sorted by, largest first.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum TreeSort {
    #[default]
    Total,
    Own,
    Calls,
    Errors,
    P99,
}

impl TreeSort {
    const CYCLE: [Self; 5] = [Self::Total, Self::Own, Self::Calls, Self::Errors, Self::P99];

    /// The one after this.
    pub(crate) fn next(self) -> Self {
        Self::CYCLE[(self as usize + 1) % Self::CYCLE.len()]
    }

    /// How the title names it.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Total => "total",
            Self::Own => "self",
            Self::Calls => "calls",
            Self::Errors => "errors",
            Self::P99 => "p99",
        }
    }

    fn key(self, forest: &Forest, id: u32) -> u64 {
        let node = forest.node(id);
        match self {
            Self::Total => forest.extent_ns(Some(id)),
            Self::Own => node.self_ns,
            Self::Calls => node.calls,
            Self::Errors => node.errors,
            Self::P99 => node.p99_ns().unwrap_or(0),
        }
    }
}

/// Whether the calls made from a row are shown.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Fold {
    Leaf,
    Open,
    Folded,
}

/// A visible path.
#[derive(Clone, Copy, Debug)]
pub(crate) struct TreeRow {
    pub(crate) node: u32,
    pub(crate) depth: u32,
    /// A bit for each of the first 64 levels above: whether more follows there.
    pub(crate) guides: u64,
    /// Whether it is the last of its siblings.
    pub(crate) is_last: bool,
    pub(crate) fold: Fold,
}

impl TreeRow {
    /// The guides of what is called from here.
    fn guides_below(&self) -> u64 {
        let own = u64::from(!self.is_last);
        self.guides | own.checked_shl(self.depth).unwrap_or(0)
    }
}

/// The tree in rows. They are made when the tree, a fold or the order changes, never to draw.
#[derive(Debug, Default)]
pub(crate) struct ArrangedTree {
    forest: Forest,
    paths: Paths,
    sort: TreeSort,
    folded: HashSet<PathId>,
    rows: Vec<TreeRow>,
    row_paths: Vec<PathId>,
    selection: Selection<PathId>,
}

impl ArrangedTree {
    /// Takes in another tree; returns whether it is another one.
    pub(crate) fn follow(&mut self, tree: &Arc<CallTree>) -> bool {
        if Arc::ptr_eq(self.forest.tree(), tree) {
            return false;
        }
        self.forest = Forest::new(Arc::clone(tree), &self.forest, &mut self.paths);
        self.arrange();
        true
    }

    pub(crate) fn forest(&self) -> &Forest {
        &self.forest
    }

    pub(crate) fn rows(&self) -> &[TreeRow] {
        &self.rows
    }

    pub(crate) fn selection(&self) -> &Selection<PathId> {
        &self.selection
    }

    /// The selected node, if there is any.
    pub(crate) fn selected(&self) -> Option<u32> {
        self.forest.find(self.selection.id()?)
    }

    pub(crate) fn sort(&self) -> TreeSort {
        self.sort
    }

    pub(crate) fn sort_by(&mut self, sort: TreeSort) {
        self.sort = sort;
        self.arrange();
    }

    pub(crate) fn move_by(&mut self, delta: isize, height: usize) {
        self.selection.move_by(delta, &self.row_paths, height);
    }

    /// Opens what is folded, and folds what is open.
    pub(crate) fn toggle(&mut self) {
        match self.selected_row().map(|row| row.fold) {
            Some(Fold::Open) => self.fold(),
            Some(Fold::Folded) => self.open(),
            _ => {}
        }
    }

    /// Opens the selected row, or goes on to its first callee.
    pub(crate) fn go_in(&mut self, height: usize) {
        match self.selected_row().map(|row| row.fold) {
            Some(Fold::Folded) => self.open(),
            Some(Fold::Open) => self.move_by(1, height),
            _ => {}
        }
    }

    /// Folds the selected row, or goes back to its caller.
    pub(crate) fn go_out(&mut self, height: usize) {
        match self.selected_row() {
            Some(row) if row.fold == Fold::Open => self.fold(),
            Some(row) => {
                if let Some(caller) = self.forest.caller(row.node) {
                    self.reveal(caller, height);
                }
            }
            None => {}
        }
    }

    /// Opens everything below the selected row.
    pub(crate) fn open_below(&mut self) {
        let mut open: Vec<u32> = self.selected().into_iter().collect();
        while let Some(node) = open.pop() {
            self.folded.remove(&self.forest.path(node));
            open.extend(self.forest.callees(Some(node)));
        }
        self.arrange();
    }

    /// Selects a node, and opens what it is folded in.
    pub(crate) fn reveal(&mut self, node: u32, height: usize) {
        let hides = |&caller: &u32| self.folded.contains(&self.forest.path(caller));
        let hiding: Vec<u32> = self.forest.chain(node).skip(1).filter(hides).collect();
        for caller in &hiding {
            self.folded.remove(&self.forest.path(*caller));
        }
        if !hiding.is_empty() {
            self.arrange();
        }
        if let Some(index) = self.rows.iter().position(|row| row.node == node) {
            self.selection.go_to(index, &self.row_paths, height);
        }
    }

    /// The node of the next path (or the one before) whose function is wanted, also where it is
    /// folded away, round and round.
    pub(crate) fn next_match(&self, forward: bool, wanted: impl Fn(u32) -> bool) -> Option<u32> {
        let all = self.flatten(&HashSet::new());
        let selected = self.selected();
        let is_selected = |row: &TreeRow| Some(row.node) == selected;
        let here = all.iter().position(is_selected).unwrap_or(0);
        let (before, after) = all.split_at(here);
        let is_wanted = |row: &&TreeRow| wanted(row.node);
        let found = if forward {
            after
                .iter()
                .skip(1)
                .chain(before)
                .chain(after.first())
                .find(is_wanted)
        } else {
            let round = before.iter().rev().chain(after.iter().rev());
            round.into_iter().find(is_wanted)
        };
        found.map(|row| row.node)
    }

    fn selected_row(&self) -> Option<&TreeRow> {
        self.rows.get(self.selection.index())
    }

    fn open(&mut self) {
        if let Some(path) = self.selection.id() {
            self.folded.remove(&path);
            self.arrange();
        }
    }

    fn fold(&mut self) {
        if let Some(path) = self.selection.id() {
            self.folded.insert(path);
            self.arrange();
        }
    }

    fn arrange(&mut self) {
        self.rows = self.flatten(&self.folded);
        let paths = self.rows.iter().map(|row| self.forest.path(row.node));
        self.row_paths = paths.collect();
        self.selection.restore(&self.row_paths);
    }

    /// All rows in pre-order, without those in folded ones.
    fn flatten(&self, folded: &HashSet<PathId>) -> Vec<TreeRow> {
        let mut rows: Vec<TreeRow> = Vec::with_capacity(self.forest.len());
        let mut open = Vec::new();
        self.push_callees(None, &mut open);
        while let Some(mut row) = open.pop() {
            let has_callees = !self.forest.callees(Some(row.node)).is_empty();
            row.fold = match has_callees {
                false => Fold::Leaf,
                true if folded.contains(&self.forest.path(row.node)) => Fold::Folded,
                true => Fold::Open,
            };
            if row.fold == Fold::Open {
                self.push_callees(Some(&row), &mut open);
            }
            rows.push(row);
        }
        rows
    }

    /// Puts the callees of a row on the stack, the first one on top.
    fn push_callees(&self, caller: Option<&TreeRow>, open: &mut Vec<TreeRow>) {
        // They come sorted by total time.
        let mut callees = Cow::Borrowed(self.forest.callees(caller.map(|row| row.node)));
        if self.sort != TreeSort::Total {
            let callees = callees.to_mut();
            callees.sort_by_cached_key(|&id| Reverse(self.sort.key(&self.forest, id)));
        }
        let row = |(place, &node): (usize, &u32)| TreeRow {
            node,
            depth: caller.map_or(0, |caller| caller.depth + 1),
            guides: caller.map_or(0, TreeRow::guides_below),
            is_last: place + 1 == callees.len(),
            fold: Fold::Leaf,
        };
        open.extend(callees.iter().enumerate().rev().map(row));
    }
}
