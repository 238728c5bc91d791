//! The slowest calls of each function.
//!
//! The kernel writes a record of every call that is at least as long as the shortest one kept
//! here, whatever sampling and rates say. A call that it had to leave out all the same raises a
//! mark; where that mark is below the shortest one kept, the list is proven to be complete.

use coral_model::{CallRecord, StackFrame};

/// How many calls of one function are kept.
const PER_FUNCTION: usize = 10;
/// How many calls a snapshot shows.
const SHOWN: usize = 100;
/// How many calls inside of slow ones are kept before those are forgotten that nobody sees.
const INNER_MAX: usize = 50_000;

/// Keeps the slowest calls, by slot.
#[derive(Debug, Default)]
pub(super) struct SlowCalls {
    by_slot: Vec<Vec<SlowCall>>,
    /// The calls inside of those that were kept since they were counted.
    inner: usize,
}

/// A call, and the addresses of its stack as long as nobody has looked where they are.
#[derive(Clone, Debug)]
struct SlowCall {
    record: CallRecord,
    addresses: Vec<u64>,
}

impl SlowCalls {
    /// Whether a call of that duration would be kept.
    pub(super) fn wants(&self, slot: usize, duration_ns: u64) -> bool {
        duration_ns >= self.top_ns(slot)
    }

    /// Looks at one call, and keeps it if it is among the slowest of its function.
    pub(super) fn offer(&mut self, slot: usize, record: CallRecord, addresses: &[u64]) {
        if self.by_slot.len() <= slot {
            self.by_slot.resize_with(slot + 1, Vec::new);
        }
        let calls = &mut self.by_slot[slot];
        let place = calls.partition_point(|kept| kept.record.duration_ns >= record.duration_ns);
        if place < PER_FUNCTION {
            let addresses = addresses.to_vec();
            self.inner += inner_calls(&record);
            calls.insert(place, SlowCall { record, addresses });
            calls.truncate(PER_FUNCTION);
        }
        if self.inner > INNER_MAX {
            self.forget_unseen();
        }
    }

    /// From which duration on a call of that function is kept.
    pub(super) fn top_ns(&self, slot: usize) -> u64 {
        match self
            .by_slot
            .get(slot)
            .and_then(|calls| calls.get(PER_FUNCTION - 1))
        {
            Some(shortest) => shortest.record.duration_ns + 1,
            None => 0,
        }
    }

    /// Whether the list is complete, when the longest call that was left out took so long.
    pub(super) fn is_complete(&self, slot: usize, missed_max_ns: u64) -> bool {
        missed_max_ns == 0 || missed_max_ns < self.top_ns(slot)
    }

    /// The slowest of all functions, slowest first. `stack` tells where addresses of a process
    /// are; it is asked for at most `stacks_max` calls, because that takes its time.
    pub(super) fn slowest(
        &mut self,
        stacks_max: usize,
        mut stack: impl FnMut(u32, &[u64]) -> Vec<StackFrame>,
    ) -> Vec<CallRecord> {
        let mut all = self.by_duration();
        all.truncate(SHOWN);
        let without = all.iter_mut().filter(|call| !call.addresses.is_empty());
        for call in without.take(stacks_max) {
            let addresses = std::mem::take(&mut call.addresses);
            call.record.stack = stack(call.record.pid, &addresses);
        }
        all.into_iter().map(|call| call.record.clone()).collect()
    }

    fn by_duration(&mut self) -> Vec<&mut SlowCall> {
        let mut all: Vec<&mut SlowCall> = self.by_slot.iter_mut().flatten().collect();
        all.sort_by_key(|call| std::cmp::Reverse(call.record.duration_ns));
        all
    }

    /// Forgets what was inside of calls that are not shown. None of them ever will be: a call
    /// makes room only for one that takes longer.
    fn forget_unseen(&mut self) {
        let mut all = self.by_duration();
        let shown = all.len().min(SHOWN);
        for unseen in &mut all[shown..] {
            unseen.record.inner = None;
        }
        self.inner = all.iter().map(|call| inner_calls(&call.record)).sum();
    }
}

/// How many calls inside of it are kept with a call.
fn inner_calls(call: &CallRecord) -> usize {
    call.inner.as_ref().map_or(0, |inner| inner.calls.len())
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use coral_model::{FunctionId, InnerCall, InnerCalls};
    use jiff::Timestamp;

    use super::*;

    #[test]
    fn the_slowest_calls_of_each_function_are_kept() {
        let mut calls = SlowCalls::default();
        for duration_ns in 0..1_000 {
            for slot in [0u32, 3] {
                let duration_ns = duration_ns * u64::from(slot + 1) % 1_000;
                let call = CallRecord::new(FunctionId(slot), Timestamp::UNIX_EPOCH, duration_ns);
                calls.offer(slot as usize, call, &[7]);
            }
        }
        let mut asked = 0;
        let slowest = calls.slowest(3, |_, addresses| {
            assert_eq!(addresses, [7]);
            asked += 1;
            Vec::new()
        });
        assert_eq!(asked, 3);
        let durations = |slot| -> Vec<u64> {
            slowest
                .iter()
                .filter(|call| call.function == FunctionId(slot))
                .map(|call| call.duration_ns)
                .collect()
        };
        assert_eq!(durations(0), (990..1_000).rev().collect::<Vec<_>>());
        assert_eq!(
            durations(3),
            [996, 996, 996, 996, 992, 992, 992, 992, 988, 988]
        );
        assert_eq!((calls.top_ns(0), calls.top_ns(1)), (991, 0));
        assert!(calls.is_complete(0, 990) && !calls.is_complete(0, 991));
        assert!(calls.is_complete(1, 0) && !calls.is_complete(1, 1));
    }

    #[test]
    fn what_is_inside_of_calls_is_kept_as_long_as_they_are_shown() {
        let inner = InnerCall {
            function: FunctionId(9),
            depth: 1,
            parent_missing: false,
            started_after_ns: 0,
            duration_ns: 1,
            self_ns: 1,
            failed: false,
            arguments: Vec::new(),
            results: Vec::new(),
        };
        let inner = Arc::new(InnerCalls {
            calls: vec![inner; 256],
            ..InnerCalls::default()
        });
        let mut calls = SlowCalls::default();
        for slot in 0..1_000u32 {
            let call = CallRecord {
                inner: Some(Arc::clone(&inner)),
                ..CallRecord::new(FunctionId(slot), Timestamp::UNIX_EPOCH, slot.into())
            };
            calls.offer(slot as usize, call, &[]);
        }
        let kept = calls.by_slot.iter().flatten();
        let kept: usize = kept.map(|call| inner_calls(&call.record)).sum();
        assert!(kept <= INNER_MAX, "{kept}");
        let shown = calls.slowest(0, |_, _| Vec::new());
        assert_eq!(shown.len(), SHOWN);
        assert!(shown.iter().all(|call| call.inner.is_some()));
    }
}
