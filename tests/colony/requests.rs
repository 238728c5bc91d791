//! Whole requests, traced on the replicas of a service.

use std::collections::BTreeMap;
use std::path::Path;
use std::process::Command;
use std::time::Duration;

use coral_proto::colony::v1 as wire;
use coral_proto::convert::duration_to_wire;
use tokio::time::timeout;

use crate::common::http::Service;
use crate::common::lines::DEADLINE;
use crate::common::{compile, need, rights};
use crate::world::{World, await_that, runtime};

const REQUESTS: usize = 2;

#[test]
fn requests_of_a_path_are_reported_whole_from_every_replica() {
    need!(rights::probes());
    let gos = need!(compile::gos());
    let go = gos.last().map_or(Path::new("go"), |go| go);
    let binary = need!(compile::go_http(go, &[]));
    let world = World::start(2, &binary);
    let start = |number| Service::start(&mut Command::new(world.program(number)));
    let mut replicas = [start(0), start(1)];
    world.await_replicas(2);
    let request = wire::TraceRequestPathRequest {
        service_name: "shop".into(),
        http_path: "/api/checkout".into(),
        duration: Some(duration_to_wire(Duration::from_secs(120))),
    };
    let runtime = runtime();
    let mut colony = runtime.block_on(world.client());
    let events = runtime.block_on(colony.trace_request_path(request));
    let mut events = events.unwrap().into_inner();
    let before: Vec<_> = replicas.iter_mut().map(Service::truth).collect();
    let mut expected = BTreeMap::<String, u64>::new();
    for (replica, before) in replicas.iter_mut().zip(&before) {
        for _ in 0..REQUESTS {
            assert_eq!(replica.get("/api/checkout").0, 200);
        }
        for (name, calls) in replica.truth().functions {
            *expected.entry(name.clone()).or_default() += calls - before.functions[&name];
        }
        replica.get("/health");
    }
    expected.retain(|_, calls| *calls > 0);
    let mut seen = BTreeMap::<String, u64>::new();
    let mut requests = BTreeMap::<(String, u64), Vec<u32>>::new();
    while seen != expected {
        let event = runtime.block_on(async { timeout(DEADLINE, events.message()).await });
        let event = event.expect("all calls are reported").unwrap().unwrap();
        assert_eq!(event.span_id, format!("{:016x}", event.request));
        let depths = requests.entry((event.agent_id, event.request));
        depths.or_default().push(event.depth);
        // What Go's library calls is not the program's own count.
        if expected.contains_key(&event.function_name) {
            *seen.entry(event.function_name).or_default() += 1;
        }
    }
    assert_eq!(requests.len(), 2 * REQUESTS);
    assert!(
        requests.values().all(|depths| depths[0] == 0),
        "{requests:?}"
    );
    // Who does not listen any more needs no probes.
    drop(events);
    await_that("the session is over", || {
        let listed = world.run(&["debug", "list", "--format", "json"]).document();
        listed["sessions"].as_array().unwrap().is_empty()
    });
}
