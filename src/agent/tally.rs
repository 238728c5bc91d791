//! Turns the kernel's counters into snapshots.

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Duration;

use coral_model::{
    Accounting, CallRecord, ExitProbe, FunctionId, FunctionStats, Histogram, Overhead,
};
use jiff::Timestamp;

use super::slow_calls::SlowCalls;
use crate::probe::{Calibration, Engine, FunctionNumbers, KernelCallRecord, SiteCosts};

/// How far back the rates reach.
const RATE_WINDOW: Duration = Duration::from_secs(1);
/// How many points a sparkline has, one a second.
const SPARKLINE_POINTS: usize = 30;

/// What a session has measured so far.
pub(super) struct Tally {
    functions: Vec<Tracked>,
    slow_calls: SlowCalls,
    hits: Rate,
    cost_ns: Rate,
    /// The time of day minus the kernel's monotonic clock.
    clock_offset_ns: i128,
}

/// A function to follow.
pub(super) struct NewTracked {
    pub(super) id: FunctionId,
    pub(super) name: String,
    pub(super) file: Option<String>,
    pub(super) line: Option<u32>,
    pub(super) exit_probe: ExitProbe,
    pub(super) reason: Option<String>,
    pub(super) costs: SiteCosts,
}

struct Tracked {
    costs: SiteCosts,
    rate: Rate,
    last_point: Duration,
    thread_ends: u64,
    stats: Arc<FunctionStats>,
}

impl Tally {
    pub(super) fn new() -> Self {
        let monotonic_ns = i128::from(crate::probe::monotonic_ns());
        Self {
            functions: Vec::new(),
            slow_calls: SlowCalls::default(),
            hits: Rate::default(),
            cost_ns: Rate::default(),
            clock_offset_ns: Timestamp::now().as_nanosecond() - monotonic_ns,
        }
    }

    /// Follows another function; its slot is the number of functions before it.
    pub(super) fn track(&mut self, new: NewTracked) -> u32 {
        let stats = FunctionStats {
            id: new.id,
            name: new.name,
            file: new.file,
            line: new.line,
            exit_probe: new.exit_probe,
            reason: new.reason,
            attached: false,
            calls: 0,
            returns: 0,
            unwound: 0,
            in_flight: 0,
            errors: None,
            unmatched_exits: 0,
            latency: Histogram::default(),
            calls_per_s: 0.0,
            recent_calls_per_s: Vec::new(),
        };
        self.functions.push(Tracked {
            costs: new.costs,
            rate: Rate::default(),
            last_point: Duration::ZERO,
            thread_ends: 0,
            stats: Arc::new(stats),
        });
        (self.functions.len() - 1) as u32
    }

    /// The slot of a function that is followed.
    pub(super) fn slot(&self, id: FunctionId) -> Option<u32> {
        let slot = self
            .functions
            .iter()
            .position(|tracked| tracked.stats.id == id)?;
        Some(slot as u32)
    }

    /// The function in a slot.
    pub(super) fn id(&self, slot: u32) -> Option<FunctionId> {
        let tracked = self.functions.get(slot as usize)?;
        Some(tracked.stats.id)
    }

    pub(super) fn len(&self) -> usize {
        self.functions.len()
    }

    pub(super) fn is_attached(&self, slot: u32) -> bool {
        self.functions
            .get(slot as usize)
            .is_some_and(|tracked| tracked.stats.attached)
    }

    pub(super) fn set_attached(&mut self, slot: u32, attached: bool) {
        if let Some(tracked) = self.functions.get_mut(slot as usize) {
            Arc::make_mut(&mut tracked.stats).attached = attached;
        }
    }

    /// Counts calls whose thread ended before they did.
    pub(super) fn add_thread_ends(&mut self, slot: u32, frames: u64) {
        if let Some(tracked) = self.functions.get_mut(slot as usize) {
            tracked.thread_ends += frames;
        }
    }

    /// Takes a record from the ring.
    pub(super) fn record(&mut self, record: &KernelCallRecord) {
        let Some(tracked) = self.functions.get(record.slot as usize) else {
            return;
        };
        let started_ns = i128::from(record.entry_ns) + self.clock_offset_ns;
        self.slow_calls.offer(
            record.slot as usize,
            CallRecord {
                function: tracked.stats.id,
                started_at: Timestamp::from_nanosecond(started_ns).unwrap_or_default(),
                duration_ns: record.duration_ns,
                pid: record.tgid,
                tid: record.tid,
                goroutine: (record.g != 0).then_some(record.g),
            },
        );
    }

    pub(super) fn functions(&self) -> Vec<Arc<FunctionStats>> {
        self.functions
            .iter()
            .map(|tracked| Arc::clone(&tracked.stats))
            .collect()
    }

    pub(super) fn slowest_calls(&self) -> Vec<CallRecord> {
        self.slow_calls.slowest()
    }

    /// Reads the kernel's counters; `elapsed` is the session's age.
    pub(super) fn read(
        &mut self,
        engine: &Engine,
        elapsed: Duration,
        calibration: Option<Calibration>,
    ) -> (Accounting, Overhead) {
        // Read first, so that no cause is counted whose hit is not.
        let mut accounting = Accounting::default();
        let mut cost_ns = 0.0;
        for (slot, tracked) in (0u32..).zip(&mut self.functions) {
            let numbers = engine.function(slot);
            tracked.update(engine, slot, &numbers, elapsed);
            accounting.aggregated += numbers.calls + numbers.returns;
            accounting.map_full += numbers.map_full;
            accounting.unmatched_exits += numbers.unmatched_exits;
            if let Some(calibration) = calibration {
                let exits = numbers.returns + numbers.unmatched_exits;
                cost_ns += calibration.cost_ns(tracked.costs, numbers.calls, exits);
            }
        }
        let hits = engine.hits();
        accounting.hits = hits.hits;
        accounting.events_stored = hits.records;
        accounting.sampled_out = hits.sampled_out;
        accounting.filtered_out = hits.filtered_out;
        accounting.throttled = hits.throttled;
        accounting.ring_full = hits.ring_full;
        let record_causes =
            hits.records + hits.sampled_out + hits.filtered_out + hits.throttled + hits.ring_full;
        accounting.aggregated =
            (accounting.aggregated + hits.refired).saturating_sub(record_causes);
        let overhead = self.overhead(elapsed, hits.hits, calibration.map(|_| cost_ns));
        (accounting, overhead)
    }

    fn overhead(&mut self, elapsed: Duration, hits: u64, cost_ns: Option<f64>) -> Overhead {
        self.hits.add(elapsed, hits as f64);
        let Some(cost_ns) = cost_ns else {
            return Overhead {
                hits_per_s: self.hits.per_s(),
                ns_per_hit: None,
                cpu_percent: None,
            };
        };
        self.cost_ns.add(elapsed, cost_ns);
        Overhead {
            hits_per_s: self.hits.per_s(),
            ns_per_hit: (hits > 0).then(|| cost_ns / hits as f64),
            cpu_percent: Some(self.cost_ns.per_s() / 1e9 * 100.0),
        }
    }

    /// Rates of the whole session instead of its last second.
    pub(super) fn close(&mut self, elapsed: Duration, overhead: &mut Overhead) {
        overhead.hits_per_s = self.hits.mean_per_s(elapsed);
        overhead.cpu_percent = overhead
            .cpu_percent
            .map(|_| self.cost_ns.mean_per_s(elapsed) / 1e9 * 100.0);
        for tracked in &mut self.functions {
            let stats = Arc::make_mut(&mut tracked.stats);
            stats.attached = false;
            stats.calls_per_s = tracked.rate.mean_per_s(elapsed);
        }
    }
}

impl Tracked {
    fn update(&mut self, engine: &Engine, slot: u32, numbers: &FunctionNumbers, elapsed: Duration) {
        self.rate.add(elapsed, numbers.calls as f64);
        let calls_per_s = self.rate.per_s();
        let point_is_due = elapsed >= self.last_point + RATE_WINDOW;
        let unwound = numbers.unwound + self.thread_ends;
        let old = &self.stats;
        let same = old.calls == numbers.calls
            && old.returns == numbers.returns
            && old.unwound == unwound
            && old.unmatched_exits == numbers.unmatched_exits;
        if same && !point_is_due && old.calls_per_s == calls_per_s {
            return;
        }
        let returns_changed = old.returns != numbers.returns;
        let stats = Arc::make_mut(&mut self.stats);
        stats.calls = numbers.calls;
        stats.returns = numbers.returns;
        stats.unwound = unwound;
        stats.in_flight = numbers.calls.saturating_sub(numbers.returns + unwound);
        stats.unmatched_exits = numbers.unmatched_exits;
        stats.calls_per_s = calls_per_s;
        if returns_changed {
            stats.latency = engine.histogram(slot, numbers);
        }
        if point_is_due {
            self.last_point = elapsed;
            stats.recent_calls_per_s.push(calls_per_s);
            let surplus = stats
                .recent_calls_per_s
                .len()
                .saturating_sub(SPARKLINE_POINTS);
            stats.recent_calls_per_s.drain(..surplus);
        }
    }
}

/// How fast a counter grows, over the last [`RATE_WINDOW`].
#[derive(Debug, Default)]
struct Rate {
    readings: VecDeque<(Duration, f64)>,
}

impl Rate {
    fn add(&mut self, at: Duration, value: f64) {
        while self
            .readings
            .get(1)
            .is_some_and(|(second, _)| *second + RATE_WINDOW <= at)
        {
            self.readings.pop_front();
        }
        self.readings.push_back((at, value));
    }

    fn per_s(&self) -> f64 {
        let (Some((first_at, first)), Some((last_at, last))) =
            (self.readings.front(), self.readings.back())
        else {
            return 0.0;
        };
        let seconds = last_at.saturating_sub(*first_at).as_secs_f64();
        if seconds > 0.0 {
            (last - first) / seconds
        } else {
            0.0
        }
    }

    fn mean_per_s(&self, elapsed: Duration) -> f64 {
        let last = self.readings.back().map_or(0.0, |(_, value)| *value);
        if elapsed.is_zero() {
            0.0
        } else {
            last / elapsed.as_secs_f64()
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_rate_is_that_of_the_last_second() {
        let mut rate = Rate::default();
        assert_eq!(rate.per_s(), 0.0);
        for tick in 0..=20u32 {
            rate.add(Duration::from_millis(200) * tick, f64::from(tick * tick));
        }
        // From 15 squared at 3.0 s to 20 squared at 4.0 s.
        assert_eq!(rate.per_s(), 175.0);
        assert_eq!(rate.mean_per_s(Duration::from_secs(4)), 100.0);
    }
}
