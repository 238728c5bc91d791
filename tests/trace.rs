//! `coral debug trace` on the HTTP service, which knows its own calls.
#![allow(clippy::unwrap_used)] // all of this is tests

mod common;

use std::path::Path;
use std::process::Command;

use common::coral::{Coral, PROGRAM, Report};
use common::http::{Service, ServiceTruth};
use common::need;
use common::target::Target;
use common::{compile, rights};
use serde_json::Value;

const CHECKOUTS: u64 = 3;

#[test]
fn requests_of_a_path_are_traced_whole_and_others_not_at_all() {
    need!(rights::probes());
    for go in need!(compile::gos()) {
        for flags in [[].as_slice(), &["-ldflags=-s -w", "-trimpath"]] {
            let binary = need!(compile::go_http(&go, flags));
            let mut service = Service::spawn(&binary);
            let coral = start(&service, &["--path", "/api/checkout"]);
            let before = service.truth();
            for _ in 0..CHECKOUTS {
                assert_eq!(service.get("/api/checkout").0, 200);
            }
            assert_eq!(service.get("/api/checkout?cart=empty").0, 402);
            let truth = difference(&service.truth(), &before);
            for path in ["/health", "/api/list", "/api/checkouts"] {
                service.get(path);
            }
            let document = finish(coral);
            assert_eq!(document["path"], "/api/checkout");
            assert_eq!(document["root"], "net/http.serverHandler.ServeHTTP");
            assert_traced(&document, CHECKOUTS + 1, &truth);
            let slowest = &document["analysis"]["slowest"];
            assert_eq!(slowest["function"], "main.callExternalAPI", "{document:#}");
            assert_eq!(
                strings(&slowest["path"]).last(),
                Some(&"main.callExternalAPI")
            );
            assert!(service.quit().success());
        }
    }
}

#[test]
fn a_trace_can_begin_at_any_function() {
    let mut service = Service::spawn(&need!(binary()));
    let coral = start(&service, &["--root", "main.processPayment"]);
    let before = service.truth();
    for _ in 0..CHECKOUTS {
        service.get("/api/checkout");
    }
    service.get("/api/checkout?cart=empty");
    service.get("/api/checkout?refuse");
    let mut truth = difference(&service.truth(), &before);
    let document = finish(coral);
    assert_eq!(document["root"], "main.processPayment");
    assert_eq!(document["path"], Value::Null);
    let outside = [
        "handle",
        "validateCart",
        "checkInventory",
        "sendConfirmation",
        "loadPage",
    ];
    let is_outside = |name: &str| outside.iter().any(|part| name.contains(part));
    truth.functions.retain(|name, _| !is_outside(name));
    // The empty cart got no further than its validation.
    assert_traced(&document, CHECKOUTS + 1, &truth);
    let root = &document["tree"][0];
    assert_eq!(root["function"], "main.processPayment");
    assert_eq!(root["failed"], 1, "one payment was refused: {document:#}");
}

#[test]
fn a_path_can_be_the_beginning_of_many() {
    let service = Service::spawn(&need!(binary()));
    let coral = start(&service, &["--path", "/api/*"]);
    for path in ["/api/checkout", "/api/list", "/api/none", "/health", "/ap"] {
        service.get(path);
    }
    assert_eq!(finish(coral)["requests"], 3);
}

#[test]
fn a_path_that_nobody_asks_for_is_said_to_have_no_requests() {
    let service = Service::spawn(&need!(binary()));
    for format in ["json", "text"] {
        let mut command = command(&service, &["--path", "/api/refund", "--format", format]);
        let mut coral = Coral::start(&mut command);
        coral.attached().expect("coral attaches");
        service.get("/api/checkout");
        let report = coral.finish();
        assert_eq!(report.status.code(), Some(0), "{report:#?}");
        if format == "json" {
            let document = report.document();
            assert_eq!(document["requests"], 0);
            assert_eq!(document["tree"], Value::Array(Vec::new()));
            assert_eq!(document["analysis"]["slowest"], Value::Null);
        } else {
            assert!(
                report.stdout.contains("0 requests of /api/refund"),
                "{report:#?}"
            );
        }
    }
}

#[test]
fn what_cannot_be_traced_is_said() {
    let service = Service::spawn(&need!(binary()));
    let long = format!("/{}", "x".repeat(48));
    for (arguments, code) in [
        (["--path", long.as_str()], "not-probeable"),
        (["--root", "main.nobody"], "no-such-function"),
        (["--root", "main.*"], "ambiguous-function"),
        (["--path", "api/checkout"], "usage"),
    ] {
        let report = Coral::start(&mut command(&service, &arguments)).wait();
        assert_eq!(report.status.code(), Some(2), "{arguments:?}: {report:#?}");
        assert_eq!(report.error_code(), code, "{arguments:?}");
    }
}

#[test]
fn roots_that_are_left_are_counted_even_if_nothing_in_them_ended() {
    need!(rights::probes());
    for go in need!(compile::gos()) {
        let mut target = Target::spawn(&need!(compile::e2e_go(&go, &[])));
        let mut command = trace_command(target.pid(), &["--root", "main.exits"]);
        let mut coral = Coral::start(command.args(["--format", "json"]));
        coral.attached().expect("coral attaches");
        target.run("exits");
        let document = finish(coral);
        assert_eq!(document["requests"], 0, "{document:#}");
        assert_eq!(document["accounting"]["traces_given_up"], 5, "{document:#}");
        assert_eq!(target.quit().code(), Some(0));
    }
}

fn binary() -> Result<std::path::PathBuf, String> {
    rights::probes()?;
    let gos = compile::gos()?;
    compile::go_http(gos.last().map_or(Path::new("go"), |go| go), &[])
}

fn command(service: &Service, arguments: &[&str]) -> Command {
    trace_command(service.pid(), arguments)
}

fn trace_command(pid: u32, arguments: &[&str]) -> Command {
    let mut command = Command::new(PROGRAM);
    command.args(["debug", "trace", "--budget", "none", "--duration", "300s"]);
    command.args(["--pid", &pid.to_string()]);
    command.args(arguments);
    command
}

fn start(service: &Service, arguments: &[&str]) -> Coral {
    let mut command = command(service, arguments);
    let mut coral = Coral::start(command.args(["--format", "json"]));
    coral.attached().expect("coral attaches");
    coral
}

fn finish(coral: Coral) -> Value {
    let report: Report = coral.finish();
    let document = report.document();
    assert_eq!(document["schema"], "coral.trace.v1");
    document
}

/// Every call of the program's own functions is in the tree, and nothing is missing.
fn assert_traced(document: &Value, requests: u64, truth: &ServiceTruth) {
    assert_eq!(document["requests"], requests, "{document:#}");
    for cause in [
        "missing_calls",
        "traces_given_up",
        "calls_given_up",
        "calls_left_out",
    ] {
        assert_eq!(document["accounting"][cause], 0, "{cause}");
    }
    let nodes = document["tree"].as_array().unwrap();
    for (name, &calls) in &truth.functions {
        let of_function = nodes
            .iter()
            .filter(|node| node["function"] == name.as_str());
        let traced: u64 = of_function
            .map(|node| node["calls"].as_u64().unwrap())
            .sum();
        assert_eq!(traced, calls, "{name}");
    }
    let traces = document["traces"].as_array().unwrap();
    assert_eq!(traces.len() as u64, requests);
    for trace in traces {
        assert_eq!(trace["missing_calls"], 0);
    }
}

fn difference(after: &ServiceTruth, before: &ServiceTruth) -> ServiceTruth {
    let mut difference = after.clone();
    for (name, calls) in &mut difference.functions {
        *calls -= before.functions[name];
    }
    difference
}

fn strings(value: &Value) -> Vec<&str> {
    value
        .as_array()
        .unwrap()
        .iter()
        .filter_map(Value::as_str)
        .collect()
}
