use std::collections::BTreeMap;
use std::fs;

use object::{Object, ObjectSymbol};
use serde::Deserialize;

use super::*;

#[derive(Debug, Deserialize)]
struct Count {
    calls: u64,
    returns: u64,
    unwound: u64,
    errors: u64,
}

const FUNCTIONS: [&str; 7] = [
    "callExternalAPI",
    "checkInventory",
    "handleCheckout",
    "processPayment",
    "sendConfirmation",
    "validateCard",
    "validateCart",
];

#[test]
fn the_service_has_its_functions_under_their_names() {
    let file = object::File::parse(CHECKOUT).unwrap();
    let names: Vec<String> = file
        .symbols()
        .map(|symbol| format!("{:#}", rustc_demangle::demangle(symbol.name().unwrap())))
        .collect();
    for function in FUNCTIONS {
        let name = format!("checkout::{function}");
        assert_eq!(
            names.iter().filter(|other| **other == name).count(),
            1,
            "{name}"
        );
    }
    assert!(file.has_debug_symbols());
}

#[test]
fn the_service_runs_and_counts_its_own_calls() {
    let demo = Demo::start().unwrap();
    let name = fs::read_to_string(format!("/proc/{}/comm", demo.pid())).unwrap();
    assert_eq!(name, "checkout\n");
    let silence = demo.lines.recv_timeout(Duration::from_secs(1));
    assert_eq!(
        silence,
        Err(mpsc::RecvTimeoutError::Timeout),
        "it serves and says nothing"
    );
    let truth: BTreeMap<String, Count> = serde_json::from_str(&demo.stop().unwrap()).unwrap();
    assert_eq!(truth.keys().collect::<Vec<_>>(), FUNCTIONS.each_ref());
    for (function, count) in &truth {
        assert_eq!(count.calls, count.returns + count.unwound, "{function}");
    }
    let calls = |function: &str| truth[function].calls;
    assert!(calls("handleCheckout") > 0);
    let payments = &truth["processPayment"];
    assert_eq!(calls("validateCart"), calls("handleCheckout"));
    assert_eq!(payments.calls, truth["validateCart"].returns);
    assert_eq!(calls("callExternalAPI"), payments.calls);
    assert_eq!(calls("sendConfirmation"), payments.calls - payments.errors);
    assert_eq!(
        truth["handleCheckout"].unwound,
        truth["validateCart"].unwound
    );
}

#[test]
fn dropping_it_ends_it() {
    let demo = Demo::start().unwrap();
    let process = format!("/proc/{}", demo.pid());
    assert!(fs::exists(&process).unwrap());
    drop(demo);
    assert!(!fs::exists(&process).unwrap());
}

#[test]
fn a_service_that_does_not_end_is_killed() {
    let demo = Demo::start().unwrap();
    let pid = rustix::process::Pid::from_raw(demo.pid() as i32).unwrap();
    rustix::process::kill_process(pid, rustix::process::Signal::STOP).unwrap();
    let process = format!("/proc/{}", demo.pid());
    drop(demo);
    assert!(!fs::exists(&process).unwrap());
}
