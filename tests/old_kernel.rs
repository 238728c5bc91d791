//! The core set on a kernel without links for many probes at once. It runs only inside of the
//! machine that `cargo xtask old-kernel` boots, which has the targets at fixed places.
#![allow(clippy::unwrap_used)] // all of this is tests

mod common;

use std::path::Path;
use std::process::Command;

use common::coral::{Coral, PROGRAM};
use common::exact;
use common::need;
use common::target::Target;

const C: &str = "/targets/c";
const GO: &str = "/targets/go";

#[test]
#[ignore = "runs in the machine of `cargo xtask old-kernel`"]
fn functions_are_listed() {
    let target = Target::spawn(need!(in_machine(C)));
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

#[test]
#[ignore = "runs in the machine of `cargo xtask old-kernel`"]
fn calls_of_other_processes_do_not_count() {
    let binary = need!(in_machine(C));
    let (mut target, mut other) = (Target::spawn(binary), Target::spawn(binary));
    let (coral, _) = Coral::attach(target.pid(), &["plain_outer", "plain_step"], &[]);
    other.run("plain");
    let truth = target.run("plain");
    assert_eq!(exact::differences(&truth, &coral.finish()), [""; 0]);
    assert_eq!(other.quit().code(), Some(0));
    assert_eq!(target.quit().code(), Some(0));
}

#[test]
#[ignore = "runs in the machine of `cargo xtask old-kernel`"]
fn fast_returns_are_exact() {
    let mut target = Target::spawn(need!(in_machine(C)));
    let (coral, _) = Coral::attach(target.pid(), &["plain_outer"], &["--fast-returns"]);
    let truth = target.run("plain").functions["plain_outer"];
    let document = coral.finish().document();
    let function = &document["functions"][0];
    assert_eq!(function["exit_probe"], "uretprobe");
    assert_eq!(function["calls"], truth.calls);
    assert_eq!(function["returns"], truth.returns);
    assert_eq!(target.quit().code(), Some(0));
}

#[test]
#[ignore = "runs in the machine of `cargo xtask old-kernel`"]
fn too_many_probes_are_refused_with_the_limit() {
    let target = Target::spawn(need!(in_machine(C)));
    let functions = ["plain_*", "leaf_*", "tail_*", "run_*"];
    let report = Coral::start_attach(target.pid(), &functions, &[]).wait();
    assert_eq!(report.status.code(), Some(2), "{report:#?}");
    assert_eq!(report.error_code(), "over-limit");
    assert!(report.says("at most 32 probes; asked for "), "{report:#?}");
}

fn check(binary: &'static str) {
    let wrong = exact::run_all(need!(in_machine(binary)));
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

/// A target at its place in the machine.
fn in_machine(target: &'static str) -> Result<&'static Path, String> {
    let path = Path::new(target);
    let missing = || format!("no {target}: this is not the machine of `cargo xtask old-kernel`");
    path.exists().then_some(path).ok_or_else(missing)
}
