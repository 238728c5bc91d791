//! The bundled sample service: embedded in this program, run from memory, ended with its owner.

mod recording;

use std::fs::File;
use std::io::{self, BufRead, BufReader, Write};
use std::os::fd::{AsRawFd, OwnedFd};
use std::os::unix::process::CommandExt;
use std::process::{Child, ChildStdout, Command, Stdio};
use std::sync::mpsc::{self, Receiver};
use std::thread;
use std::time::{Duration, Instant};

use coral_model::{Diagnostic, ExitStatus};
use rustix::fs::{MemfdFlags, memfd_create};
use rustix::io::Errno;

pub use recording::recording;

/// The program that the build script has compiled from `demo/checkout.rs`.
static CHECKOUT: &[u8] = include_bytes!(concat!(env!("OUT_DIR"), "/checkout"));

const START_DURATION_MAX: Duration = Duration::from_secs(5);
/// The service finishes the requests that it has begun; the slowest takes 400 ms.
const STOP_DURATION_MAX: Duration = Duration::from_secs(1);

/// Why the sample service does not run.
#[derive(Debug, thiserror::Error)]
pub enum DemoError {
    /// The operating system did not give it memory or a process.
    #[error("the sample service could not be started: {0}")]
    Start(#[from] io::Error),
    /// It ended, or was silent for too long, before it served.
    #[error("the sample service did not begin to serve")]
    NotServing,
}

impl Diagnostic for DemoError {
    fn code(&self) -> &'static str {
        "demo-not-started"
    }

    fn help(&self) -> String {
        match self {
            Self::Start(error) if error.kind() == io::ErrorKind::PermissionDenied => {
                "allow programs in memory: `sudo sysctl vm.memfd_noexec=0`".to_owned()
            }
            _ => "watch a service of your own: `coral-tui --local <pid>`".to_owned(),
        }
    }

    fn exit_status(&self) -> ExitStatus {
        ExitStatus::Failure
    }
}

/// The running sample service. It ends when this is dropped, and when this program ends, however
/// that comes: its standard input is then closed.
#[derive(Debug)]
pub struct Demo {
    child: Child,
    lines: Receiver<String>,
}

impl Demo {
    /// Starts the service and waits until it serves.
    ///
    /// # Errors
    /// If it cannot be started, or does not serve within 5 seconds.
    pub fn start() -> Result<Self, DemoError> {
        let program = program_in_memory()?;
        let mut child = Command::new(format!("/proc/self/fd/{}", program.as_raw_fd()))
            .arg0("checkout")
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()?;
        let lines = child
            .stdout
            .take()
            .map(drain)
            .ok_or(DemoError::NotServing)??;
        let demo = Self { child, lines };
        match demo.lines.recv_timeout(START_DURATION_MAX) {
            Ok(line) if line.starts_with("checkout: serving") => Ok(demo),
            _ => Err(DemoError::NotServing),
        }
    }

    /// Its process id.
    pub fn pid(&self) -> u32 {
        self.child.id()
    }

    /// Ends the service and gives what it says about itself: how often each of its functions was
    /// called, as JSON. None if it did not end in time or was killed.
    pub fn stop(mut self) -> Option<String> {
        self.close()
    }

    /// Lets it end by itself, for a bounded time, and gives its last line.
    fn close(&mut self) -> Option<String> {
        drop(self.child.stdin.take());
        let deadline = Instant::now() + STOP_DURATION_MAX;
        let mut last = None;
        loop {
            match self
                .lines
                .recv_timeout(deadline.saturating_duration_since(Instant::now()))
            {
                Ok(line) => last = Some(line),
                // The end of its output is the end of the process.
                Err(mpsc::RecvTimeoutError::Disconnected) => return last,
                Err(mpsc::RecvTimeoutError::Timeout) => return None,
            }
        }
    }
}

impl Drop for Demo {
    fn drop(&mut self) {
        self.close();
        // Both fail only for a process that has ended and has been waited for.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// The program as a file that no directory holds.
fn program_in_memory() -> io::Result<OwnedFd> {
    let create = |flags| memfd_create("checkout", MemfdFlags::CLOEXEC | flags);
    let memory = match create(MemfdFlags::EXEC) {
        // Linux before 6.3 does not know the flag and needs none.
        Err(Errno::INVAL) => create(MemfdFlags::empty()),
        created => created,
    }?;
    let mut file = File::from(memory);
    file.write_all(CHECKOUT)?;
    Ok(file.into())
}

/// Takes every line off the pipe, so that the service never waits for a reader.
fn drain(stdout: ChildStdout) -> io::Result<Receiver<String>> {
    let (sender, receiver) = mpsc::channel();
    thread::Builder::new()
        .name("demo-output".to_owned())
        .spawn(move || {
            for line in BufReader::new(stdout).lines().map_while(Result::ok) {
                if sender.send(line).is_err() {
                    return;
                }
            }
        })?;
    Ok(receiver)
}

#[cfg(test)]
mod tests;
