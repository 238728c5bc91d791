//! Compiles the demo service, a program of its own that is embedded into ours.

use std::env;
use std::path::Path;
use std::process::{Command, ExitCode};

const SOURCE: &str = "demo/checkout.rs";

fn main() -> ExitCode {
    println!("cargo::rerun-if-changed=build.rs");
    println!("cargo::rerun-if-changed={SOURCE}");
    match compile_demo() {
        Ok(()) => ExitCode::SUCCESS,
        Err(why) => {
            for line in why.lines() {
                println!("cargo::error={line}");
            }
            ExitCode::FAILURE
        }
    }
}

fn compile_demo() -> Result<(), String> {
    let package = variable("CARGO_MANIFEST_DIR")?;
    let output = Path::new(&variable("OUT_DIR")?).join("checkout");
    let standard_library = standard_library()?;
    let mut rustc = Command::new(variable("RUSTC")?);
    rustc
        .current_dir(&package)
        .args([SOURCE, "--crate-name", "checkout", "--edition", "2024"])
        // What a service in production is: optimised, with names and lines, and frame pointers.
        .args(["-C", "opt-level=2", "-g", "-C", "force-frame-pointers=yes"])
        .args(["--target", &variable("TARGET")?])
        // The same source gives the same bytes, wherever it lies.
        .arg(format!("--remap-path-prefix={package}=."))
        .arg(format!("--remap-path-prefix={standard_library}=/rustc"))
        .arg("-o")
        .arg(output);
    if let Ok(linker) = env::var("RUSTC_LINKER") {
        rustc.args(["-C", &format!("linker={linker}")]);
    }
    run(&mut rustc)
        .map(drop)
        .map_err(|why| format!("the demo service {SOURCE} could not be compiled: {why}"))
}

/// Where the toolchain's sources of the standard library lie, if they are installed.
fn standard_library() -> Result<String, String> {
    let sysroot = run(Command::new(variable("RUSTC")?).args(["--print", "sysroot"]))?;
    Ok(format!("{}/lib/rustlib/src/rust", sysroot.trim()))
}

/// The standard output of a command that succeeds, or what it says about its failure.
fn run(command: &mut Command) -> Result<String, String> {
    let output = command
        .output()
        .map_err(|error| format!("rustc could not be started: {error}"))?;
    if output.status.success() {
        return Ok(String::from_utf8_lossy(&output.stdout).into_owned());
    }
    let said = String::from_utf8_lossy(&output.stderr);
    Err(format!("{}\n{said}", output.status))
}

fn variable(name: &str) -> Result<String, String> {
    env::var(name).map_err(|error| format!("cargo has not set {name}: {error}"))
}
