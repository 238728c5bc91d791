//! The emulated machine: boots, prints, and ends, or is ended.

use std::io::{BufRead, BufReader};
use std::path::Path;
use std::process::{Child, ChildStdout, Command, Stdio};
use std::sync::mpsc::{Receiver, channel};
use std::time::{Duration, Instant};

use crate::shell::{self, Result};

const EMULATOR: &str = "qemu-system-x86_64";
/// How the machine's first process begins its lines.
const UP: &str = "machine: up with ";
const ENDED: &str = "machine: tests ended with status ";

/// Whether the emulator is there.
pub(super) fn check_emulator() -> Result<()> {
    shell::output(Command::new(EMULATOR).arg("--version"))
        .map(drop)
        .map_err(|reason| {
            format!(
                "{reason}; install it (Debian: `apt-get install --no-install-recommends \
                 qemu-system-x86`)"
            )
        })
}

/// Boots `kernel` with the file system `image`, and passes on what the machine prints.
///
/// Fails if the tests in it did not end with status 0 within `limit`.
pub(super) fn run(kernel: &Path, image: &Path, limit: Duration) -> Result<()> {
    let begin = Instant::now();
    let mut machine = Running(start(kernel, image)?);
    let lines = lines(machine.0.stdout.take());
    let mut status = None;
    loop {
        let left = limit.saturating_sub(begin.elapsed());
        let line = match lines.recv_timeout(left) {
            Ok(line) => line,
            Err(_) if begin.elapsed() >= limit => {
                return Err(format!(
                    "the machine did not end within {} s",
                    limit.as_secs()
                ));
            }
            Err(_) => break,
        };
        println!("{line}");
        if line.contains(UP) {
            println!("booted in {:.0} s", begin.elapsed().as_secs_f64());
        }
        if let Some((_, number)) = line.split_once(ENDED) {
            status = Some(number.to_owned());
        }
    }
    match status.as_deref() {
        Some("0") => {
            println!("all in {:.0} s", begin.elapsed().as_secs_f64());
            Ok(())
        }
        Some(status) => Err(format!("the tests ended with status {status}")),
        None => Err("the machine ended before its tests did".into()),
    }
}

/// Both processors take turns on one thread: emulated at the same time they do not always see each
/// other's changes of code, and targets with several threads crash at probes.
fn start(kernel: &Path, image: &Path) -> Result<Child> {
    Command::new(EMULATOR)
        .args(["-accel", "tcg,thread=single", "-smp", "2", "-m", "1G"])
        .args(["-display", "none", "-monitor", "none", "-serial", "stdio"])
        .args(["-nic", "none", "-no-reboot"])
        .arg("-kernel")
        .arg(kernel)
        .arg("-initrd")
        .arg(image)
        .args(["-append", "console=ttyS0 panic=-1 loglevel=4"])
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .spawn()
        .map_err(|error| format!("cannot start {EMULATOR}: {error}"))
}

/// The lines of the machine's serial port, until it ends.
fn lines(port: Option<ChildStdout>) -> Receiver<String> {
    let (sender, receiver) = channel();
    std::thread::spawn(move || {
        for line in port
            .into_iter()
            .flat_map(|port| BufReader::new(port).split(b'\n'))
        {
            let Ok(line) = line else { break };
            let line = String::from_utf8_lossy(&line).trim_end().to_owned();
            if sender.send(line).is_err() {
                break;
            }
        }
    });
    receiver
}

/// A machine that does not outlive its caller.
struct Running(Child);

impl Drop for Running {
    fn drop(&mut self) {
        // It may have ended already.
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}
