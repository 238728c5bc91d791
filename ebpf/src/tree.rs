//! The call tree: every path of calls has a node, found from its parent's node and the function.

use coral_ebpf_common::{
    FRAME_IS_TRACED, FRAME_RECURS, Frame, NODE_DEPTH_MAX, NODE_FIRST, NODE_LOST, NODE_NONE, Node,
    TreeState,
};

use crate::{Hit, atomic, maps};

const BPF_NOEXIST: u64 = 1;

/// The node of a call below `parent`, and whether it is one of `parent`'s own.
#[inline(always)]
pub(crate) fn node_of(hit: &Hit, parent: Option<&Frame>, flags: u32) -> (u32, u32) {
    if hit.config.nodes == 0 || (hit.config.trace != 0 && flags & FRAME_IS_TRACED == 0) {
        return (NODE_NONE, 0);
    }
    let slot = hit.cookie.slot();
    let above = match parent {
        Some(parent) => {
            if hit.config.fold_recursion != 0 && parent.slot == slot && parent.node != NODE_NONE {
                return (parent.node, FRAME_RECURS);
            }
            parent.node
        }
        None => NODE_NONE,
    };
    let node = child(hit, above, slot);
    if node == NODE_LOST {
        hit.stripe.count_tree_full();
    }
    (node, 0)
}

#[inline(always)]
fn child(hit: &Hit, parent: u32, slot: u32) -> u32 {
    if parent == NODE_LOST {
        return NODE_LOST;
    }
    let Some(above) = maps::NODES.get_ptr_mut(parent) else {
        return NODE_LOST;
    };
    let above: *mut Node = above;
    // SAFETY: the pointer comes from a map lookup; the word is read and written whole.
    let last_child = unsafe { core::ptr::read_volatile(&raw const (*above).last_child) };
    if (last_child >> 32) as u32 == slot && last_child as u32 != 0 {
        return last_child as u32;
    }
    let key = u64::from(parent) << 32 | u64::from(slot);
    let node = match unsafe { maps::PATHS.get(&key) } {
        Some(&node) => node,
        None => new_child(hit, parent, unsafe { (*above).depth } + 1, slot, key),
    };
    if node != NODE_LOST {
        let word = u64::from(slot) << 32 | u64::from(node);
        // SAFETY: as above.
        unsafe { core::ptr::write_volatile(&raw mut (*above).last_child, word) };
    }
    node
}

#[inline(always)]
fn new_child(hit: &Hit, parent: u32, depth: u32, slot: u32, key: u64) -> u32 {
    let Some(state) = maps::TREE.get_ptr_mut(0) else {
        return NODE_LOST;
    };
    let state: *mut TreeState = state;
    let nodes = u64::from(hit.config.nodes);
    // The first look keeps the number from growing for ever once the room is used up.
    // SAFETY: the pointer comes from a map lookup.
    let next = unsafe { &raw mut (*state).next };
    if depth > NODE_DEPTH_MAX || unsafe { core::ptr::read_volatile(next) } + 2 >= nodes {
        return NODE_LOST;
    }
    let node = atomic::fetch_add(next, 1) + u64::from(NODE_FIRST);
    if node >= nodes {
        return NODE_LOST;
    }
    let node = node as u32;
    if let Some(new) = maps::NODES.get_ptr_mut(node) {
        // SAFETY: the pointer comes from a map lookup, and nobody else has this node's number.
        unsafe {
            (*new).parent = parent;
            (*new).slot = slot;
            (*new).depth = depth;
        }
    }
    if maps::PATHS.insert(&key, &node, BPF_NOEXIST).is_ok() {
        return node;
    }
    // Another processor was faster; this number stays unused.
    match unsafe { maps::PATHS.get(&key) } {
        Some(&node) => node,
        None => NODE_LOST,
    }
}
