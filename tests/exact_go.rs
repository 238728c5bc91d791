//! Go programs that know their own calls: coral's counts equal theirs, in every scenario.

mod common;

use common::need;
use common::{compile, exact, rights};

#[test]
fn optimised() {
    check(&[]);
}

#[test]
fn without_optimisation_or_inlining() {
    check(&["-gcflags=all=-N -l"]);
}

#[test]
fn without_symbols_or_debug_information() {
    check(&["-ldflags=-s -w", "-trimpath"]);
}

#[test]
fn position_independent() {
    check(&["-buildmode=pie"]);
}

fn check(flags: &[&str]) {
    need!(rights::probes());
    let mut wrong = Vec::new();
    for go in need!(compile::gos()) {
        let binary = need!(compile::go(&go, flags));
        let found = exact::run_all(&binary);
        wrong.extend(
            found
                .into_iter()
                .map(|found| format!("{}: {found}", go.display())),
        );
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}
