//! The call tree: every path of probed calls with exact numbers, added up over all threads.

use std::sync::Arc;

use serde::{Deserialize, Serialize};

use crate::{FunctionId, Histogram};

/// The paths that were called, parents before their children.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct CallTree {
    /// The nodes; a node's id is its place here.
    pub nodes: Vec<CallNode>,
    /// Calls whose path found no room; they are counted by function all the same.
    pub lost_calls: u64,
}

/// A path of calls: that of its parent, and one more.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct CallNode {
    /// The caller's node.
    pub parent: Option<u32>,
    /// The function of the path's last call.
    pub function: FunctionId,
    /// How many calls the path has, less one.
    pub depth: u32,
    /// Entries.
    pub calls: u64,
    /// Exits that were paired with their entry.
    pub returns: u64,
    /// Calls that were left without passing an exit.
    pub unwound: u64,
    /// Paired calls that returned an error; 0 too where that cannot be told.
    pub errors: u64,
    /// The sum of the durations of the paired calls, in nanoseconds; where a recursion is folded
    /// into the node, of the outermost calls.
    pub total_ns: u64,
    /// The part of it that the function itself took, without the probed calls that it made.
    pub self_ns: u64,
    /// The longest paired call, in nanoseconds.
    pub max_ns: u64,
    /// What probes inside of the paired calls cost, by calibration, in nanoseconds: `total_ns`
    /// holds it.
    pub probes_ns: u64,
    /// The durations of the paired calls, where memory allows a histogram.
    pub latency: Option<Arc<Histogram>>,
}

impl CallNode {
    /// One of its times; `None` while no call has returned, and nothing is timed.
    pub fn timed(&self, ns: u64) -> Option<u64> {
        (self.returns > 0).then_some(ns)
    }

    /// The duration below which 99 % of the paired calls lie, in nanoseconds, if that is known.
    pub fn p99_ns(&self) -> Option<u64> {
        self.latency.as_ref()?.percentile_ns(99.0)
    }
}

impl CallTree {
    /// The children of a node, or the roots, by their time, longest first.
    pub fn children(&self, parent: Option<u32>) -> Vec<u32> {
        let mut children: Vec<u32> = (0u32..)
            .zip(&self.nodes)
            .filter(|(_, node)| node.parent == parent)
            .map(|(id, _)| id)
            .collect();
        children.sort_by_key(|&id| std::cmp::Reverse(self.nodes[id as usize].total_ns));
        children
    }

    /// The nodes in the order in which a tree is shown: each before its children, siblings by
    /// their time, longest first.
    pub fn preorder(&self) -> Vec<u32> {
        let mut children = vec![Vec::new(); self.nodes.len()];
        let mut roots = Vec::new();
        for (id, node) in (0u32..).zip(&self.nodes) {
            match node.parent {
                Some(parent) => children[parent as usize].push(id),
                None => roots.push(id),
            }
        }
        let shortest_first = |ids: &mut Vec<u32>| {
            ids.sort_by_key(|&id| self.nodes[id as usize].total_ns);
        };
        shortest_first(&mut roots);
        children.iter_mut().for_each(shortest_first);
        let mut order = Vec::with_capacity(self.nodes.len());
        let mut open = roots;
        while let Some(id) = open.pop() {
            order.push(id);
            open.append(&mut children[id as usize]);
        }
        order
    }

    /// The same tree with every recursion, also one through other functions, folded into the
    /// outermost call of the function on its path. Calls and self times are added up; a total
    /// counts the outermost call alone, which holds the others.
    pub fn folded(&self) -> Self {
        let mut folded = Self {
            nodes: Vec::new(),
            lost_calls: self.lost_calls,
        };
        let mut place = Vec::with_capacity(self.nodes.len());
        for node in &self.nodes {
            let parent = node.parent.map(|parent| place[parent as usize]);
            let outer = folded.on_path(parent, node.function);
            let target = outer.or_else(|| folded.child(parent, node.function));
            let id = match target {
                Some(id) => {
                    folded.add(id, node, folded.is_below(node, outer, &place, self));
                    id
                }
                None => folded.push(parent, node),
            };
            place.push(id);
        }
        folded
    }

    fn push(&mut self, parent: Option<u32>, node: &CallNode) -> u32 {
        self.nodes.push(CallNode {
            parent,
            depth: parent.map_or(0, |parent| self.nodes[parent as usize].depth + 1),
            ..node.clone()
        });
        (self.nodes.len() - 1) as u32
    }

    /// The innermost node of that function from `at` upwards.
    fn on_path(&self, at: Option<u32>, function: FunctionId) -> Option<u32> {
        let mut at = at;
        while let Some(id) = at {
            let node = &self.nodes[id as usize];
            if node.function == function {
                return Some(id);
            }
            at = node.parent;
        }
        None
    }

    fn child(&self, parent: Option<u32>, function: FunctionId) -> Option<u32> {
        (0u32..)
            .zip(&self.nodes)
            .find(|(_, node)| node.parent == parent && node.function == function)
            .map(|(id, _)| id)
    }

    /// Whether a call of the node that `node` is folded into holds it already.
    fn is_below(
        &self,
        node: &CallNode,
        outer: Option<u32>,
        place: &[u32],
        original: &Self,
    ) -> bool {
        if outer.is_some() {
            return true;
        }
        let target = self.child(
            node.parent.map(|parent| place[parent as usize]),
            node.function,
        );
        let mut at = node.parent;
        while let Some(id) = at {
            if Some(place[id as usize]) == target {
                return true;
            }
            at = original.nodes[id as usize].parent;
        }
        false
    }

    fn add(&mut self, id: u32, node: &CallNode, is_below: bool) {
        let sum = &mut self.nodes[id as usize];
        sum.calls += node.calls;
        sum.returns += node.returns;
        sum.unwound += node.unwound;
        sum.errors += node.errors;
        sum.self_ns += node.self_ns;
        sum.max_ns = sum.max_ns.max(node.max_ns);
        if !is_below {
            sum.total_ns += node.total_ns;
            sum.probes_ns += node.probes_ns;
        }
        sum.latency = match (sum.latency.take(), &node.latency) {
            (Some(mut sum), Some(other)) => {
                Arc::make_mut(&mut sum).merge(other);
                Some(sum)
            }
            _ => None,
        };
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn node(
        parent: Option<u32>,
        function: u32,
        calls: u64,
        total_ns: u64,
        self_ns: u64,
    ) -> CallNode {
        CallNode {
            parent,
            function: FunctionId(function),
            depth: 0,
            calls,
            returns: calls,
            unwound: 0,
            errors: 0,
            total_ns,
            self_ns,
            max_ns: total_ns,
            probes_ns: 0,
            latency: None,
        }
    }

    fn summary(tree: &CallTree) -> Vec<(Option<u32>, u32, u64, u64, u64)> {
        let nodes = tree.nodes.iter();
        nodes
            .map(|node| {
                (
                    node.parent,
                    node.function.0,
                    node.calls,
                    node.total_ns,
                    node.self_ns,
                )
            })
            .collect()
    }

    #[test]
    fn a_recursion_through_another_function_is_folded() {
        // a -> b -> a -> b -> c, where each took 10 ns itself.
        let tree = CallTree {
            nodes: vec![
                node(None, 0, 1, 50, 10),
                node(Some(0), 1, 1, 40, 10),
                node(Some(1), 0, 1, 30, 10),
                node(Some(2), 1, 1, 20, 10),
                node(Some(3), 2, 1, 10, 10),
            ],
            lost_calls: 0,
        };
        assert_eq!(
            summary(&tree.folded()),
            [
                (None, 0, 2, 50, 20),
                (Some(0), 1, 2, 40, 20),
                (Some(1), 2, 1, 10, 10),
            ]
        );
    }

    #[test]
    fn what_recurs_nowhere_stays_as_it_is() {
        let tree = CallTree {
            nodes: vec![
                node(None, 0, 2, 60, 10),
                node(Some(0), 1, 2, 20, 20),
                node(Some(0), 2, 2, 30, 10),
                node(Some(2), 1, 2, 20, 20),
            ],
            lost_calls: 3,
        };
        assert_eq!(summary(&tree.folded()), summary(&tree));
        assert_eq!(tree.folded().lost_calls, 3);
        assert_eq!(tree.preorder(), [0, 2, 3, 1]);
        assert_eq!(tree.children(Some(0)), [2, 1]);
    }
}
