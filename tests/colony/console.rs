//! The console over a colony: one key for all replicas, the colony's end, and what it remembers.

use crate::common::target::Target;
use crate::common::{compile, need, rights};
use crate::terminal::{End, LARGE, Terminal, cell, spawn_target, start};
use crate::world::World;

/// A console on the replicas of a service.
fn console(world: &World) -> Terminal {
    start(LARGE, &["--colony", &world.address(), "--service", "shop"])
}

fn pay(replicas: &mut [Target]) -> u64 {
    let calls = |target: &mut Target| target.run("pay").functions["pay"].calls;
    replicas.iter_mut().map(calls).sum()
}

/// Waits until the list says that a probed function has so many calls.
fn wait_for_calls(terminal: &Terminal, calls: u64) {
    let calls = calls.to_string();
    terminal.wait_for(|frame| cell(frame, "pay", "calls").as_deref() == Some(&calls));
}

#[test]
fn one_key_probes_all_replicas_and_the_colonys_end_loses_nothing() {
    need!(rights::probes());
    let binary = need!(compile::e2e_c(&["-O2"]));
    let mut world = World::start(2, &binary);
    let mut replicas = [0, 0, 1].map(|number| spawn_target(world.program(number)));
    world.await_replicas(3);
    let mut terminal = console(&world);
    terminal.wait_for_text("READY");
    terminal.press("/'pay");
    terminal.wait_for_text(" 2 match");
    terminal.press("\r ");
    terminal.wait_for_text("shop on 3 replicas (2 agents)");
    terminal.wait_for_text("● LIVE");
    let mut calls = pay(&mut replicas);
    wait_for_calls(&terminal, calls);
    world.kill_colony();
    terminal.wait_for_text("disconnected for");
    calls += pay(&mut replicas);
    world.start_colony();
    wait_for_calls(&terminal, calls);
    terminal.wait_for_text("● LIVE");
    calls += pay(&mut replicas);
    wait_for_calls(&terminal, calls);
    terminal.press("D");
    terminal.wait_for_text("ENDED");
    terminal.press("q");
    assert_eq!(terminal.end(), End::in_order());
    remembered(&world, calls);
}

/// Another console finds the session among those of the past, and rows with the same numbers.
fn remembered(world: &World, calls: u64) {
    let mut terminal = console(world);
    terminal.wait_for_text("READY");
    terminal.press("5");
    let sessions = terminal.wait_for_text("0 live, 1 ended");
    assert!(sessions.contains(" detached"), "{sessions}");
    terminal.press("\r");
    terminal.wait_for_text("PAST SESSION");
    let measured = format!("{calls} calls = ");
    terminal.press("3");
    terminal.wait_for_text(&measured);
    terminal.press("7");
    terminal.wait_for_text("Tables: ");
    terminal.press("select sum(calls) as total, count(*) as replicas from function_stats\r");
    terminal.wait_for_text(&format!("total: {calls}  replicas: 3"));
    terminal.press("\x1b");
    let functions = terminal.wait_for_text("   function ");
    assert!(functions.contains("PAST SESSION"), "{functions}");
    terminal.press("\x1b");
    terminal.wait_for(|frame| frame.contains("READY") && !frame.contains("PAST SESSION"));
    terminal.press("q");
    assert_eq!(terminal.end(), End::in_order());
}
