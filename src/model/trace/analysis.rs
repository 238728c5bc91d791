//! What takes the time of requests.

use super::{TraceNode, TraceTree};
use crate::FunctionId;

/// What the merged tree of requests says about their time.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Analysis {
    /// How many requests there were.
    pub requests: u64,
    /// The median of their durations; 0 where there was none.
    pub total_p50_ns: u64,
    /// Of a hundred requests, 99 took at most this long.
    pub total_p99_ns: u64,
    /// The node with the most time of its own.
    pub slowest: Option<SlowestNode>,
}

/// The node that most of the time is spent in, calls of other nodes not counted.
#[derive(Clone, Debug, PartialEq)]
pub struct SlowestNode {
    /// The node's id in the tree.
    pub node: u32,
    /// Its function.
    pub function: FunctionId,
    /// Its own time in all requests together.
    pub self_ns: u64,
    /// Its own time in a request that came there, on average.
    pub self_per_request_ns: u64,
    /// The share of its own time in the time of all requests.
    pub share_percent: f64,
    /// The functions from the root to it, both included.
    pub path: Vec<FunctionId>,
}

impl Analysis {
    /// The analysis of a tree.
    pub fn of(tree: &TraceTree) -> Self {
        let nodes = tree.nodes();
        let mut durations = crate::Histogram::default();
        for root in roots(&nodes) {
            durations.merge(&root.per_request);
        }
        Self {
            requests: tree.requests(),
            total_p50_ns: durations.percentile_ns(50.0).unwrap_or(0),
            total_p99_ns: durations.percentile_ns(99.0).unwrap_or(0),
            slowest: slowest(&nodes),
        }
    }
}

fn roots(nodes: &[TraceNode]) -> impl Iterator<Item = &TraceNode> {
    nodes.iter().filter(|node| node.parent.is_none())
}

fn slowest(nodes: &[TraceNode]) -> Option<SlowestNode> {
    // Of several, the one that comes first.
    let slowest = nodes.iter().rev().max_by_key(|node| node.self_ns)?;
    let total_ns: u64 = roots(nodes).map(|root| root.total_ns).sum();
    if total_ns == 0 {
        return None;
    }
    let upwards = std::iter::successors(Some(slowest), |node| Some(&nodes[node.parent? as usize]));
    let mut path: Vec<_> = upwards.map(|node| node.function).collect();
    path.reverse();
    Some(SlowestNode {
        node: slowest.id,
        function: slowest.function,
        self_ns: slowest.self_ns,
        self_per_request_ns: slowest.self_ns / slowest.per_request.count().max(1),
        share_percent: slowest.self_ns as f64 / total_ns as f64 * 100.0,
        path,
    })
}

#[cfg(test)]
mod tests {
    use super::super::fixture::trace;
    use super::*;

    #[test]
    fn the_slowest_node_has_the_most_time_of_its_own() {
        let mut tree = TraceTree::default();
        tree.add(&trace(&[
            (1, 0, 178, 0),
            (2, 1, 12, 4),
            (3, 2, 8, 8),
            (4, 1, 143, 2),
            (5, 2, 135, 5),
            (6, 3, 130, 130),
            (7, 2, 6, 6),
            (8, 1, 23, 23),
        ]));
        let analysis = Analysis::of(&tree);
        assert_eq!((analysis.requests, analysis.total_p50_ns), (1, 178));
        let slowest = analysis.slowest.unwrap();
        assert_eq!((slowest.function, slowest.self_ns), (FunctionId(6), 130));
        assert_eq!(slowest.path, [1, 4, 5, 6].map(FunctionId));
        assert_eq!(slowest.share_percent.round(), 73.0);
    }

    #[test]
    fn of_nothing_there_is_nothing_to_say() {
        assert_eq!(Analysis::of(&TraceTree::default()), Analysis::default());
    }
}
