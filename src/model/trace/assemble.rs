//! One trace from the records of its calls.

use super::{Trace, TraceCall, TraceRecord};

/// Builds a trace; `records` are those of all calls but the root, in the order of their ends.
///
/// A call is inside of the next one to end that lies less deep. That is exact as long as no record
/// is missing. Where one is, it may have been the parent, so a call must also have begun after the
/// one that it is put into.
pub(super) fn trace(root: TraceRecord, records: &[TraceRecord]) -> Trace {
    let calls_in_trace = u64::from(root.calls_in_trace);
    let is_complete = calls_in_trace == records.len() as u64 + 1;
    let mut calls: Vec<Ended> = Vec::with_capacity(records.len() + 1);
    // The calls whose parents have not ended yet, in the order of their ends.
    let mut orphans: Vec<usize> = Vec::new();
    for &record in records.iter().chain([&root]) {
        let mut call = Ended::of(record);
        while let Some(&last) = orphans.last()
            && is_inside(&calls[last].record, &record, is_complete)
        {
            call.size += calls[last].size;
            calls[last].parent = Some(calls.len());
            orphans.pop();
        }
        orphans.push(calls.len());
        calls.push(call);
    }
    let calls = in_pre_order(calls);
    Trace {
        id: root.trace_id,
        missing_calls: calls_in_trace.saturating_sub(calls.len() as u64),
        calls,
    }
}

/// A call, in the order of ends.
struct Ended {
    record: TraceRecord,
    /// The call that it is inside of, by its place in the order of ends.
    parent: Option<usize>,
    /// How many calls its tree has.
    size: usize,
    /// Once it has one: its place in pre-order, its depth, and where its last child's tree ends
    /// that has no place yet.
    place: Option<Place>,
}

#[derive(Clone, Copy)]
struct Place {
    depth: u32,
    children_end: usize,
}

impl Ended {
    fn of(record: TraceRecord) -> Self {
        Self {
            record,
            parent: None,
            size: 1,
            place: None,
        }
    }
}

fn is_inside(inner: &TraceRecord, outer: &TraceRecord, is_complete: bool) -> bool {
    inner.frame_index > outer.frame_index && (is_complete || inner.entry_ns >= outer.entry_ns)
}

/// The calls in pre-order, without those that are not inside of the root, which is the last.
fn in_pre_order(mut ended: Vec<Ended>) -> Vec<TraceCall> {
    let Some(root) = ended.last() else {
        return Vec::new();
    };
    let mut calls = vec![call(&root.record, 0, false); root.size];
    // Parents come before their children this way, and the last child before the first.
    for index in (0..ended.len()).rev() {
        let Ended {
            record,
            parent,
            size,
            ..
        } = ended[index];
        let (position, depth) = if index + 1 == ended.len() {
            (0, 0)
        } else if let Some(parent) = parent
            && let Some(place) = &mut ended[parent].place
        {
            place.children_end -= size;
            let (position, depth) = (place.children_end, place.depth + 1);
            let is_child = record.frame_index == ended[parent].record.frame_index + 1;
            calls[position] = call(&record, depth, !is_child);
            (position, depth)
        } else {
            continue;
        };
        ended[index].place = Some(Place {
            depth,
            children_end: position + size,
        });
    }
    calls
}

fn call(record: &TraceRecord, depth: u32, parent_missing: bool) -> TraceCall {
    TraceCall {
        function: record.function,
        depth,
        started_ns: record.entry_ns,
        duration_ns: record.duration_ns,
        self_ns: record.duration_ns.saturating_sub(record.children_ns),
        failed: record.failed,
        parent_missing,
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::super::fixture::Tree;
    use super::*;

    proptest! {
        #[test]
        fn a_tree_is_rebuilt(tree in Tree::any()) {
            let (root, records) = tree.records();
            let trace = trace(root, &records);
            prop_assert_eq!(trace.missing_calls(), 0);
            prop_assert_eq!(trace.calls(), tree.calls());
        }

        #[test]
        fn lost_records_invent_nothing(tree in Tree::any(), lost in any::<[u64; 2]>()) {
            let is_lost = |place: usize| place != 0 && lost[place / 64 % 2] >> (place % 64) & 1 == 1;
            let (root, mut records) = tree.records();
            records.retain(|record| !is_lost(record.function.0 as usize));
            let trace = trace(root, &records);
            let lost = (0..tree.calls().len()).filter(|&place| is_lost(place)).count();
            prop_assert_eq!(trace.missing_calls(), lost as u64);
            prop_assert_eq!(trace.calls(), tree.calls_without(is_lost));
        }

        #[test]
        fn any_records_make_a_trace(raw in prop::collection::vec((0u32..4, 0u64..4), 0..40)) {
            let record = |(frame_index, entry_ns)| TraceRecord {
                trace_id: 1,
                stack: 0,
                function: crate::FunctionId(0),
                frame_index,
                entry_ns,
                duration_ns: 1,
                children_ns: 2,
                failed: false,
                is_root: false,
                calls_in_trace: 3,
            };
            let records: Vec<_> = raw.into_iter().map(record).collect();
            let trace = trace(record((1, 1)), &records);
            let deepest = trace.calls().iter().scan(0, |above, call| {
                let jumps = call.depth > *above;
                *above = call.depth + 1;
                Some(jumps)
            });
            prop_assert!(!deepest.into_iter().any(|jumps| jumps), "{trace:?}");
        }
    }
}
