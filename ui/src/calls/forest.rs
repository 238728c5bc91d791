//! A call tree made ready to be walked: who called whom, and which path is which.

use std::cmp::Reverse;
use std::collections::HashMap;
use std::sync::Arc;

use coral_model::{CallNode, CallTree, FunctionId};

/// A path of calls, known by the functions on it: whatever place its node has in a tree.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) struct PathId(u32);

/// The paths that were seen, in all trees of a process.
#[derive(Debug, Default)]
pub(crate) struct Paths {
    ids: HashMap<(Option<PathId>, FunctionId), PathId>,
}

impl Paths {
    fn id(&mut self, caller: Option<PathId>, function: FunctionId) -> PathId {
        let next = PathId(self.ids.len() as u32);
        *self.ids.entry((caller, function)).or_insert(next)
    }
}

/// A call tree with what a tree of nodes cannot say at once.
#[derive(Debug, Default)]
pub(crate) struct Forest {
    tree: Arc<CallTree>,
    paths: Vec<PathId>,
    /// The node of each path that was ever seen, where this tree has it.
    nodes: Vec<Option<u32>>,
    /// Callees one caller after the other, longest first; those of nobody come first of all.
    callees: Vec<u32>,
    /// Where in `callees` those of each caller begin, and the end.
    starts: Vec<u32>,
    extents_ns: Vec<u64>,
    whole_ns: u64,
    /// How many nodes were looked at: what is drawn must not depend on how many there are.
    #[cfg(test)]
    pub(crate) looks: std::sync::atomic::AtomicUsize,
}

impl Forest {
    /// The tree that comes after another one, or after none.
    pub(crate) fn new(tree: Arc<CallTree>, before: &Self, paths: &mut Paths) -> Self {
        let mut forest = Self {
            tree,
            ..Self::default()
        };
        forest.name_paths(before, paths);
        forest.measure();
        forest.list_callees();
        forest
    }

    pub(crate) fn tree(&self) -> &Arc<CallTree> {
        &self.tree
    }

    pub(crate) fn len(&self) -> usize {
        self.tree.nodes.len()
    }

    pub(crate) fn node(&self, node: u32) -> &CallNode {
        #[cfg(test)]
        self.looks
            .fetch_add(1, std::sync::atomic::Ordering::Relaxed);
        &self.tree.nodes[node as usize]
    }

    pub(crate) fn path(&self, node: u32) -> PathId {
        self.paths[node as usize]
    }

    /// The node that has a path in this tree.
    pub(crate) fn find(&self, path: PathId) -> Option<u32> {
        self.nodes.get(path.0 as usize).copied().flatten()
    }

    /// The caller's node. Nodes come after their callers; what a damaged recording says else is
    /// taken for no caller.
    pub(crate) fn caller(&self, node: u32) -> Option<u32> {
        self.node(node).parent.filter(|&caller| caller < node)
    }

    /// The nodes called from a node, or from no probed function, longest first.
    pub(crate) fn callees(&self, caller: Option<u32>) -> &[u32] {
        let place = caller.map_or(0, |caller| caller as usize + 1);
        match self.starts.get(place..place + 2) {
            Some(&[start, end]) => &self.callees[start as usize..end as usize],
            _ => &[],
        }
    }

    /// The node and its callers, innermost first.
    pub(crate) fn chain(&self, node: u32) -> impl Iterator<Item = u32> {
        std::iter::successors(Some(node), |&node| self.caller(node))
    }

    /// The time that is known to have passed in a node, in nanoseconds: its own, or that of its
    /// callees while it has not returned itself; without a node, that of all.
    pub(crate) fn extent_ns(&self, node: Option<u32>) -> u64 {
        #[cfg(test)]
        self.looks
            .fetch_add(1, std::sync::atomic::Ordering::Relaxed);
        match node {
            Some(node) => self.extents_ns[node as usize],
            None => self.whole_ns,
        }
    }

    /// How much of its caller's time a node took, if both are known.
    pub(crate) fn share(&self, node: u32) -> Option<f64> {
        let whole_ns = self.extent_ns(self.caller(node));
        let is_timed = self.node(node).returns > 0 && whole_ns > 0;
        is_timed.then(|| self.node(node).total_ns as f64 / whole_ns as f64)
    }

    fn name_paths(&mut self, before: &Self, paths: &mut Paths) {
        self.paths.reserve(self.len());
        for id in 0..self.len() as u32 {
            let path = match self.path_as_before(id, before) {
                Some(path) => path,
                None => {
                    let caller = self.caller(id).map(|caller| self.path(caller));
                    paths.id(caller, self.node(id).function)
                }
            };
            self.paths.push(path);
        }
        self.nodes = vec![None; paths.ids.len()];
        for (id, path) in (0u32..).zip(&self.paths) {
            self.nodes[path.0 as usize].get_or_insert(id);
        }
    }

    /// The path of a node that is where it was: most are, and looking paths up is what takes time.
    fn path_as_before(&self, id: u32, before: &Self) -> Option<PathId> {
        let old = before.tree.nodes.get(id as usize)?;
        let caller = self.caller(id);
        let is_same = old.function == self.node(id).function
            && before.caller(id) == caller
            && caller.is_none_or(|caller| before.path(caller) == self.path(caller));
        is_same.then(|| before.path(id))
    }

    fn measure(&mut self) {
        let mut callees_ns = vec![0u64; self.len()];
        self.extents_ns = vec![0; self.len()];
        for id in (0..self.len() as u32).rev() {
            let extent_ns = self.node(id).total_ns.max(callees_ns[id as usize]);
            self.extents_ns[id as usize] = extent_ns;
            let sum = match self.caller(id) {
                Some(caller) => &mut callees_ns[caller as usize],
                None => &mut self.whole_ns,
            };
            *sum = sum.saturating_add(extent_ns);
        }
    }

    /// Counts the callees of each caller, gives each its place, and sorts those of one caller.
    fn list_callees(&mut self) {
        let ids = 0..self.len() as u32;
        let place = |forest: &Self, id| forest.caller(id).map_or(0, |caller| caller as usize + 1);
        let mut starts = vec![0; self.len() + 2];
        for id in ids.clone() {
            starts[place(self, id) + 1] += 1;
        }
        for place in 1..starts.len() {
            starts[place] += starts[place - 1];
        }
        let mut next = starts.clone();
        let mut callees = vec![0; self.len()];
        for id in ids {
            let next = &mut next[place(self, id)];
            callees[*next as usize] = id;
            *next += 1;
        }
        for range in starts.windows(2) {
            let siblings = &mut callees[range[0] as usize..range[1] as usize];
            siblings.sort_by_key(|&id| Reverse(self.extents_ns[id as usize]));
        }
        self.starts = starts;
        self.callees = callees;
    }
}

#[cfg(test)]
pub(crate) mod tests {
    use proptest::prelude::*;

    use super::*;

    /// A tree of callers, functions and total times; whatever is left of a total is its self time.
    pub(crate) fn tree(nodes: &[(Option<u32>, u32, u64)]) -> Arc<CallTree> {
        let node = |&(parent, function, total_ns): &(Option<u32>, u32, u64)| CallNode {
            parent,
            function: FunctionId(function),
            depth: 0,
            calls: 1,
            returns: u64::from(total_ns > 0),
            unwound: 0,
            errors: 0,
            total_ns,
            self_ns: 0,
            max_ns: total_ns,
            probes_ns: 0,
            latency: None,
        };
        Arc::new(CallTree {
            nodes: nodes.iter().map(node).collect(),
            lost_calls: 0,
        })
    }

    /// The forest of nodes: caller, function, total time.
    pub(crate) fn forest(nodes: &[(Option<u32>, u32, u64)]) -> Forest {
        Forest::new(tree(nodes), &Forest::default(), &mut Paths::default())
    }

    #[test]
    fn what_has_not_returned_is_as_long_as_what_it_called() {
        let forest = forest(&[
            (None, 0, 0),
            (Some(0), 1, 30),
            (Some(0), 2, 70),
            (None, 3, 5),
        ]);
        assert_eq!(forest.callees(None), [0, 3]);
        assert_eq!(forest.callees(Some(0)), [2, 1]);
        assert_eq!(forest.extent_ns(Some(0)), 100);
        assert_eq!(forest.extent_ns(None), 105);
        assert_eq!(forest.share(2), Some(0.7));
        assert_eq!(forest.share(0), None, "it was not measured");
    }

    #[test]
    fn paths_stay_when_nodes_move() {
        let mut paths = Paths::default();
        let before = Forest::new(
            tree(&[(None, 0, 9), (Some(0), 1, 5)]),
            &Forest::default(),
            &mut paths,
        );
        let after = tree(&[(None, 2, 1), (None, 0, 9), (Some(1), 3, 1), (Some(1), 1, 6)]);
        let after = Forest::new(after, &before, &mut paths);
        assert_eq!(after.find(before.path(1)), Some(3));
        assert_eq!(after.chain(3).collect::<Vec<_>>(), [3, 1]);
    }

    #[test]
    fn callers_that_cannot_be_are_none() {
        let forest = forest(&[(Some(0), 0, 1), (Some(7), 1, 1)]);
        assert_eq!(forest.callees(None), [0, 1]);
    }

    prop_compose! {
        fn any_nodes()(
            nodes in prop::collection::vec((0u32..9, 0u32..3, 0u64..9), 0..12),
        ) -> Vec<(Option<u32>, u32, u64)> {
            let node = |(caller, function, total_ns): (u32, u32, u64)| {
                (caller.checked_sub(1), function, total_ns)
            };
            nodes.into_iter().map(node).collect()
        }
    }

    proptest! {
        #[test]
        fn a_path_is_the_functions_on_it(first in any_nodes(), second in any_nodes()) {
            let mut paths = Paths::default();
            let first = Forest::new(tree(&first), &Forest::default(), &mut paths);
            let second = Forest::new(tree(&second), &first, &mut paths);
            let all = |forest: &Forest| -> Vec<(PathId, Vec<FunctionId>)> {
                let functions = |node| forest.chain(node).map(|node| forest.node(node).function);
                let nodes = 0..forest.len() as u32;
                nodes.map(|node| (forest.path(node), functions(node).collect())).collect()
            };
            let known = [all(&first), all(&second)].concat();
            for (path, functions) in &known {
                for (other, others) in &known {
                    prop_assert_eq!(path == other, functions == others);
                }
            }
        }
    }
}
