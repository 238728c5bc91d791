//! The slowest recorded calls of each function.

use coral_model::CallRecord;

/// How many calls of one function are kept.
const PER_FUNCTION: usize = 10;
/// How many calls a snapshot shows.
const SHOWN: usize = 100;

/// Keeps the slowest calls, by slot.
#[derive(Debug, Default)]
pub(super) struct SlowCalls {
    by_slot: Vec<Vec<CallRecord>>,
}

impl SlowCalls {
    /// Looks at one call, and keeps it if it is among the slowest of its function.
    pub(super) fn offer(&mut self, slot: usize, record: CallRecord) {
        if self.by_slot.len() <= slot {
            self.by_slot.resize_with(slot + 1, Vec::new);
        }
        let calls = &mut self.by_slot[slot];
        let place = calls.partition_point(|kept| kept.duration_ns >= record.duration_ns);
        if place < PER_FUNCTION {
            calls.insert(place, record);
            calls.truncate(PER_FUNCTION);
        }
    }

    /// The slowest of all functions, slowest first.
    pub(super) fn slowest(&self) -> Vec<CallRecord> {
        let mut all: Vec<CallRecord> = self.by_slot.iter().flatten().cloned().collect();
        all.sort_by_key(|call| std::cmp::Reverse(call.duration_ns));
        all.truncate(SHOWN);
        all
    }
}

#[cfg(test)]
mod tests {
    use coral_model::FunctionId;
    use jiff::Timestamp;

    use super::*;

    #[test]
    fn the_slowest_calls_of_each_function_are_kept() {
        let mut calls = SlowCalls::default();
        for duration_ns in 0..1_000 {
            for slot in [0u32, 3] {
                calls.offer(
                    slot as usize,
                    CallRecord {
                        function: FunctionId(slot),
                        started_at: Timestamp::UNIX_EPOCH,
                        duration_ns: duration_ns * u64::from(slot + 1) % 1_000,
                        pid: 1,
                        tid: 1,
                        goroutine: None,
                    },
                );
            }
        }
        let slowest = calls.slowest();
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
    }
}
