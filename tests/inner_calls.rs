//! What slow calls spent their time in equals what the programs called.
#![allow(clippy::unwrap_used)] // all of this is tests

mod common;

use std::thread::sleep;
use std::time::Duration;

use common::coral::Coral;
use common::need;
use common::session::{list, measure, number, slow_calls};
use common::target::Target;
use common::{compile, rights};
use serde_json::Value;

#[test]
fn of_threads() {
    need!(rights::probes());
    for level in ["-O0", "-O2"] {
        let binary = need!(compile::e2e_c(&[level]));
        let functions = ["outer", "descend", "inner"];
        let document = measure(&binary, &functions, &[], "tree").1.document();
        let outer = slow_calls(&document, "outer");
        assert_eq!(outer.len(), 10);
        for call in outer {
            assert_eq!(inside(call), vec![("inner".to_owned(), 1); 3]);
        }
        let depths: Vec<_> = slow_calls(&document, "descend")
            .into_iter()
            .map(|call| inside(call).iter().map(|(_, depth)| *depth).max())
            .collect();
        // The innermost calls nothing but `inner`.
        assert_eq!(depths, [Some(4), Some(3), Some(2), Some(1)]);
        let inner = slow_calls(&document, "inner");
        assert_eq!(inner.len(), 10);
        for call in inner {
            assert_eq!(inside(call), []);
        }
    }
}

#[test]
fn of_goroutines() {
    need!(rights::probes());
    let functions = ["main.parent", "main.child", "main.leaf"];
    for go in need!(compile::gos()) {
        let binary = need!(compile::e2e_go(&go, &[]));
        let options = ["--capture-args"];
        let document = measure(&binary, &functions, &options, "tree").1.document();
        let parents = slow_calls(&document, "main.parent");
        assert_eq!(parents.len(), 2);
        for parent in &parents {
            let children = list(&parent["inner"]).iter();
            let children = children.filter(|call| call["depth"] == 1);
            let arguments: Vec<_> = children
                .map(|call| call["args"][0]["value"].clone())
                .collect();
            // Each is called with one more than the one before.
            let expected: Vec<_> = (0..arguments.len()).map(|i| i.to_string()).collect();
            assert_eq!(arguments, expected);
        }
        let all: Vec<_> = parents.into_iter().flat_map(inside).collect();
        let count = |name: &str, depth| {
            let is_meant = |call: &&(String, u64)| call.0 == name && call.1 == depth;
            all.iter().filter(is_meant).count()
        };
        assert_eq!(count("main.child", 1), 11);
        assert_eq!(count("main.leaf", 2), 6);
        assert_eq!(all.len(), 17);
    }
}

#[test]
fn what_made_no_record_is_missing_and_nothing_else() {
    need!(rights::probes());
    let binary = need!(compile::e2e_c(&["-O0"]));
    let functions = ["outer", "second", "inner"];
    // Of `inner`, the ten slowest calls make records whatever is sampled.
    let options = ["--sample-rate", "1000000"];
    let mut target = Target::spawn(&binary);
    let (coral, _) = Coral::attach(target.pid(), &functions, &options);
    // As long as the session has not looked, every call is among the slowest.
    target.run("tree");
    sleep(Duration::from_millis(500));
    for _ in 0..100 {
        target.run("tree");
    }
    let document = coral.finish().document();
    assert_eq!(target.quit().code(), Some(0));
    let calls = slow_calls(&document, "outer");
    let told: usize = calls.iter().map(|call| inside(call).len()).sum();
    let missing: u64 = calls
        .iter()
        .map(|call| number(&call["inner_missing_ns"]))
        .sum();
    assert_eq!(calls.len(), 10);
    assert!(told < 30 && missing > 0, "{told}, {missing}: {document:#}");
}

#[test]
fn what_a_filter_keeps_off_is_missing() {
    need!(rights::probes());
    let binary = need!(compile::e2e_c(&["-O0"]));
    // Of the three calls that each `outer` makes, the last one: `inner(2)`.
    let options = ["--filter", "x > 1"];
    let document = measure(&binary, &["outer", "inner"], &options, "tree")
        .1
        .document();
    let calls = slow_calls(&document, "outer");
    assert_eq!(calls.len(), 8);
    for call in calls {
        assert_eq!(inside(call), [("inner".to_owned(), 1)]);
        assert!(number(&call["inner_missing_ns"]) > 0, "{call:#}");
    }
}

/// The names and depths of the calls inside of one, once they are known to lie within it and their
/// times to add up to its own.
fn inside(call: &Value) -> Vec<(String, u64)> {
    let duration_ns = number(&call["duration_ns"]);
    let mut sum_ns = number(&call["self_ns"]) + number(&call["inner_missing_ns"]);
    let inner = list(&call["inner"]);
    for (id, inside) in inner.iter().enumerate() {
        let start_ns = number(&inside["started_after_ns"]);
        let end_ns = start_ns + number(&inside["duration_ns"]);
        let (parent_start_ns, parent_end_ns) = match inside["parent"].as_u64() {
            Some(parent) => {
                assert!(parent < id as u64, "{call:#}");
                let parent = &inner[parent as usize];
                let start_ns = number(&parent["started_after_ns"]);
                (start_ns, start_ns + number(&parent["duration_ns"]))
            }
            None => (0, duration_ns),
        };
        assert!(
            parent_start_ns <= start_ns && end_ns <= parent_end_ns,
            "{call:#}"
        );
        sum_ns += number(&inside["self_ns"]);
    }
    assert_eq!(sum_ns, duration_ns, "{call:#}");
    let row = |inner: &Value| {
        let name = inner["function"].as_str().unwrap().to_owned();
        (name, number(&inner["depth"]))
    };
    inner.iter().map(row).collect()
}
