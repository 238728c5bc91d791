//! What leaves a colony says what the program that was measured says of itself.

use std::path::Path;

use duckdb::Connection;

use crate::collector::Collector;
use crate::common::coral::Coral;
use crate::common::session::{function, number};
use crate::common::{compile, need, rights};
use crate::world::{World, await_that};

/// A session on two replicas of `pay` at a colony with these exports, and how often it was called:
/// the colony is killed and started anew while it runs.
fn measured(world: &mut World, keys: &str, binary: &Path) -> (serde_json::Value, u64) {
    world.start_colony_with(keys);
    for _ in 0..2 {
        world.add_agent(binary);
    }
    let mut replicas = [world.replica(0), world.replica(1)];
    world.await_replicas(2);
    let attach = [
        "debug",
        "attach",
        "shop",
        "--function",
        "pay",
        "--format",
        "json",
    ];
    let mut coral = Coral::start(&mut world.command(&attach));
    assert_eq!(coral.attached().unwrap().functions, 1);
    let mut pay = || -> u64 {
        let each = replicas.iter_mut();
        each.map(|it| it.run("pay").functions["pay"].calls).sum()
    };
    let mut calls = pay();
    world.kill_colony();
    calls += pay();
    world.start_colony_with(keys);
    coral.await_line("the link was down");
    calls += pay();
    (coral.finish().document(), calls)
}

#[test]
fn collector_objects_and_documents_say_what_the_program_counted() {
    need!(rights::probes());
    let binary = need!(compile::e2e_c(&["-O2"]));
    let runtime = tokio::runtime::Runtime::new().unwrap();
    let collector = Collector::new();
    let any = "127.0.0.1:0".parse().unwrap();
    let (address, _serving) = runtime.block_on(collector.serve(any));
    let mut world = World::bare();
    let objects = world.path("objects");
    let keys = format!(
        "    debug: {{storage: {{path: '{}'}}, export: {{otlp: {{endpoint: 'http://{address}'}}, \
         parquet: {{url: 'file://{}', every: 1s}}}}}}\n",
        world.path("history.duckdb").display(),
        objects.display(),
    );
    let (document, calls) = measured(&mut world, &keys, &binary);
    let pay = function(&document, "pay");
    assert_eq!(number(&pay["calls"]), calls);
    let session = document["session"]["id"].as_str().unwrap();

    let of_session = [("coral.session.id", session), ("code.function.name", "pay")];
    let arrived = |received: &crate::collector::Received| {
        received.sum("coral.function.calls", &of_session) as u64 == calls
    };
    runtime.block_on(collector.await_that(arrived));
    let received = collector.received.borrow();
    let durations = received.durations(&of_session);
    assert_eq!(durations.len(), 2, "one for each replica");
    let returns: u64 = durations.iter().map(|point| point.count).sum();
    assert_eq!(returns, number(&pay["returns"]));
    let total_s: f64 = durations.iter().filter_map(|point| point.sum).sum();
    let total_ns = number(&pay["latency"]["total_ns"]);
    assert_eq!((total_s * 1e9).round() as u64, total_ns);
    drop(received);

    let stored = number(&document["accounting"]["events_stored"]).to_string();
    await_that("every recorded call and the end are exported", || {
        found(&objects, "events", "count(*)") == stored
            && found(&objects, "sessions", "any_value(status)") == "detached"
    });
    assert_eq!(
        found(&objects, "functions", "sum(calls)"),
        calls.to_string()
    );
    let distinct = "count(DISTINCT (agent_id, agent_session, sequence, number))";
    assert_eq!(found(&objects, "events", distinct), stored);
    exported_documents_are_those_of_the_session(&world, &document);
}

/// `coral export` of a session that is over says what it said itself.
fn exported_documents_are_those_of_the_session(world: &World, live: &serde_json::Value) {
    let session = live["session"]["id"].as_str().unwrap();
    let again = world
        .run(&["export", session, "--format", "json"])
        .document();
    for key in ["schema", "functions", "accounting"] {
        assert_eq!(again[key], live[key], "{key}");
    }
    assert_eq!(again["session"]["id"], live["session"]["id"]);
    let text = world.run(&["export", session]).stdout;
    assert!(text.contains("pay"), "{text}");
    let path = world.path("session.csv");
    let path = path.to_str().unwrap();
    let csv = ["export", session, "--format", "csv", "--output", path];
    assert!(world.run(&csv).status.success());
    let rows = std::fs::read_to_string(path).unwrap();
    assert_eq!(rows.lines().count(), 2, "a title and a function: {rows}");
    assert_eq!(world.run(&csv).error_code(), "export-exists");
    for format in ["recording", "trace"] {
        let refused = world.run(&["export", session, "--format", format]);
        assert_eq!(refused.error_code(), "no-such-format");
    }
    let nobody = world.run(&["export", "dbg-nobody"]);
    assert_eq!(nobody.error_code(), "no-such-session");
}

/// What a query over the files of a table finds; nothing while there are none.
fn found(objects: &Path, table: &str, what: &str) -> String {
    let files = objects.join(table).join("**/*.parquet");
    let sql = format!(
        "SELECT ({what})::VARCHAR FROM read_parquet('{}')",
        files.display()
    );
    let connection = Connection::open_in_memory().unwrap();
    let found = connection.query_row(&sql, [], |row| row.get(0));
    found.unwrap_or_default()
}
