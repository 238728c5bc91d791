//! Traces of single requests of a Go HTTP service, against what the service knows.
#![allow(clippy::unwrap_used)] // all of this is tests

mod common;

use std::path::Path;
use std::process::Command;

use common::coral::{Coral, PROGRAM, Report};
use common::http::Service;
use common::{compile, need, rights};
use serde_json::Value;

const CHAIN: [&str; 6] = [
    "main.handleCheckout",
    "main.validateCart",
    "main.processPayment",
    "main.validateCard",
    "main.callExternalAPI",
    "main.sendConfirmation",
];

#[test]
fn requests_of_a_path_are_traced_whole() {
    need!(rights::probes());
    for go in need!(compile::gos()) {
        for flags in [&[][..], &["-ldflags=-s -w"]] {
            let binary = need!(compile::go_http(&go, flags));
            let report = traced(&binary, &["--path", "/api/checkout"]);
            let document = report.document();
            assert_eq!(document["requests"], 5);
            for function in CHAIN {
                let node = node(&document, function);
                assert_eq!(node["calls"], 5, "{function}: {node}");
            }
            assert_eq!(
                document["analysis"]["slowest"]["function"],
                "main.callExternalAPI"
            );
            for trace in document["traces"].as_array().unwrap() {
                assert_eq!(trace["missing_calls"], 0);
            }
        }
    }
}

#[test]
fn a_beginning_of_paths_takes_all_that_begin_so() {
    need!(rights::probes());
    let go = need!(compile::gos()).remove(0);
    let binary = need!(compile::go_http(&go, &[]));
    let document = traced(&binary, &["--path", "/api/*"]).document();
    assert_eq!(document["requests"], 8, "5 checkouts and 3 lists");
}

#[test]
fn a_trace_may_begin_at_any_function() {
    need!(rights::probes());
    let go = need!(compile::gos()).remove(0);
    let binary = need!(compile::go_http(&go, &[]));
    let document = traced(&binary, &["--root", "main.processPayment"]).document();
    assert_eq!(document["requests"], 5);
    assert_eq!(document["tree"][0]["function"], "main.processPayment");
    assert_eq!(node(&document, "main.callExternalAPI")["calls"], 5);
}

#[test]
fn a_path_that_nobody_asks_for_has_no_requests() {
    need!(rights::probes());
    let go = need!(compile::gos()).remove(0);
    let binary = need!(compile::go_http(&go, &[]));
    let document = traced(&binary, &["--path", "/nowhere"]).document();
    assert_eq!(document["requests"], 0);
    assert_eq!(document["tree"], serde_json::json!([]));
}

#[test]
fn a_program_without_http_needs_a_root() {
    need!(rights::probes());
    let target = common::target::Target::spawn(&need!(compile::c(&["-O2"])));
    let report = Coral::start(&mut command(target.pid(), &["--path", "/"])).wait();
    assert_eq!(report.status.code(), Some(2));
    assert_eq!(report.error_code(), "no-http-server");
}

/// What a trace says while 5 checkouts, 3 lists and a health check are served.
fn traced(binary: &Path, more: &[&str]) -> Report {
    let service = Service::spawn(binary);
    let mut coral = Coral::start(&mut command(service.pid(), more));
    assert!(coral.attached().is_some(), "coral did not attach");
    for (path, times) in [("/api/checkout", 5), ("/api/list", 3), ("/health", 1)] {
        for _ in 0..times {
            assert_eq!(service.get(path).0, 200, "{path}");
        }
    }
    coral.finish()
}

fn command(pid: u32, more: &[&str]) -> Command {
    let mut command = Command::new(PROGRAM);
    command
        .args(["debug", "trace", "--budget", "none", "--format", "json"])
        .args(["--duration", "300s", "--pid", &pid.to_string()])
        .args(more);
    command
}

fn node(document: &Value, function: &str) -> Value {
    let mut nodes = document["tree"].as_array().unwrap().iter();
    nodes
        .find(|node| node["function"] == function)
        .unwrap_or_else(|| panic!("{function} is not in {document:#}"))
        .clone()
}
