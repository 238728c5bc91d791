//! The call tree equals the programs' own calls, by path.
#![allow(clippy::unwrap_used)] // all of this is tests

mod common;

use std::path::{Path, PathBuf};

use common::need;
use common::session::{list, measure, number};
use common::{compile, rights};
use serde_json::Value;

const C_FUNCTIONS: [&str; 4] = ["outer", "second", "descend", "inner"];

#[test]
fn callers_of_one_function_are_kept_apart() {
    for flags in ["-O0", "-O2"] {
        let document = measured(&need!(c(flags)), &C_FUNCTIONS, &[], "tree");
        assert_eq!(
            paths(&document),
            [
                ("descend", 4),
                ("descend > inner", 4),
                ("outer", 10),
                ("outer > inner", 30),
                ("second", 5),
                ("second > inner", 10),
            ]
            .map(|(path, calls)| (path.to_owned(), calls))
        );
        assert_times_add_up(&document);
    }
}

#[test]
fn recursion_is_one_node_or_one_each_level() {
    let binary = need!(c("-O0"));
    let only = ["descend", "inner"];
    let folded = measured(&binary, &only, &[], "tree");
    let shown = measured(&binary, &only, &["--show-recursion"], "tree");
    let of_descend = |document: &Value| -> Vec<(String, u64)> {
        let paths = paths(document).into_iter();
        paths
            .filter(|(path, _)| path.starts_with("descend"))
            .collect()
    };
    assert_eq!(
        of_descend(&folded),
        [("descend".to_owned(), 4), ("descend > inner".to_owned(), 4)]
    );
    let expected = (1..=4).flat_map(|level| {
        let path = vec!["descend"; level].join(" > ");
        [(path.clone(), 1), (format!("{path} > inner"), 1)]
    });
    let mut expected: Vec<(String, u64)> = expected.collect();
    expected.sort();
    assert_eq!(of_descend(&shown), expected);
    for document in [&folded, &shown] {
        assert_times_add_up(document);
    }
}

#[test]
fn goroutines_do_not_mix() {
    need!(rights::probes());
    let functions = ["main.parent", "main.child", "main.leaf"];
    for go in need!(compile::gos()) {
        for flags in [&[][..], &["-ldflags=-s -w"]] {
            let binary = need!(compile::e2e_go(&go, flags));
            let document = measured(&binary, &functions, &[], "tree");
            assert_eq!(
                paths(&document),
                [
                    ("main.parent", 2),
                    ("main.parent > main.child", 11),
                    ("main.parent > main.child > main.leaf", 6),
                ]
                .map(|(path, calls)| (path.to_owned(), calls))
            );
            assert_times_add_up(&document);
        }
    }
}

fn c(level: &str) -> Result<PathBuf, String> {
    rights::probes()?;
    compile::e2e_c(&[level])
}

fn measured(binary: &Path, functions: &[&str], options: &[&str], scenario: &str) -> Value {
    let (truth, report) = measure(binary, functions, options, scenario);
    let document = report.document();
    for name in functions {
        let nodes = list(&document["call_tree"]).iter();
        let of_function = nodes.filter(|node| node["function"] == *name);
        let calls: u64 = of_function.map(|node| number(&node["calls"])).sum();
        assert_eq!(calls, truth.functions[*name].calls, "{name}");
    }
    document
}

/// Every path and its calls, in the order of their names. Parents stand before their children.
fn paths(document: &Value) -> Vec<(String, u64)> {
    let mut paths: Vec<(String, u64)> = Vec::new();
    for (place, node) in list(&document["call_tree"]).iter().enumerate() {
        assert_eq!(number(&node["id"]), place as u64);
        let function = node["function"].as_str().unwrap();
        let path = match node["parent"].as_u64() {
            Some(parent) => {
                let parent = parent as usize;
                assert!(parent < place, "a parent stands before its children");
                let depth = &document["call_tree"][parent]["depth"];
                assert_eq!(number(&node["depth"]), number(depth) + 1);
                format!("{} > {function}", paths[parent].0)
            }
            None => {
                assert_eq!(number(&node["depth"]), 0);
                function.to_owned()
            }
        };
        paths.push((path, number(&node["calls"])));
    }
    paths.sort();
    paths
}

/// All time of the roots is some node's own; and a node's own is what its function's is.
fn assert_times_add_up(document: &Value) {
    let nodes = list(&document["call_tree"]);
    let sum = |field: &str, is_meant: &dyn Fn(&Value) -> bool| -> u64 {
        let meant = nodes.iter().filter(|node| is_meant(node));
        meant.map(|node| number(&node[field])).sum()
    };
    let roots = sum("total_ns", &|node| node["parent"].is_null());
    assert_eq!(sum("self_ns", &|_| true), roots, "{nodes:#?}");
    assert!(roots > 0);
    for function in list(&document["functions"]) {
        let own = sum("self_ns", &|node| node["function"] == function["name"]);
        assert_eq!(own, number(&function["self_ns"]), "{}", function["name"]);
    }
    for node in nodes {
        assert_eq!(
            (number(&node["unwound"]), &node["calls"]),
            (0, &node["returns"])
        );
    }
}
