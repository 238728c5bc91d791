//! The paths of a call tree.

use std::sync::Arc;

use coral_model::{CallNode, FunctionId};

use super::{ConvertError, histogram};
use crate::agent::v1 as wire;

/// What to send of a node that has changed since it was `last`; all of it if it is new.
pub(super) fn to_wire(id: u32, now: &CallNode, last: Option<&CallNode>) -> wire::CallNode {
    let last = last.and_then(|last| last.latency.as_deref());
    wire::CallNode {
        id,
        parent: now.parent,
        function_id: now.function.0,
        depth: now.depth,
        calls: now.calls,
        returns: now.returns,
        unwound: now.unwound,
        errors: now.errors,
        total_ns: now.total_ns,
        self_ns: now.self_ns,
        max_ns: now.max_ns,
        probes_ns: now.probes_ns,
        latency: now
            .latency
            .as_deref()
            .map(|now| histogram::to_wire(now, last)),
    }
}

/// Whether two nodes are of one path, if their parents are.
pub(super) fn is_same_path(one: &CallNode, other: &CallNode) -> bool {
    (one.parent, one.function, one.depth) == (other.parent, other.function, other.depth)
}

/// Puts a node into the tree: at the place of the same path, or at the end.
pub(super) fn put(nodes: &mut Vec<CallNode>, wire: &wire::CallNode) -> Result<(), ConvertError> {
    let place = wire.id as usize;
    let last = nodes.get(place);
    let histogram_before = last.and_then(|last| last.latency.as_deref());
    let latency = wire.latency.as_ref();
    let node = CallNode {
        parent: wire.parent,
        function: FunctionId(wire.function_id),
        depth: wire.depth,
        calls: wire.calls,
        returns: wire.returns,
        unwound: wire.unwound,
        errors: wire.errors,
        total_ns: wire.total_ns,
        self_ns: wire.self_ns,
        max_ns: wire.max_ns,
        probes_ns: wire.probes_ns,
        latency: latency
            .map(|now| histogram::from_wire(now, histogram_before))
            .transpose()?
            .map(Arc::new),
    };
    match last {
        Some(last) if is_same_path(last, &node) => nodes[place] = node,
        Some(_) => return Err(ConvertError::Path { node: wire.id }),
        None if place > nodes.len() => {
            return Err(ConvertError::Place {
                field: "nodes",
                place: wire.id.into(),
                len: nodes.len(),
            });
        }
        None if !follows_parent(nodes, &node) => {
            return Err(ConvertError::Path { node: wire.id });
        }
        None => nodes.push(node),
    }
    Ok(())
}

/// Whether a new node's parent stands before it, one call above.
fn follows_parent(nodes: &[CallNode], node: &CallNode) -> bool {
    match node.parent {
        None => node.depth == 0,
        Some(parent) => nodes
            .get(parent as usize)
            .is_some_and(|parent| parent.depth.checked_add(1) == Some(node.depth)),
    }
}
