//! One call tree of many: paths are the same where their functions are.

use std::collections::HashMap;
use std::sync::Arc;

use super::sums;
use crate::{CallNode, CallTree, FunctionId, Snapshot};

/// Which path has which node; a node keeps its number.
#[derive(Debug, Default)]
pub(super) struct Tree {
    nodes: HashMap<(Option<u32>, FunctionId), u32>,
    /// The trees of the time before, and what they became.
    last: Option<(Vec<Arc<CallTree>>, Arc<CallTree>)>,
}

impl Tree {
    /// The trees of all replicas in one; the same as before if none of them has changed.
    pub(super) fn merged<'a>(
        &mut self,
        parts: impl Iterator<Item = (usize, &'a Snapshot)>,
        in_union: impl Fn(usize, FunctionId) -> FunctionId,
    ) -> Arc<CallTree> {
        let parts: Vec<_> = parts.map(|(place, it)| (place, &it.call_tree)).collect();
        if let Some((trees, merged)) = &self.last
            && trees.len() == parts.len()
            && trees
                .iter()
                .zip(&parts)
                .all(|(a, (_, b))| Arc::ptr_eq(a, b))
        {
            return Arc::clone(merged);
        }
        let mut sum: Vec<Option<CallNode>> = vec![None; self.nodes.len()];
        let mut lost_calls = 0u64;
        for (place, tree) in &parts {
            lost_calls = lost_calls.saturating_add(tree.lost_calls);
            let mut ids: Vec<u32> = Vec::with_capacity(tree.nodes.len());
            for node in &tree.nodes {
                let parent = node.parent.map(|parent| ids[parent as usize]);
                let function = in_union(*place, node.function);
                let next = self.nodes.len() as u32;
                let id = *self.nodes.entry((parent, function)).or_insert(next);
                ids.push(id);
                if sum.len() <= id as usize {
                    sum.push(None);
                }
                match &mut sum[id as usize] {
                    Some(sum) => add(sum, node),
                    empty => {
                        *empty = Some(CallNode {
                            parent,
                            function,
                            ..node.clone()
                        });
                    }
                }
            }
        }
        // Trees only grow and replicas stay in the list, so every node that was is there again.
        let nodes = sum.into_iter().flatten().collect();
        let merged = Arc::new(CallTree { nodes, lost_calls });
        let trees = parts.iter().map(|(_, tree)| Arc::clone(tree)).collect();
        self.last = Some((trees, Arc::clone(&merged)));
        merged
    }
}

fn add(sum: &mut CallNode, part: &CallNode) {
    sum.calls = sum.calls.saturating_add(part.calls);
    sum.returns = sum.returns.saturating_add(part.returns);
    sum.unwound = sum.unwound.saturating_add(part.unwound);
    sum.errors = sum.errors.saturating_add(part.errors);
    sum.total_ns = sum.total_ns.saturating_add(part.total_ns);
    sum.self_ns = sum.self_ns.saturating_add(part.self_ns);
    sum.max_ns = sum.max_ns.max(part.max_ns);
    sum.probes_ns = sum.probes_ns.saturating_add(part.probes_ns);
    sum.latency = match (sum.latency.take(), &part.latency) {
        (Some(mut latency), Some(part)) => {
            sums::add_histogram(Arc::make_mut(&mut latency), part);
            Some(latency)
        }
        // A histogram that leaves calls out would not be one of all.
        _ => None,
    };
}
