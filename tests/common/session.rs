//! One session on a target that runs scenarios, and its document.

use std::path::Path;

use serde_json::Value;

use super::coral::{Coral, Report};
use super::target::{Target, Truth};

/// Attaches to functions, runs a scenario, and ends the session.
pub(crate) fn measure(
    binary: &Path,
    functions: &[&str],
    options: &[&str],
    scenario: &str,
) -> (Truth, Report) {
    let mut target = Target::spawn(binary);
    let (coral, _) = Coral::attach(target.pid(), functions, options);
    let truth = target.run(scenario);
    let report = coral.finish();
    assert_eq!(target.quit().code(), Some(0));
    (truth, report)
}

/// The function of that name, or whose name ends with `::` and it.
pub(crate) fn function<'a>(document: &'a Value, name: &str) -> &'a Value {
    let is_meant = |it: &&Value| {
        let full = it["name"].as_str().unwrap_or_default();
        full == name || full.ends_with(&format!("::{name}"))
    };
    let found: Vec<&Value> = list(&document["functions"])
        .iter()
        .filter(is_meant)
        .collect();
    let [function] = found[..] else {
        panic!("{} functions are called {name}: {document:#}", found.len());
    };
    function
}

/// The elements of an array.
pub(crate) fn list(value: &Value) -> &[Value] {
    value
        .as_array()
        .unwrap_or_else(|| panic!("no array: {value:#}"))
}

/// The number there.
pub(crate) fn number(value: &Value) -> u64 {
    value
        .as_u64()
        .unwrap_or_else(|| panic!("no count: {value:#}"))
}

/// The single calls of a function, slowest first.
pub(crate) fn slow_calls<'a>(document: &'a Value, name: &str) -> Vec<&'a Value> {
    let full = &function(document, name)["name"];
    let calls = list(&document["slow_calls"]).iter();
    calls.filter(|call| &call["function"] == full).collect()
}

/// The values of arguments or results, each as `name type = value`.
pub(crate) fn values(of: &Value) -> Vec<String> {
    let text = |value: &Value, field: &str| value[field].as_str().unwrap_or_default().to_owned();
    list(of)
        .iter()
        .map(|it| {
            format!(
                "{} {} = {}",
                text(it, "name"),
                text(it, "type"),
                text(it, "value")
            )
        })
        .collect()
}

/// What became of single calls adds up to the returns.
pub(crate) fn assert_records_balance(document: &Value) {
    let accounting = &document["accounting"];
    let causes = [
        "events_stored",
        "sampled_out",
        "filtered_out",
        "throttled",
        "ring_full",
    ];
    let records: u64 = causes.map(|cause| number(&accounting[cause])).iter().sum();
    let functions = list(&document["functions"]).iter();
    let returns: u64 = functions.map(|function| number(&function["returns"])).sum();
    assert_eq!(records, returns, "{accounting:#}");
}
