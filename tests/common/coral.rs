//! The program under test, as a black box.

use std::ffi::OsStr;
use std::io::Read;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::thread::JoinHandle;

use rustix::process::{Pid, Signal, kill_process};
use serde_json::Value;

use super::lines::Lines;

/// The built program.
pub(crate) const PROGRAM: &str = env!("CARGO_BIN_EXE_coral");

/// A running `coral`. Dropping it kills it.
pub(crate) struct Coral {
    child: Child,
    stderr: Lines,
    stdout: Option<JoinHandle<String>>,
}

/// What the line `attached: ...` says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Attached {
    pub(crate) functions: u64,
    pub(crate) probes: u64,
    pub(crate) session: String,
}

/// What is left of a `coral` that has ended.
#[derive(Debug)]
pub(crate) struct Report {
    pub(crate) status: ExitStatus,
    pub(crate) stdout: String,
    pub(crate) stderr: Vec<String>,
}

impl Coral {
    /// Starts a command, which has the program and its arguments.
    pub(crate) fn start(command: &mut Command) -> Self {
        let mut child = command
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        let mut pipe = child.stdout.take().unwrap();
        let stdout = std::thread::spawn(move || {
            let mut text = String::new();
            pipe.read_to_string(&mut text).unwrap();
            text
        });
        Self {
            stderr: Lines::of(child.stderr.take().unwrap()),
            stdout: Some(stdout),
            child,
        }
    }

    /// Starts `coral debug attach` with JSON output.
    pub(crate) fn start_attach<S: AsRef<OsStr>>(pid: u32, functions: &[S], more: &[&str]) -> Self {
        Self::start(&mut attach_command(pid, functions, more))
    }

    /// Starts `coral debug attach`, and waits until every probe is live.
    pub(crate) fn attach<S: AsRef<OsStr>>(
        pid: u32,
        functions: &[S],
        more: &[&str],
    ) -> (Self, Attached) {
        let mut coral = Self::start_attach(pid, functions, more);
        match coral.attached() {
            Some(attached) => (coral, attached),
            None => panic!("coral did not attach: {:#?}", coral.stderr.seen),
        }
    }

    /// Waits until every probe is live; `None` if it ends before.
    pub(crate) fn attached(&mut self) -> Option<Attached> {
        while let Some(line) = self.stderr.next().expect("coral attaches") {
            if let Some(attached) = parse_attached(&line) {
                return Some(attached);
            }
        }
        None
    }

    /// Waits until it says a line with that text; the line.
    pub(crate) fn await_line(&mut self, text: &str) -> String {
        while let Some(line) = self.stderr.next().expect("coral goes on") {
            if line.contains(text) {
                return line;
            }
        }
        panic!(
            "coral ended without saying `{text}`: {:#?}",
            self.stderr.seen
        );
    }

    pub(crate) fn pid(&self) -> u32 {
        self.child.id()
    }

    pub(crate) fn signal(&self, signal: Signal) {
        kill_process(Pid::from_child(&self.child), signal).unwrap();
    }

    /// Ends the session as Ctrl-C does.
    pub(crate) fn finish(self) -> Report {
        self.signal(Signal::INT);
        self.wait()
    }

    /// Waits for its end.
    pub(crate) fn wait(mut self) -> Report {
        if self.stderr.drain().is_err() {
            panic!("coral does not end: {:#?}", self.stderr.seen);
        }
        Report {
            status: self.child.wait().unwrap(),
            stdout: self.stdout.take().unwrap().join().unwrap(),
            stderr: std::mem::take(&mut self.stderr.seen),
        }
    }
}

impl Drop for Coral {
    fn drop(&mut self) {
        // It may have ended already.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

impl Report {
    /// The one JSON document on stdout, of a command that succeeded.
    pub(crate) fn document(&self) -> Value {
        assert!(self.status.success(), "{self:#?}");
        serde_json::from_str(&self.stdout).unwrap_or_else(|error| panic!("{error}: {self:#?}"))
    }

    /// The code of the error, which must be followed by help.
    pub(crate) fn error_code(&self) -> &str {
        let mut lines = self.stderr.iter();
        let code = lines.by_ref().find_map(|line| {
            let (code, message) = line.strip_prefix("error[")?.split_once("]: ")?;
            (!message.is_empty()).then_some(code)
        });
        let code = code.unwrap_or_else(|| panic!("no error: {self:#?}"));
        let is_stable = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-';
        assert!(!code.is_empty() && code.chars().all(is_stable), "{code}");
        let helps = lines.any(|line| line.strip_prefix("help: ").is_some_and(|it| !it.is_empty()));
        assert!(helps, "no help: {self:#?}");
        code
    }

    /// How many probes the line `detached: ...` names.
    pub(crate) fn detached_probes(&self) -> u64 {
        let counts: Vec<u64> = self
            .stderr
            .iter()
            .filter_map(|line| {
                line.strip_prefix("detached: ")?
                    .strip_suffix(" probes")?
                    .parse()
                    .ok()
            })
            .collect();
        assert_eq!(counts.len(), 1, "one line `detached`: {self:#?}");
        counts[0]
    }

    pub(crate) fn says(&self, text: &str) -> bool {
        self.stderr.iter().any(|line| line.contains(text))
    }
}

/// `coral debug attach` with JSON output and a lease that outlasts the test, unless `more` says
/// otherwise.
pub(crate) fn attach_command<S: AsRef<OsStr>>(pid: u32, functions: &[S], more: &[&str]) -> Command {
    let mut command = Command::new(PROGRAM);
    command
        .args(["debug", "attach", "--pid"])
        .arg(pid.to_string());
    for function in functions {
        command.arg("--function").arg(function);
    }
    // A test may spend what a user must not.
    let defaults = [
        ("--format", "json"),
        ("--duration", "300s"),
        ("--budget", "none"),
    ];
    for (option, default) in defaults {
        if !more.contains(&option) {
            command.args([option, default]);
        }
    }
    command.args(more);
    command
}

fn parse_attached(line: &str) -> Option<Attached> {
    let rest = line.strip_prefix("attached: ")?;
    let (functions, rest) = rest.split_once(" functions, ")?;
    let (probes, session) = rest.split_once(" probes, session ")?;
    Some(Attached {
        functions: functions.parse().ok()?,
        probes: probes.parse().ok()?,
        session: session.to_owned(),
    })
}
