//! The core set on a kernel without links for many probes at once. It runs only inside of the
//! machine that `cargo xtask old-kernel` boots, which has the targets at fixed places.
#![allow(clippy::unwrap_used)] // all of this is tests

mod common;

use std::path::Path;
use std::process::Command;

use common::coral::{Coral, PROGRAM};
use common::exact;
use common::target::Target;

const C: &str = "/targets/c";
const GO: &str = "/targets/go";

#[test]
#[ignore = "runs in the machine of `cargo xtask old-kernel`"]
fn functions_are_listed() {
    let target = Target::spawn(C.as_ref());
    let pid = target.pid().to_string();
    let mut command = Command::new(PROGRAM);
    command.args(["functions", "--pid", &pid, "plain_step", "--format", "json"]);
    let document = Coral::start(&mut command).wait().document();
    assert_eq!(document["functions"].as_array().unwrap().len(), 1);
    assert_eq!(document["functions"][0]["name"], "plain_step");
}

#[test]
#[ignore = "runs in the machine of `cargo xtask old-kernel`"]
fn c_counts_are_exact() {
    check(C);
}

#[test]
#[ignore = "runs in the machine of `cargo xtask old-kernel`"]
fn go_counts_are_exact() {
    check(GO);
}

fn check(binary: &str) {
    let wrong = exact::run_all(Path::new(binary));
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}
