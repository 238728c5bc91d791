//! How sessions begin and end: by lease, by signal, with their target, with their agent. Whatever
//! happens, the target goes on as without probes, and no probe outlives its session.
#![allow(clippy::unwrap_used)] // all of this is tests

mod common;

use std::path::PathBuf;

use common::coral::{Attached, Coral, Report};
use common::lines::eventually;
use common::need;
use common::target::{Target, Truth};
use common::{code, compile, exact, rights};
use rustix::process::Signal;

const PLAIN: [&str; 2] = ["plain_outer", "plain_step"];

#[test]
fn a_lease_that_runs_out_ends_the_session() {
    let mut target = Target::spawn(&need!(target_binary()));
    let (coral, attached) = Coral::attach(target.pid(), &PLAIN, &["--duration", "2s"]);
    let truth = target.run("plain");
    let report = coral.wait();
    assert_ended("expired", &report, &attached, &truth);
    assert_untouched(target);
}

#[test]
fn signals_end_the_session_early_with_its_result() {
    let binary = need!(target_binary());
    for signal in [Signal::INT, Signal::TERM, Signal::HUP] {
        let mut target = Target::spawn(&binary);
        let (coral, attached) = Coral::attach(target.pid(), &PLAIN, &[]);
        let truth = target.run("plain");
        coral.signal(signal);
        assert_ended("detached", &coral.wait(), &attached, &truth);
        assert_untouched(target);
    }
}

#[test]
fn a_target_that_exits_leaves_what_was_measured() {
    let mut target = Target::spawn(&need!(target_binary()));
    let (coral, attached) = Coral::attach(target.pid(), &PLAIN, &[]);
    let truth = target.run("plain");
    assert_eq!(target.quit().code(), Some(0));
    assert_ended("target_exited", &coral.wait(), &attached, &truth);
}

#[test]
fn a_target_that_is_killed_leaves_what_was_measured() {
    let mut target = Target::spawn(&need!(target_binary()));
    let (coral, attached) = Coral::attach(target.pid(), &PLAIN, &[]);
    let truth = target.run("plain");
    target.kill_without_reaping();
    assert_ended("target_exited", &coral.wait(), &attached, &truth);
}

#[test]
fn a_target_that_exits_before_any_call_measures_nothing() {
    let target = Target::spawn(&need!(target_binary()));
    let (coral, _) = Coral::attach(target.pid(), &PLAIN, &[]);
    assert_eq!(target.quit().code(), Some(0));
    let report = coral.wait();
    assert_eq!(report.status.code(), Some(4), "{report:#?}");
    assert_eq!(report.error_code(), "target-gone");
}

#[test]
fn a_target_that_replaces_its_program_ends_the_session() {
    let mut target = Target::spawn(&need!(target_binary()));
    let (coral, attached) = Coral::attach(target.pid(), &PLAIN, &[]);
    let truth = target.run("plain");
    target.exec();
    assert_ended("target_execed", &coral.wait(), &attached, &truth);
    assert_untouched(target);
}

#[test]
fn a_killed_coral_leaves_no_probe() {
    let mut target = Target::spawn(&need!(target_binary()));
    let unprobed = target.run("plain");
    let (coral, attached) = Coral::attach(target.pid(), &PLAIN, &[]);
    assert_eq!(code::changed(target.pid()).len() as u64, attached.probes);
    coral.signal(Signal::KILL);
    let report = coral.wait();
    assert_eq!(report.status.code(), None, "{report:#?}");
    // The kernel frees links in the background.
    assert!(eventually(|| code::changed(target.pid()).is_empty()));
    assert_eq!(target.run("plain").checksum, unprobed.checksum);
    assert_untouched(target);
}

#[test]
fn a_coral_killed_among_calls_does_not_disturb_them() {
    let mut target = Target::spawn(&need!(target_binary()));
    let unprobed = target.run("recurse");
    for _ in 0..5 {
        let (coral, _) = Coral::attach(target.pid(), &["descend"], &[]);
        target.begin("run recurse");
        coral.signal(Signal::KILL);
        assert_eq!(target.truth().checksum, unprobed.checksum);
        coral.wait();
    }
    assert!(eventually(|| code::changed(target.pid()).is_empty()));
    assert_untouched(target);
}

#[test]
fn a_session_can_begin_and_end_in_the_middle_of_a_call() {
    let mut target = Target::spawn(&need!(target_binary()));
    target.begin("run wait 1000");
    let (coral, _) = Coral::attach(target.pid(), &["timed_wait"], &[]);
    let document = coral.finish().document();
    let function = &document["functions"][0];
    let [calls, returns, unwound, in_flight] =
        ["calls", "returns", "unwound", "in_flight"].map(|field| function[field].as_u64().unwrap());
    assert_eq!(calls, returns + in_flight, "{function}");
    assert_eq!(unwound, 0, "{function}");
    assert!(in_flight <= 1, "there is one thread: {function}");
    let unmatched = document["accounting"]["unmatched_exits"].as_u64().unwrap();
    assert!(unmatched <= 1, "one call can have begun before: {document}");
    let truth = target.truth();
    assert_eq!(truth.functions["timed_wait"].returns, 1000);
    assert_untouched(target);
}

#[test]
fn a_second_coral_on_one_function_is_refused_and_the_first_goes_on() {
    let mut target = Target::spawn(&need!(target_binary()));
    let (first, attached) = Coral::attach(target.pid(), &PLAIN, &[]);
    let refused = Coral::start_attach(target.pid(), &["plain_step"], &[]).wait();
    assert_eq!(refused.status.code(), Some(2), "{refused:#?}");
    assert_eq!(refused.error_code(), "not-probeable");
    assert!(refused.says("another tracer"), "{refused:#?}");
    let (second, second_attached) = Coral::attach(target.pid(), &["descend"], &[]);
    let truth = target.run("plain");
    assert_ended("detached", &first.finish(), &attached, &truth);
    let changed = code::changed(target.pid()).len() as u64;
    assert_eq!(
        changed, second_attached.probes,
        "the other session's probes stay"
    );
    assert_eq!(second.finish().detached_probes(), second_attached.probes);
    assert_untouched(target);
}

#[test]
fn a_process_of_the_same_program_is_not_counted() {
    let binary = need!(target_binary());
    let mut target = Target::spawn(&binary);
    let mut other = Target::spawn(&binary);
    let (coral, attached) = Coral::attach(target.pid(), &PLAIN, &[]);
    let unprobed = other.run("plain");
    let truth = target.run("plain");
    assert_eq!(truth.checksum, unprobed.checksum);
    assert_ended("detached", &coral.finish(), &attached, &truth);
    assert_untouched(target);
    assert_untouched(other);
}

#[test]
fn a_target_that_dies_while_attaching_gets_an_answer() {
    let binary = need!(target_binary());
    for _ in 0..10 {
        let target = Target::spawn(&binary);
        let coral = Coral::start_attach(target.pid(), &PLAIN, &[]);
        drop(target);
        let report = coral.wait();
        // It was gone before coral looked, or after.
        let expected = match report.error_code() {
            "no-such-process" | "zombie" => 2,
            _ => 4,
        };
        assert_eq!(report.status.code(), Some(expected), "{report:#?}");
    }
}

#[test]
fn a_stopped_target_is_said_to_be_stopped() {
    let mut target = Target::spawn(&need!(target_binary()));
    target.signal(Signal::STOP);
    assert!(eventually(|| is_stopped(target.pid())));
    let (coral, attached) = Coral::attach(target.pid(), &PLAIN, &[]);
    target.signal(Signal::CONT);
    let truth = target.run("plain");
    let report = coral.finish();
    assert!(report.says("target is stopped"), "{report:#?}");
    assert_ended("detached", &report, &attached, &truth);
    assert_untouched(target);
}

fn target_binary() -> Result<PathBuf, String> {
    rights::probes()?;
    compile::c(&["-O2"])
}

fn assert_ended(reason: &str, report: &Report, attached: &Attached, truth: &Truth) {
    let document = report.document();
    assert_eq!(document["schema"], "coral.session.v1");
    assert_eq!(document["session"]["end_reason"], reason, "{report:#?}");
    assert_eq!(document["session"]["id"], attached.session.as_str());
    assert_eq!(report.detached_probes(), attached.probes);
    assert_eq!(exact::differences(truth, report), Vec::<String>::new());
}

/// The target's code is as in its file, its answers are as ever, and it ends well.
fn assert_untouched(mut target: Target) {
    assert_eq!(code::changed(target.pid()), Vec::<u64>::new());
    target.assert_answers_as_ever();
    assert_eq!(target.quit().code(), Some(0));
}

fn is_stopped(pid: u32) -> bool {
    let status = std::fs::read_to_string(format!("/proc/{pid}/status")).unwrap();
    status.lines().any(|line| line.starts_with("State:\tT"))
}
