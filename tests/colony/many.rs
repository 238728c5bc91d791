//! Two hundred agents at one colony: what each of them has measured counts, and nothing else.

use std::collections::BTreeSet;
use std::sync::atomic::Ordering;

use coral_proto::agent::v1 as agent;
use coral_proto::agent::v1::ReplicaStatus;
use tokio::runtime::Runtime;

use crate::asking::update;
use crate::made::{CALLS_PER_UPDATE, UPDATES};
use crate::nodes::{Nodes, SERVICE};
use crate::world::{World, await_that};

const AGENTS: u32 = 200;
const FUNCTIONS: u32 = 5;
/// Of all agents together.
const UPDATES_MIN: u64 = 2_000;
/// Of each agent; together they are more than a message holds.
const PROCESSES: u32 = 150;

/// A colony and its agents, which last as long as both of the others.
fn agents_at_a_colony() -> (Runtime, World, Nodes) {
    let runtime = Runtime::new().unwrap();
    let mut world = World::bare();
    world.start_colony();
    let colony = world.address().parse().unwrap();
    let nodes = runtime.block_on(Nodes::connect(AGENTS, FUNCTIONS, &colony));
    (runtime, world, nodes.unwrap())
}

#[test]
fn two_hundred_agents_add_up() {
    let (runtime, world, nodes) = agents_at_a_colony();
    let shared = &nodes.shared;
    world.await_replicas(AGENTS as usize);
    let mut client = runtime.block_on(world.client());
    let request = agent::StartSessionRequest {
        target: Some(agent::TargetRef {
            service_name: SERVICE.into(),
            ..agent::TargetRef::default()
        }),
        patterns: vec!["*".into()],
        ..agent::StartSessionRequest::default()
    };
    let started = runtime
        .block_on(client.start_session(request))
        .unwrap()
        .into_inner();
    assert_eq!(started.replicas.len(), AGENTS as usize);
    await_that("all agents have told something", || {
        shared.updates.load(Ordering::Relaxed) > UPDATES_MIN
    });
    let all = agent::EndSessionsRequest {
        all: true,
        ..agent::EndSessionsRequest::default()
    };
    runtime.block_on(client.end_sessions(all)).unwrap();
    let ended = shared.ended.lock().unwrap();
    assert_eq!(ended.len(), AGENTS as usize);
    let calls_up_to = |place: &u64| CALLS_PER_UPDATE * (place % UPDATES + 1);
    let calls: u64 = ended.values().map(calls_up_to).sum();
    let session = update(&world, &started.session_id).unwrap();
    let merged: Vec<u64> = session.functions.iter().map(|it| it.calls).collect();
    assert_eq!(merged, [calls; FUNCTIONS as usize]);
    let is_over = |it: &agent::Replica| it.status() == ReplicaStatus::Ended;
    assert_eq!(
        session.replicas.iter().filter(|it| is_over(it)).count(),
        AGENTS as usize
    );
}

#[test]
fn more_replicas_than_a_message_holds_are_listed_whole() {
    let (runtime, world, nodes) = agents_at_a_colony();
    let shared = &nodes.shared;
    shared.processes.store(PROCESSES, Ordering::Relaxed);
    let listed = || {
        let listed = world.run(&["services", "--format", "json"]).document();
        let services = listed["services"].as_array().unwrap();
        let replicas = services.iter().map(|it| it["replicas"].as_array().unwrap());
        let named = replicas.flatten().map(|it| {
            let agent_id = it["agent_id"].as_str().unwrap().to_owned();
            (agent_id, it["pid"].as_u64().unwrap())
        });
        named.collect::<BTreeSet<_>>()
    };
    await_that("all replicas are listed", || {
        listed().len() == (AGENTS * PROCESSES) as usize
    });
    let mut client = runtime.block_on(world.client());
    let first = client.list_services(agent::ListServicesRequest::default());
    let first = runtime.block_on(first).unwrap().into_inner();
    assert!(!first.next_page_token.is_empty(), "one page is not enough");
}
