//! A session on several replicas counts each of them exactly, and all of them together, whatever
//! becomes of replicas, agents and the colony meanwhile.

use std::time::Duration;

use coral_proto::agent::v1 as agent;
use coral_proto::convert::duration_to_wire;
use serde_json::Value;

use crate::asking::{self, attach, pay, session_of, states, update};
use crate::common::session::{function, number};
use crate::common::target::Target;
use crate::common::{code, compile, need, rights};
use crate::world::{World, await_that, runtime};

#[test]
fn replicas_on_two_nodes_add_up_exactly() {
    need!(rights::probes());
    let binary = need!(compile::e2e_c(&["-O2"]));
    let world = World::start(2, &binary);
    // More than a node may have sessions: for its limit, a colony's session is one.
    let mut replicas = [0, 0, 0, 1].map(|number| world.replica(number));
    world.await_replicas(4);
    let coral = attach(&world);
    let mut calls = Vec::new();
    for (rounds, target) in (1..).zip(&mut replicas) {
        calls.push((u64::from(target.pid()), pay(target, rounds)));
    }
    let document = coral.finish().document();
    let measured = function(&document, "pay");
    let sum: u64 = calls.iter().map(|(_, calls)| calls).sum();
    assert_eq!(number(&measured["calls"]), sum);
    assert_eq!(
        number(&measured["latency"]["count"]),
        number(&measured["returns"])
    );
    assert_eq!(document["targets"].as_array().unwrap().len(), 4);
    let replicas = document["replicas"].as_array().unwrap();
    let mut each: Vec<(u64, u64)> = replicas
        .iter()
        .map(|it| (number(&it["pid"]), number(&it["functions"][0]["calls"])))
        .collect();
    each.sort_unstable();
    calls.sort_unstable();
    assert_eq!(each, calls);
}

#[test]
fn a_replica_that_comes_later_joins_and_one_that_ends_leaves_its_numbers() {
    need!(rights::probes());
    let binary = need!(compile::e2e_c(&["-O2"]));
    let world = World::start(1, &binary);
    let mut old = world.replica(0);
    world.await_replicas(1);
    let coral = attach(&world);
    let mut calls = pay(&mut old, 1);
    drop(old);
    let mut new = world.replica(0);
    let session = session_of(&world);
    await_that("the new replica is measured", || {
        let replicas = asking::replicas(&world, &session);
        replicas.len() == 2 && replicas[1].1 == agent::ReplicaStatus::Measuring
    });
    calls += pay(&mut new, 2);
    let document = coral.finish().document();
    assert_eq!(number(&function(&document, "pay")["calls"]), calls);
    let ends: Vec<&str> = states(&document);
    assert_eq!(ends, ["target_exited", "detached"]);
}

#[test]
fn what_the_history_says_is_what_the_session_said() {
    need!(rights::probes());
    let binary = need!(compile::e2e_c(&["-O2"]));
    let world = World::start(2, &binary);
    let mut replicas = [world.replica(0), world.replica(1)];
    world.await_replicas(2);
    let coral = attach(&world);
    let calls: u64 = replicas.iter_mut().map(|it| pay(it, 1)).sum();
    let document = coral.finish().document();
    assert_eq!(number(&function(&document, "pay")["calls"]), calls);
    let query = [
        "debug",
        "query",
        "shop",
        "--function",
        "pay",
        "--since",
        "1h",
        "--format",
        "json",
    ];
    let mut remembered = Value::Null;
    await_that("both journals are stored", || {
        remembered = world.run(&query).document();
        let functions = remembered["functions"].as_array().unwrap();
        functions.first().map(|it| number(&it["calls"])) == Some(calls)
    });
    let found = &remembered["functions"][0];
    let live = function(&document, "pay");
    for key in ["calls", "returns", "unwound", "in_flight"] {
        assert_eq!(found[key], live[key], "{key}");
    }
    assert_eq!(found["histogram"], live["histogram"]);
    assert_eq!(found["latency"], live["latency"]);
    let sql = "select sum(calls) as calls from function_stats where function_name = 'pay'";
    let rows = world.run(&["sql", sql, "--format", "json"]).document();
    assert_eq!(rows["rows"][0]["calls"], calls.to_string());
    let events = "select count(*) as events from uprobe_events";
    let stored = number(&document["accounting"]["events_stored"]);
    await_that("every recorded call is a row", || {
        let rows = world.run(&["sql", events, "--format", "json"]).document();
        rows["rows"][0]["events"].as_str() == Some(&*stored.to_string())
    });
}

#[test]
fn a_colony_that_is_killed_finds_its_session_again() {
    need!(rights::probes());
    let binary = need!(compile::e2e_c(&["-O2"]));
    let mut world = World::start(2, &binary);
    let mut replicas = [world.replica(0), world.replica(1)];
    world.await_replicas(2);
    let mut coral = attach(&world);
    let session = session_of(&world);
    let mut calls: u64 = replicas.iter_mut().map(|it| pay(it, 1)).sum();
    world.kill_colony();
    calls += replicas.iter_mut().map(|it| pay(it, 1)).sum::<u64>();
    world.start_colony();
    await_that("the session is there again", || {
        let replicas = asking::replicas(&world, &session);
        let is_measured =
            |it: &(u64, agent::ReplicaStatus)| it.1 == agent::ReplicaStatus::Measuring;
        replicas.len() == 2 && replicas.iter().all(is_measured)
    });
    coral.await_line("the link was down");
    calls += replicas.iter_mut().map(|it| pay(it, 1)).sum::<u64>();
    let document = coral.finish().document();
    assert_eq!(number(&function(&document, "pay")["calls"]), calls);
    assert_eq!(document["session"]["id"], session);
}

/// Measures `second` and not `pay`, records no call any more, and lasts longer.
async fn change(world: &World, session: &str) {
    let mut client = world.client().await;
    let session_id = session.to_owned();
    let functions = agent::ListFunctionsRequest {
        target: Some(agent::TargetRef {
            service_name: "shop".into(),
            ..agent::TargetRef::default()
        }),
        pattern: "^(second|pay)$".into(),
        ..agent::ListFunctionsRequest::default()
    };
    let listed = client.list_functions(functions).await.unwrap().into_inner();
    let ids = |name| {
        let functions = listed.functions.iter().filter(|it| it.name == name);
        functions.map(|it| it.id).collect::<Vec<_>>()
    };
    let add = agent::AddFunctionsRequest {
        session_id: session_id.clone(),
        function_ids: ids("second"),
    };
    client.add_functions(add).await.unwrap();
    let remove = agent::RemoveFunctionsRequest {
        session_id: session_id.clone(),
        function_ids: ids("pay"),
    };
    client.remove_functions(remove).await.unwrap();
    let filter = agent::UpdateFilterRequest {
        session_id: session_id.clone(),
        filter: "#1 < -1".into(),
    };
    client.update_filter(filter).await.unwrap();
    let extend = agent::ExtendSessionRequest {
        session_id,
        by: Some(duration_to_wire(Duration::from_secs(60))),
    };
    client.extend_session(extend).await.unwrap();
}

#[test]
fn what_was_changed_outlives_the_colony() {
    need!(rights::probes());
    let binary = need!(compile::e2e_c(&["-O2", "-g"]));
    let mut world = World::start(1, &binary);
    let mut old = world.replica(0);
    world.await_replicas(1);
    let coral = attach(&world);
    let session = session_of(&world);
    let paid = pay(&mut old, 1);
    runtime().block_on(change(&world, &session));
    world.kill_colony();
    world.start_colony();
    let mut new = world.replica(0);
    // Where it is loaded differs, in whole pages.
    let at = |target: &Target| -> Vec<u64> {
        let addresses = code::changed(target.pid()).into_iter();
        addresses.map(|address| address % 4096).collect()
    };
    await_that("the new replica is measured as the old one", || {
        let probes = at(&new);
        !probes.is_empty() && probes == at(&old)
    });
    let left = update(&world, &session).unwrap().session.unwrap();
    let left = left.remaining.unwrap();
    assert!(left.seconds > 60, "{left:?}");
    let mut seconds = 0;
    for target in [&mut old, &mut new] {
        pay(target, 1);
        seconds += target.run("tree").functions["second"].calls;
    }
    let document = coral.finish().document();
    assert_eq!(number(&function(&document, "second")["calls"]), seconds);
    assert_eq!(number(&function(&document, "pay")["calls"]), paid);
    let recorded = number(&document["accounting"]["events_stored"]);
    assert_eq!(recorded, paid, "no call passes the filter");
}

#[test]
fn an_agent_that_is_killed_leaves_its_numbers_and_its_replicas_join_again() {
    need!(rights::probes());
    let binary = need!(compile::e2e_c(&["-O2"]));
    let mut world = World::start(2, &binary);
    let mut replicas = [world.replica(0), world.replica(1)];
    world.await_replicas(2);
    let coral = attach(&world);
    let session = session_of(&world);
    let mut calls: u64 = replicas.iter_mut().map(|it| pay(it, 1)).sum();
    await_that("what was counted has come", || {
        update(&world, &session).is_some_and(|it| it.functions[0].calls == calls)
    });
    world.kill_agent(0);
    // Nobody counts these: the probes went with their agent.
    pay(&mut replicas[0], 1);
    calls += pay(&mut replicas[1], 1);
    world.start_agent(0);
    await_that("the replica is measured by the new agent", || {
        let replicas = asking::replicas(&world, &session);
        replicas.len() == 3 && replicas[2].1 == agent::ReplicaStatus::Measuring
    });
    calls += replicas.iter_mut().map(|it| pay(it, 1)).sum::<u64>();
    let document = coral.finish().document();
    assert_eq!(number(&function(&document, "pay")["calls"]), calls);
    let mut states = states(&document);
    states.sort_unstable();
    assert_eq!(states, ["detached", "detached", "failed"]);
}
