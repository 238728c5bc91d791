//! The call tree of a session, from the kernel's paths.

use std::collections::HashMap;
use std::sync::Arc;

use coral_model::{CallNode, CallTree, Histogram};

use super::tally::Tally;
use crate::probe::{Engine, NodeNumbers};

/// The call tree as it was last read; what has not changed since is shared with the new one.
#[derive(Debug, Default)]
pub(super) struct Tree {
    last: Arc<CallTree>,
    /// The kernel's node of each of its nodes.
    nodes: Vec<NodeNumbers>,
}

impl Tree {
    /// Reads the tree.
    pub(super) fn read(&mut self, engine: &Engine, tally: &Tally) -> Arc<CallTree> {
        let nodes = engine.tree();
        let lost_calls = engine.hits().tree_full;
        if nodes == self.nodes && lost_calls == self.last.lost_calls {
            return Arc::clone(&self.last);
        }
        let latencies: HashMap<u32, (&NodeNumbers, Option<&Arc<Histogram>>)> = self
            .nodes
            .iter()
            .zip(&self.last.nodes)
            .map(|(numbers, node)| (numbers.node, (numbers, node.latency.as_ref())))
            .collect();
        let mut tree = CallTree {
            nodes: Vec::with_capacity(nodes.len()),
            lost_calls,
        };
        let mut places: HashMap<u32, u32> = HashMap::new();
        let mut kept = Vec::with_capacity(nodes.len());
        for numbers in nodes {
            let parent = numbers.parent.map(|parent| places.get(&parent).copied());
            // A path whose caller's was not read yet is read the next time.
            let (Some(function), None | Some(Some(_))) = (tally.id(numbers.slot), parent) else {
                continue;
            };
            let parent = parent.flatten();
            let latency = match latencies.get(&numbers.node) {
                Some((old, Some(latency))) if old.returns == numbers.returns => {
                    Some(Arc::clone(latency))
                }
                _ => engine.node_histogram(&numbers).map(Arc::new),
            };
            places.insert(numbers.node, tree.nodes.len() as u32);
            let depth = parent.map_or(0, |parent| tree.nodes[parent as usize].depth + 1);
            tree.nodes.push(CallNode {
                parent,
                function,
                depth,
                calls: numbers.calls,
                returns: numbers.returns,
                unwound: numbers.unwound,
                errors: numbers.errors,
                total_ns: numbers.total_ns,
                self_ns: numbers.self_ns,
                max_ns: numbers.max_ns,
                probes_ns: numbers.probes_ns,
                latency,
            });
            kept.push(numbers);
        }
        self.nodes = kept;
        self.last = Arc::new(tree);
        Arc::clone(&self.last)
    }
}
