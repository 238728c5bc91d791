//! What is read from the node before anything is judged.

use std::fs;
use std::path::Path;

use rustix::process::{Resource, getrlimit};

use crate::probe::KernelFacts;

/// What the kernel and its settings say; `None` where a file is not there.
#[derive(Clone, Debug)]
pub(super) struct System {
    pub(super) kernel: KernelFacts,
    pub(super) has_btf: bool,
    pub(super) unprivileged_bpf_disabled: Option<String>,
    pub(super) perf_event_paranoid: Option<String>,
    /// The limit of locked memory in bytes; none is unlimited.
    pub(super) memlock_bytes: Option<u64>,
    pub(super) ptrace_scope: Option<String>,
    pub(super) container: Container,
    pub(super) clocksource: Option<String>,
}

/// What tells that this process runs in a container.
#[derive(Clone, Debug, Default)]
pub(super) struct Container {
    /// Files and control groups that containers have.
    pub(super) hints: Vec<&'static str>,
    /// It sees only processes of its own namespace.
    pub(super) has_own_pids: bool,
    /// Its capabilities are not those of the host.
    pub(super) has_own_users: bool,
}

impl System {
    pub(super) fn read() -> Self {
        Self {
            kernel: KernelFacts::read(),
            has_btf: Path::new("/sys/kernel/btf/vmlinux").exists(),
            unprivileged_bpf_disabled: read("/proc/sys/kernel/unprivileged_bpf_disabled"),
            perf_event_paranoid: read("/proc/sys/kernel/perf_event_paranoid"),
            memlock_bytes: getrlimit(Resource::Memlock).current,
            ptrace_scope: read("/proc/sys/kernel/yama/ptrace_scope"),
            container: Container::read(),
            clocksource: read("/sys/devices/system/clocksource/clocksource0/current_clocksource"),
        }
    }
}

impl Container {
    fn read() -> Self {
        // The kernel gives its first namespaces these numbers, in every release.
        const FIRST_PID_NAMESPACE: &str = "pid:[4026531836]";
        const FIRST_USER_NAMESPACE: &str = "user:[4026531837]";
        let differs = |path: &str, first: &str| {
            fs::read_link(path).is_ok_and(|namespace| namespace.as_os_str() != first)
        };
        let cgroups = read("/proc/self/cgroup").unwrap_or_default();
        let hints = [
            ("/.dockerenv", Path::new("/.dockerenv").exists()),
            (
                "/run/.containerenv",
                Path::new("/run/.containerenv").exists(),
            ),
            ("a docker control group", cgroups.contains("docker")),
            ("a kubernetes control group", cgroups.contains("kubepods")),
        ];
        Self {
            hints: hints
                .into_iter()
                .filter(|hint| hint.1)
                .map(|hint| hint.0)
                .collect(),
            has_own_pids: differs("/proc/self/ns/pid", FIRST_PID_NAMESPACE),
            has_own_users: differs("/proc/self/ns/user", FIRST_USER_NAMESPACE),
        }
    }
}

fn read(path: &str) -> Option<String> {
    Some(fs::read_to_string(path).ok()?.trim().to_owned())
}
