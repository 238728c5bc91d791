//! What a process takes of its node.

use std::collections::HashMap;
use std::fs;
use std::thread::sleep;
use std::time::Duration;

/// How long processor time is counted.
const COUNTED: Duration = Duration::from_secs(10);

/// What a process takes of its node.
pub(crate) struct Used {
    pub(crate) percent: f64,
    pub(crate) resident_mib: f64,
}

impl Used {
    /// What it takes from now on, for ten seconds.
    pub(crate) fn by(pid: u32) -> Self {
        let before = ran_ns(pid);
        sleep(COUNTED);
        let after = ran_ns(pid);
        let grown = |(tid, ns): (&u32, &u64)| ns - before.get(tid).unwrap_or(&0);
        let used_ns: u64 = after.iter().map(grown).sum();
        Self {
            percent: used_ns as f64 / COUNTED.as_nanos() as f64 * 100.0,
            resident_mib: resident_mib(pid),
        }
    }
}

impl std::fmt::Display for Used {
    fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(out, "{:11.2} {:8.1}", self.percent, self.resident_mib)
    }
}

/// The memory of a process that is in memory.
pub(crate) fn resident_mib(pid: u32) -> f64 {
    let status = fs::read_to_string(format!("/proc/{pid}/status")).unwrap();
    let resident = status.lines().find_map(|line| line.strip_prefix("VmRSS:"));
    let kib = resident.unwrap().trim().trim_end_matches(" kB");
    kib.parse::<f64>().unwrap() / 1024.0
}

/// How long each thread of a process has run so far; to the nanosecond, where ticks of the clock
/// miss what is short.
fn ran_ns(pid: u32) -> HashMap<u32, u64> {
    let tasks = fs::read_dir(format!("/proc/{pid}/task")).unwrap();
    let ran = tasks.flatten().filter_map(|task| {
        let tid = task.file_name().to_str()?.parse().ok()?;
        let text = fs::read_to_string(task.path().join("schedstat")).ok()?;
        Some((tid, text.split(' ').next()?.parse().ok()?))
    });
    ran.collect()
}
