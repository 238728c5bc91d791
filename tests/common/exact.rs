//! Holds a session document against the truth. Everything is compared for equality.

use std::path::Path;

use serde_json::Value;

use super::code;
use super::coral::{Coral, Report};
use super::target::{Calls, Target, Truth};
use super::tree;

/// What makes hits: all other counts of the accounting add up to them.
const HIT_CAUSES: [&str; 8] = [
    "aggregated",
    "events_stored",
    "sampled_out",
    "filtered_out",
    "throttled",
    "ring_full",
    "map_full",
    "unmatched_exits",
];

/// Runs every scenario of a target without and with probes; all differences, which should be none.
pub(crate) fn run_all(binary: &Path) -> Vec<String> {
    let scenarios = Target::spawn(binary).scenarios();
    assert!(!scenarios.is_empty());
    let wrong = scenarios.iter().flat_map(|scenario| {
        let wrong = run(binary, scenario);
        wrong
            .into_iter()
            .map(move |wrong| format!("{scenario}: {wrong}"))
    });
    wrong.collect()
}

/// Runs one scenario without and with probes; all differences, which should be none.
pub(crate) fn run(binary: &Path, scenario: &str) -> Vec<String> {
    let mut target = Target::spawn(binary);
    let unprobed = target.run(scenario);
    let functions: Vec<&String> = unprobed.functions.keys().collect();
    let mut coral = Coral::start_attach(target.pid(), &functions, &[]);
    let Some(attached) = coral.attached() else {
        return vec![format!("not attached: {}", coral.wait().stderr.join("; "))];
    };
    let changed = code::changed(target.pid()).len() as u64;
    let truth = target.run(scenario);
    let report = coral.finish();
    let mut wrong = differences(&truth, &report);
    let mut expect = |what: &str, found: &dyn std::fmt::Debug, expected: &dyn std::fmt::Debug| {
        let (found, expected) = (format!("{found:?}"), format!("{expected:?}"));
        if found != expected {
            wrong.push(format!("{what} is {found} and not {expected}"));
        }
    };
    expect(
        "the number of functions",
        &attached.functions,
        &functions.len(),
    );
    expect(
        "the number of changed bytes while attached",
        &changed,
        &attached.probes,
    );
    expect(
        "the number of detached probes",
        &report.detached_probes(),
        &attached.probes,
    );
    expect(
        "the checksum with probes",
        &truth.checksum,
        &unprobed.checksum,
    );
    expect(
        "the code that is changed afterwards",
        &code::changed(target.pid()),
        &[0u64; 0],
    );
    let again = target.run(scenario);
    expect(
        "the checksum afterwards",
        &again.checksum,
        &unprobed.checksum,
    );
    expect("the target's end", &target.quit().code(), &Some(0));
    wrong
}

/// All differences between what a scenario knows and what a session says.
pub(crate) fn differences(truth: &Truth, report: &Report) -> Vec<String> {
    let document = report.document();
    let mut wrong = Wrong(Vec::new());
    let found = document["functions"].as_array().map_or(0, Vec::len);
    wrong.unless_equal(
        "the number of functions",
        found as u64,
        truth.functions.len() as u64,
    );
    for (name, calls) in &truth.functions {
        let mut functions = document["functions"].as_array().into_iter().flatten();
        // A pattern, because a C++ program knows its names without their parameters.
        let pattern = coral_model::Pattern::parse(name).unwrap();
        let is_meant = |function: &&serde_json::Value| {
            function["name"]
                .as_str()
                .is_some_and(|name| pattern.matches(name))
        };
        match functions.find(is_meant) {
            Some(function) if function["exit_probe"] == "return_sites" => {
                if truth.stacks_switch {
                    wrong.check_counts(name, function, calls);
                } else {
                    wrong.check_function(name, function, calls);
                }
            }
            Some(function) => wrong.0.push(format!("{name} is without exits: {function}")),
            None => wrong.0.push(format!("{name} is not in the document")),
        }
    }
    wrong.check_durations(truth, &document);
    wrong.check_futures(truth, &document);
    if truth.stacks_switch {
        wrong.check_unmatched(truth, &document);
    } else {
        wrong.check_accounting(&document["accounting"]);
        wrong.0.extend(tree::differences(truth, &document));
    }
    for (what, &count) in &truth.provoked {
        if count == 0 {
            wrong.0.push(format!("the scenario met no {what}"));
        }
    }
    wrong.0
}

struct Wrong(Vec<String>);

impl Wrong {
    fn unless_equal(&mut self, what: &str, found: u64, expected: u64) {
        if found != expected {
            self.0.push(format!("{what} is {found} and not {expected}"));
        }
    }

    fn unless(&mut self, what: &str, is_so: bool) {
        if !is_so {
            self.0.push(format!("not so: {what}"));
        }
    }

    fn check_function(&mut self, name: &str, function: &Value, truth: &Calls) {
        let of = |field: &str| format!("{field} of {name}");
        let [calls, returns, unwound, in_flight] =
            ["calls", "returns", "unwound", "in_flight"].map(|field| number(&function[field]));
        self.unless_equal(&of("calls"), calls, truth.calls);
        self.unless_equal(&of("returns"), returns, truth.returns);
        self.unless_equal(
            &of("unwound + in_flight"),
            unwound + in_flight,
            truth.unwound + truth.unwound_or_in_flight,
        );
        if truth.unwound_or_in_flight == 0 {
            self.unless_equal(&of("in_flight"), in_flight, 0);
        }
        self.unless_equal(
            &of("returns + unwound + in_flight"),
            returns + unwound + in_flight,
            calls,
        );
        if let (Some(errors), Some(truth)) = (function["errors"].as_u64(), truth.errors) {
            self.unless_equal(&of("errors"), errors, truth);
        }
        self.check_latency(name, function, returns);
    }

    /// Where stacks switch: every call is counted, and no return that was none.
    fn check_counts(&mut self, name: &str, function: &Value, truth: &Calls) {
        let of = |field: &str| format!("{field} of {name}");
        let [calls, returns, unwound, in_flight] =
            ["calls", "returns", "unwound", "in_flight"].map(|field| number(&function[field]));
        self.unless_equal(&of("calls"), calls, truth.calls);
        self.unless(&of("returns that were"), returns <= truth.returns);
        self.unless_equal(
            &of("returns + unwound + in_flight"),
            returns + unwound + in_flight,
            calls,
        );
        self.check_latency(name, function, returns);
    }

    /// Where stacks switch: every return that was not paired is known to be missing.
    fn check_unmatched(&mut self, truth: &Truth, document: &Value) {
        let known: u64 = truth.functions.values().map(|calls| calls.returns).sum();
        let functions = document["functions"].as_array().into_iter().flatten();
        let found: u64 = functions.map(|function| number(&function["returns"])).sum();
        let unmatched = number(&document["accounting"]["unmatched_exits"]);
        self.unless_equal("returns + unmatched_exits", found + unmatched, known);
    }

    fn check_futures(&mut self, truth: &Truth, document: &Value) {
        for (name, known) in &truth.futures {
            let mut functions = document["functions"].as_array().into_iter().flatten();
            let polled = |function: &&Value| {
                let polled = function["name"].as_str().unwrap_or_default();
                polled.starts_with(&format!("{name}::{{")) && !function["joined"].is_null()
            };
            let joined = &functions.find(polled).unwrap_or(&Value::Null)["joined"];
            let found = ["calls", "completed", "polls", "dropped"].map(|it| number(&joined[it]));
            let expected = [known.calls, known.completed, known.polls, known.dropped];
            if found != expected {
                let what = "calls, completed, polls and dropped of";
                self.0
                    .push(format!("{what} {name} are {found:?} and not {expected:?}"));
            }
            let total_ns = number(&joined["latency"]["total_ns"]);
            let is_possible = (1..=total_ns).contains(&number(&joined["busy_ns"]));
            self.unless(
                &format!("busy time of {name} within its calls"),
                is_possible,
            );
        }
    }

    fn check_latency(&mut self, name: &str, function: &Value, returns: u64) {
        let of = |field: &str| format!("{field} of {name}");
        let latency = &function["latency"];
        let buckets = function["histogram"].as_array().into_iter().flatten();
        let in_buckets = buckets.map(|bucket| number(&bucket["count"])).sum();
        self.unless_equal(&of("latency.count"), number(&latency["count"]), returns);
        self.unless_equal(&of("the histogram's sum"), in_buckets, returns);
        let order = [
            "min_ns", "p50_ns", "p90_ns", "p95_ns", "p99_ns", "p999_ns", "max_ns",
        ]
        .map(|field| number(&latency[field]));
        self.unless(&of("ascending percentiles"), order.is_sorted());
        let total = number(&latency["total_ns"]);
        let (shortest, longest) = (returns * order[0], returns * order[6]);
        self.unless(
            &of("total_ns between its bounds"),
            (shortest..=longest).contains(&total),
        );
    }

    /// What a probe measures lies between the time inside of the calls and the time around them.
    fn check_durations(&mut self, truth: &Truth, document: &Value) {
        for (name, known) in &truth.durations_ns {
            let mut functions = document["functions"].as_array().into_iter().flatten();
            let function = functions.find(|function| function["name"] == name.as_str());
            let latency = &function.unwrap_or(&Value::Null)["latency"];
            for (field, inside, around) in [
                ("min_ns", known.inside_min, known.min),
                ("max_ns", known.inside_max, known.max),
                ("total_ns", known.inside_total, known.total),
            ] {
                let measured = number(&latency[field]);
                let what = format!("{inside} <= {measured} <= {around} for {field} of {name}");
                self.unless(&what, (inside..=around).contains(&measured));
            }
        }
    }

    fn check_accounting(&mut self, accounting: &Value) {
        self.unless_equal(
            "the sum of the accounting",
            causes(accounting),
            number(&accounting["hits"]),
        );
        self.unless_equal("unmatched_exits", number(&accounting["unmatched_exits"]), 0);
        self.unless_equal("map_full", number(&accounting["map_full"]), 0);
    }
}

/// What the hits of a session's accounting add up to.
pub(crate) fn causes(accounting: &Value) -> u64 {
    HIT_CAUSES
        .iter()
        .map(|cause| number(&accounting[*cause]))
        .sum()
}

/// The number, or one that equals no count.
fn number(value: &Value) -> u64 {
    value.as_u64().unwrap_or(u64::MAX / 16)
}
