//! The network, the colony and the targets fail under a session: every call is counted once, and
//! every lease ends on time.

use std::time::{Duration, Instant};

use coral_proto::agent::v1::{RemoveFunctionsRequest, ReplicaStatus};
use rustix::process::Signal;

use crate::asking::{
    assert_counted, assert_remembered, attach, attach_for, await_measured, pay, replicas,
    session_of, states, update,
};
use crate::common::coral::Coral;
use crate::common::lines::eventually;
use crate::common::target::Target;
use crate::common::{code, compile, need, rights};
use crate::network::Node;
use crate::world::{World, await_that, runtime};

/// Two replicas on nodes with networks of their own.
fn apart() -> Result<(World, [Target; 2]), String> {
    rights::probes()?;
    let binary = compile::e2e_c(&["-O2"])?;
    let world = World::start_apart(2, &binary)?;
    let replicas = [world.replica(0), world.replica(1)];
    world.await_replicas(2);
    Ok((world, replicas))
}

fn pay_all(replicas: &mut [Target]) -> u64 {
    replicas.iter_mut().map(|it| pay(it, 1)).sum()
}

#[test]
fn packets_that_are_lost_until_the_link_is_given_up_lose_no_call() {
    let (world, replicas) = need!(apart());
    counts_on(&world, replicas, Node::partition);
}

#[test]
fn a_wire_that_is_pulled_out_loses_no_call() {
    let (world, replicas) = need!(apart());
    counts_on(&world, replicas, Node::unplug);
}

/// Cuts one of the nodes off until the colony has found it, and heals that.
fn counts_on(world: &World, mut targets: [Target; 2], cut: impl Fn(&Node)) {
    let coral = attach(world);
    let session = session_of(world);
    let mut calls = pay_all(&mut targets);
    cut(&world.nodes[0]);
    calls += pay_all(&mut targets);
    await_that("the colony has found that a link is dead", || {
        let replicas = replicas(world, &session);
        replicas.iter().any(|it| it.1 == ReplicaStatus::Silent)
    });
    calls += pay_all(&mut targets);
    world.nodes[0].heal();
    await_measured(world, &session, 2);
    calls += pay_all(&mut targets);
    assert_counted(world, &coral.finish().document(), calls);
}

#[test]
fn packets_lost_and_doubled_at_random_lose_and_double_no_call() {
    let (world, mut targets) = need!(apart());
    world.nodes.iter().for_each(Node::disturb);
    let coral = attach(&world);
    let calls = (0..20).map(|_| pay_all(&mut targets)).sum();
    let document = coral.finish().document();
    assert_counted(&world, &document, calls);
}

/// A link that is dead is found within 10 s, and agents that may come back have another 8 s.
const ENDED_MAX: Duration = Duration::from_secs(25);

#[test]
fn who_ends_a_session_does_not_wait_for_a_node_that_is_cut_off() {
    let (world, mut targets) = need!(apart());
    let coral = attach_for(&world, "300s");
    let mut calls = pay_all(&mut targets);
    world.nodes[0].partition();
    let asked_at = Instant::now();
    let document = coral.finish().document();
    assert!(asked_at.elapsed() < ENDED_MAX, "{:?}", asked_at.elapsed());
    let mut ends = states(&document);
    ends.sort_unstable();
    assert_eq!(ends, ["detached", "silent"]);
    let no_probes = |target: &Target| code::changed(target.pid()).is_empty();
    assert!(eventually(|| no_probes(&targets[1])));
    assert!(!no_probes(&targets[0]));
    // Its agent knows of nothing and goes on, until it is told.
    calls += pay(&mut targets[0], 1);
    world.nodes[0].heal();
    await_that("its probes are gone, too", || no_probes(&targets[0]));
    assert_remembered(&world, calls);
}

#[test]
fn what_is_changed_while_a_node_is_cut_off_reaches_it_when_it_is_back() {
    let (world, targets) = need!(apart());
    let coral = attach(&world);
    let session = session_of(&world);
    world.nodes[0].partition();
    await_that("the colony has found that a link is dead", || {
        let replicas = replicas(&world, &session);
        replicas.iter().any(|it| it.1 == ReplicaStatus::Silent)
    });
    let pay = update(&world, &session).unwrap().functions[0].function_id;
    let request = RemoveFunctionsRequest {
        session_id: session,
        function_ids: vec![pay],
    };
    runtime().block_on(async {
        let mut client = world.client().await;
        client.remove_functions(request).await.unwrap();
    });
    let no_probes = |target: &Target| code::changed(target.pid()).is_empty();
    assert!(eventually(|| no_probes(&targets[1])));
    assert!(!no_probes(&targets[0]));
    world.nodes[0].heal();
    await_that("its probes are gone, too", || no_probes(&targets[0]));
    coral.finish().document();
}

/// Longer than any keep-alive, and than the leases that end meanwhile.
const STALL: Duration = Duration::from_secs(30);
const LEASE: Duration = Duration::from_secs(8);
/// An agent looks at its leases several times a second, and the machine may be busy.
const LATE_MAX: Duration = Duration::from_secs(2);

#[test]
fn leases_end_on_time_while_nothing_gets_through() {
    let (world, targets) = need!(apart());
    let each = |change: fn(&Node)| world.nodes.iter().for_each(change);
    ends_on_time(
        &world,
        targets,
        || each(Node::partition),
        || each(Node::heal),
    );
}

#[test]
fn leases_end_on_time_while_the_colony_stands_still() {
    let (world, targets) = need!(apart());
    let signal = |signal| world.colony.as_ref().unwrap().signal(signal);
    ends_on_time(
        &world,
        targets,
        || signal(Signal::STOP),
        || signal(Signal::CONT),
    );
}

fn ends_on_time(world: &World, mut targets: [Target; 2], stall: impl Fn(), heal: impl Fn()) {
    let lease = format!("{}s", LEASE.as_secs());
    let asked_at = Instant::now();
    let coral = attach_for(world, &lease);
    let began_at = Instant::now();
    let session = session_of(world);
    stall();
    let stalled_at = Instant::now();
    let calls = pay_all(&mut targets);
    std::thread::sleep((asked_at + LEASE).saturating_duration_since(Instant::now()));
    let no_probes = || targets.iter().all(|it| code::changed(it.pid()).is_empty());
    assert!(eventually(no_probes));
    let late = began_at.elapsed().saturating_sub(LEASE);
    assert!(late < LATE_MAX, "{late:?}");
    // Nobody counts these.
    pay_all(&mut targets);
    std::thread::sleep((stalled_at + STALL).saturating_duration_since(Instant::now()));
    heal();
    assert_told(coral);
    assert_remembered(world, calls);
    await_that("the session that is over has all its numbers", || {
        let session = update(world, &session).unwrap_or_default();
        session.functions.first().map(|it| it.calls) == Some(calls)
    });
}

/// Whoever asked for a session hears of its end, and does not wait for ever.
fn assert_told(coral: Coral) {
    let document = coral.wait().document();
    assert_eq!(document["session"]["end_reason"], "expired");
}

#[test]
fn replicas_that_are_restarted_one_after_the_other_all_count() {
    need!(rights::probes());
    let binary = need!(compile::e2e_c(&["-O2"]));
    let world = World::start(2, &binary);
    let mut targets = [world.replica(0), world.replica(0), world.replica(1)];
    world.await_replicas(3);
    let coral = attach(&world);
    let session = session_of(&world);
    let mut calls = pay_all(&mut targets);
    for (place, node) in [0, 0, 1].into_iter().enumerate() {
        targets[place] = world.replica(node);
        await_that("the session knows the new one", || {
            replicas(&world, &session).len() == 4 + place
        });
        await_measured(&world, &session, 3);
        calls += pay_all(&mut targets);
    }
    let document = coral.finish().document();
    assert_eq!(document["replicas"].as_array().unwrap().len(), 6);
    assert_counted(&world, &document, calls);
}
