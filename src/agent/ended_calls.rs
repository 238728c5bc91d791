//! The calls that have ended, until nothing can be outside of them any more.
//!
//! The kernel writes the record of a call when the call ends, so the records of the calls inside
//! of it come first. They are kept by goroutine or thread, and when a slow call ends, those that
//! began and ended within it say what it spent its time in.

use std::cmp::Reverse;
use std::collections::HashMap;

use coral_ebpf_common::{CallRecord, DetailRecord};

use super::nesting::{Inside, nest};
use crate::probe::KernelRecord;

/// Calls of a slow call that are told.
const INSIDE_MAX: usize = 256;
/// Calls of a goroutine or thread that are kept for being the last, whatever they took.
const RECENT: usize = 512;
/// Calls before those that are kept for being the longest.
const LONGEST: usize = 512;
/// All calls that are kept take so much memory at most; the stacks that were silent for longest
/// are given up first.
const BYTES_MAX: usize = 16 << 20;
/// What a goroutine or thread takes beside its calls, about.
const STACK_BYTES: usize = 256;

/// Keeps calls, by the goroutine or thread that they ran on.
#[derive(Debug, Default)]
pub(super) struct EndedCalls {
    stacks: HashMap<StackKey, Stack>,
    pushed: u64,
    bytes: usize,
}

/// A goroutine, or else a thread, of a process.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
struct StackKey {
    tgid: u32,
    tid: u32,
    goroutine: u64,
}

#[derive(Debug)]
struct Stack {
    /// In the order of their ends.
    calls: Vec<Ended>,
    /// What all of it takes.
    bytes: usize,
    /// The number of the record that came last.
    last_pushed: u64,
}

#[derive(Debug)]
struct Ended {
    record: KernelRecord,
    dropped: Dropped,
}

/// Calls that ended between a call and the one that is kept before it.
#[derive(Clone, Copy, Debug)]
struct Dropped {
    calls: u64,
    /// When the first of them began.
    entry_ns: u64,
}

impl EndedCalls {
    /// Takes the record that comes next.
    pub(super) fn push(&mut self, mut record: KernelRecord) {
        let key = StackKey::of(&record.call);
        if record.call.frame_index == 0 {
            // No probed call is outside of it, nor of those before it.
            self.forget(&key);
            return;
        }
        record.detail = record.detail.filter(|detail| has_values(detail));
        self.pushed += 1;
        let stack = self.stacks.entry(key).or_insert_with(|| {
            self.bytes += STACK_BYTES;
            Stack::EMPTY
        });
        stack.last_pushed = self.pushed;
        let ended = Ended {
            record,
            dropped: Dropped::NONE,
        };
        let before = stack.bytes;
        stack.push(ended);
        self.bytes = self.bytes - before + stack.bytes;
        if self.bytes > BYTES_MAX {
            self.give_up_silent_stacks();
        }
    }

    /// The calls inside of a call that has just ended.
    pub(super) fn inside(&self, outer: &CallRecord) -> Inside<'_> {
        let stack = self.stacks.get(&StackKey::of(outer));
        let calls = stack.map_or(&[][..], |stack| &stack.calls);
        let is_outside = |ended: &Ended| !is_inside(&ended.record.call, outer);
        let first = calls
            .iter()
            .rposition(is_outside)
            .map_or(0, |last| last + 1);
        let inside = &calls[first..];
        // Those before the first one may have begun before the outer call.
        let dropped = inside.iter().map(|ended| ended.dropped);
        let dropped = dropped.filter(|dropped| dropped.entry_ns >= outer.entry_ns);
        let dropped: u64 = dropped.map(|dropped| dropped.calls).sum();
        let mut longest: Vec<&KernelRecord> = inside.iter().map(|ended| &ended.record).collect();
        if longest.len() > INSIDE_MAX {
            // Of two that took the same, one may be inside of the other.
            longest.select_nth_unstable_by_key(INSIDE_MAX, |record| {
                (Reverse(record.call.duration_ns), record.call.frame_index)
            });
            longest.truncate(INSIDE_MAX);
        }
        let left_out = dropped + (inside.len() - longest.len()) as u64;
        nest(outer, longest, left_out)
    }

    fn forget(&mut self, key: &StackKey) {
        if let Some(stack) = self.stacks.remove(key) {
            self.bytes -= stack.bytes;
        }
    }

    /// Gives up the half of the stacks whose last record is oldest.
    fn give_up_silent_stacks(&mut self) {
        let mut last: Vec<u64> = self.stacks.values().map(|it| it.last_pushed).collect();
        let middle = last.len() / 2;
        let (_, &mut silent, _) = last.select_nth_unstable(middle);
        self.stacks.retain(|_, stack| stack.last_pushed > silent);
        self.bytes = self.stacks.values().map(|stack| stack.bytes).sum();
    }
}

/// Whether a call lies within another one of its stack.
pub(super) fn is_inside(inner: &CallRecord, outer: &CallRecord) -> bool {
    let end_ns = |call: &CallRecord| call.entry_ns.saturating_add(call.duration_ns);
    inner.frame_index > outer.frame_index
        && inner.entry_ns >= outer.entry_ns
        && end_ns(inner) <= end_ns(outer)
}

fn has_values(detail: &DetailRecord) -> bool {
    detail.arguments.len + detail.results.len > 0
}

impl StackKey {
    fn of(call: &CallRecord) -> Self {
        Self {
            tgid: call.tgid,
            // A goroutine goes from thread to thread.
            tid: if call.goroutine == 0 { call.tid } else { 0 },
            goroutine: call.goroutine,
        }
    }
}

impl Stack {
    const EMPTY: Self = Self {
        calls: Vec::new(),
        bytes: STACK_BYTES,
        last_pushed: 0,
    };

    fn push(&mut self, ended: Ended) {
        self.bytes += ended.bytes();
        self.calls.push(ended);
        if self.calls.len() > 2 * (RECENT + LONGEST) {
            self.thin_out();
        }
    }

    /// Keeps the last calls and the longest of the others.
    ///
    /// A call that is outside of another one ends later and takes no less, so it is kept if that
    /// one is.
    fn thin_out(&mut self) {
        let calls = &mut self.calls;
        let old = calls.len().saturating_sub(RECENT);
        let mut longest: Vec<usize> = (0..old).collect();
        if old > LONGEST {
            longest.select_nth_unstable_by_key(LONGEST, |&place| {
                Reverse((calls[place].record.call.duration_ns, place))
            });
        }
        let mut stays = vec![false; calls.len()];
        stays[old..].fill(true);
        for &place in longest.iter().take(LONGEST) {
            stays[place] = true;
        }
        let mut stays = stays.into_iter();
        let mut dropped = Dropped::NONE;
        calls.retain_mut(|ended| {
            dropped.add(ended.dropped);
            let stays = stays.next().unwrap_or(true);
            if stays {
                ended.dropped = std::mem::replace(&mut dropped, Dropped::NONE);
            } else {
                dropped.add(Dropped {
                    calls: 1,
                    entry_ns: ended.record.call.entry_ns,
                });
                self.bytes -= ended.bytes();
            }
            stays
        });
    }
}

impl Ended {
    fn bytes(&self) -> usize {
        let detail = self.record.detail.as_deref();
        size_of::<Self>() + detail.map_or(0, size_of_val)
    }
}

impl Dropped {
    const NONE: Self = Self {
        calls: 0,
        entry_ns: u64::MAX,
    };

    fn add(&mut self, other: Self) {
        self.calls += other.calls;
        self.entry_ns = self.entry_ns.min(other.entry_ns);
    }
}

#[cfg(test)]
#[path = "ended_calls_tests.rs"]
mod tests;
