//! One function between its callers and its callees, over all paths.

use std::cmp::Reverse;
use std::collections::HashMap;

use coral_model::FunctionId;

use super::forest::Forest;
use crate::selection::Selection;

/// Where a row stands to the function.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(crate) enum Side {
    Caller,
    Itself,
    Callee,
}

impl Side {
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Caller => "caller",
            Self::Itself => "function",
            Self::Callee => "callee",
        }
    }
}

/// What tells a row from the others; a caller that was not probed is no function.
pub(crate) type SandwichKey = (Side, Option<FunctionId>);

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct SandwichRow {
    pub(crate) key: SandwichKey,
    pub(crate) calls: u64,
    /// The time of the calls that returned, in nanoseconds. A call of the function within itself
    /// counts for nothing: the outer call holds it.
    pub(crate) total_ns: Option<u64>,
}

/// The function, its callers above it and its callees below, the longest first.
#[derive(Debug, Default)]
pub(crate) struct Sandwich {
    function: Option<FunctionId>,
    rows: Vec<SandwichRow>,
    keys: Vec<SandwichKey>,
    pub(crate) selection: Selection<SandwichKey>,
    whole_ns: u64,
}

impl Sandwich {
    /// Adds up a function's numbers.
    pub(crate) fn show(&mut self, function: FunctionId, forest: &Forest) {
        let sums = Sums::of(function, forest);
        self.whole_ns = sums.whole_ns;
        self.rows = sums.rows.into_values().collect();
        self.rows
            .sort_unstable_by_key(|row| (row.key.0, Reverse(row.total_ns), row.key.1));
        self.keys = self.rows.iter().map(|row| row.key).collect();
        if self.function.replace(function) == Some(function) {
            self.selection.restore(&self.keys);
            return;
        }
        let itself = self.keys.iter().position(|key| key.0 == Side::Itself);
        self.selection = Selection::default();
        self.selection
            .go_to(itself.unwrap_or(0), &self.keys, self.keys.len());
    }

    pub(crate) fn function(&self) -> Option<FunctionId> {
        self.function
    }

    pub(crate) fn rows(&self) -> &[SandwichRow] {
        &self.rows
    }

    pub(crate) fn move_by(&mut self, delta: isize, height: usize) {
        self.selection.move_by(delta, &self.keys, height);
    }

    /// How much of the function's time a row has, if both are known.
    pub(crate) fn share(&self, row: &SandwichRow) -> Option<f64> {
        let total_ns = row.total_ns.filter(|_| self.whole_ns > 0)?;
        Some(total_ns as f64 / self.whole_ns as f64)
    }
}

#[derive(Default)]
struct Sums {
    rows: HashMap<SandwichKey, SandwichRow>,
    whole_ns: u64,
}

impl Sums {
    fn of(function: FunctionId, forest: &Forest) -> Self {
        let mut sums = Self::default();
        // Whether a call of the function is on the way to a node; callers come before callees.
        let mut is_inside = vec![false; forest.len()];
        for id in 0..forest.len() as u32 {
            let node = forest.node(id);
            let caller = forest.caller(id);
            let calling = caller.map(|caller| forest.node(caller).function);
            let is_within = |id: u32| is_inside[id as usize];
            if node.function == function {
                let is_outermost = !caller.is_some_and(is_within);
                if is_outermost {
                    sums.whole_ns = sums.whole_ns.saturating_add(forest.extent_ns(Some(id)));
                }
                sums.add((Side::Caller, calling), forest, id, is_outermost);
                sums.add((Side::Itself, Some(function)), forest, id, is_outermost);
            }
            if let Some(caller) = caller.filter(|_| calling == Some(function)) {
                let is_outermost = !forest.caller(caller).is_some_and(is_within);
                sums.add(
                    (Side::Callee, Some(node.function)),
                    forest,
                    id,
                    is_outermost,
                );
            }
            is_inside[id as usize] = node.function == function || caller.is_some_and(is_within);
        }
        sums
    }

    fn add(&mut self, key: SandwichKey, forest: &Forest, node: u32, is_outermost: bool) {
        let node = forest.node(node);
        let row = self.rows.entry(key).or_insert(SandwichRow {
            key,
            calls: 0,
            total_ns: None,
        });
        row.calls += node.calls;
        if is_outermost && node.returns > 0 {
            row.total_ns = Some(row.total_ns.unwrap_or(0).saturating_add(node.total_ns));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::forest::tests::forest;
    use super::*;

    fn rows(function: u32, nodes: &[(Option<u32>, u32, u64)]) -> Vec<(Side, u32, u64, u64)> {
        let forest = forest(nodes);
        let mut sandwich = Sandwich::default();
        sandwich.show(FunctionId(function), &forest);
        let row = |row: &SandwichRow| {
            let function = row.key.1.map_or(99, |id| id.0);
            (row.key.0, function, row.calls, row.total_ns.unwrap_or(0))
        };
        sandwich.rows().iter().map(row).collect()
    }

    #[test]
    fn a_function_is_added_up_over_all_its_paths() {
        let nodes = [
            (None, 0, 100),
            (Some(0), 1, 40),
            (Some(1), 2, 30),
            (None, 2, 7),
            (Some(2), 3, 11),
            (Some(3), 3, 2),
        ];
        assert_eq!(
            rows(2, &nodes),
            [
                (Side::Caller, 1, 1, 30),
                (Side::Caller, 99, 1, 7),
                (Side::Itself, 2, 2, 37),
                (Side::Callee, 3, 2, 13),
            ]
        );
    }

    #[test]
    fn a_recursion_is_no_more_than_its_outermost_call() {
        // f -> g -> f -> g: the inner calls are in the times of the outer ones.
        let nodes = [
            (None, 0, 50),
            (Some(0), 1, 40),
            (Some(1), 0, 30),
            (Some(2), 1, 20),
        ];
        assert_eq!(
            rows(0, &nodes),
            [
                (Side::Caller, 99, 1, 50),
                (Side::Caller, 1, 1, 0),
                (Side::Itself, 0, 2, 50),
                (Side::Callee, 1, 2, 40),
            ]
        );
    }
}
