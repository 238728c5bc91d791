//! What a console asks of a colony, and what programs are told that measure `pay` at it.

use std::time::Duration;

use coral_proto::agent::v1 as agent;
use serde_json::Value;

use crate::common::coral::Coral;
use crate::common::session::{function, number};
use crate::common::target::Target;
use crate::world::{World, await_that, runtime};

/// Calls `pay` in a replica, so many rounds of it; the calls.
pub(crate) fn pay(target: &mut Target, rounds: u64) -> u64 {
    let round = |_| target.run("pay").functions["pay"].calls;
    (0..rounds).map(round).sum()
}

/// Starts a session on `pay` in all replicas, and waits until its probes are live.
pub(crate) fn attach(world: &World) -> Coral {
    attach_for(world, "60s")
}

/// The same with a lease of that length.
pub(crate) fn attach_for(world: &World, duration: &str) -> Coral {
    let command = "debug attach shop --function pay --format json --duration";
    let mut command: Vec<&str> = command.split(' ').collect();
    command.push(duration);
    let mut coral = Coral::start(&mut world.command(&command));
    assert_eq!(coral.attached().unwrap().functions, 1);
    coral
}

/// The one session that is live.
pub(crate) fn session_of(world: &World) -> String {
    let listed = world.run(&["debug", "list", "--format", "json"]).document();
    let sessions = listed["sessions"].as_array().unwrap();
    assert_eq!(sessions.len(), 1, "{listed}");
    sessions[0]["id"].as_str().unwrap().to_owned()
}

/// The replicas of a session now: their process ids and whether they are measured.
pub(crate) fn replicas(world: &World, session: &str) -> Vec<(u64, agent::ReplicaStatus)> {
    let update = update(world, session).unwrap_or_default();
    let replicas = update.replicas.iter();
    replicas
        .map(|it| (u64::from(it.target.as_ref().unwrap().pid), it.status()))
        .collect()
}

/// The whole session as it is now, as far as the colony answers.
pub(crate) fn update(world: &World, session: &str) -> Option<agent::SessionUpdate> {
    let request = agent::WatchSessionRequest {
        session_id: session.to_owned(),
        interval: None,
    };
    runtime().block_on(async {
        let watched = world.client().await.watch_session(request).await.ok()?;
        let mut stream = watched.into_inner();
        let next = tokio::time::timeout(Duration::from_secs(15), stream.message()).await;
        next.unwrap().unwrap()
    })
}

/// Waits until so many replicas are measured, and all others are over.
pub(crate) fn await_measured(world: &World, session: &str, measured: usize) {
    let is_measured = |status: &agent::ReplicaStatus| *status == agent::ReplicaStatus::Measuring;
    await_that("the replicas are measured", || {
        let replicas = replicas(world, session);
        let states = || replicas.iter().map(|it| it.1);
        let is_silent = states().any(|it| it == agent::ReplicaStatus::Silent);
        !is_silent && states().filter(is_measured).count() == measured
    });
}

/// Asserts that a session counted so many calls, and that the history says the same of it: as a
/// whole, by replica, and in rows of which none is there twice.
pub(crate) fn assert_counted(world: &World, document: &Value, calls: u64) {
    let live = function(document, "pay");
    assert_eq!(number(&live["calls"]), calls);
    let replicas = document["replicas"].as_array().unwrap().iter();
    let measured = replicas.filter_map(|it| it["functions"][0]["calls"].as_u64());
    assert_eq!(measured.sum::<u64>(), calls);
    assert_remembered(world, calls);
    let stored = number(&document["accounting"]["events_stored"]).to_string();
    let key = "agent_id, agent_epoch, agent_session, sequence, number";
    let sql =
        format!("select count(*) as events, count(distinct ({key})) as single from uprobe_events");
    await_that("every recorded call is one row", || {
        let rows = world.run(&["sql", &sql, "--format", "json"]).document();
        let row = &rows["rows"][0];
        row["events"] == stored.as_str() && row["single"] == stored.as_str()
    });
}

/// Waits until the history says that there were so many calls.
pub(crate) fn assert_remembered(world: &World, calls: u64) {
    let query = "debug query shop --function pay --since 1h --format json";
    let query: Vec<&str> = query.split(' ').collect();
    await_that("the journals are stored", || {
        let remembered = world.run(&query).document();
        let functions = remembered["functions"].as_array().unwrap();
        functions.first().map(|it| number(&it["calls"])) == Some(calls)
    });
    let sql = "select sum(calls) as calls from function_stats where function_name = 'pay'";
    let calls = calls.to_string();
    // A copy of the history that is 2 s old does for SQL.
    await_that("SQL says the same", || {
        let rows = world.run(&["sql", sql, "--format", "json"]).document();
        rows["rows"][0]["calls"] == calls.as_str()
    });
}

/// How the session ended on each replica, or what it is there.
pub(crate) fn states(document: &Value) -> Vec<&str> {
    let replicas = document["replicas"].as_array().unwrap().iter();
    replicas.map(|it| it["state"].as_str().unwrap()).collect()
}
