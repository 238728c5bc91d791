//! A session on several replicas counts each of them exactly, and all of them together.

use crate::common::coral::Coral;
use crate::common::session::{function, number};
use crate::common::{compile, need, rights};
use crate::world::World;

#[test]
fn replicas_on_two_nodes_add_up_exactly() {
    need!(rights::probes());
    let binary = need!(compile::e2e_c(&["-O2"]));
    let world = World::start(2, &binary);
    let mut replicas = [world.replica(0), world.replica(0), world.replica(1)];
    world.await_replicas(3);
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
    let mut calls = 0;
    for (rounds, target) in (1..).zip(&mut replicas) {
        for _ in 0..rounds {
            calls += target.run("pay").functions["pay"].calls;
        }
    }
    let document = coral.finish().document();
    let measured = function(&document, "pay");
    assert_eq!(number(&measured["calls"]), calls);
    assert_eq!(
        number(&measured["latency"]["count"]),
        number(&measured["returns"])
    );
    assert_eq!(document["targets"].as_array().unwrap().len(), 3);
}
