//! The budget: what costs too much is detached alone, and the rest goes on.
#![allow(clippy::unwrap_used)] // all of this is tests

mod common;

use common::coral::Coral;
use common::target::Target;
use common::{code, compile, need, rights};
use serde_json::Value;

#[test]
fn the_offender_is_detached_alone_and_the_others_stay_exact() {
    need!(rights::probes());
    let mut target = Target::spawn(&need!(compile::c_hot()));
    let mut coral = start(&target, &["hot", "calm"]);
    let attached = coral.attached().expect("coral attaches");
    coral.await_line("hot was detached");
    let left = code::changed(target.pid()).len() as u64;
    assert_eq!((attached.probes, left), (4, 2), "the other's probes stay");
    target.expect("calm 300", "600");
    let report = coral.finish();
    let document = report.document();
    assert_eq!(document["session"]["end_reason"], "detached");
    let hot = function(&document, "hot");
    let why = hot["detached_because"].as_str().unwrap();
    assert!(why.contains("over the budget of 2 %"), "{why}");
    let calm = function(&document, "calm");
    assert_eq!(
        (&calm["calls"], &calm["returns"]),
        (&300.into(), &300.into())
    );
    assert!(calm["detached_because"].is_null());
    assert_eq!(code::changed(target.pid()), [0u64; 0]);
    assert_eq!(target.quit().code(), Some(0));
}

#[test]
fn a_session_of_the_offender_alone_ends() {
    need!(rights::probes());
    let target = Target::spawn(&need!(compile::c_hot()));
    let mut coral = start(&target, &["hot"]);
    assert!(coral.attached().is_some());
    let report = coral.wait();
    assert!(report.says("it will be detached"), "{report:#?}");
    assert_eq!(report.document()["session"]["end_reason"], "budget");
    assert_eq!(code::changed(target.pid()), [0u64; 0]);
    assert_eq!(target.quit().code(), Some(0));
}

fn start(target: &Target, functions: &[&str]) -> Coral {
    Coral::start_attach(target.pid(), functions, &["--budget", "2"])
}

fn function(document: &Value, name: &str) -> Value {
    let mut functions = document["functions"].as_array().unwrap().iter();
    let function = functions.find(|function| function["name"] == name);
    function.unwrap().clone()
}
