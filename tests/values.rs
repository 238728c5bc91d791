//! What calls receive and return: exactly what the programs pass, hidden where it is secret, and
//! nothing at all where nobody asked.
#![allow(clippy::unwrap_used)] // all of this is tests

mod common;

use std::path::{Path, PathBuf};

use common::need;
use common::session::{function, measure, number, slow_calls, values};
use common::{compile, rights};
use coral_ebpf_common::VALUE_BYTES;

const CAPTURE: [&str; 2] = ["--capture-args", "--capture-return"];

#[test]
fn of_go() {
    need!(rights::probes());
    for go in need!(compile::gos()) {
        let binary = need!(compile::e2e_go(&go, &[]));
        check(
            &binary,
            "main.scalars",
            "values",
            &[
                "count int = 42",
                "debt int32 = -7",
                "paid bool = true",
                "level uint8 = 200",
                "missing *main.cart = nil",
            ],
            &["result int = 35", "result1 bool = false"],
        );
        check(
            &binary,
            "main.texts",
            "values",
            &[
                "user string = \"u_1\"",
                "codes []int = [3, 5, 8]",
                "weight float64 = <in a float register>",
                "request.ID uint64 = 9",
                "request.User string = \"ann\"",
                "request.Amount int = 120",
            ],
            &["result string = \"u_1ann\""],
        );
    }
}

#[test]
fn of_c() {
    for flags in ["-O0", "-O2"] {
        let binary = need!(c(&[flags]));
        check(
            &binary,
            "scalars",
            "values",
            &[
                "debt int = -5",
                "level unsigned char = 250",
                "large long long int = 1099511627776",
                "paid _Bool = true",
            ],
            &["result int = -6"],
        );
        check(
            &binary,
            "texts",
            "values",
            &[
                "name const char* = \"ann\"",
                "missing const char* = nil",
                "unmapped const char* = <fault>",
            ],
            &["result const char* = \"ann\""],
        );
    }
}

#[test]
fn of_rust() {
    need!(rights::probes());
    for level in ["-Copt-level=0", "-Copt-level=2"] {
        let binary = need!(compile::e2e_rust(&[level]));
        check(
            &binary,
            "scalars",
            "values",
            &[
                "debt i64 = -5",
                "level u8 = 250",
                "paid bool = true",
                "letter char = 'x'",
            ],
            &["result i64 = -6"],
        );
        check(
            &binary,
            "texts",
            "values",
            &[
                "name &str = \"ann\"",
                "owned String = \"bob\"",
                "codes &[u32] = [3, 5]",
            ],
            &["result String = \"bob\""],
        );
    }
}

#[test]
fn errors_and_interfaces_of_go() {
    need!(rights::probes());
    for go in need!(compile::gos()) {
        let binary = need!(compile::e2e_go(&go, &[]));
        let (_, report) = measure(&binary, &["main.fails"], &CAPTURE, "errors");
        let document = report.document();
        let mut found: Vec<String> = slow_calls(&document, "main.fails")
            .iter()
            .map(|call| {
                [values(&call["args"]), values(&call["returns"])]
                    .concat()
                    .join("; ")
            })
            .collect();
        found.sort();
        let failed = |amount| {
            let result = "result int = 0; result1 error = *main.outOfStock(\"sku-7\")";
            format!("amount int = {amount}; cause error = nil; {result}")
        };
        let passed = |amount| {
            let [cause, result] = match amount {
                5 => ["*errors.errorString(\"declined\")"; 2],
                _ => ["nil"; 2],
            };
            format!(
                "amount int = {amount}; cause error = {cause}; result int = {amount}; result1 \
                 error = {result}"
            )
        };
        let call = |amount| {
            if amount % 3 == 0 {
                failed(amount)
            } else {
                passed(amount)
            }
        };
        let mut expected: Vec<String> = (1..=10).map(call).collect();
        expected.sort();
        assert_eq!(found, expected);
    }
}

#[test]
fn long_texts_are_cut_and_marked() {
    let go = need!(newest_go());
    let kept: String = ('a'..='z').cycle().take(VALUE_BYTES).collect();
    // C's string needs a byte for its end.
    for (binary, name, kept) in [
        (go, "main.texts", &kept[..]),
        (need!(c(&["-O2"])), "texts", &kept[..VALUE_BYTES - 1]),
    ] {
        let (_, report) = measure(&binary, &[name], &CAPTURE, "long");
        let document = report.document();
        let text = &slow_calls(&document, name)[0]["args"][0]["value"];
        assert_eq!(text, &format!("\"{kept}...\"<truncated>"));
    }
}

#[test]
fn nothing_is_read_that_nobody_asked_for() {
    let binary = need!(newest_go());
    for (options, arguments, results) in [
        (&[][..], 0, 0),
        (&CAPTURE[..1], 6, 0),
        (&CAPTURE[1..], 0, 1),
        // A filter reads arguments, and shows none.
        (&["--filter", "user == \"u_1\""], 0, 0),
    ] {
        let (_, report) = measure(&binary, &["main.texts"], options, "values");
        let document = report.document();
        let calls = slow_calls(&document, "main.texts");
        assert_eq!(calls.len(), 1);
        let found = ["args", "returns"].map(|field| values(&calls[0][field]).len());
        assert_eq!(found, [arguments, results], "{options:?}");
        if arguments == 0 {
            assert!(!report.stdout.contains("u_1\\"), "{}", report.stdout);
        }
    }
}

#[test]
fn secrets_leave_the_agent_in_no_way() {
    let binary = need!(newest_go());
    for format in ["json", "text", "csv"] {
        let directory = tempfile::tempdir().unwrap();
        let recording = directory.path().join("session.coral");
        let record = ["--format", format, "--record", recording.to_str().unwrap()];
        let options = [&CAPTURE[..], &record].concat();
        let (_, report) = measure(&binary, &["main.signIn"], &options, "secrets");
        assert!(report.status.success(), "{report:#?}");
        let recorded = std::fs::read(&recording).unwrap();
        let all = [
            report.stdout.as_bytes(),
            report.stderr.join("").as_bytes(),
            &recorded,
        ]
        .concat();
        for secret in ["open-sesame", "eyJhbGci", "c2lnbmF0dXJl"] {
            let is_there = all.windows(secret.len()).any(|it| it == secret.as_bytes());
            assert!(!is_there, "{secret} in {format}");
        }
        if format == "json" {
            let document = report.document();
            let found = values(&slow_calls(&document, "main.signIn")[0]["args"]);
            assert_eq!(
                found,
                [
                    "user string = \"ann\"",
                    "password string = <redacted>",
                    "header string = \"<redacted>\""
                ]
            );
        }
    }
}

#[test]
fn errors_are_counted_exactly_or_not_at_all() {
    need!(rights::probes());
    let go = |flags: &[&str]| -> Vec<(PathBuf, &'static str, Option<u64>)> {
        let gos = compile::gos().unwrap_or_default();
        let is_stripped = flags.contains(&"-ldflags=-s -w");
        gos.iter()
            .map(|go| compile::e2e_go(go, flags).unwrap())
            .map(|binary| (binary, "main.fails", (!is_stripped).then_some(4)))
            .collect()
    };
    let mut cases = [go(&[]), go(&["-ldflags=-s -w"])].concat();
    for level in ["-Copt-level=0", "-Copt-level=2"] {
        let rust = need!(compile::e2e_rust(&[level]));
        for (name, errors) in [("stock", 10), ("boxed", 4), ("named", 10)] {
            cases.push((rust.clone(), name, Some(errors)));
        }
    }
    for (binary, name, errors) in cases {
        let (truth, report) = measure(&binary, &[name], &[], "errors");
        let document = report.document();
        let function = function(&document, name);
        let found = (number(&function["returns"]), function["errors"].as_u64());
        let expected = (truth.functions[name].calls, errors);
        assert_eq!(found, expected, "{name} of {}", binary.display());
    }
}

fn c(flags: &[&str]) -> Result<PathBuf, String> {
    rights::probes()?;
    compile::e2e_c(flags)
}

fn newest_go() -> Result<PathBuf, String> {
    rights::probes()?;
    let gos = compile::gos()?;
    compile::e2e_go(gos.last().ok_or("no Go")?, &[])
}

fn check(binary: &Path, name: &str, scenario: &str, arguments: &[&str], results: &[&str]) {
    let (_, report) = measure(binary, &[name], &CAPTURE, scenario);
    let document = report.document();
    let calls = slow_calls(&document, name);
    let [call] = calls[..] else {
        panic!("{} calls of {name}: {document:#}", calls.len());
    };
    assert_eq!(values(&call["args"]), arguments, "{}", binary.display());
    assert_eq!(values(&call["returns"]), results, "{}", binary.display());
}
