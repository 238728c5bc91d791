//! The latency script that people write for bpftrace, on the same function.

use std::fs::File;
use std::io::{Read, Seek};
use std::process::{Child, Command, Stdio};

use rustix::process::{Pid, Signal, kill_process};

use crate::Result;
use crate::common::code;
use crate::common::lines::eventually;
use crate::subject::Subject;

/// Where returns are caught.
#[derive(Clone, Copy)]
pub(crate) enum Returns {
    /// By the kernel's return probe.
    Uretprobe,
    /// At the plan's exits: a return probe would end a Go program.
    Exits,
}

/// The version that is installed, or why there is none.
pub(crate) fn version() -> std::result::Result<String, String> {
    let output = Command::new("bpftrace").arg("--version").output();
    let output = output.map_err(|error| format!("no bpftrace: {error}"))?;
    Ok(String::from_utf8_lossy(&output.stdout).trim().to_owned())
}

/// Nanoseconds per call under the script, which must see every call.
pub(crate) fn run(subject: &mut Subject, returns: Returns, calls: u64) -> Result<f64> {
    let mut script = Script::start(&script(subject, returns)?)?;
    let pid = subject.workload.pid();
    if !eventually(|| !code::changed(pid).is_empty()) {
        return Err("bpftrace does not attach".into());
    }
    // The first probe is there; the others are a moment later.
    subject.workload.run(calls)?;
    let duration_ns = subject.workload.run(calls)?;
    let counted = durations(&script.finish()?)?;
    if counted < calls {
        return Err(format!("bpftrace has seen {counted} calls and not {calls}").into());
    }
    Ok(duration_ns)
}

fn script(subject: &Subject, returns: Returns) -> Result<String> {
    let binary = subject.binary.display();
    let (entry, exits) = match returns {
        Returns::Uretprobe => {
            let function = format!("probe:{binary}:{}", subject.function.name);
            (format!("u{function}"), format!("uret{function}"))
        }
        // A place in a binary without symbols is named by its offset in the file.
        Returns::Exits => {
            let probe = |address| {
                let offset = subject.file_offset(address)?;
                Ok(format!("uprobe:{binary}:{offset:#x}"))
            };
            let exits = subject.function.plan.exits.iter();
            let exits = exits.map(|exit| probe(exit.address));
            let exits = exits.collect::<Result<Vec<String>>>()?;
            (probe(subject.function.address)?, exits.join(", "))
        }
    };
    Ok(format!(
        "{entry} {{ @s[tid] = nsecs; }} \
         {exits} /@s[tid]/ {{ @l = hist(nsecs - @s[tid]); delete(@s[tid]); }}"
    ))
}

/// A running script. Dropping it ends it.
pub(crate) struct Script {
    child: Child,
    /// A file, which never makes the script wait as a pipe does.
    output: File,
}

impl Script {
    pub(crate) fn start(script: &str) -> Result<Self> {
        let mut command = Command::new("bpftrace");
        // It allows probes at offsets; the planner has checked them.
        command.args(["--unsafe", "-e", script]);
        let output = tempfile::tempfile()?;
        command.stdout(output.try_clone()?).stderr(Stdio::null());
        let child = command.spawn()?;
        Ok(Self { child, output })
    }

    /// Ends it; all that it has printed.
    pub(crate) fn finish(&mut self) -> Result<String> {
        kill_process(Pid::from_child(&self.child), Signal::INT)?;
        self.child.wait()?;
        let mut text = String::new();
        self.output.rewind()?;
        self.output.read_to_string(&mut text)?;
        Ok(text)
    }
}

/// How many durations a histogram holds that a script has printed.
fn durations(text: &str) -> Result<u64> {
    // `[1K, 2K)    997 |@@@@@   |`
    let buckets = text.lines().filter_map(|line| line.split_once('|'));
    let counts = buckets.filter_map(|(bucket, _)| bucket.split_whitespace().last());
    Ok(counts
        .map(str::parse::<u64>)
        .sum::<std::result::Result<_, _>>()?)
}

impl Drop for Script {
    fn drop(&mut self) {
        // It may have ended already.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
