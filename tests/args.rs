//! Values of arguments and results, held against those that the calls were made with.
#![allow(clippy::unwrap_used)] // all of this is tests

mod common;

use std::collections::BTreeMap;
use std::path::Path;

use common::coral::Coral;
use common::need;
use common::target::Target;
use common::{compile, rights};
use serde::Deserialize;
use serde_json::Value;

/// As many calls of each function as a session keeps whole.
const CALLS: usize = 4;

/// What a function was called with.
#[derive(Debug, Deserialize)]
struct Known {
    calls: usize,
    last: Vec<Call>,
}

/// The values of one call.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Deserialize)]
struct Call {
    args: Vec<Named>,
    results: Vec<Named>,
}

#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Deserialize)]
struct Named {
    name: String,
    value: String,
}

#[test]
fn c_unoptimised() {
    check(
        &need!(compile::args_c(&["-O0"])),
        &["order", "narrow", "find"],
    );
}

#[test]
fn c_optimised() {
    check(
        &need!(compile::args_c(&["-O2"])),
        &["order", "narrow", "find"],
    );
}

#[test]
fn go() {
    for go in need!(compile::gos()) {
        // Floating-point registers are out of a probe's reach: `main.floats` has no values.
        let functions = [
            "main.integers",
            "main.text",
            "main.slices",
            "main.submit",
            "main.handle",
        ];
        check(&need!(compile::args_go(&go)), &functions);
    }
}

fn check(binary: &Path, functions: &[&str]) {
    need!(rights::probes());
    let mut target = Target::spawn(binary);
    let options = ["--capture-args", "--capture-return"];
    let (coral, _) = Coral::attach(target.pid(), functions, &options);
    let known: BTreeMap<String, Known> = target.ask(&format!("run args {CALLS}"));
    let document = coral.finish().document();
    for &function in functions {
        let known = &known[function];
        assert_eq!(known.calls, CALLS);
        let mut expected = known.last.clone();
        let mut found = found(&document, function);
        expected.sort();
        found.sort();
        assert_eq!(found, expected, "{function}");
    }
    assert_eq!(target.quit().code(), Some(0));
}

fn found(document: &Value, function: &str) -> Vec<Call> {
    let calls = document["slow_calls"].as_array().unwrap();
    let of_function = calls.iter().filter(|call| call["function"] == function);
    of_function
        .map(|call| Call {
            args: serde_json::from_value(call["args"].clone()).unwrap(),
            results: unnamed(&call["returns"]),
        })
        .collect()
}

/// Results have no names in these programs; the tool makes some up.
fn unnamed(values: &Value) -> Vec<Named> {
    let values: Vec<Named> = serde_json::from_value(values.clone()).unwrap();
    let unnamed = values.into_iter().map(|value| Named {
        name: String::new(),
        ..value
    });
    unnamed.collect()
}
