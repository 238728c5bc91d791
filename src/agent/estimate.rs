//! What probes would cost, from a short count of the calls.

use std::sync::Arc;
use std::time::{Duration, Instant};

use coral_model::ExpectedCost;

use super::error::AgentError;
use super::own_sites::OwnSites;
use super::probes::Probes;
use super::request::AttachRequest;
use super::tally::{CountedCalls, Tally};
use super::watched::Watched;
use crate::probe::{Calibration, Engine, EngineSpec, monotonic_ns};

/// How long calls are counted.
const COUNT_DURATION: Duration = Duration::from_millis(100);

/// Where counting takes more than that of a core, or of the time that the program runs, the program
/// is slowed down by it.
const COUNTING_SHARE_MAX: f64 = 0.3;

/// Processor time is known to a clock tick.
const TICK: Duration = Duration::from_millis(10);

/// Counts calls at their entries, with a program that does nothing else, and takes the probes out
/// again.
pub(super) fn expected(
    watched: &Arc<Watched>,
    request: &AttachRequest,
    own_sites: OwnSites,
) -> Result<ExpectedCost, AgentError> {
    let spec = EngineSpec {
        targets: watched.pids(),
        only_counts: true,
        ..EngineSpec::counting(watched.target.pid, request.functions.len() as u32)
    };
    if request.functions.is_empty() {
        return Ok(ExpectedCost {
            hits_per_s: 0.0,
            cpu_percent: None,
            dearest: None,
            counted: Duration::ZERO,
            is_at_least: false,
        });
    }
    let mut tally = Tally::default();
    let engine = Engine::load(&spec)?;
    let mut probes = Probes::counting(engine, own_sites, request, watched);
    probes.attach(watched, &mut tally, &request.functions)?;
    let cpu_time = || -> Duration {
        let times = watched.processes().filter_map(|process| process.cpu_time());
        times.sum()
    };
    let cpu_before = cpu_time();
    let begin = Instant::now();
    probes
        .engine
        .set_deadline_ns(monotonic_ns() + 2 * COUNT_DURATION.as_nanos() as u64);
    std::thread::sleep(COUNT_DURATION);
    let calls = tally.calls(&probes.engine);
    let counted = begin.elapsed();
    let cpu = cpu_time().saturating_sub(cpu_before);
    probes.engine.set_deadline_ns(0);
    probes.detach_all(&mut tally);
    let per_s = |amount: f64| amount / counted.as_secs_f64();
    let costs = Calibration::get().map(|calibration| {
        let costs = calls.iter().map(|call| {
            let exits = if call.has_exits { call.calls } else { 0 };
            let cost_ns = calibration.cost_ns(call.costs, call.calls, exits);
            (call.function, per_s(cost_ns) / 1e7)
        });
        costs.collect::<Vec<_>>()
    });
    let counting = Calibration::get().map_or(0.0, |calibration| {
        let cost_ns = |call: &CountedCalls| calibration.cost_ns(call.costs, call.calls, 0);
        let cost_ns: f64 = calls.iter().map(cost_ns).sum();
        // Where others want the processors too, it gets a part of them.
        let ran_ns = cpu.max(TICK).min(counted).as_nanos() as f64;
        cost_ns / ran_ns
    });
    let hits: u64 = calls
        .iter()
        .map(|call| call.calls * if call.has_exits { 2 } else { 1 })
        .sum();
    Ok(ExpectedCost {
        hits_per_s: per_s(hits as f64),
        cpu_percent: costs
            .as_ref()
            .map(|costs| costs.iter().map(|(_, percent)| percent).sum()),
        dearest: costs
            .into_iter()
            .flatten()
            .max_by(|(_, a), (_, b)| a.total_cmp(b)),
        counted,
        is_at_least: counting > COUNTING_SHARE_MAX,
    })
}
