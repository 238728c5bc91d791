//! Calls in the session document: the tree, those in flight, values and stacks.

use std::borrow::Cow;

use coral_model::{CallValue, InFlightCall, Snapshot, StackFrame, escape};
use serde::Serialize;

use super::names::Names;

/// A path of calls.
#[derive(Clone, Debug, Serialize)]
pub(super) struct NodeEntry<'a> {
    id: u32,
    parent: Option<u32>,
    function: Cow<'a, str>,
    depth: u32,
    calls: u64,
    total_ns: u64,
    self_ns: u64,
    returns: u64,
    unwound: u64,
    errors: u64,
    max_ns: u64,
    p50_ns: Option<u64>,
    p99_ns: Option<u64>,
    /// What probes inside of the calls cost: the durations hold it.
    probes_ns: u64,
}

/// The call tree, parents before their children.
pub(super) fn tree_entries<'a>(snapshot: &Snapshot, names: &Names<'a>) -> Vec<NodeEntry<'a>> {
    let nodes = (0u32..).zip(&snapshot.call_tree.nodes);
    nodes
        .map(|(id, node)| {
            let percentile = |percent| {
                let latency = node.latency.as_ref()?;
                latency.percentile_ns(percent)
            };
            NodeEntry {
                id,
                parent: node.parent,
                function: names.of(node.function),
                depth: node.depth,
                calls: node.calls,
                total_ns: node.total_ns,
                self_ns: node.self_ns,
                returns: node.returns,
                unwound: node.unwound,
                errors: node.errors,
                max_ns: node.max_ns,
                p50_ns: percentile(50.0),
                p99_ns: percentile(99.0),
                probes_ns: node.probes_ns,
            }
        })
        .collect()
}

/// A call that has not returned.
#[derive(Clone, Debug, Serialize)]
pub(super) struct InFlightEntry<'a> {
    function: Cow<'a, str>,
    age_ns: u64,
    pid: u32,
    tid: Option<u32>,
    goroutine: Option<u64>,
    callers: Vec<Cow<'a, str>>,
    stack: Vec<PlaceEntry<'a>>,
}

impl<'a> InFlightEntry<'a> {
    pub(super) fn of(call: &'a InFlightCall, names: &Names<'a>) -> Self {
        Self {
            function: names.of(call.function),
            age_ns: call.age_ns,
            pid: call.pid,
            tid: call.tid,
            goroutine: call.goroutine,
            callers: call
                .callers
                .iter()
                .map(|&caller| names.of(caller))
                .collect(),
            stack: call.stack.iter().map(PlaceEntry::of).collect(),
        }
    }
}

/// An argument or a result.
#[derive(Clone, Debug, Serialize)]
pub(super) struct ValueEntry<'a> {
    name: Cow<'a, str>,
    r#type: Cow<'a, str>,
    value: Cow<'a, str>,
}

impl<'a> ValueEntry<'a> {
    pub(super) fn of(value: &'a CallValue) -> Self {
        Self {
            name: escape(&value.name),
            r#type: escape(&value.type_name),
            value: escape(&value.value),
        }
    }
}

/// A place in a stack.
#[derive(Clone, Debug, Serialize)]
pub(super) struct PlaceEntry<'a> {
    function: Cow<'a, str>,
    file: Option<Cow<'a, str>>,
    line: Option<u32>,
    inlined: bool,
}

impl<'a> PlaceEntry<'a> {
    pub(super) fn of(place: &'a StackFrame) -> Self {
        Self {
            function: escape(&place.function),
            file: place.file.as_deref().map(escape),
            line: place.line,
            inlined: place.inlined,
        }
    }
}
