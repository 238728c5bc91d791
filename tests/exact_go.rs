//! Go programs that know their own calls: coral's counts equal theirs, in every scenario.

mod common;

use std::path::{Path, PathBuf};

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

#[test]
fn calling_c_that_calls_back() {
    check_built(compile::cgo);
}

fn check(flags: &[&str]) {
    check_built(|go| compile::go(go, flags));
}

fn check_built(build: impl Fn(&Path) -> Result<PathBuf, String>) {
    need!(rights::probes());
    let mut wrong = Vec::new();
    for go in need!(compile::gos()) {
        let binary = need!(build(&go));
        let found = exact::run_all(&binary);
        wrong.extend(
            found
                .into_iter()
                .map(|found| format!("{}: {found}", go.display())),
        );
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}
