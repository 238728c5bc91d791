//! The sender's side of a session's stream: from snapshots to what has changed between them.

use std::sync::Arc;

use coral_model::{CallTree, FunctionStats, Snapshot};

use super::fit::{fit_in_flight, fit_record};
use super::packer::Packer;
use super::{replicas, stats, tree};
use crate::MESSAGE_BYTES_MAX;
use crate::agent::v1 as wire;

/// Makes the updates of one stream. Each watcher has its own: what it left out meanwhile, because
/// its link is slow, makes its next update larger and breaks nothing.
#[derive(Debug)]
pub struct SessionUpdates {
    bytes_max: usize,
    sequence: u64,
    last: Option<Arc<Snapshot>>,
}

impl SessionUpdates {
    /// How long a message is at most if nothing else is asked for, in bytes: what is allowed, less
    /// room for what a transport puts around it.
    pub const BYTES_MAX: usize = MESSAGE_BYTES_MAX - (16 << 10);

    /// A stream that has not begun, with messages of at most [`Self::BYTES_MAX`].
    pub fn new() -> Self {
        Self::with_bytes_max(Self::BYTES_MAX)
    }

    /// A stream that has not begun, with messages of at most so many bytes.
    ///
    /// That holds from 768 KiB on. With less, what cannot be cut (the session's description, a
    /// function with its texts) has a message of its own that is longer.
    pub fn with_bytes_max(bytes_max: usize) -> Self {
        Self {
            bytes_max,
            sequence: 0,
            last: None,
        }
    }

    /// What to send so that the other side has this snapshot: one update, in one or more messages.
    ///
    /// It is whole at first, and where the snapshot does not follow from the one before.
    pub fn next(&mut self, snapshot: &Arc<Snapshot>) -> Vec<wire::SessionUpdate> {
        let last = self.last.take().filter(|last| follows(snapshot, last));
        let last = last.as_deref();
        let mut packer = Packer::new(self.bytes_max, header(snapshot, last));
        add_functions(&mut packer, snapshot, last);
        add_nodes(
            &mut packer,
            &snapshot.call_tree,
            last.map(|it| &it.call_tree),
        );
        replicas::add(&mut packer, snapshot, last);
        add_calls(&mut packer, snapshot, last);
        let told = last.map_or(0, |last| last.notices.len());
        for notice in &snapshot.notices[told..] {
            packer.add(notice.into(), |update, notice| update.notices.push(notice));
        }
        self.last = Some(Arc::clone(snapshot));
        packer.finish(&mut self.sequence)
    }
}

impl Default for SessionUpdates {
    fn default() -> Self {
        Self::new()
    }
}

/// Whether additions and changed numbers lead from the last snapshot to this one.
fn follows(now: &Snapshot, last: &Snapshot) -> bool {
    let nodes = &now.call_tree.nodes;
    let last_nodes = &last.call_tree.nodes;
    now.functions.len() >= last.functions.len()
        && now.notices.starts_with(&last.notices)
        && replicas::follows(&now.replicas, &last.replicas)
        && nodes.len() >= last_nodes.len()
        && (Arc::ptr_eq(&now.call_tree, &last.call_tree)
            || nodes
                .iter()
                .zip(last_nodes)
                .all(|(node, last)| tree::is_same_path(node, last)))
}

/// What every update begins with.
fn header(now: &Snapshot, last: Option<&Snapshot>) -> wire::SessionUpdate {
    let session = last.is_none_or(|last| last.session != now.session);
    let accounting = last.is_none_or(|last| last.accounting != now.accounting);
    let overhead = last.is_none_or(|last| last.overhead != now.overhead);
    wire::SessionUpdate {
        is_whole: last.is_none(),
        session: session.then(|| (&now.session).into()),
        lost_calls: now.call_tree.lost_calls,
        accounting: accounting.then(|| (&now.accounting).into()),
        overhead: overhead.then(|| (&now.overhead).into()),
        ..Default::default()
    }
}

fn add_functions(packer: &mut Packer, now: &Snapshot, last: Option<&Snapshot>) {
    let last = last.map_or(&[][..], |last| &last.functions);
    for ((place, function), last) in (0u32..).zip(&now.functions).zip(and_then_none(last)) {
        if last.is_none_or(|last| !is_same(function, last)) {
            let function = stats::to_wire(place, function, last.map(Arc::as_ref));
            packer.add(function, |update, it| update.functions.push(it));
        }
    }
}

fn is_same(now: &Arc<FunctionStats>, last: &Arc<FunctionStats>) -> bool {
    Arc::ptr_eq(now, last) || now == last
}

fn add_nodes(packer: &mut Packer, now: &Arc<CallTree>, last: Option<&Arc<CallTree>>) {
    if last.is_some_and(|last| Arc::ptr_eq(now, last)) {
        return;
    }
    let last = last.map_or(&[][..], |last| &last.nodes);
    for ((id, node), last) in (0u32..).zip(&now.nodes).zip(and_then_none(last)) {
        if last != Some(node) {
            let node = tree::to_wire(id, node, last);
            packer.add(node, |update, node| update.nodes.push(node));
        }
    }
}

/// The lists of single calls, where one of their calls has changed.
fn add_calls(packer: &mut Packer, now: &Snapshot, last: Option<&Snapshot>) {
    let bytes_max = packer.item_bytes_max();
    if last.is_none_or(|last| last.slow_calls != now.slow_calls) {
        packer.add(wire::SlowCalls::default(), |update, none| {
            update.slow_calls = Some(none);
        });
        for call in &now.slow_calls {
            let mut call = wire::CallRecord::from(call);
            fit_record(&mut call, bytes_max);
            packer.add(call, |update, call| {
                update.slow_calls.get_or_insert_default().calls.push(call);
            });
        }
    }
    if last.is_none_or(|last| last.in_flight != now.in_flight) {
        packer.add(wire::InFlightCalls::default(), |update, none| {
            update.in_flight = Some(none);
        });
        for call in &now.in_flight {
            let mut call = wire::InFlightCall::from(call);
            fit_in_flight(&mut call, bytes_max);
            packer.add(call, |update, call| {
                update.in_flight.get_or_insert_default().calls.push(call);
            });
        }
    }
}

/// What was there before, and nothing for what is new.
fn and_then_none<T>(last: &[T]) -> impl Iterator<Item = Option<&T>> {
    last.iter().map(Some).chain(std::iter::repeat(None))
}
