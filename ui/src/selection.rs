//! A selected row: known by what it is, never by where it is.

use std::ops::Range;

/// The selection of a list, and where on the screen it is.
#[derive(Clone, Debug)]
pub(crate) struct Selection<K> {
    id: Option<K>,
    index: usize,
    /// The selected row's distance from the top of the list's visible part.
    screen_row: usize,
}

impl<K: Clone + PartialEq> Selection<K> {
    /// What is selected; nothing only if the list is empty.
    pub(crate) fn id(&self) -> Option<K> {
        self.id.clone()
    }

    pub(crate) fn index(&self) -> usize {
        self.index
    }

    /// The rows that a list of that height shows.
    pub(crate) fn window(&self, rows: usize, height: usize) -> Range<usize> {
        let above = self.screen_row.min(height.saturating_sub(1));
        let start = self
            .index
            .saturating_sub(above)
            .min(rows.saturating_sub(height));
        start..(start + height).min(rows)
    }

    /// Which row is selected, and the rows that a list of that height shows.
    pub(crate) fn shown(&self, rows: usize, height: usize) -> (usize, Range<usize>) {
        (self.index, self.window(rows, height))
    }

    /// Finds the selection in rows that have changed; it keeps its place on the screen. If it is
    /// gone, the row that took its place is selected. Returns whether it was found.
    pub(crate) fn restore(&mut self, rows: &[K]) -> bool {
        let found = self.id.as_ref().and_then(|id| match rows.get(self.index) {
            Some(same) if same == id => Some(self.index),
            _ => rows.iter().position(|row| row == id),
        });
        self.index = found
            .unwrap_or(self.index)
            .min(rows.len().saturating_sub(1));
        self.id = rows.get(self.index).cloned();
        found.is_some()
    }

    /// Selects the row at an index, scrolling no more than needed.
    pub(crate) fn go_to(&mut self, index: usize, rows: &[K], height: usize) {
        let window = self.window(rows.len(), height);
        self.index = index.min(rows.len().saturating_sub(1));
        self.id = rows.get(self.index).cloned();
        self.screen_row = self
            .index
            .saturating_sub(window.start)
            .min(height.saturating_sub(1));
    }

    /// Moves by some rows, not beyond the ends.
    pub(crate) fn move_by(&mut self, delta: isize, rows: &[K], height: usize) {
        self.go_to(self.index.saturating_add_signed(delta), rows, height);
    }
}

impl<K> Default for Selection<K> {
    fn default() -> Self {
        Self {
            id: None,
            index: 0,
            screen_row: 0,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_scrolls_no_more_than_needed() {
        let rows: Vec<u32> = (0..100).collect();
        let mut selection = Selection::default();
        selection.go_to(5, &rows, 10);
        assert_eq!(selection.window(100, 10), 0..10);
        selection.move_by(7, &rows, 10);
        assert_eq!(
            (selection.id(), selection.window(100, 10)),
            (Some(12), 3..13)
        );
        selection.move_by(-3, &rows, 10);
        assert_eq!(selection.window(100, 10), 3..13);
        selection.move_by(1_000, &rows, 10);
        assert_eq!(
            (selection.id(), selection.window(100, 10)),
            (Some(99), 90..100)
        );
    }

    #[test]
    fn new_rows_never_move_it_to_another_thing_or_place() {
        let mut selection = Selection::default();
        let rows: Vec<u32> = (0..100).collect();
        selection.go_to(50, &rows, 10);
        let place = |selection: &Selection<u32>| selection.index - selection.window(100, 10).start;
        let before = place(&selection);
        let turned: Vec<u32> = (0..100).rev().collect();
        assert!(selection.restore(&turned));
        assert_eq!(selection.id(), Some(50));
        assert_eq!(place(&selection), before);
        assert!(!selection.restore(&[7, 8]));
        assert_eq!(selection.id(), Some(8));
        assert!(!selection.restore(&[]));
        assert_eq!(selection.id(), None);
    }
}
