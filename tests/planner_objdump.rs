//! The planner for x86-64 against objdump, over whole libraries.

#![allow(clippy::unwrap_used)] // a test fails by it

mod planner;

use std::path::Path;
use std::process::Command;

use coral_tui::symbols::planner::{Architecture, Convention};
use planner::{Reader, check, go, skip};

const X86_64: Reader = Reader {
    architecture: Architecture::X86_64,
    objdump: "objdump",
    is_return,
    jump_target,
};

#[test]
fn agrees_about_the_c_library() {
    check_library("libc.so.6");
}

#[test]
fn agrees_about_the_cpp_library() {
    check_library("libstdc++.so.6");
}

#[test]
fn agrees_about_openssl() {
    check_library("libcrypto.so.3");
}

#[test]
fn agrees_about_the_go_command() {
    let root = Command::new(go()).args(["env", "GOROOT"]).output();
    match root
        .ok()
        .and_then(|root| String::from_utf8(root.stdout).ok())
    {
        Some(root) => check(
            &Path::new(root.trim()).join("bin/go"),
            Convention::GoRegisters,
            &X86_64,
        ),
        None => skip("no Go"),
    }
}

/// Checks a library that lies where this program's own C library does.
fn check_library(name: &str) {
    let maps = std::fs::read_to_string("/proc/self/maps").unwrap();
    let libc = maps
        .lines()
        .filter_map(|line| line.find('/').map(|at| &line[at..]));
    let libc = libc.map(Path::new).find(|path| path.ends_with("libc.so.6"));
    match libc.and_then(Path::parent) {
        Some(directory) => check(&directory.join(name), Convention::Native, &X86_64),
        None => skip("this program has no dynamic C library"),
    }
}

fn is_return(text: &str) -> bool {
    let mut words = text
        .split_whitespace()
        .skip_while(|word| matches!(*word, "repz" | "bnd"));
    matches!(words.next(), Some("ret" | "retq"))
}

fn jump_target(text: &str) -> Option<u64> {
    let (_, target) = text.strip_prefix('j')?.split_once(' ')?;
    u64::from_str_radix(target.split_whitespace().next()?, 16).ok()
}
