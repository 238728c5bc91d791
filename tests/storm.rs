//! More calls than any budget allows: all of them are counted, or the probes go and say so.
#![allow(clippy::unwrap_used)] // all of this is tests

mod common;

use std::process::Command;

use common::coral::{Coral, PROGRAM};
use common::need;
use common::target::Target;
use common::{code, compile, exact, rights};
use serde_json::Value;

const FUNCTIONS: [&str; 2] = ["storm_empty", "storm_slow"];

#[test]
fn a_storm_is_counted_to_the_last_call() {
    need!(rights::probes());
    let mut target = Target::spawn(&need!(compile::storm()));
    let unprobed = target.run("storm 500000");
    let (coral, attached) = Coral::attach(target.pid(), &FUNCTIONS, &[]);
    assert_eq!(attached.functions, 2);
    let truth = target.run("storm 500000");
    let report = coral.finish();
    assert_eq!(exact::differences(&truth, &report), Vec::<String>::new());
    assert_eq!(truth.checksum, unprobed.checksum);
    assert_eq!(truth.functions["storm_empty"].calls, 1_000_000);
    assert_eq!(code::changed(target.pid()), Vec::<u64>::new());
    assert_eq!(target.quit().code(), Some(0));
}

#[test]
fn a_function_that_costs_too_much_is_detached_alone() {
    need!(rights::probes());
    let mut target = Target::spawn(&need!(compile::storm()));
    let mut command = Command::new(PROGRAM);
    command
        .args(["debug", "attach", "--format", "json", "--budget", "2"])
        .args(["--pid", &target.pid().to_string()]);
    for function in FUNCTIONS {
        command.args(["--function", function]);
    }
    let mut coral = Coral::start(&mut command);
    assert!(coral.attached().is_some());
    let truth = target.run("storm 20000000");
    let report = coral.finish();
    let document = report.document();
    let [empty, slow] = FUNCTIONS.map(|name| function(&document, name));
    assert!(empty["detached_because"].is_string(), "{empty}");
    assert!(slow["detached_because"].is_null(), "{slow}");
    let known = truth.functions["storm_slow"].calls;
    assert_eq!(slow["calls"], known, "the other function goes on");
    assert!(empty["calls"].as_u64().unwrap() < truth.functions["storm_empty"].calls);
    assert_eq!(target.quit().code(), Some(0));
}

fn function(document: &Value, name: &str) -> Value {
    let functions = document["functions"].as_array().unwrap();
    let found = functions.iter().find(|function| function["name"] == name);
    found.unwrap().clone()
}
