//! Holds the call tree of a session document against the paths that a scenario knows.

use std::collections::{BTreeMap, BTreeSet};

use serde::Deserialize;
use serde_json::Value;

use super::target::Truth;

/// Paths with more calls than this are counted by function only.
const DEPTH_MAX: usize = 250;

/// A path of calls, as a target tells it: a call directly inside of one of the same function is
/// part of the same path.
#[derive(Clone, Debug, Deserialize)]
pub(crate) struct Path {
    /// The place of the path before the last call, in the same list.
    parent: Option<usize>,
    function: String,
    calls: u64,
}

/// Calls by path, the outermost function first.
type Paths<'a> = BTreeMap<Vec<&'a str>, u64>;

/// All differences between the paths that a scenario knows and the tree that a session has, and
/// whatever in the tree contradicts itself.
pub(crate) fn differences(truth: &Truth, document: &Value) -> Vec<String> {
    let nodes: &[Value] = document["call_tree"].as_array().map_or(&[], Vec::as_slice);
    let mut wrong = contradictions(nodes);
    let Some(tree) = &truth.tree else {
        return wrong;
    };
    let known = known_paths(tree);
    let found = found_paths(nodes, truth);
    for (path, &calls) in known.iter().filter(|(path, _)| path.len() <= DEPTH_MAX) {
        let found = found.get(path).copied().unwrap_or(0);
        if found != calls {
            let path = path.join(" > ");
            wrong.push(format!("calls of {path} is {found} and not {calls}"));
        }
    }
    for path in found.keys().filter(|path| !known.contains_key(*path)) {
        wrong.push(format!("there is no path {}", path.join(" > ")));
    }
    wrong
}

fn known_paths(tree: &[Path]) -> Paths<'_> {
    let mut paths = Paths::new();
    for node in tree {
        let mut path = vec![node.function.as_str()];
        let mut above = node.parent;
        while let Some(parent) = above {
            path.push(&tree[parent].function);
            above = tree[parent].parent;
        }
        path.reverse();
        *paths.entry(path).or_default() += node.calls;
    }
    paths.retain(|_, &mut calls| calls != 0);
    paths
}

/// The document's paths, with the functions called as the truth calls them.
fn found_paths<'a>(nodes: &'a [Value], truth: &'a Truth) -> Paths<'a> {
    let patterns: Vec<_> = truth
        .functions
        .keys()
        .map(|name| (name, coral_model::Pattern::parse(name).unwrap()))
        .collect();
    let known_as = |name: &'a str| {
        let pattern = patterns.iter().find(|(_, pattern)| pattern.matches(name));
        pattern.map_or(name, |(known, _)| known.as_str())
    };
    let mut above: BTreeMap<u64, Vec<&str>> = BTreeMap::new();
    let mut paths = Paths::new();
    for node in nodes {
        let mut path = match node["parent"].as_u64() {
            Some(parent) => above[&parent].clone(),
            None => Vec::new(),
        };
        path.push(known_as(node["function"].as_str().unwrap()));
        above.insert(node["id"].as_u64().unwrap(), path.clone());
        *paths.entry(path).or_default() += number(node, "calls");
    }
    paths.retain(|_, &mut calls| calls != 0);
    paths
}

/// Each node holds its children's time, and its own is the rest.
fn contradictions(nodes: &[Value]) -> Vec<String> {
    let mut inside: BTreeMap<u64, u64> = BTreeMap::new();
    for node in nodes {
        if let Some(parent) = node["parent"].as_u64() {
            *inside.entry(parent).or_default() += number(node, "total_ns");
        }
    }
    let unclear = with_unclear_insides(nodes);
    let mut wrong = Vec::new();
    for node in nodes {
        let (total, own) = (number(node, "total_ns"), number(node, "self_ns"));
        if own > total {
            wrong.push(format!("self_ns is more than total_ns: {node}"));
        }
        let id = number(node, "id");
        let inside = inside.get(&id).copied().unwrap_or(0);
        if !unclear.contains(&id) && inside + own != total {
            wrong.push(format!(
                "self_ns and the {inside} ns of the calls inside are not total_ns: {node}"
            ));
        }
    }
    wrong
}

/// The nodes whose time is not the sum of what is seen of it: a call that was left in another way
/// has no duration, and those inside of it have; and below the tree's depth nothing is seen.
fn with_unclear_insides(nodes: &[Value]) -> BTreeSet<u64> {
    let mut unclear = BTreeSet::new();
    // Callers lie before the calls inside of them.
    for node in nodes.iter().rev() {
        let id = number(node, "id");
        let all_returned = node["unwound"] == 0 && node["calls"] == node["returns"];
        let is_lowest = number(node, "depth") + 1 >= DEPTH_MAX as u64;
        if !all_returned || is_lowest || unclear.contains(&id) {
            unclear.insert(id);
            unclear.extend(node["parent"].as_u64());
        }
    }
    unclear
}

fn number(node: &Value, field: &str) -> u64 {
    let number = node[field].as_u64();
    number.unwrap_or_else(|| panic!("no {field} in {node}"))
}
