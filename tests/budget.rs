//! What probes may cost: who costs more is detached alone, and all others stay exact.
#![allow(clippy::unwrap_used)] // all of this is tests

mod common;

use std::path::PathBuf;

use common::coral::Coral;
use common::lines::eventually;
use common::need;
use common::session::{function, list, number};
use common::target::Target;
use common::{code, compile, rights};
use serde_json::Value;

#[test]
fn the_dearest_function_is_detached_alone() {
    let mut target = Target::spawn(&need!(binary()));
    let options = ["--budget", "2", "--duration", "4s"];
    let (coral, attached) = attach(&target, &["hot", "calm"], &options);
    target.run("begin_storm");
    // The calm function's entry and exit.
    assert!(eventually(|| code::changed(target.pid()).len() == 2));
    assert!(attached > 2);
    let report = coral.wait();
    let document = report.document();
    let truth = target.run("end_storm");
    let [hot, calm] = ["hot", "calm"].map(|name| function(&document, name));
    assert_eq!(document["session"]["end_reason"], "expired");
    let why = hot["detached_because"].as_str().expect("hot was detached");
    assert!(why.contains("over the budget of 2 %"), "{why}");
    assert_eq!(calm["detached_because"], Value::Null);
    let notices = list(&document["notices"]);
    let names_it = |notice: &&Value| notice.as_str().unwrap().contains("hot was detached");
    assert_eq!(notices.iter().filter(names_it).count(), 1, "{notices:#?}");
    assert!(report.says("hot was detached"), "{report:#?}");
    assert!(number(&hot["calls"]) < truth.functions["hot"].calls);
    assert_exact_so_far(calm);
    // After the budget has spoken, the calm one went on for seconds.
    assert!(number(&calm["calls"]) > 100, "{calm:#}");
    assert!(number(&calm["calls"]) <= truth.functions["calm"].calls);
    assert_eq!(code::changed(target.pid()), Vec::<u64>::new());
}

#[test]
fn a_session_of_the_dearest_alone_ends() {
    let mut target = Target::spawn(&need!(binary()));
    let (coral, _) = attach(&target, &["hot"], &["--budget", "2", "--duration", "60s"]);
    target.run("begin_storm");
    let report = coral.wait();
    assert_eq!(code::changed(target.pid()), Vec::<u64>::new());
    target.run("end_storm");
    let document = report.document();
    assert_eq!(document["session"]["end_reason"], "budget", "{document:#}");
    assert_exact_so_far(function(&document, "hot"));
}

#[test]
fn who_stays_within_the_budget_is_left_alone() {
    let mut target = Target::spawn(&need!(binary()));
    let (coral, attached) = attach(&target, &["calm"], &["--budget", "2"]);
    target.run("begin_storm");
    assert!(eventually(
        || code::changed(target.pid()).len() as u64 == attached
    ));
    let truth = target.run("end_storm");
    let document = coral.finish().document();
    assert_eq!(list(&document["notices"]).len(), 0, "{document:#}");
    let calm = function(&document, "calm");
    assert_eq!(number(&calm["calls"]), truth.functions["calm"].calls);
    assert_eq!(calm["detached_because"], Value::Null);
    assert_eq!(calm["unwound"], 0);
}

/// What was counted holds together, and at most two calls, one a thread, were left in the middle.
fn assert_exact_so_far(function: &Value) {
    let [calls, returns, unwound, in_flight] =
        ["calls", "returns", "unwound", "in_flight"].map(|field| number(&function[field]));
    assert_eq!(calls, returns + in_flight, "{function:#}");
    assert!(unwound == 0 && in_flight <= 2, "{function:#}");
}

fn binary() -> Result<PathBuf, String> {
    rights::probes()?;
    compile::e2e_c(&["-O2"])
}

/// The session, and how many probes it begins with.
fn attach(target: &Target, functions: &[&str], options: &[&str]) -> (Coral, u64) {
    let (coral, attached) = Coral::attach(target.pid(), functions, options);
    assert_eq!(attached.functions, functions.len() as u64);
    (coral, attached.probes)
}
