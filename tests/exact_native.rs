//! C, C++ and Rust programs that know their own calls: coral's counts equal theirs, in every
//! scenario.

mod common;

use std::path::PathBuf;

use common::need;
use common::{compile, exact, rights};

#[test]
fn c_unoptimised() {
    check(compile::c(&["-O0"]), &[]);
}

#[test]
fn c_optimised() {
    check(compile::c(&["-O2"]), TAIL_BY_POINTER);
}

#[test]
fn c_highly_optimised_without_frame_tables() {
    let flags = ["-O3", "-fno-asynchronous-unwind-tables"];
    check(compile::c(&flags), TAIL_BY_POINTER);
}

#[test]
fn c_with_control_flow_protection() {
    check(
        compile::c(&["-O2", "-fcf-protection=full"]),
        TAIL_BY_POINTER,
    );
}

#[test]
fn c_at_a_fixed_address() {
    check(compile::c(&["-O2", "-static", "-no-pie"]), TAIL_BY_POINTER);
}

#[test]
fn cpp_unoptimised() {
    check(compile::cpp(&["-O0"]), &[]);
}

#[test]
fn cpp_optimised() {
    check(compile::cpp(&["-O2"]), TAIL_BY_TABLE);
}

#[test]
fn cpp_highly_optimised() {
    check(compile::cpp(&["-O3"]), TAIL_BY_TABLE);
}

#[test]
fn rust_unoptimised() {
    check(compile::rust(&["-Copt-level=0"]), &[]);
}

#[test]
fn rust_optimised() {
    check(compile::rust(&["-Copt-level=2"]), RUST_TAIL_BY_TABLE);
}

#[test]
fn rust_with_frame_pointers_and_one_unit() {
    let flags = [
        "-Copt-level=3",
        "-Ccodegen-units=1",
        "-Cforce-frame-pointers=yes",
    ];
    check(compile::rust(&flags), RUST_TAIL_BY_TABLE);
}

// An indirect jump that leaves a function is not always told from a jump table.
const TAIL_BY_POINTER: &[&str] = &["tail_by_pointer"];
const TAIL_BY_TABLE: &[&str] = &["target::Scaled::area(unsigned long) const"];
const RUST_TAIL_BY_TABLE: &[&str] = &["<target::Scaled as target::Shape>::area"];

fn check(binary: Result<PathBuf, String>, entry_only: &[&str]) {
    need!(rights::probes());
    let wrong = exact::run_all(&need!(binary), entry_only);
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}
