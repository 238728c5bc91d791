//! Builds the test targets, each once, whatever the number of test processes that want it.

use std::collections::hash_map::DefaultHasher;
use std::fs;
use std::hash::{Hash, Hasher};
use std::path::{Path, PathBuf};
use std::process::Command;

const GO_ENVIRONMENT: [(&str, &str); 3] = [
    ("GOFLAGS", "-mod=mod"),
    ("GOTOOLCHAIN", "local"),
    ("CGO_ENABLED", "0"),
];

/// The C target.
pub(crate) fn c(flags: &[&str]) -> Result<PathBuf, String> {
    let sources = ["target.c", "stacks.c", "confined.c", "truth.c"]
        .map(|name| targets().join("c").join(name));
    let headers = [targets().join("c/truth.h")];
    build_with(
        "cc",
        &[&["-g", "-pthread"], flags].concat(),
        &sources,
        &headers,
    )
}

/// The C program that makes a storm of calls.
pub(crate) fn storm() -> Result<PathBuf, String> {
    let flags = ["-g", "-O2", "-pthread"];
    build("cc", &flags, &[targets().join("c/storm.c")])
}

/// The C program whose functions are called with known values.
pub(crate) fn args_c(flags: &[&str]) -> Result<PathBuf, String> {
    build(
        "cc",
        &[&["-g"], flags].concat(),
        &[targets().join("args/c/args.c")],
    )
}

/// The same in Go.
pub(crate) fn args_go(go: &Path) -> Result<PathBuf, String> {
    let module = targets().join("args/go");
    let sources = ["go.mod", "main.go"].map(|name| module.join(name));
    let version = output(Command::new(go).arg("version"))?;
    build_once(&version, &sources, |binary| {
        let mut command = Command::new(go);
        command
            .args(["build", "-o"])
            .arg(binary)
            .arg(".")
            .envs(GO_ENVIRONMENT)
            .env("GOCACHE", cache().join("go-build"))
            .current_dir(&module);
        command
    })
}

/// The C++ target.
pub(crate) fn cpp(flags: &[&str]) -> Result<PathBuf, String> {
    let sources = [targets().join("cpp/target.cpp")];
    build(
        "g++",
        &[&["-g", "-std=c++17", "-pthread"], flags].concat(),
        &sources,
    )
}

/// The Rust target.
pub(crate) fn rust(flags: &[&str]) -> Result<PathBuf, String> {
    let root = [targets().join("rust/target.rs")];
    let modules = ["results.rs", "truth.rs", "waiting.rs"];
    let modules = modules.map(|name| targets().join("rust").join(name));
    let always = [
        "-g",
        "--edition=2024",
        "--crate-name=target",
        "-Csymbol-mangling-version=v0",
    ];
    build_with("rustc", &[&always, flags].concat(), &root, &modules)
}

/// The program of that language whose functions have arguments and results of all kinds.
pub(crate) fn values(compiler: &str, source: &str, flags: &[&str]) -> Result<PathBuf, String> {
    let sources = [targets().join("values").join(source)];
    build(compiler, &[&["-g"], flags].concat(), &sources)
}

/// The same in Go.
pub(crate) fn values_go(go: &Path, flags: &[&str]) -> Result<PathBuf, String> {
    go_module("values/go", go, flags)
}

/// The program in C that calls functions with known values and in known orders.
pub(crate) fn e2e_c(flags: &[&str]) -> Result<PathBuf, String> {
    let sources = [targets().join("e2e/c/e2e.c")];
    build("cc", &[&["-g", "-pthread"], flags].concat(), &sources)
}

/// The library that it may load.
pub(crate) fn e2e_library() -> Result<PathBuf, String> {
    let sources = [targets().join("e2e/c/late.c")];
    build("cc", &["-g", "-O2", "-shared", "-fPIC"], &sources)
}

/// The same in Rust.
pub(crate) fn e2e_rust(flags: &[&str]) -> Result<PathBuf, String> {
    let sources = [targets().join("e2e/rust/e2e.rs")];
    let always = ["-g", "--edition=2024"];
    build("rustc", &[&always, flags].concat(), &sources)
}

/// The same in Go.
pub(crate) fn e2e_go(go: &Path, flags: &[&str]) -> Result<PathBuf, String> {
    go_module("e2e/go", go, flags)
}

/// A C program from texts, a file each.
pub(crate) fn c_texts(texts: &[&str], flags: &[&str]) -> Result<PathBuf, String> {
    let directory = cache().join(format!("text-{:016x}", hash_of(texts)));
    fs::create_dir_all(&directory).unwrap();
    let mut sources = Vec::new();
    for (number, text) in texts.iter().enumerate() {
        let source = directory.join(format!("part{number}.c"));
        let draft = directory.join(format!("part{number}.{}", std::process::id()));
        fs::write(&draft, text).unwrap();
        fs::rename(&draft, &source).unwrap();
        sources.push(source);
    }
    build("cc", flags, &sources)
}

/// The Go target, by that Go.
pub(crate) fn go(go: &Path, flags: &[&str]) -> Result<PathBuf, String> {
    go_module("go", go, flags)
}

/// The HTTP service, by that Go.
pub(crate) fn go_http(go: &Path, flags: &[&str]) -> Result<PathBuf, String> {
    go_module("http", go, flags)
}

/// The example application that links the SDK.
pub(crate) fn example_checkout() -> Result<PathBuf, String> {
    let mut build = Command::new(env!("CARGO"));
    build.args(["build", "--locked", "--package", "coral-example-checkout"]);
    output(build.current_dir(env!("CARGO_MANIFEST_DIR")))?;
    let folder = Path::new(env!("CARGO_BIN_EXE_coral")).parent();
    Ok(folder
        .unwrap_or(Path::new(""))
        .join("coral-example-checkout"))
}

/// A program of one source file of the targets.
pub(crate) fn source(compiler: &str, name: &str, flags: &[&str]) -> Result<PathBuf, String> {
    build(
        compiler,
        &[&["-g"], flags].concat(),
        &[targets().join(name)],
    )
}

/// The Go program in that folder of the targets.
pub(crate) fn go_module(name: &str, go: &Path, flags: &[&str]) -> Result<PathBuf, String> {
    let module = targets().join(name);
    let mut sources = files_below(&module);
    sources.sort();
    let version = output(Command::new(go).arg("version"))?;
    build_once(&(version, flags), &sources, |binary| {
        let mut command = Command::new(go);
        command
            .args(["build", "-o"])
            .arg(binary)
            .args(flags)
            .arg(".");
        command
            .envs(GO_ENVIRONMENT)
            .env("GOCACHE", cache().join("go-build"));
        command.current_dir(module);
        command
    })
}

/// The Go program that calls C, by that Go.
pub(crate) fn cgo(go: &Path) -> Result<PathBuf, String> {
    let module = targets().join("cgo");
    let sources = ["calls.c", "go.mod", "main.go"].map(|name| module.join(name));
    let versions = [
        output(Command::new(go).arg("version"))?,
        output(Command::new("cc").arg("--version"))?,
    ];
    build_once(&versions, &sources, |binary| {
        let mut command = Command::new(go);
        command
            .args(["build", "-o"])
            .arg(binary)
            .arg(".")
            .envs(GO_ENVIRONMENT)
            .env("CGO_ENABLED", "1")
            .env("GOCACHE", cache().join("go-build"))
            .current_dir(&module);
        command
    })
}

/// The Go toolchains to test with: those in `CORAL_GO`, a path list, or the one in `PATH`.
pub(crate) fn gos() -> Result<Vec<PathBuf>, String> {
    let listed = std::env::var_os("CORAL_GO");
    let gos: Vec<PathBuf> = match &listed {
        Some(list) => std::env::split_paths(list).collect(),
        None => vec!["go".into()],
    };
    for go in &gos {
        output(Command::new(go).arg("version"))?;
    }
    Ok(gos)
}

fn build(compiler: &str, flags: &[&str], sources: &[PathBuf]) -> Result<PathBuf, String> {
    build_with(compiler, flags, sources, &[])
}

/// Builds those sources, which include other files.
fn build_with(
    compiler: &str,
    flags: &[&str],
    sources: &[PathBuf],
    included: &[PathBuf],
) -> Result<PathBuf, String> {
    let version = output(Command::new(compiler).arg("--version"))?;
    build_once(&(version, flags), &[sources, included].concat(), |binary| {
        let mut command = Command::new(compiler);
        command.args(flags).args(sources).arg("-o").arg(binary);
        command
    })
}

/// The binary for that key and those sources. It is built beside its place and then renamed, so
/// that test processes that build it at the same time do not see each other's halves.
fn build_once(
    key: &impl Hash,
    sources: &[PathBuf],
    compiler: impl FnOnce(&Path) -> Command,
) -> Result<PathBuf, String> {
    let contents: Vec<Vec<u8>> = sources.iter().map(|path| fs::read(path).unwrap()).collect();
    let directory = cache().join(format!("{:016x}", hash_of(&(key, sources, contents))));
    let binary = directory.join("target");
    if binary.exists() {
        return Ok(binary);
    }
    fs::create_dir_all(&directory).unwrap();
    let draft = tempfile::tempdir_in(cache()).unwrap();
    let built = draft.path().join("target");
    let result = compiler(&built)
        .output()
        .map_err(|error| error.to_string())?;
    let messages = String::from_utf8_lossy(&result.stderr);
    assert!(
        result.status.success(),
        "a test target does not build:\n{messages}"
    );
    fs::rename(built, &binary).unwrap();
    Ok(binary)
}

fn files_below(directory: &Path) -> Vec<PathBuf> {
    let mut files = Vec::new();
    for entry in fs::read_dir(directory).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            files.extend(files_below(&path));
        } else {
            files.push(path);
        }
    }
    files
}

fn output(command: &mut Command) -> Result<Vec<u8>, String> {
    let program = command.get_program().to_string_lossy().into_owned();
    match command.output() {
        Ok(output) if output.status.success() => Ok(output.stdout),
        Ok(output) => Err(format!("{program} ends with {}", output.status)),
        Err(error) => Err(format!("no {program}: {error}")),
    }
}

fn targets() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/targets")
}

fn cache() -> PathBuf {
    let cache = Path::new(env!("CARGO_TARGET_TMPDIR")).join("targets");
    fs::create_dir_all(&cache).unwrap();
    cache
}

fn hash_of(value: &(impl Hash + ?Sized)) -> u64 {
    let mut hasher = DefaultHasher::new();
    value.hash(&mut hasher);
    hasher.finish()
}
