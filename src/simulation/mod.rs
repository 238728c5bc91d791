//! Agents and their colony in a simulated network, with faults: each call is stored once, or named.
//!
//! Links, registry, collector, uplinks and journals are those of the programs. The network, the
//! time, the colony's disk and what sessions measure are played, by the number of a seed; so a seed
//! that fails, fails again:
//!
//! ```sh
//! CORAL_SIM_SEED=123 cargo test --lib simulation
//! ```

mod agents;
mod faults;
mod story;
mod truth;
mod world;

use std::env;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Mutex;
use std::sync::atomic::{AtomicU64, Ordering};
use std::thread;

use story::Story;
use world::World;

/// How many seeds are run if nothing else is asked for.
const SEEDS: u64 = 1_000;
/// Lines of a story that a failure shows.
const LINES_MAX: usize = 80;

#[test]
fn every_call_is_stored_once_or_named() {
    let only = number("CORAL_SIM_SEED");
    let seeds = match only {
        Some(seed) => seed..seed + 1,
        None => 0..number("CORAL_SIM_SEEDS").unwrap_or(SEEDS),
    };
    let failed = run_all(seeds.clone());
    let Some((seed, story)) = failed.first() else {
        return;
    };
    let seeds_failed: Vec<u64> = failed.iter().map(|(seed, _)| *seed).collect();
    panic!(
        "{} of {} seeds fail: {seeds_failed:?}\n{}\nCORAL_SIM_SEED={seed} cargo test --lib simulation",
        failed.len(),
        seeds.end - seeds.start,
        story.shown(LINES_MAX),
    );
}

#[test]
fn the_same_seed_tells_the_same_story() {
    for seed in 0..8 {
        let (once, again) = (run(seed).lines(), run(seed).lines());
        let differ = once
            .iter()
            .zip(&again)
            .position(|(one, other)| one != other);
        if let Some(at) = differ {
            panic!("seed {seed}: {:?} is {:?}", once[at], again[at]);
        }
        assert_eq!(once.len(), again.len(), "seed {seed}");
    }
}

/// The seeds that fail, with what happened.
fn run_all(seeds: std::ops::Range<u64>) -> Vec<(u64, Story)> {
    let next = AtomicU64::new(seeds.start);
    let failed = Mutex::new(Vec::new());
    let threads = thread::available_parallelism().map_or(1, usize::from);
    thread::scope(|scope| {
        for _ in 0..threads {
            scope.spawn(|| {
                loop {
                    let seed = next.fetch_add(1, Ordering::Relaxed);
                    if seed >= seeds.end {
                        return;
                    }
                    let story = run(seed);
                    if !story.wrongs().is_empty() {
                        failed.lock().unwrap().push((seed, story));
                    }
                }
            });
        }
    });
    let mut failed = failed.into_inner().unwrap();
    failed.sort_by_key(|(seed, _)| *seed);
    failed
}

fn run(seed: u64) -> Story {
    let story = Story::default();
    let told = story.clone();
    let ran = catch_unwind(AssertUnwindSafe(|| World::new(seed, told).run()));
    match ran {
        Ok(Ok(())) => {}
        Ok(Err(error)) => story.wrong(&format!("a host has failed: {error}")),
        Err(_) => story.wrong("it has panicked"),
    }
    story
}

fn number(variable: &str) -> Option<u64> {
    env::var(variable).ok()?.parse().ok()
}
