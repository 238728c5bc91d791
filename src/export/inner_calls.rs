//! What a slow call spent its time in, in the session document.

use std::borrow::Cow;

use coral_model::{InnerCall, InnerCalls};
use serde::Serialize;

use super::calls::ValueEntry;
use super::names::Names;

/// A call inside of a slow one.
#[derive(Clone, Debug, Serialize)]
pub(super) struct InnerEntry<'a> {
    id: usize,
    /// The recorded call that it is inside of; `None` for the slow call itself.
    parent: Option<usize>,
    /// Calls between it and its parent made no record.
    parent_missing: bool,
    function: Cow<'a, str>,
    depth: u32,
    started_after_ns: u64,
    duration_ns: u64,
    self_ns: u64,
    failed: bool,
    args: Vec<ValueEntry<'a>>,
    returns: Vec<ValueEntry<'a>>,
}

/// The calls inside of a slow one, parents before their children.
pub(super) fn inner_entries<'a>(inner: &'a InnerCalls, names: &Names<'a>) -> Vec<InnerEntry<'a>> {
    // The places of the calls that the next one may be inside of, by depth.
    let mut open: Vec<usize> = Vec::new();
    let entry = |(id, call): (usize, &'a InnerCall)| {
        open.truncate(call.depth.saturating_sub(1) as usize);
        let parent = open.last().copied();
        open.push(id);
        InnerEntry {
            id,
            parent,
            parent_missing: call.parent_missing,
            function: names.of(call.function),
            depth: call.depth,
            started_after_ns: call.started_after_ns,
            duration_ns: call.duration_ns,
            self_ns: call.self_ns,
            failed: call.failed,
            args: call.arguments.iter().map(ValueEntry::of).collect(),
            returns: call.results.iter().map(ValueEntry::of).collect(),
        }
    };
    inner.calls.iter().enumerate().map(entry).collect()
}
