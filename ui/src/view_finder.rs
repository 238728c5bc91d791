//! Views found by what is typed: those that were saved, then those that always exist.

use std::cmp::Reverse;

use crate::filter_input::FilterInput;
use crate::saved_view::SavedView;
use crate::scan::{NameMatcher, Query};
use crate::selection::Selection;

/// Views found by what is typed.
#[derive(Debug)]
pub(crate) struct ViewFinder {
    pub(crate) input: FilterInput,
    /// Indices into `all`.
    pub(crate) selection: Selection<usize>,
    all: Vec<SavedView>,
    rows: Vec<usize>,
}

impl ViewFinder {
    pub(crate) fn new(saved: &[SavedView]) -> Self {
        let is_saved = |view: &SavedView| saved.iter().any(|saved| saved.name == view.name);
        let mut all = saved.to_vec();
        let builtin = SavedView::builtin().into_iter();
        all.extend(builtin.filter(|view| !is_saved(view)));
        let mut finder = Self {
            input: FilterInput::typing(),
            selection: Selection::default(),
            all,
            rows: Vec::new(),
        };
        finder.find();
        finder
    }

    /// What is typed has changed.
    pub(crate) fn find(&mut self) {
        let query = Query::new(self.input.text());
        let mut matcher = NameMatcher::default();
        let mut found: Vec<_> = (0..self.all.len())
            .filter_map(|index| {
                let view = &self.all[index];
                let text = format!("{} {}", view.name, view.filter);
                Some((index, Reverse(query.score(&text, &mut matcher)?)))
            })
            .collect();
        found.sort_by_key(|&(_, score)| score);
        self.rows = found.into_iter().map(|(index, _)| index).collect();
        self.selection = Selection::default();
        self.selection.restore(&self.rows);
    }

    pub(crate) fn rows(&self) -> &[usize] {
        &self.rows
    }

    pub(crate) fn all(&self) -> &[SavedView] {
        &self.all
    }

    pub(crate) fn move_by(&mut self, delta: isize, height: usize) {
        self.selection.move_by(delta, &self.rows, height);
    }

    pub(crate) fn selected(&self) -> Option<&SavedView> {
        self.all.get(self.selection.id()?)
    }
}
