//! A running program that times its own calls.

use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::thread;
use std::time::Duration;

use coral_tui::probe::{Engine, KernelRecord};

use crate::Result;
use crate::common::compile;
use crate::common::lines::Lines;

/// How often a session reads its records.
const TICK: Duration = Duration::from_millis(20);

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
        self.say(&format!("run {calls}"))?;
        Ok(self.answer()?.parse()?)
    }

    /// The same with calls of its function and of another one in turn.
    pub(crate) fn run_in_turn(&mut self, calls: u64) -> Result<f64> {
        self.say(&format!("turn {calls}"))?;
        Ok(self.answer()?.parse()?)
    }

    /// Says a line to it.
    pub(crate) fn say(&mut self, line: &str) -> Result<()> {
        let mut stdin = self.child.stdin.as_ref().ok_or("it has a pipe")?;
        Ok(writeln!(stdin, "{line}")?)
    }

    /// The next line that it says; until then the engine's records are read as a session does.
    pub(crate) fn answer_while_reading(
        &mut self,
        engine: &mut Engine,
        mut each: impl FnMut(KernelRecord),
    ) -> Result<String> {
        let answers = &mut self.answers;
        let line = thread::scope(|scope| {
            let waiting = scope.spawn(|| answers.next());
            loop {
                // Asked before reading, so that nothing comes after the last reading.
                let is_last = waiting.is_finished();
                engine.drain_records(&mut each);
                if is_last {
                    return waiting.join();
                }
                thread::sleep(TICK);
            }
        });
        let line = line.map_err(|_| "the reader of its answers died")?;
        let line = line.map_err(|_| "the workload hangs")?;
        line.ok_or_else(|| "the workload has ended".into())
    }

    /// The next line that it says.
    pub(crate) fn answer(&mut self) -> Result<String> {
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

/// The numbers of an answer.
pub(crate) fn numbers<const N: usize>(answer: &str) -> Result<[u64; N]> {
    let numbers = answer.split_whitespace().map(str::parse);
    let numbers: Vec<u64> = numbers.collect::<std::result::Result<_, _>>()?;
    let answer = || format!("the workload says {answer}");
    Ok(numbers.try_into().map_err(|_| answer())?)
}

/// Builds a C program as most are built.
pub(crate) fn build_c(source: &str) -> Result<PathBuf> {
    Ok(compile::c_texts(&[source], &["-O2", "-g", "-pthread"])?)
}

/// Builds a Go program of `benches/targets` by the first Go that there is, without symbols: that is
/// how Go programs are shipped, and bpftrace takes offsets behind a symbol only where it can
/// disassemble.
pub(crate) fn build_go(source: &str) -> Result<PathBuf> {
    let gos = compile::gos()?;
    let go = gos.first().ok_or("CORAL_GO names no Go")?;
    let binary = Path::new(env!("CARGO_TARGET_TMPDIR"))
        .join(source)
        .with_extension("bin");
    let status = Command::new(go)
        .args(["build", "-ldflags=-s -w", "-o"])
        .arg(&binary)
        .arg(source)
        .env("GOTOOLCHAIN", "local")
        .env("CGO_ENABLED", "0")
        .current_dir(Path::new(env!("CARGO_MANIFEST_DIR")).join("benches/targets"))
        .status()?;
    if !status.success() {
        return Err(format!("{source} does not build: {status}").into());
    }
    Ok(binary)
}
