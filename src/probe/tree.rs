//! The call tree, read out of the kernel's maps.

use coral_ebpf_common::{BUCKETS, NODE_FIRST, NODE_NONE};
use coral_model::{Bucket, Histogram};

use super::engine::Engine;

/// A path of calls and its exact numbers.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[allow(missing_docs)] // documented at `coral_ebpf_common::Node` and `NodeCounters`
pub struct NodeNumbers {
    pub node: u32,
    pub parent: Option<u32>,
    pub slot: u32,
    pub calls: u64,
    pub returns: u64,
    pub unwound: u64,
    pub errors: u64,
    pub total_ns: u64,
    pub self_ns: u64,
    pub max_ns: u64,
    pub probes_ns: u64,
}

impl Engine {
    /// Every path that was called, parents before their children.
    pub fn tree(&self) -> Vec<NodeNumbers> {
        if self.layout.nodes == 0 {
            return Vec::new();
        }
        let used = (self.tree.read(0).next as usize + NODE_FIRST as usize).min(self.layout.nodes);
        (NODE_FIRST as usize..used)
            .map(|node| self.node(node as u32))
            // A number that two processors asked for at once may be left without a path.
            .filter(|node| node.calls > 0)
            .collect()
    }

    /// The durations of a path's calls; `None` where memory does not allow a histogram.
    pub fn node_histogram(&self, node: &NodeNumbers) -> Option<Histogram> {
        let index = node.node.checked_sub(NODE_FIRST)?;
        if index >= self.node_histograms_len {
            return None;
        }
        let first = index as usize * BUCKETS as usize;
        let buckets = (0..BUCKETS as usize)
            .map(|bucket| (bucket, self.node_histograms.read(first + bucket)))
            .filter(|&(_, count)| count > 0)
            .map(|(bucket, count)| Bucket {
                index: bucket as u16,
                count,
            });
        Some(Histogram {
            buckets: buckets.collect(),
            total_ns: node.total_ns,
            min_ns: 0,
            max_ns: node.max_ns,
        })
    }

    fn node(&self, node: u32) -> NodeNumbers {
        let path = self.nodes.read(node as usize);
        let mut sum = NodeNumbers {
            node,
            parent: (path.parent != NODE_NONE).then_some(path.parent),
            slot: path.slot,
            ..NodeNumbers::default()
        };
        for stripe in 0..self.layout.stripes {
            let place = stripe * self.layout.nodes + node as usize;
            let part = self.node_counters.read(place);
            sum.calls += part.calls;
            sum.returns += part.returns;
            sum.unwound += part.unwound;
            sum.errors += part.errors;
            sum.total_ns += part.total_ns;
            sum.self_ns += part.self_ns;
            sum.max_ns = sum.max_ns.max(part.max_ns);
            sum.probes_ns += part.probes_ns;
        }
        sum
    }
}
