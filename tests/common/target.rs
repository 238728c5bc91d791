//! A running target, and the truth it tells.

use std::collections::BTreeMap;
use std::io::Write;
use std::path::Path;
use std::process::{Child, Command, ExitStatus, Stdio};

use rustix::process::{Pid, Signal, kill_process};
use serde::Deserialize;

use super::lines::Lines;
use super::tree;

/// What a scenario's functions know about their calls. `tests/targets/README.md` has the details.
#[derive(Clone, Debug, Deserialize)]
pub(crate) struct Truth {
    pub(crate) scenario: String,
    pub(crate) functions: BTreeMap<String, Calls>,
    pub(crate) checksum: String,
    #[serde(default)]
    pub(crate) provoked: BTreeMap<String, u64>,
    #[serde(default)]
    pub(crate) durations_ns: BTreeMap<String, Durations>,
    /// The paths of its calls, where it can know them.
    pub(crate) tree: Option<Vec<tree::Path>>,
    /// Its threads go from one stack to another and back in the middle of calls. Then depth says
    /// nothing, and what cannot be paired must be said to be so.
    #[serde(default)]
    pub(crate) stacks_switch: bool,
    /// What became of the futures of its async functions.
    #[serde(default)]
    pub(crate) futures: BTreeMap<String, Futures>,
}

/// The truth about one function.
#[derive(Clone, Copy, Debug, Deserialize)]
pub(crate) struct Calls {
    pub(crate) calls: u64,
    pub(crate) returns: u64,
    pub(crate) unwound: u64,
    /// The goroutine or the thread ended inside of the call.
    #[serde(default)]
    pub(crate) unwound_or_in_flight: u64,
    /// Calls that returned an error, in Go.
    pub(crate) errors: Option<u64>,
}

/// The futures of one async function.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
pub(crate) struct Futures {
    /// Those that were polled.
    pub(crate) calls: u64,
    pub(crate) completed: u64,
    /// Of the completed ones.
    pub(crate) polls: u64,
    /// Dropped after a poll, and before they were done.
    pub(crate) dropped: u64,
}

/// Durations in nanoseconds, measured around the calls and inside of them.
#[derive(Clone, Copy, Debug, Deserialize)]
pub(crate) struct Durations {
    pub(crate) min: u64,
    pub(crate) max: u64,
    pub(crate) total: u64,
    pub(crate) inside_min: u64,
    pub(crate) inside_max: u64,
    pub(crate) inside_total: u64,
}

/// A child process that obeys. Dropping it ends it.
pub(crate) struct Target {
    child: Child,
    answers: Lines,
}

impl Target {
    /// Asserts that its answers are those of a fresh process of its program, which nothing probes.
    pub(crate) fn assert_answers_as_ever(&mut self) {
        let program = format!("/proc/{}/exe", self.pid());
        let fresh = Self::spawn(Path::new(&program)).run("plain").checksum;
        assert_eq!(self.run("plain").checksum, fresh);
    }

    /// Starts that binary and waits until it is ready.
    pub(crate) fn spawn(binary: &Path) -> Self {
        Self::start(&mut Command::new(binary))
    }

    /// Starts it by that command, which becomes the target.
    pub(crate) fn start(command: &mut Command) -> Self {
        let mut child = command
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let answers = Lines::of(child.stdout.take().unwrap());
        let mut target = Self { child, answers };
        assert_eq!(target.answer(), "ready");
        target
    }

    pub(crate) fn pid(&self) -> u32 {
        self.child.id()
    }

    /// The names of its scenarios.
    pub(crate) fn scenarios(&mut self) -> Vec<String> {
        self.say("list");
        serde_json::from_str(&self.answer()).unwrap()
    }

    /// Runs a scenario with its own number of repetitions.
    pub(crate) fn run(&mut self, scenario: &str) -> Truth {
        self.begin(&format!("run {scenario}"));
        self.truth()
    }

    /// Says a line without waiting for the answer.
    pub(crate) fn begin(&mut self, line: &str) {
        self.say(line);
    }

    /// The answer to a scenario that has begun.
    pub(crate) fn truth(&mut self) -> Truth {
        let answer = self.answer();
        serde_json::from_str(&answer).unwrap_or_else(|error| panic!("{error}: {answer}"))
    }

    /// The answer to a line of another kind.
    pub(crate) fn ask<T: serde::de::DeserializeOwned>(&mut self, line: &str) -> T {
        self.say(line);
        let answer = self.answer();
        serde_json::from_str(&answer).unwrap_or_else(|error| panic!("{error}: {answer}"))
    }

    /// Says a line and waits for that answer.
    pub(crate) fn expect(&mut self, line: &str, answer: &str) {
        self.say(line);
        assert_eq!(self.answer(), answer);
    }

    /// Replaces its program by a fresh copy (C only).
    pub(crate) fn exec(&mut self) {
        self.say("exec");
        assert_eq!(self.answer(), "ready");
    }

    pub(crate) fn signal(&self, signal: Signal) {
        kill_process(Pid::from_child(&self.child), signal).unwrap();
    }

    /// Ends it as a user of it would, and returns its status.
    pub(crate) fn quit(mut self) -> ExitStatus {
        self.say("quit");
        self.answers.drain().expect("the target ends");
        self.child.wait().unwrap()
    }

    /// Kills it, and leaves it unreaped: a zombie until it is dropped.
    pub(crate) fn kill_without_reaping(&mut self) {
        self.signal(Signal::KILL);
        self.answers.drain().expect("the target ends");
    }

    fn say(&mut self, line: &str) {
        writeln!(self.child.stdin.as_ref().unwrap(), "{line}").unwrap();
    }

    fn answer(&mut self) -> String {
        let line = self.answers.next().expect("the target answers");
        line.unwrap_or_else(|| panic!("the target ended: {:?}", self.child.wait()))
    }
}

impl Drop for Target {
    fn drop(&mut self) {
        // It may have ended already.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
