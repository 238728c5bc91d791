//! Turns the kernel's counters into snapshots.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

use coral_model::{
    Accounting, CallRecord, ExitProbe, FunctionId, FunctionStats, JoinedCalls, Overhead,
};

use super::rate::{RATE_WINDOW, Rate};
use super::slow_calls::SlowCalls;
use super::stacks;
use super::watched::Watched;
use crate::probe::{Calibration, Engine, FunctionNumbers, SiteCosts};

/// How many points a sparkline has, one a second.
const SPARKLINE_POINTS: usize = 30;
/// Records of the slowest calls that a function may make between two ticks.
const TOP_TOKENS: i64 = 32;

/// What a session has measured so far.
#[derive(Default)]
pub(super) struct Tally {
    slots: Vec<Tracked>,
    slot_of: HashMap<FunctionId, u32>,
    slow_calls: SlowCalls,
    hits: Rate,
    cost_ns: Rate,
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
    /// Whether an error can be told at its exits.
    pub(super) tells_errors: bool,
    /// Whether its calls are polls of a future.
    pub(super) polls_future: bool,
    /// Whether its calls are counted where it was inlined, and have no end that is seen.
    pub(super) is_counted: bool,
}

/// The entries of a function.
pub(super) struct CountedCalls {
    pub(super) function: FunctionId,
    pub(super) calls: u64,
    pub(super) costs: SiteCosts,
    pub(super) has_exits: bool,
}

struct Tracked {
    costs: SiteCosts,
    rate: Rate,
    cost: Rate,
    last_point: Duration,
    thread_ends: u64,
    /// Calls that were left, though the kernel does not know it yet.
    left: u64,
    /// Records that it may make, and how many of them the kernel was told of.
    tokens: f64,
    granted: i64,
    is_throttled: bool,
    tells_errors: bool,
    /// The slot behind this one holds the calls that its polls are joined into.
    polls_future: bool,
    is_counted: bool,
    /// Whether it is such a slot, and no function of its own.
    is_joined: bool,
    /// Since when it is attached, and for how long it was before that.
    attached_since: Option<Instant>,
    attached_for: Duration,
    stats: Arc<FunctionStats>,
}

impl Tally {
    /// Follows another function; returns its slot.
    pub(super) fn track(&mut self, new: NewTracked) -> u32 {
        let slot = self.slots.len() as u32;
        let polls_future = new.polls_future;
        self.slot_of.insert(new.id, slot);
        self.slots.push(Tracked::new(new, false));
        if polls_future {
            let polled = &self.slots[slot as usize];
            let joined = Tracked::joined(polled);
            self.slots.push(joined);
        }
        slot
    }

    /// The slot of a function that is followed.
    pub(super) fn slot(&self, id: FunctionId) -> Option<u32> {
        self.slot_of.get(&id).copied()
    }

    /// The function in a slot.
    pub(super) fn id(&self, slot: u32) -> Option<FunctionId> {
        let tracked = self.slots.get(slot as usize)?;
        Some(tracked.stats.id)
    }

    /// The name of the function in a slot.
    pub(super) fn name(&self, slot: u32) -> &str {
        let tracked = self.slots.get(slot as usize);
        tracked.map_or("", |tracked| &tracked.stats.name)
    }

    /// How many slots are in use.
    pub(super) fn len(&self) -> usize {
        self.slots.len()
    }

    /// Whether the exits of a slot's function are seen.
    pub(super) fn has_exits(&self, slot: u32) -> bool {
        self.slots
            .get(slot as usize)
            .is_some_and(|tracked| tracked.stats.exit_probe != ExitProbe::None)
    }

    pub(super) fn is_attached(&self, slot: u32) -> bool {
        self.slots
            .get(slot as usize)
            .is_some_and(|tracked| tracked.stats.attached)
    }

    pub(super) fn set_attached(&mut self, slot: u32, attached: bool) {
        if let Some(tracked) = self.slots.get_mut(slot as usize) {
            tracked.attached_for += tracked.since_attached();
            tracked.attached_since = attached.then(Instant::now);
            let stats = Arc::make_mut(&mut tracked.stats);
            stats.attached = attached;
            if attached {
                stats.detached_because = None;
                tracked.is_throttled = false;
            }
        }
    }

    /// Says why a function was detached.
    pub(super) fn set_detached_because(&mut self, slot: u32, why: String) {
        if let Some(tracked) = self.slots.get_mut(slot as usize) {
            Arc::make_mut(&mut tracked.stats).detached_because = Some(why);
        }
    }

    /// Records no more single calls of a function.
    pub(super) fn throttle(&mut self, slot: u32) {
        if let Some(tracked) = self.slots.get_mut(slot as usize) {
            tracked.is_throttled = true;
        }
    }

    /// Whether a call of that duration is among the slowest of its function.
    pub(super) fn is_slow(&self, slot: u32, duration_ns: u64) -> bool {
        self.slow_calls.wants(slot as usize, duration_ns)
    }

    /// Takes the record of a call.
    pub(super) fn record(&mut self, slot: u32, record: CallRecord, addresses: &[u64]) {
        self.slow_calls.offer(slot as usize, record, addresses);
    }

    /// Counts calls whose thread ended before they did.
    pub(super) fn add_thread_ends(&mut self, slot: u32, frames: u64) {
        if let Some(tracked) = self.slots.get_mut(slot as usize) {
            tracked.thread_ends += frames;
        }
    }

    /// Sets how many calls were left that the kernel still takes for open, by slot.
    pub(super) fn set_left(&mut self, left: &HashMap<u32, u64>) {
        for (slot, tracked) in (0u32..).zip(&mut self.slots) {
            tracked.left = left.get(&slot).copied().unwrap_or(0);
        }
    }

    /// Lets the kernel write records for the next `interval`, at `records_per_s` shared by all
    /// attached functions, and those of the slowest calls beside them.
    pub(super) fn refill(&mut self, engine: &Engine, interval: Duration, records_per_s: u32) {
        let attached = self.slots.iter().filter(|tracked| tracked.stats.attached);
        let share = f64::from(records_per_s) / attached.count().max(1) as f64;
        for (slot, tracked) in (0u32..).zip(&mut self.slots) {
            if !tracked.stats.attached {
                continue;
            }
            // What was not used up is given again, up to what a second allows: calls come in bursts.
            let burst = share.max(1.0);
            let used = tracked.granted - engine.records_left(slot);
            tracked.tokens =
                (tracked.tokens - used as f64 + share * interval.as_secs_f64()).clamp(0.0, burst);
            tracked.granted = if tracked.is_throttled {
                0
            } else {
                tracked.tokens as i64
            };
            engine.refill_records(slot, tracked.granted, TOP_TOKENS);
            engine.set_top_ns(slot, self.slow_calls.top_ns(slot as usize));
        }
    }

    /// How often each function was entered.
    pub(super) fn calls(&self, engine: &Engine) -> Vec<CountedCalls> {
        let slots = (0u32..).zip(&self.slots);
        slots
            .map(|(slot, tracked)| CountedCalls {
                function: tracked.stats.id,
                calls: engine.function(slot).calls,
                costs: tracked.costs,
                has_exits: tracked.stats.exit_probe != ExitProbe::None,
            })
            .collect()
    }

    pub(super) fn functions(&self) -> Vec<Arc<FunctionStats>> {
        let own = self.slots.iter().filter(|tracked| !tracked.is_joined);
        own.map(|tracked| Arc::clone(&tracked.stats)).collect()
    }

    /// The slowest calls, with the stacks of at most so many that had none yet.
    pub(super) fn slowest_calls(
        &mut self,
        watched: &Watched,
        stacks_max: usize,
    ) -> Vec<CallRecord> {
        self.slow_calls.slowest(stacks_max, |pid, addresses| {
            stacks::of_addresses(watched, pid, addresses)
        })
    }

    /// What each attached slot has cost within the last second, in nanoseconds.
    pub(super) fn costs_ns(&mut self, engine: &Engine, elapsed: Duration) -> Vec<(u32, f64)> {
        let Some(calibration) = Calibration::get() else {
            return Vec::new();
        };
        let mut costs = Vec::new();
        for (slot, tracked) in (0u32..).zip(&mut self.slots) {
            if tracked.stats.attached && !tracked.is_joined {
                let numbers = engine.function(slot);
                tracked.add_cost(&calibration, &numbers, elapsed);
                costs.push((slot, tracked.cost.in_window()));
            }
        }
        costs
    }

    /// Reads the kernel's counters; `elapsed` is the session's age.
    pub(super) fn read(&mut self, engine: &Engine, elapsed: Duration) -> (Accounting, Overhead) {
        let calibration = Calibration::get();
        // Read first, so that no cause is counted whose hit is not.
        let mut accounting = Accounting::default();
        let mut cost_ns = 0.0;
        for slot in 0..self.slots.len() {
            let numbers = engine.function(slot as u32);
            let is_complete = self.slow_calls.is_complete(slot, numbers.missed_max_ns);
            let tracked = &mut self.slots[slot];
            if tracked.is_joined {
                continue;
            }
            accounting.aggregated += numbers.calls + numbers.returns;
            accounting.map_full += numbers.map_full;
            accounting.unmatched_exits += numbers.unmatched_exits;
            if let Some(calibration) = &calibration {
                cost_ns += tracked.add_cost(calibration, &numbers, elapsed);
            }
            tracked.update(engine, slot as u32, &numbers, elapsed, is_complete);
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
            cpu_percent: Some(percent(self.cost_ns.per_s())),
        }
    }

    /// Rates of the whole session instead of its last second.
    pub(super) fn close(&mut self, elapsed: Duration, overhead: &mut Overhead) {
        overhead.hits_per_s = self.hits.mean_per_s(elapsed);
        overhead.cpu_percent = overhead
            .cpu_percent
            .map(|_| percent(self.cost_ns.mean_per_s(elapsed)));
        for tracked in &mut self.slots {
            // Of a function that was detached before the end, over the time until then.
            let attached_for = (tracked.attached_for + tracked.since_attached()).min(elapsed);
            let stats = Arc::make_mut(&mut tracked.stats);
            stats.attached = false;
            stats.calls_per_s = tracked.rate.mean_per_s(attached_for);
            stats.cost_percent = stats
                .cost_percent
                .map(|_| percent(tracked.cost.mean_per_s(attached_for)));
        }
    }
}

/// Nanoseconds a second as percent of a core.
fn percent(ns_per_s: f64) -> f64 {
    ns_per_s / 1e9 * 100.0
}

impl Tracked {
    /// How long it has been attached without a break.
    fn since_attached(&self) -> Duration {
        self.attached_since
            .map_or(Duration::ZERO, |since| since.elapsed())
    }

    fn new(new: NewTracked, is_joined: bool) -> Self {
        Self {
            costs: new.costs,
            rate: Rate::default(),
            cost: Rate::default(),
            last_point: Duration::ZERO,
            thread_ends: 0,
            left: 0,
            tokens: 0.0,
            granted: 0,
            is_throttled: false,
            tells_errors: new.tells_errors,
            polls_future: new.polls_future,
            is_counted: new.is_counted,
            is_joined,
            attached_since: None,
            attached_for: Duration::ZERO,
            stats: Arc::new(FunctionStats {
                file: new.file,
                line: new.line,
                exit_probe: new.exit_probe,
                reason: new.reason,
                ..FunctionStats::new(new.id, new.name)
            }),
        }
    }

    /// The slot of the calls that the polls of a function are joined into.
    fn joined(polled: &Self) -> Self {
        let stats = &polled.stats;
        let new = NewTracked {
            id: stats.id,
            name: stats.name.clone(),
            file: None,
            line: None,
            exit_probe: stats.exit_probe,
            reason: None,
            costs: polled.costs,
            tells_errors: false,
            polls_future: false,
            is_counted: false,
        };
        Self::new(new, true)
    }

    /// Notes what the function's hits have cost so far, and returns it.
    fn add_cost(
        &mut self,
        calibration: &Calibration,
        numbers: &FunctionNumbers,
        elapsed: Duration,
    ) -> f64 {
        let exits = numbers.returns + numbers.unmatched_exits;
        let cost_ns = calibration.cost_ns(self.costs, numbers.calls, exits);
        self.cost.add(elapsed, cost_ns);
        cost_ns
    }

    fn update(
        &mut self,
        engine: &Engine,
        slot: u32,
        numbers: &FunctionNumbers,
        elapsed: Duration,
        slowest_are_complete: bool,
    ) {
        self.rate.add(elapsed, numbers.calls as f64);
        let calls_per_s = self.rate.per_s();
        let point_is_due = elapsed >= self.last_point + RATE_WINDOW;
        let unwound = if self.is_counted {
            numbers.calls
        } else {
            numbers.unwound + self.thread_ends + self.left
        };
        let old = &self.stats;
        let same = old.calls == numbers.calls
            && old.returns == numbers.returns
            && old.unwound == unwound
            && old.unmatched_exits == numbers.unmatched_exits;
        if same && !point_is_due && old.calls_per_s == calls_per_s {
            return;
        }
        let returns_changed = old.returns != numbers.returns;
        let joined = self.polls_future.then(|| joined_calls(engine, slot + 1));
        let stats = Arc::make_mut(&mut self.stats);
        stats.calls = numbers.calls;
        stats.returns = numbers.returns;
        stats.unwound = unwound;
        stats.in_flight = numbers.calls.saturating_sub(numbers.returns + unwound);
        stats.unmatched_exits = numbers.unmatched_exits;
        stats.errors = self.tells_errors.then_some(numbers.errors);
        stats.self_ns = numbers.self_ns;
        stats.probes_ns = numbers.probes_ns;
        stats.cost_percent = Calibration::get().map(|_| percent(self.cost.per_s()));
        stats.slowest_are_complete = slowest_are_complete;
        stats.calls_per_s = calls_per_s;
        if joined.is_some() {
            stats.joined = joined.map(Box::new);
        }
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

fn joined_calls(engine: &Engine, slot: u32) -> JoinedCalls {
    let numbers = engine.function(slot);
    JoinedCalls {
        calls: numbers.calls,
        completed: numbers.returns,
        dropped: numbers.unwound,
        polls: numbers.polls,
        busy_ns: numbers.busy_ns,
        latency: engine.histogram(slot, &numbers),
    }
}
