//! A running program that times its own calls.

use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

use crate::Result;
use crate::common::compile;
use crate::common::lines::Lines;

/// The program. Dropping it ends it.
pub(crate) struct Workload {
    child: Child,
    answers: Lines,
}

impl Workload {
    /// Starts a binary and waits until it says that it is ready.
    pub(crate) fn start(binary: &Path) -> Result<Self> {
        let mut child = Command::new(binary)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()?;
        let answers = Lines::of(child.stdout.take().ok_or("it has a pipe")?);
        let mut workload = Self { child, answers };
        match workload.answer()?.as_str() {
            "ready" => Ok(workload),
            other => Err(format!("the workload says {other}").into()),
        }
    }

    /// Its process id.
    pub(crate) fn pid(&self) -> u32 {
        self.child.id()
    }

    /// Lets it call its function so many times, a multiple of its batches; nanoseconds per call.
    pub(crate) fn run(&mut self, calls: u64) -> Result<f64> {
        let mut stdin = self.child.stdin.as_ref().ok_or("it has a pipe")?;
        writeln!(stdin, "run {calls}")?;
        Ok(self.answer()?.parse()?)
    }

    fn answer(&mut self) -> Result<String> {
        let line = self.answers.next().map_err(|_| "the workload hangs")?;
        line.ok_or_else(|| "the workload has ended".into())
    }
}

impl Drop for Workload {
    fn drop(&mut self) {
        // It may have ended already.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Builds `cost.c` as most C programs are built.
pub(crate) fn build_c() -> Result<PathBuf> {
    Ok(compile::c_texts(
        &[include_str!("../targets/cost.c")],
        &["-O2"],
    )?)
}

/// Builds `cost.go` by the first Go that there is, without symbols: that is how Go programs are
/// shipped, and bpftrace takes offsets behind a symbol only where it can disassemble.
pub(crate) fn build_go() -> Result<PathBuf> {
    let gos = compile::gos()?;
    let go = gos.first().ok_or("CORAL_GO names no Go")?;
    let binary = Path::new(env!("CARGO_TARGET_TMPDIR")).join("cost-go");
    let status = Command::new(go)
        .args(["build", "-ldflags=-s -w", "-o"])
        .arg(&binary)
        .arg("cost.go")
        .env("GOTOOLCHAIN", "local")
        .env("CGO_ENABLED", "0")
        .current_dir(Path::new(env!("CARGO_MANIFEST_DIR")).join("benches/targets"))
        .status()?;
    if !status.success() {
        return Err(format!("cost.go does not build: {status}").into());
    }
    Ok(binary)
}
