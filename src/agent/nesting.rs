//! The tree of the calls inside of a call.

use coral_ebpf_common::CallRecord;

use super::ended_calls::is_inside;
use crate::probe::KernelRecord;

/// What is known of the calls inside of a call.
#[derive(Debug)]
pub(super) struct Inside<'a> {
    /// In pre-order.
    pub(super) calls: Vec<Nested<'a>>,
    /// How many more made records, at least.
    pub(super) left_out: u64,
    /// What probed calls took that are not among these.
    pub(super) missing_ns: u64,
}

/// A call inside of another one.
#[derive(Clone, Copy, Debug)]
pub(super) struct Nested<'a> {
    pub(super) record: &'a KernelRecord,
    /// How many recorded calls it is inside of, the outermost included.
    pub(super) depth: u32,
    /// Whether calls between it and the one that it is inside of are missing.
    pub(super) parent_missing: bool,
}

/// A call, the one that it is inside of by its place, and how long those took that are put into it.
struct Placed<'a> {
    nested: Nested<'a>,
    parent: Option<usize>,
    inside_ns: u64,
}

/// Puts calls that lie within an outer one into each other.
///
/// A thread may run on several stacks, whose calls look as if they were inside of each other. But
/// the kernel knows what the probed calls took that a call made: where it was less than what is
/// put into it, nothing is.
pub(super) fn nest<'a>(
    outer: &CallRecord,
    mut records: Vec<&'a KernelRecord>,
    left_out: u64,
) -> Inside<'a> {
    records.sort_unstable_by_key(|record| (record.call.entry_ns, record.call.frame_index));
    let (placed, inside_ns) = place(outer, &records);
    let mut is_credible: Vec<bool> = Vec::with_capacity(placed.len());
    for call in &placed {
        let fits = match call.parent {
            Some(parent) => {
                let children_ns = placed[parent].nested.record.call.children_ns;
                is_credible[parent] && placed[parent].inside_ns <= children_ns
            }
            None => inside_ns <= outer.children_ns,
        };
        is_credible.push(fits);
    }
    let credible = placed.iter().zip(is_credible).filter(|(_, fits)| *fits);
    let calls: Vec<Nested<'a>> = credible.map(|(call, _)| call.nested).collect();
    let own_ns = calls.iter().map(|nested| self_ns(&nested.record.call));
    Inside {
        missing_ns: outer.children_ns.saturating_sub(own_ns.sum()),
        calls,
        left_out,
    }
}

/// What a call took without the probed calls that it made.
pub(super) fn self_ns(call: &CallRecord) -> u64 {
    call.duration_ns.saturating_sub(call.children_ns)
}

/// The calls with their parents, and how long those took that have none but the outer call.
fn place<'a>(outer: &CallRecord, records: &[&'a KernelRecord]) -> (Vec<Placed<'a>>, u64) {
    let mut placed: Vec<Placed<'a>> = Vec::with_capacity(records.len());
    let mut open: Vec<usize> = Vec::new();
    let mut inside_outer_ns = 0_u64;
    for &record in records {
        let call = &record.call;
        while let Some(&above) = open.last()
            && !is_inside(call, &placed[above].nested.record.call)
        {
            open.pop();
        }
        let parent = open.last().copied();
        let above = parent.map_or(outer, |parent| &placed[parent].nested.record.call);
        let parent_missing = call.frame_index != above.frame_index + 1;
        let inside_ns = match parent {
            Some(parent) => &mut placed[parent].inside_ns,
            None => &mut inside_outer_ns,
        };
        *inside_ns = inside_ns.saturating_add(call.duration_ns);
        open.push(placed.len());
        placed.push(Placed {
            nested: Nested {
                record,
                depth: open.len() as u32,
                parent_missing,
            },
            parent,
            inside_ns: 0,
        });
    }
    (placed, inside_outer_ns)
}
