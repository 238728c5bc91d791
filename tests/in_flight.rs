//! Calls that have not returned: what hangs right now, for how long, and where.
#![allow(clippy::unwrap_used)] // all of this is tests

mod common;

use std::path::Path;
use std::time::Instant;

use common::coral::Coral;
use common::need;
use common::session::{function, list, number};
use common::target::Target;
use common::{compile, rights};
use serde_json::Value;

#[test]
fn of_a_thread() {
    need!(rights::probes());
    for level in ["-O0", "-O2"] {
        let flags = [level, "-fno-omit-frame-pointer"];
        check(&need!(compile::e2e_c(&flags)), ["waiting", "blocked"]);
    }
}

#[test]
fn of_a_goroutine() {
    need!(rights::probes());
    for go in need!(compile::gos()) {
        let binary = need!(compile::e2e_go(&go, &[]));
        check(&binary, ["main.waiting", "main.blocked"]);
    }
}

#[test]
fn what_was_left_without_an_exit_does_not_hang() {
    need!(rights::probes());
    let mut cases = vec![(need!(compile::e2e_c(&["-O2"])), "escapes")];
    for go in need!(compile::gos()) {
        cases.push((need!(compile::e2e_go(&go, &[])), "main.escapes"));
    }
    for (binary, name) in cases {
        let mut target = Target::spawn(&binary);
        let (coral, _) = Coral::attach(target.pid(), &[name], &["--duration", "1s"]);
        target.run("begin_escape");
        let document = coral.wait().document();
        let found = balance(function(&document, name));
        assert_eq!(found, [1, 0, 1, 0], "{}", binary.display());
        assert_eq!(list(&document["in_flight"]).len(), 0, "{document:#}");
        target.run("end_block");
        assert_eq!(target.quit().code(), Some(0));
    }
}

#[test]
fn goroutines_that_ended_in_a_call_do_not_hang() {
    need!(rights::probes());
    for go in need!(compile::gos()) {
        let mut target = Target::spawn(&need!(compile::e2e_go(&go, &["-ldflags=-s -w"])));
        let (coral, _) = Coral::attach(target.pid(), &["main.exits"], &[]);
        target.run("exits");
        let document = coral.finish().document();
        assert_eq!(balance(function(&document, "main.exits")), [5, 0, 5, 0]);
        assert_eq!(list(&document["in_flight"]).len(), 0, "{document:#}");
        assert_eq!(target.quit().code(), Some(0));
    }
}

#[test]
fn what_a_killed_process_was_in_does_not_hang() {
    need!(rights::probes());
    let mut cases = vec![(need!(compile::e2e_c(&["-O2"])), ["waiting", "blocked"])];
    for go in need!(compile::gos()) {
        let names = ["main.waiting", "main.blocked"];
        cases.push((need!(compile::e2e_go(&go, &[])), names));
    }
    for (binary, names) in cases {
        let mut target = Target::spawn(&binary);
        let (coral, _) = Coral::attach(target.pid(), &names, &[]);
        target.run("begin_block");
        target.kill_without_reaping();
        let document = coral.wait().document();
        assert_eq!(document["session"]["end_reason"], "target_exited");
        for name in names {
            assert_eq!(balance(function(&document, name)), [1, 0, 1, 0], "{name}");
        }
        assert_eq!(list(&document["in_flight"]).len(), 0, "{document:#}");
    }
}

/// Where a function's calls are: all, returned, left, going on.
fn balance(function: &Value) -> [u64; 4] {
    ["calls", "returns", "unwound", "in_flight"].map(|field| number(&function[field]))
}

/// One calls the other, which waits. The session ends once before it is released, once after.
fn check(binary: &Path, names: [&str; 2]) {
    let mut target = Target::spawn(binary);
    let (coral, _) = Coral::attach(target.pid(), &names, &["--duration", "1s"]);
    let begun = Instant::now();
    target.run("begin_block");
    let document = coral.wait().document();
    let age_max_ns = begun.elapsed().as_nanos() as u64;
    let calls = list(&document["in_flight"]);
    assert_eq!(calls.len(), 2, "{document:#}");
    for name in names {
        let of_function = function(&document, name);
        assert_eq!(number(&of_function["in_flight"]), 1);
        assert_eq!(number(&of_function["unwound"]), 0);
        let call = calls.iter().find(|call| call["function"] == name).unwrap();
        assert!(
            (1..age_max_ns).contains(&number(&call["age_ns"])),
            "{call:#}"
        );
    }
    let innermost = calls
        .iter()
        .find(|call| call["function"] == names[1])
        .unwrap();
    let stack = list(&innermost["stack"]).iter();
    let stack: Vec<&str> = stack.filter_map(|at| at["function"].as_str()).collect();
    let place = |name| stack.iter().position(|at| *at == name);
    let [waiting, blocked] = names.map(|name| place(name).unwrap_or_else(|| panic!("{stack:?}")));
    assert_eq!(waiting, blocked + 1, "{stack:?}");
    let (coral, _) = Coral::attach(target.pid(), &names, &[]);
    let truth = target.run("end_block");
    assert_eq!(truth.functions[names[0]].returns, 1);
    let document = coral.finish().document();
    assert_eq!(list(&document["in_flight"]).len(), 0);
    // It was entered before this session was there, which can tell neither when nor how often.
    for name in names {
        let of_function = function(&document, name);
        assert_eq!(
            [
                number(&of_function["calls"]),
                number(&of_function["in_flight"])
            ],
            [0, 0]
        );
    }
    assert_eq!(number(&document["accounting"]["unmatched_exits"]), 2);
    assert_eq!(target.quit().code(), Some(0));
}
