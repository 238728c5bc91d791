//! Filters over arguments: which single calls are recorded. What is counted stays exact.
#![allow(clippy::unwrap_used)] // all of this is tests

mod common;

use std::path::PathBuf;
use std::sync::Arc;

use common::coral::Coral;
use common::need;
use common::session::{
    assert_records_balance, function, list, measure, number, slow_calls, values,
};
use common::target::Target;
use common::{compile, rights};
use coral_model::filter::Expression;
use coral_model::{Limits, Snapshot};
use coral_tui::agent::{Agent, AttachRequest, Watched};
use coral_tui::source::{local, select};

/// How many payments the programs make: of 185 to 194 in turn, by `u_0`, `u_1` and `u_2` in turn.
const PAYMENTS: u64 = 60;

/// How many of them are so.
fn count(is_so: impl Fn(u64, u64) -> bool) -> u64 {
    let payments = (0..PAYMENTS).filter(|i| is_so(185 + i % 10, i % 3));
    payments.count() as u64
}

#[test]
fn exactly_the_matching_calls_are_recorded() {
    let both = "amount > 190 and user == \"u_1\"";
    for (binary, name) in need!(programs()) {
        check(
            &binary,
            name,
            both,
            count(|amount, user| amount > 190 && user == 1),
        );
        let either = "amount <= 186 or not user starts_with \"u_\"";
        check(&binary, name, either, count(|amount, _| amount <= 186));
        check(
            &binary,
            name,
            "#1 == 190 or #1 == 191",
            count(|it, _| it / 2 == 95),
        );
        check(&binary, name, "amount == -1", 0);
        check(&binary, name, "amount != -1", PAYMENTS);
    }
}

fn check(binary: &std::path::Path, name: &str, filter: &str, expected: u64) {
    let (truth, report) = measure(binary, &[name], &["--filter", filter], "pay");
    let document = report.document();
    let payments = function(&document, name);
    for field in ["calls", "returns"] {
        assert_eq!(
            number(&payments[field]),
            truth.functions[name].calls,
            "{filter}"
        );
    }
    let accounting = &document["accounting"];
    let records = ["events_stored", "filtered_out"].map(|cause| number(&accounting[cause]));
    assert_eq!(records, [expected, PAYMENTS - expected], "{name}: {filter}");
    assert_records_balance(&document);
    assert_eq!(slow_calls(&document, name).len() as u64, expected.min(10));
}

#[test]
fn what_matches_is_what_is_shown() {
    let (binary, name) = need!(programs()).remove(0);
    let options = [
        "--capture-args",
        "--filter",
        "amount > 190 and user == \"u_1\"",
    ];
    let (_, report) = measure(&binary, &[name], &options, "pay");
    for call in slow_calls(&report.document(), name) {
        let [amount, user] = &values(&call["args"])[..] else {
            panic!("{call:#}");
        };
        let amount: u64 = amount.rsplit(' ').next().unwrap().parse().unwrap();
        assert!(amount > 190 && user.ends_with("= \"u_1\""), "{call:#}");
    }
}

#[test]
fn a_filter_that_does_not_fit_is_refused() {
    let binary = need!(programs()).remove(0).0;
    let target = Target::spawn(&binary);
    for (filter, code) in [
        ("price > 190", "bad-filter"),
        ("amount == \"u_1\"", "bad-filter"),
        ("user > 3", "bad-filter"),
        ("amount >", "bad-filter"),
        ("", "bad-filter"),
    ] {
        let coral = Coral::start_attach(target.pid(), &["main.pay"], &["--filter", filter]);
        let report = coral.wait();
        assert_eq!(report.status.code(), Some(2), "{filter}: {report:#?}");
        assert_eq!(report.error_code(), code, "{filter}");
    }
}

#[test]
fn functions_that_a_filter_does_not_fit_are_counted_and_not_recorded() {
    let binary = need!(programs()).remove(0).0;
    let mut target = Target::spawn(&binary);
    let functions = ["main.pay", "main.signIn"];
    let options = ["--filter", "amount == 185", "--format", "json"];
    let mut coral = Coral::start_attach(target.pid(), &functions, &options);
    assert!(coral.attached().is_some());
    target.run("pay");
    target.run("secrets");
    let report = coral.finish();
    let document = report.document();
    assert_eq!(number(&function(&document, "main.signIn")["calls"]), 1);
    let stored = count(|amount, _| amount == 185);
    assert_eq!(number(&document["accounting"]["events_stored"]), stored);
    assert_eq!(slow_calls(&document, "main.signIn").len(), 0);
    let [notice] = list(&document["notices"]) else {
        panic!("{document:#}");
    };
    let notice = notice.as_str().unwrap();
    assert!(
        notice.starts_with("the filter does not fit 1 of"),
        "{notice}"
    );
    assert!(report.says(notice), "{report:#?}");
}

#[test]
fn a_function_without_arguments_fits_no_filter_either() {
    need!(rights::probes());
    let binary = need!(compile::e2e_c(&["-O0"]));
    let options = ["--filter", "amount == 185"];
    let (_, report) = measure(&binary, &["pay", "run_pay"], &options, "pay");
    let document = report.document();
    assert_eq!(number(&function(&document, "run_pay")["calls"]), 1);
    let stored = count(|amount, _| amount == 185);
    assert_eq!(number(&document["accounting"]["events_stored"]), stored);
    assert!(slow_calls(&document, "run_pay").is_empty());
}

#[test]
fn the_filter_of_a_running_session_can_change() {
    for (binary, name) in need!(programs()) {
        let mut target = Target::spawn(&binary);
        let opened = local::open(target.pid(), &[]).unwrap();
        let watched = Arc::new(Watched {
            symbols: opened.symbols.completed(),
            ..opened
        });
        let functions = select(watched.table(), &[name.to_owned()]).unwrap();
        let request = AttachRequest::new(functions, "a test".into());
        let agent = Agent::new(Limits::default());
        let (session, _) = agent.attach(watched, &request).unwrap();
        let mut run_with = |filter: Option<&str>| {
            let filter = filter.map(|filter| Expression::parse(filter).unwrap());
            session.set_filter(filter).unwrap();
            target.run("pay");
        };
        run_with(None);
        run_with(Some("amount == 185"));
        run_with(Some("user == \"u_2\""));
        run_with(None);
        let misfit = Expression::parse("price > 1").unwrap();
        assert!(session.set_filter(Some(misfit)).is_err());
        target.run("pay");
        let snapshot: Arc<Snapshot> = session.detach();
        let recorded = 3 * PAYMENTS + count(|amount, _| amount == 185) + count(|_, user| user == 2);
        assert_eq!(snapshot.functions[0].calls, 5 * PAYMENTS);
        assert_eq!(snapshot.accounting.events_stored, recorded, "{name}");
        assert_eq!(snapshot.accounting.filtered_out, 5 * PAYMENTS - recorded);
        assert!(
            snapshot
                .slow_calls
                .iter()
                .all(|call| call.arguments.is_empty())
        );
    }
}

#[test]
fn durations_and_samples_choose_too() {
    let (binary, name) = need!(programs()).remove(0);
    for (options, cause) in [
        (["--min-duration", "10s"], "filtered_out"),
        (["--max-duration", "1ns"], "filtered_out"),
    ] {
        let (_, report) = measure(&binary, &[name], &options, "pay");
        let document = report.document();
        assert_eq!(
            number(&document["accounting"][cause]),
            PAYMENTS,
            "{options:?}"
        );
        assert_eq!(number(&function(&document, name)["calls"]), PAYMENTS);
        assert_eq!(list(&document["slow_calls"]).len(), 0);
    }
}

/// Programs that pay, and what their functions for it are called.
fn programs() -> Result<Vec<(PathBuf, &'static str)>, String> {
    rights::probes()?;
    let mut programs = Vec::new();
    for go in compile::gos()? {
        programs.push((compile::e2e_go(&go, &[])?, "main.pay"));
    }
    for flags in ["-O0", "-O2"] {
        programs.push((compile::e2e_c(&[flags])?, "pay"));
    }
    for level in ["-Copt-level=0", "-Copt-level=2"] {
        programs.push((compile::e2e_rust(&[level])?, "pay"));
    }
    Ok(programs)
}
