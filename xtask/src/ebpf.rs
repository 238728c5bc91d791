//! Builds the kernel programs into the object that is committed and compiled in.
//!
//! The same compiler that builds everything else builds them, with the core library from source.
//! The linker for this target is linked against the compiler's own LLVM, so that nothing else
//! needs to be installed and both always speak the same bitcode.

use std::path::{Path, PathBuf};
use std::process::Command;

use crate::shell::{self, Result};

const LINKER_VERSION: &str = "0.13.0";
const LINKER_FEATURES: &str = "llvm-22,no-llvm-linking";
const TARGET: &str = "bpfel-unknown-none";

/// Builds the object and puts it where it is committed.
pub(crate) fn replace() -> Result<()> {
    let built = build()?;
    let committed = committed();
    std::fs::copy(&built, &committed)
        .map_err(|error| format!("cannot write {}: {error}", committed.display()))?;
    println!("wrote {}", committed.display());
    Ok(())
}

/// Builds the object and compares it with the one that is committed.
pub(crate) fn check() -> Result<()> {
    let built = build()?;
    if read(&built)? == read(&committed())? {
        println!("ebpf/coral.bpf.o comes from this source");
        Ok(())
    } else {
        Err("ebpf/coral.bpf.o does not come from this source: run `cargo xtask ebpf`".into())
    }
}

fn committed() -> PathBuf {
    shell::root().join("ebpf/coral.bpf.o")
}

fn read(path: &Path) -> Result<Vec<u8>> {
    std::fs::read(path).map_err(|error| format!("cannot read {}: {error}", path.display()))
}

fn build() -> Result<PathBuf> {
    let linker = linker()?;
    let source = shell::root().join("ebpf");
    let target_directory = shell::target_directory().join("ebpf");
    let sysroot = sysroot()?;
    let mut flags = vec![
        "-Ctarget-cpu=v3".to_owned(),
        // The kernel wants type information of a function before it calls one back.
        "-Clink-arg=--btf".to_owned(),
    ];
    // The object must not depend on where the checkout, the registry or the compiler lie.
    let mut remap =
        |from: &Path, to| flags.push(format!("--remap-path-prefix={}={to}", from.display()));
    remap(&shell::root(), "/coral");
    remap(&sysroot, "/rust");
    for registry in registries()? {
        remap(&registry, "/crates");
    }
    shell::run(
        Command::new("cargo")
            .current_dir(&source)
            .args(["build", "--release", "--locked", "--target", TARGET])
            .args(["-Z", "build-std=core"])
            .env("RUSTC_BOOTSTRAP", "1")
            .env("CARGO_TARGET_DIR", &target_directory)
            .env("CARGO_ENCODED_RUSTFLAGS", flags.join("\x1f"))
            .env("CARGO_TARGET_BPFEL_UNKNOWN_NONE_LINKER", &linker),
    )?;
    let built = target_directory.join(TARGET).join("release/coral");
    let stripped = target_directory.join("coral.bpf.o");
    shell::run(
        Command::new(objcopy(&sysroot)?)
            .arg("--strip-debug")
            .args([&built, &stripped]),
    )?;
    Ok(stripped)
}

fn sysroot() -> Result<PathBuf> {
    shell::output(Command::new("rustc").args(["--print", "sysroot"])).map(PathBuf::from)
}

/// The folders below which cargo has unpacked the sources of crates.
fn registries() -> Result<Vec<PathBuf>> {
    let home = std::env::var_os("CARGO_HOME").map_or_else(
        || {
            std::env::home_dir()
                .unwrap_or_else(|| PathBuf::from("/"))
                .join(".cargo")
        },
        PathBuf::from,
    );
    shell::entries(&home.join("registry/src"))
}

/// The compiler's own objcopy, which knows this target.
fn objcopy(sysroot: &Path) -> Result<PathBuf> {
    shell::entries(&sysroot.join("lib/rustlib"))?
        .into_iter()
        .map(|target| target.join("bin/rust-objcopy"))
        .find(|path| path.exists())
        .ok_or_else(|| "the compiler comes without rust-objcopy".into())
}

/// The linker, installed beside cargo's target directory if it is not there yet.
fn linker() -> Result<PathBuf> {
    let directory = shell::target_directory().join(format!("bpf-linker-{LINKER_VERSION}"));
    let linker = directory.join("bin/bpf-linker");
    if linker.exists() {
        return Ok(linker);
    }
    let libraries = sysroot()?.join("lib");
    let llvm = llvm_library(&libraries)?;
    let flags = [
        format!("-Clink-arg={}", llvm.display()),
        format!("-Clink-arg=-Wl,-rpath,{}", libraries.display()),
    ];
    println!("installing bpf-linker {LINKER_VERSION} (about a minute, once)");
    shell::run(
        Command::new("cargo")
            .args([
                "install",
                "bpf-linker",
                "--locked",
                "--version",
                LINKER_VERSION,
            ])
            .args(["--no-default-features", "--features", LINKER_FEATURES])
            .arg("--root")
            .arg(&directory)
            .env(
                "CARGO_TARGET_DIR",
                shell::target_directory().join("bpf-linker-build"),
            )
            .env("CARGO_ENCODED_RUSTFLAGS", flags.join("\x1f")),
    )?;
    Ok(linker)
}

fn llvm_library(libraries: &Path) -> Result<PathBuf> {
    shell::entries(libraries)?
        .into_iter()
        .find(|path| {
            path.file_name()
                .and_then(|name| name.to_str())
                .is_some_and(|name| name.starts_with("libLLVM") && name.contains(".so"))
        })
        .ok_or_else(|| format!("{} holds no libLLVM", libraries.display()))
}
