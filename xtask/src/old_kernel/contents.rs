//! What the machine's file system holds: a shell, coral, the tests and their targets.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::process::Command;

use serde_json::Value;

use super::archive::Archive;
use crate::shell::{self, Result};
use crate::testing;

/// The first process of the machine.
const INIT: &[u8] = include_bytes!("init.sh");
/// The tests, which run in the machine only.
const TESTS: &str = "old_kernel";
/// Where the kernel's file systems are mounted, and what programs expect to be there.
const DIRECTORIES: [&str; 5] = ["/dev", "/proc", "/sys", "/tmp", "/root"];

/// Builds everything, and returns the archive that holds it.
pub(super) fn archive(directory: &Path, busybox: &Path) -> Result<Vec<u8>> {
    let targets = targets(directory)?;
    let built = built()?;
    let mut archive = Archive::default();
    for path in DIRECTORIES {
        archive.directory(path.as_ref());
    }
    archive.program("/init".as_ref(), INIT);
    archive.program("/bin/busybox".as_ref(), &read(busybox)?);
    archive.program(
        "/bin/old_kernel".as_ref(),
        &stripped(directory, &built.tests)?,
    );
    // The tests look for coral where cargo has built it.
    archive.program(&built.coral, &stripped(directory, &built.coral)?);
    archive.program("/bin/coral".as_ref(), &stripped(directory, &built.coral)?);
    for target in &targets {
        let name = target.file_name().unwrap_or_default();
        archive.program(&Path::new("/targets").join(name), &read(target)?);
    }
    for library in libraries(&[&built.tests, &built.coral])? {
        archive.program(&library, &read(&library)?);
    }
    Ok(archive.finish())
}

/// What cargo has built.
struct Built {
    coral: PathBuf,
    tests: PathBuf,
}

fn built() -> Result<Built> {
    let messages = shell::output(
        Command::new("cargo")
            .current_dir(shell::root())
            .args(["test", "--locked", "--test", TESTS, "--no-run"])
            .args(["--message-format", "json-render-diagnostics"]),
    )?;
    let executable = |name: &str| {
        messages
            .lines()
            .filter_map(|line| serde_json::from_str::<Value>(line).ok())
            .filter(|message| message["target"]["name"] == name)
            .find_map(|message| message["executable"].as_str().map(PathBuf::from))
            .ok_or_else(|| format!("cargo has built no {name}"))
    };
    Ok(Built {
        coral: executable("coral")?,
        tests: executable(TESTS)?,
    })
}

/// What the C target is made of.
const C_SOURCES: [&str; 4] = ["target.c", "stacks.c", "confined.c", "truth.c"];

/// Builds the programs under test, without anything that they would need in the machine.
fn targets(directory: &Path) -> Result<[PathBuf; 2]> {
    let sources = shell::root().join("tests/targets");
    let [c, go] = ["c", "go"].map(|name| directory.join("targets").join(name));
    std::fs::create_dir_all(directory.join("targets"))
        .map_err(|error| format!("cannot make {}: {error}", directory.display()))?;
    shell::run(
        Command::new("cc")
            .args(["-g", "-O2", "-static", "-no-pie", "-pthread", "-o"])
            .arg(&c)
            .args(C_SOURCES.map(|name| sources.join("c").join(name))),
    )?;
    shell::run(
        Command::new(testing::newest_go()?)
            .current_dir(sources.join("go"))
            .args(["build", "-o"])
            .arg(&go)
            .arg(".")
            .envs([("CGO_ENABLED", "0"), ("GOTOOLCHAIN", "local")])
            .envs([("GOFLAGS", "-mod=mod")])
            .env("GOCACHE", directory.join("go-build")),
    )?;
    Ok([c, go])
}

/// A program without its debug information, which would fill the machine's memory.
fn stripped(directory: &Path, program: &Path) -> Result<Vec<u8>> {
    let stripped = directory.join("stripped");
    shell::run(Command::new("strip").arg("-o").arg(&stripped).arg(program))?;
    read(&stripped)
}

/// The shared libraries of programs, the dynamic linker among them.
fn libraries(programs: &[&Path]) -> Result<BTreeSet<PathBuf>> {
    let list = shell::output(Command::new("ldd").args(programs))?;
    // `libc.so.6 => /lib/x86_64-linux-gnu/libc.so.6 (0x...)`, or a path without an arrow.
    let paths = list.lines().filter_map(|line| {
        let words = line.split_whitespace();
        words.into_iter().find(|word| word.starts_with('/'))
    });
    Ok(paths
        .filter(|path| !path.ends_with(':'))
        .map(PathBuf::from)
        .collect())
}

fn read(path: &Path) -> Result<Vec<u8>> {
    std::fs::read(path).map_err(|error| format!("cannot read {}: {error}", path.display()))
}
