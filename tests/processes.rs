//! Sessions over several processes of one program, and over what a process becomes.
#![allow(clippy::unwrap_used)] // all of this is tests

mod common;

use std::fs;
use std::process::Command;

use common::coral::{Coral, PROGRAM};
use common::need;
use common::session::{function, list, number};
use common::target::Target;
use common::{code, compile, rights};
use serde_json::Value;

/// How often `run pay` pays.
const PAYMENTS: u64 = 60;

#[test]
fn processes_of_one_program_are_measured_together() {
    need!(rights::probes());
    let binary = need!(compile::e2e_c(&["-O2"]));
    let mut targets = [(); 3].map(|()| Target::spawn(&binary));
    let bystander = targets.len() - 1;
    let other_pid = targets[1].pid().to_string();
    let (coral, attached) = Coral::attach(targets[0].pid(), &["pay"], &["--pid", &other_pid]);
    for target in &mut targets {
        target.run("pay");
    }
    let document = coral.finish().document();
    assert_eq!(attached.probes, 4, "two in each process");
    assert_eq!(number(&function(&document, "pay")["calls"]), 2 * PAYMENTS);
    let pids: Vec<u64> = list(&document["targets"])
        .iter()
        .map(|it| number(&it["pid"]))
        .collect();
    let expected: Vec<u64> = targets[..bystander]
        .iter()
        .map(|it| it.pid().into())
        .collect();
    assert_eq!(pids, expected);
    let measured: Vec<u64> = {
        let calls = list(&document["slow_calls"]).iter();
        let mut pids: Vec<u64> = calls.map(|call| number(&call["pid"])).collect();
        pids.sort_unstable();
        pids.dedup();
        pids
    };
    assert!(
        measured.iter().all(|pid| expected.contains(pid)),
        "{measured:?}"
    );
    for target in targets {
        assert_eq!(code::changed(target.pid()), Vec::<u64>::new());
        assert_eq!(target.quit().code(), Some(0));
    }
}

#[test]
fn a_service_is_all_processes_of_its_name() {
    need!(rights::probes());
    let directory = tempfile::tempdir().unwrap();
    let name = format!("shop-{}", std::process::id());
    let service = directory.path().join(&name);
    fs::copy(need!(compile::e2e_c(&["-O2"])), &service).unwrap();
    let mut targets = [(); 2].map(|()| Target::spawn(&service));
    let mut command = Command::new(PROGRAM);
    command.args([
        "debug",
        "attach",
        &name,
        "--function",
        "pay",
        "--format",
        "json",
    ]);
    let mut coral = Coral::start(&mut command);
    assert_eq!(coral.attached().unwrap().probes, 4);
    for target in &mut targets {
        target.run("pay");
    }
    let document = coral.finish().document();
    assert_eq!(number(&function(&document, "pay")["calls"]), 2 * PAYMENTS);
    let services = list(&document["targets"])
        .iter()
        .map(|target| &target["service"]);
    assert!(services.eq([&name, &name].map(|name| Value::from(name.as_str())).iter()));
    let unknown = Command::new(PROGRAM)
        .args(["debug", "attach", "no-such-service", "--function", "pay"])
        .output()
        .unwrap();
    assert_eq!(unknown.status.code(), Some(2), "{unknown:?}");
}

#[test]
fn children_are_measured_where_that_is_asked_for() {
    need!(rights::probes());
    let binary = need!(compile::e2e_c(&["-O2"]));
    for (options, calls) in [(&["--follow-forks"][..], PAYMENTS), (&[], 0)] {
        let mut target = Target::spawn(&binary);
        let (mut coral, _) = Coral::attach(target.pid(), &["pay"], options);
        target.run("begin_fork");
        if calls > 0 {
            coral.await_line("a child, is measured from now on");
        }
        let truth = target.run("end_fork");
        assert_eq!(truth.functions["pay"].calls, PAYMENTS);
        let document = coral.finish().document();
        assert_eq!(number(&function(&document, "pay")["calls"]), calls);
        assert_eq!(code::changed(target.pid()), Vec::<u64>::new());
        assert_eq!(target.quit().code(), Some(0));
    }
}

#[test]
fn the_next_program_is_measured_where_that_is_asked_for() {
    need!(rights::probes());
    let mut target = Target::spawn(&need!(compile::e2e_c(&["-O2"])));
    let (mut coral, _) = Coral::attach(target.pid(), &["pay"], &["--follow-exec"]);
    target.run("pay");
    target.exec();
    coral.await_line("runs ");
    target.run("pay");
    let document = coral.finish().document();
    assert_eq!(document["session"]["end_reason"], "detached");
    let pay = function(&document, "pay");
    assert_eq!(
        [number(&pay["calls"]), number(&pay["returns"])],
        [2 * PAYMENTS; 2]
    );
    assert_eq!(code::changed(target.pid()), Vec::<u64>::new());
    assert_eq!(target.quit().code(), Some(0));
}

#[test]
fn libraries_that_are_loaded_later_are_measured() {
    need!(rights::probes());
    let library = need!(compile::e2e_library());
    let binary = need!(compile::e2e_c(&["-O2"]));
    let mut target = Target::start(Command::new(binary).env("LATE_LIBRARY", &library));
    let part = library.to_str().unwrap();
    let (mut coral, _) = Coral::attach(target.pid(), &["/^(pay|late)$/"], &["--library", part]);
    target.run("load");
    coral.await_line("1 functions of ");
    target.run("pay");
    target.run("late");
    let document = coral.finish().document();
    for (name, calls) in [("pay", PAYMENTS), ("late", 25)] {
        let function = function(&document, name);
        assert_eq!(
            [number(&function["calls"]), number(&function["returns"])],
            [calls; 2]
        );
    }
    assert_eq!(target.quit().code(), Some(0));
}
