//! Many traces as one tree.

use std::collections::HashMap;

use super::Trace;
use crate::{FunctionId, Histogram};

/// A tree of more nodes is of no use to anybody.
const NODES_MAX: usize = 10_000;

/// The calls of many traces that came the same way, from the same root through the same functions.
#[derive(Clone, Debug, PartialEq)]
pub struct TraceNode {
    /// Its place in the tree's pre-order.
    pub id: u32,
    /// The node of the function that called it; `None` for a root.
    pub parent: Option<u32>,
    /// The function.
    pub function: FunctionId,
    /// How many nodes are above it.
    pub depth: u32,
    /// How many calls there were.
    pub calls: u64,
    /// How many of them returned an error.
    pub failed: u64,
    /// What they took together.
    pub total_ns: u64,
    /// What of that no probed call inside of them took.
    pub self_ns: u64,
    /// Per request that came here: the time of all its calls of this node together. Its count is
    /// the number of these requests.
    pub per_request: Histogram,
    /// Whether it takes at least half of its root's time, and is not that root.
    pub is_slow: bool,
}

/// The merged call tree of many traces.
#[derive(Clone, Debug, Default)]
pub struct TraceTree {
    nodes: Vec<Entry>,
    by_path: HashMap<(Option<u32>, FunctionId), u32>,
    roots: Vec<u32>,
    requests: u64,
    left_out_calls: u64,
}

#[derive(Clone, Debug)]
struct Entry {
    node: TraceNode,
    children: Vec<u32>,
    /// What the trace that is being added has spent here so far.
    request_ns: Option<u64>,
}

impl TraceTree {
    /// Adds the calls of a trace.
    pub fn add(&mut self, trace: &Trace) {
        self.requests += 1;
        // The nodes of the calls around the next one, as far as they have one.
        let mut around: Vec<Option<u32>> = Vec::new();
        let mut touched = Vec::new();
        for call in trace.calls() {
            around.truncate(call.depth as usize);
            let node = match around.last() {
                Some(None) => None,
                // The way that it came is not known.
                _ if call.parent_missing => None,
                parent => self.node(parent.copied().flatten(), call.function),
            };
            around.push(node);
            let Some(id) = node else {
                self.left_out_calls += 1;
                continue;
            };
            let entry = &mut self.nodes[id as usize];
            entry.node.calls += 1;
            entry.node.failed += u64::from(call.failed);
            entry.node.total_ns += call.duration_ns;
            entry.node.self_ns += call.self_ns;
            if entry.request_ns.is_none() {
                touched.push(id);
            }
            *entry.request_ns.get_or_insert(0) += call.duration_ns;
        }
        for id in touched {
            let entry = &mut self.nodes[id as usize];
            if let Some(request_ns) = entry.request_ns.take() {
                entry.node.per_request.record(request_ns);
            }
        }
    }

    /// How many traces were added.
    pub fn requests(&self) -> u64 {
        self.requests
    }

    /// How many calls are in no node: a caller of theirs is missing, so that the way they came is
    /// not known, or the tree is as large as it may get.
    pub fn left_out_calls(&self) -> u64 {
        self.left_out_calls
    }

    /// All nodes in pre-order; those with the same parent as they were first seen.
    pub fn nodes(&self) -> Vec<TraceNode> {
        let mut nodes: Vec<TraceNode> = Vec::with_capacity(self.nodes.len());
        let mut next: Vec<(u32, Option<u32>, u64)> = Vec::new();
        for &root in self.roots.iter().rev() {
            next.push((root, None, self.nodes[root as usize].node.total_ns));
        }
        while let Some((index, parent, root_ns)) = next.pop() {
            let entry = &self.nodes[index as usize];
            let id = nodes.len() as u32;
            nodes.push(TraceNode {
                id,
                parent,
                is_slow: parent.is_some()
                    && root_ns > 0
                    && entry.node.total_ns >= root_ns.div_ceil(2),
                ..entry.node.clone()
            });
            let children = entry.children.iter().rev();
            next.extend(children.map(|&child| (child, Some(id), root_ns)));
        }
        nodes
    }

    /// The node of a function below a parent, made if it is new and there is room.
    fn node(&mut self, parent: Option<u32>, function: FunctionId) -> Option<u32> {
        if let Some(&known) = self.by_path.get(&(parent, function)) {
            return Some(known);
        }
        if self.nodes.len() == NODES_MAX {
            return None;
        }
        let id = self.nodes.len() as u32;
        let depth = match parent {
            Some(parent) => {
                let parent = &mut self.nodes[parent as usize];
                parent.children.push(id);
                parent.node.depth + 1
            }
            None => {
                self.roots.push(id);
                0
            }
        };
        self.nodes.push(Entry {
            node: TraceNode {
                id,
                parent,
                function,
                depth,
                calls: 0,
                failed: 0,
                total_ns: 0,
                self_ns: 0,
                per_request: Histogram::default(),
                is_slow: false,
            },
            children: Vec::new(),
            request_ns: None,
        });
        self.by_path.insert((parent, function), id);
        Some(id)
    }
}

#[cfg(test)]
mod tests {
    use super::super::fixture::trace;
    use super::*;

    #[test]
    fn calls_that_came_the_same_way_are_one_node() {
        let mut tree = TraceTree::default();
        tree.add(&trace(&[
            (1, 0, 100, 20),
            (2, 1, 30, 30),
            (3, 1, 10, 10),
            (2, 1, 40, 40),
        ]));
        tree.add(&trace(&[(1, 0, 50, 10), (3, 1, 40, 15), (2, 2, 25, 25)]));
        let found: Vec<_> = tree
            .nodes()
            .into_iter()
            .map(|node| {
                let requests = node.per_request.count();
                let times = (node.total_ns, node.self_ns, node.per_request.max_ns);
                (node.function.0, node.parent, node.calls, requests, times)
            })
            .collect();
        assert_eq!(
            found,
            [
                (1, None, 2, 2, (150, 30, 100)),
                (2, Some(0), 2, 1, (70, 70, 70)),
                (3, Some(0), 2, 2, (50, 25, 40)),
                (2, Some(2), 1, 1, (25, 25, 25)),
            ]
        );
        assert_eq!(tree.requests(), 2);
    }

    #[test]
    fn what_takes_half_of_the_root_is_slow() {
        let mut tree = TraceTree::default();
        tree.add(&trace(&[
            (1, 0, 101, 1),
            (2, 1, 51, 1),
            (3, 2, 50, 50),
            (4, 1, 49, 49),
        ]));
        let slow: Vec<_> = tree.nodes().iter().map(|node| node.is_slow).collect();
        assert_eq!(slow, [false, true, false, false]);
    }

    #[test]
    fn calls_whose_caller_is_missing_have_no_node() {
        let mut tree = TraceTree::default();
        let mut lossy = trace(&[(1, 0, 9, 1), (2, 1, 5, 3), (3, 2, 2, 2), (4, 1, 3, 3)]);
        lossy.calls[1].parent_missing = true;
        tree.add(&lossy);
        let functions: Vec<_> = tree.nodes().iter().map(|node| node.function.0).collect();
        assert_eq!((functions, tree.left_out_calls()), (vec![1, 4], 2));
    }

    #[test]
    fn a_tree_does_not_grow_without_end() {
        let mut tree = TraceTree::default();
        let deep: Vec<_> = (0..12_000).map(|depth| (depth, depth, 1, 1)).collect();
        tree.add(&trace(&deep));
        assert_eq!(tree.nodes().len(), NODES_MAX);
        assert_eq!(tree.left_out_calls(), 2_000);
    }
}
