//! Holds the call tree of a session document against the paths that a scenario knows.

use std::collections::BTreeMap;

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
    let mut inside: BTreeMap<u64, Inside> = BTreeMap::new();
    for node in nodes {
        if let Some(parent) = node["parent"].as_u64() {
            let inside = inside.entry(parent).or_default();
            inside.total_ns += number(node, "total_ns");
            inside.is_partial |= is_partial(node);
        }
    }
    let mut wrong = Vec::new();
    for node in nodes {
        let mut inside = inside.remove(&number(node, "id")).unwrap_or_default();
        inside.is_partial |= number(node, "depth") + 1 >= DEPTH_MAX as u64;
        let found = inside.total_ns + number(node, "self_ns");
        let total = number(node, "total_ns");
        let is_right = match (is_partial(node), inside.is_partial) {
            // What was called in calls that did not return has taken its time all the same.
            (true, _) => number(node, "self_ns") <= total,
            (false, true) => found <= total,
            (false, false) => found == total,
        };
        if !is_right {
            wrong.push(format!(
                "self_ns and the {} ns of the calls inside are not total_ns: {node}",
                inside.total_ns
            ));
        }
    }
    wrong
}

/// What the children of a node are together.
#[derive(Default)]
struct Inside {
    total_ns: u64,
    is_partial: bool,
}

/// Whether some of its calls did not return, and so have no duration.
fn is_partial(node: &Value) -> bool {
    node["calls"] != node["returns"]
}

fn number(node: &Value, field: &str) -> u64 {
    let number = node[field].as_u64();
    number.unwrap_or_else(|| panic!("no {field} in {node}"))
}
