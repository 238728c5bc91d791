//! The clocks of the colony and of its nodes jump: leases are as long as they are, and every call
//! is counted once.

use std::time::{Duration, Instant};

use crate::asking::{
    assert_counted, assert_remembered, attach, attach_for, await_measured, pay, session_of,
};
use crate::clock::Clocks;
use crate::common::lines::eventually;
use crate::common::target::Target;
use crate::common::{code, compile, need, rights};
use crate::world::World;

const DAY_S: i64 = 86_400;
const LEASE: Duration = Duration::from_secs(8);
const LATE_MAX: Duration = Duration::from_secs(2);

fn start() -> Result<(World, [Target; 2]), String> {
    rights::probes()?;
    let binary = compile::e2e_c(&["-O2"])?;
    let mut world = World::bare();
    world.clocks = Some(Clocks::new(world.folder.path())?);
    world.start_colony();
    world.add_agent(&binary);
    world.add_agent(&binary);
    let replicas = [world.replica(0), world.replica(1)];
    world.await_replicas(2);
    Ok((world, replicas))
}

/// The colony and both nodes get times that have nothing to do with each other.
fn set_all(world: &World, days: [i64; 3]) {
    let clocks = world.clocks.as_ref().unwrap();
    for (name, days) in ["colony", "node-0", "node-1"].into_iter().zip(days) {
        clocks.set(name, days * DAY_S);
    }
}

fn pay_all(targets: &mut [Target; 2]) -> u64 {
    targets.iter_mut().map(|it| pay(it, 1)).sum()
}

#[test]
fn clocks_that_jump_change_no_count() {
    let (mut world, mut targets) = need!(start());
    let coral = attach(&world);
    let session = session_of(&world);
    let mut calls = pay_all(&mut targets);
    for days in [[3, 0, 0], [-3, 2, -40], [0, -1, 400]] {
        set_all(&world, days);
        calls += pay_all(&mut targets);
        await_measured(&world, &session, 2);
    }
    set_all(&world, [0, 0, 0]);
    assert_counted(&world, &coral.finish().document(), calls);
    // What is too old is deleted when a colony starts: this is not.
    world.kill_colony();
    world.start_colony();
    assert_remembered(&world, calls);
}

#[test]
fn clocks_that_jump_move_no_lease() {
    for days in [[3, 0, 0], [0, 3, -3], [-3, -3, 3]] {
        let (world, mut targets) = need!(start());
        let asked_at = Instant::now();
        let coral = attach_for(&world, &format!("{}s", LEASE.as_secs()));
        let attached_at = Instant::now();
        set_all(&world, days);
        let calls = pay_all(&mut targets);
        std::thread::sleep((asked_at + LEASE - LATE_MAX).saturating_duration_since(Instant::now()));
        let has_probes = |it: &Target| !code::changed(it.pid()).is_empty();
        assert!(targets.iter().all(has_probes), "{days:?}: it ended early");
        let document = coral.wait().document();
        assert!(
            attached_at.elapsed() < LEASE + LATE_MAX,
            "{days:?}: it ended late"
        );
        assert!(eventually(|| !targets.iter().any(has_probes)));
        assert_eq!(document["session"]["end_reason"], "expired", "{days:?}");
        set_all(&world, [0, 0, 0]);
        assert_counted(&world, &document, calls);
    }
}
