//! The planner for AArch64 against objdump, over whole libraries that this machine cannot run.

#![allow(clippy::unwrap_used)] // a test fails by it

mod planner;

use std::fs::File;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::Arc;

use coral_tui::symbols::planner::{Architecture, Convention, FrameKey};
use coral_tui::symbols::{Image, SymbolError, Symbols};
use planner::{Reader, check, go, skip};

const AARCH64: Reader = Reader {
    architecture: Architecture::Aarch64,
    objdump: "aarch64-linux-gnu-objdump",
    is_return: |text| text == "ret" || text.starts_with("ret\t"),
    // Objdump knows from the symbols what is data.
    jump_target: |_| None,
};

/// Where the cross compiler's packages put the libraries of the other processor.
const LIBRARIES: &str = "/usr/aarch64-linux-gnu/lib";

/// A program that has jump tables, closures, deferred calls and recovery.
const GO_PROGRAM: &str = r#"package main

import (
	"encoding/json"
	"fmt"
	"os"
)

func main() {
	defer func() { fmt.Println(recover()) }()
	json.NewEncoder(os.Stdout).Encode(os.Args)
}
"#;

#[test]
fn agrees_about_the_c_library() {
    check(
        &Path::new(LIBRARIES).join("libc.so.6"),
        Convention::Native,
        &AARCH64,
    );
}

#[test]
fn agrees_about_the_cpp_library() {
    check(
        &Path::new(LIBRARIES).join("libstdc++.so.6"),
        Convention::Native,
        &AARCH64,
    );
}

#[test]
fn agrees_about_a_go_program() {
    let directory = tempfile::tempdir().unwrap();
    if let Some(program) = go_program(directory.path(), &[]) {
        check(&program, Convention::GoRegisters, &AARCH64);
    }
}

#[test]
fn plans_a_stripped_go_program_that_it_refuses_to_attach_to() {
    let directory = tempfile::tempdir().unwrap();
    let Some(program) = go_program(directory.path(), &["-ldflags=-s -w"]) else {
        return;
    };
    let refused = Image::open(File::open(&program).unwrap(), "program");
    assert!(matches!(
        refused,
        Err(SymbolError::ForeignArchitecture { .. })
    ));

    let image = Image::open_foreign(File::open(&program).unwrap(), "program").unwrap();
    let symbols = Symbols::read(Arc::new(image)).unwrap();
    let main = symbols
        .table()
        .iter()
        .find(|function| function.name == "main.main")
        .unwrap();
    let plan = symbols.plan(main.id).unwrap().unwrap();
    assert_eq!(plan.summary.reason, None);
    assert_eq!(plan.key, FrameKey::Goroutine);
    assert!(!plan.entry_may_refire);
    // One RET, and one that the runtime returns to after `recover`.
    assert_eq!(plan.exits.len(), 2);
    // Behind ldr, cmp and b.ls, which are passed again once the stack has grown.
    assert!(plan.entry.unwrap().address >= main.address + 12);
}

/// Compiles a Go program for the other processor.
fn go_program(directory: &Path, options: &[&str]) -> Option<PathBuf> {
    let (source, program) = (directory.join("main.go"), directory.join("program"));
    std::fs::write(&source, GO_PROGRAM).unwrap();
    let status = Command::new(go())
        .arg("build")
        .args(options)
        .arg("-o")
        .args([&program, &source])
        .envs([("GOARCH", "arm64"), ("GOOS", "linux"), ("CGO_ENABLED", "0")])
        .current_dir(directory)
        .status();
    match status {
        Ok(status) => {
            assert!(status.success());
            Some(program)
        }
        Err(_) => {
            skip("no Go");
            None
        }
    }
}
