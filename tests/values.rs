//! What calls receive and return, as filters, documents and error rates see it.
#![allow(clippy::unwrap_used)] // all of this is tests

mod common;

use common::coral::{Coral, Report};
use common::target::Target;
use common::{compile, need, rights};
use serde_json::{Value, json};

/// Calls with an amount over 190 of the user u_1, of 400 calls.
const MATCHING: u64 = 6;
const FILTER: &str = r#"amount > 190 and user == "u_1""#;

#[test]
fn errors_are_counted_exactly_and_only_where_they_can_be_told() {
    need!(rights::probes());
    for go in need!(compile::gos()) {
        let (report, failed) = measured(&need!(compile::go_pay(&go, &[])), &[]);
        assert_eq!(function(&report)["calls"], 400);
        assert_eq!(function(&report)["errors"], failed);
        let (report, _) = measured(&need!(compile::go_pay(&go, &["-ldflags=-s -w"])), &[]);
        assert_eq!(function(&report)["calls"], 400);
        assert_eq!(function(&report)["errors"], Value::Null, "nothing tells it");
    }
}

#[test]
fn arguments_and_results_are_those_of_the_call() {
    need!(rights::probes());
    for go in need!(compile::gos()) {
        let binary = need!(compile::go_pay(&go, &[]));
        let (report, _) = measured(&binary, &["--capture-args", "--capture-return"]);
        let document = report.document();
        let slowest = &document["slow_calls"][0];
        let text = |values: &Value| -> Vec<(String, String)> {
            let values = values.as_array().unwrap().iter();
            let pair = |value: &Value| {
                let of = |field: &str| value[field].as_str().unwrap().to_owned();
                (of("name"), of("value"))
            };
            values.map(pair).collect()
        };
        let amount = ("amount".to_owned(), "199".to_owned());
        let arguments = text(&slowest["args"]);
        assert!(arguments.contains(&amount), "{arguments:?}");
        let user = &arguments[0].1;
        assert!(user == "\"u_1\"" || user == "\"u_0\"", "{user}");
        let results = text(&slowest["returns"]);
        assert_eq!(results[0].1, format!("\"ok {}\"", user.trim_matches('"')));
        assert_eq!(results[1].1, "nil");
        assert!(slowest["stack"][0]["function"] == "main.pay", "{slowest}");
        assert!(slowest["stack"][1]["function"] == "main.round", "{slowest}");
        assert!(
            !report.stdout.contains("hunter2"),
            "a password is in the document"
        );
        assert!(report.stdout.contains("<redacted>"));
    }
}

#[test]
fn nothing_is_captured_that_was_not_asked_for() {
    need!(rights::probes());
    let go = need!(compile::gos()).remove(0);
    let (report, _) = measured(&need!(compile::go_pay(&go, &[])), &[]);
    let document = report.document();
    let calls = document["slow_calls"].as_array().unwrap();
    assert!(!calls.is_empty());
    for call in calls {
        assert_eq!((&call["args"], &call["returns"]), (&json!([]), &json!([])));
    }
}

#[test]
fn a_filter_lets_exactly_the_matching_calls_through() {
    need!(rights::probes());
    for go in need!(compile::gos()) {
        let binary = need!(compile::go_pay(&go, &[]));
        let (report, _) = measured(&binary, &["--filter", FILTER]);
        let document = report.document();
        assert_eq!(document["accounting"]["events_stored"], MATCHING);
        assert_eq!(document["accounting"]["filtered_out"], 400 - MATCHING);
        assert_eq!(function(&report)["calls"], 400, "counters hold all calls");
    }
}

#[test]
fn a_filter_that_does_not_fit_is_refused() {
    need!(rights::probes());
    let go = need!(compile::gos()).remove(0);
    let binary = need!(compile::go_pay(&go, &[]));
    for (filter, says) in [
        ("amount >", "amount >"),
        ("price > 1", "no argument is called `price`"),
        ("amount == \"x\"", "amount"),
    ] {
        let target = Target::spawn(&binary);
        let coral = Coral::start_attach(target.pid(), &["main.pay"], &["--filter", filter]);
        let report = coral.wait();
        assert_eq!(report.status.code(), Some(2), "{report:#?}");
        assert!(report.says(says), "{report:#?}");
        report.error_code();
    }
}

#[test]
fn a_call_that_hangs_is_shown_with_its_age_and_place() {
    need!(rights::probes());
    for go in need!(compile::gos()) {
        let mut target = Target::spawn(&need!(compile::go_pay(&go, &[])));
        let (coral, _) = Coral::attach(target.pid(), &["main.hang"], &["--duration", "2s"]);
        target.expect("hang", "hangs");
        let document = coral.wait().document();
        let hanging = &document["in_flight"][0];
        assert_eq!(hanging["function"], "main.hang");
        assert!(hanging["age_ns"].as_u64().unwrap() > 0);
        let stack = hanging["stack"].as_array().unwrap();
        let names: Vec<&str> = stack
            .iter()
            .filter_map(|at| at["function"].as_str())
            .collect();
        assert!(names.contains(&"main.hang"), "{names:?}");
        assert_eq!(target.quit().code(), Some(0));
    }
}

/// What a session says of 400 calls, and how many of them failed by the program's own count.
fn measured(binary: &std::path::Path, more: &[&str]) -> (Report, u64) {
    let mut target = Target::spawn(binary);
    let (coral, _) = Coral::attach(target.pid(), &["main.pay"], more);
    let failed = target.ask("round 400");
    let report = coral.finish();
    assert_eq!(target.quit().code(), Some(0));
    (report, failed)
}

fn function(report: &Report) -> Value {
    report.document()["functions"][0].clone()
}
