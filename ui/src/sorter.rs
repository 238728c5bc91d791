//! A sort that can be done a piece at a time, so that a million names never stop the screen.

use std::cmp::Ordering;

use coral_model::FunctionId;

/// Runs of this length are sorted in one go before they are merged.
const RUN: usize = 1024;

/// A bottom-up merge sort of ids, as far as it has come.
#[derive(Clone, Debug)]
pub(crate) struct Sorter {
    ids: Vec<FunctionId>,
    merged: Vec<FunctionId>,
    /// How many ids are in sorted runs of `RUN`.
    presorted: usize,
    /// The length of the sorted runs in `ids`.
    width: usize,
    /// Where the runs that are being merged start.
    low: usize,
    /// How many ids were taken from the left and the right run.
    taken: (usize, usize),
    done: usize,
}

impl Sorter {
    pub(crate) fn new(ids: Vec<FunctionId>) -> Self {
        Self {
            merged: Vec::with_capacity(ids.len()),
            ids,
            presorted: 0,
            width: RUN,
            low: 0,
            taken: (0, 0),
            done: 0,
        }
    }

    /// Does about `budget` steps; returns the sorted ids once it is through.
    pub(crate) fn step(
        &mut self,
        budget: usize,
        compare: impl Fn(FunctionId, FunctionId) -> Ordering,
    ) -> Option<Vec<FunctionId>> {
        let mut left = budget.max(RUN);
        while self.presorted < self.ids.len() {
            if left < RUN {
                return None;
            }
            let end = (self.presorted + RUN).min(self.ids.len());
            self.ids[self.presorted..end].sort_by(|&a, &b| compare(a, b));
            (self.presorted, left) = (end, left - RUN);
            self.done += RUN;
        }
        while self.width < self.ids.len() {
            if left == 0 {
                return None;
            }
            left = self.merge(left, &compare);
        }
        Some(std::mem::take(&mut self.ids))
    }

    /// How far it has come, in percent.
    pub(crate) fn percent(&self) -> usize {
        let passes = 1 + self.ids.len().div_ceil(RUN).next_power_of_two().ilog2() as usize;
        (100 * self.done / (passes * self.ids.len()).max(1)).min(99)
    }

    /// Merges at most `budget` ids of the current pass, and returns what is left of the budget.
    fn merge(
        &mut self,
        budget: usize,
        compare: &impl Fn(FunctionId, FunctionId) -> Ordering,
    ) -> usize {
        let len = self.ids.len();
        let middle = (self.low + self.width).min(len);
        let end = (self.low + 2 * self.width).min(len);
        for spent in 0..budget {
            let (left, right) = (self.low + self.taken.0, middle + self.taken.1);
            if left == middle && right == end {
                self.low = end;
                self.taken = (0, 0);
                if end == len {
                    std::mem::swap(&mut self.ids, &mut self.merged);
                    self.merged.clear();
                    (self.low, self.width) = (0, 2 * self.width);
                }
                return budget - spent;
            }
            let from_left =
                left < middle && (right == end || compare(self.ids[left], self.ids[right]).is_le());
            if from_left {
                self.merged.push(self.ids[left]);
                self.taken.0 += 1;
            } else {
                self.merged.push(self.ids[right]);
                self.taken.1 += 1;
            }
            self.done += 1;
        }
        0
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn it_sorts_stably_whatever_the_budget(
            keys in prop::collection::vec(0u8..50, 0..5_000),
            budget in 1usize..3_000,
        ) {
            let ids: Vec<FunctionId> = (0..keys.len() as u32).map(FunctionId).collect();
            let compare = |a: FunctionId, b: FunctionId| {
                keys[a.0 as usize].cmp(&keys[b.0 as usize])
            };
            let mut sorter = Sorter::new(ids.clone());
            let sorted = loop {
                if let Some(sorted) = sorter.step(budget, compare) {
                    break sorted;
                }
            };
            let mut expected = ids;
            expected.sort_by(|&a, &b| compare(a, b));
            prop_assert_eq!(sorted, expected);
        }
    }
}
