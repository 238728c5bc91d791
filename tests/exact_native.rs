//! C, C++ and Rust programs that know their own calls: coral's counts equal theirs, in every
//! scenario.

mod common;

use std::path::PathBuf;

use common::need;
use common::{compile, exact, rights};

#[test]
fn c_unoptimised() {
    check(compile::c(&["-O0"]));
}

#[test]
fn c_optimised() {
    check(compile::c(&["-O2"]));
}

#[test]
fn c_highly_optimised_without_frame_tables() {
    let flags = ["-O3", "-fno-asynchronous-unwind-tables"];
    check(compile::c(&flags));
}

#[test]
fn c_with_control_flow_protection() {
    check(compile::c(&["-O2", "-fcf-protection=full"]));
}

#[test]
fn c_at_a_fixed_address() {
    check(compile::c(&["-O2", "-static", "-no-pie"]));
}

#[test]
fn cpp_unoptimised() {
    check(compile::cpp(&["-O0"]));
}

#[test]
fn cpp_optimised() {
    check(compile::cpp(&["-O2"]));
}

#[test]
fn cpp_highly_optimised() {
    check(compile::cpp(&["-O3"]));
}

#[test]
fn rust_unoptimised() {
    check(compile::rust(&["-Copt-level=0"]));
}

#[test]
fn rust_optimised() {
    check(compile::rust(&["-Copt-level=2"]));
}

#[test]
fn rust_with_frame_pointers_and_one_unit() {
    let flags = [
        "-Copt-level=3",
        "-Ccodegen-units=1",
        "-Cforce-frame-pointers=yes",
    ];
    check(compile::rust(&flags));
}

fn check(binary: Result<PathBuf, String>) {
    need!(rights::probes());
    let wrong = exact::run_all(&need!(binary));
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}
