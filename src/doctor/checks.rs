//! How each thing is judged: from what was read to a check, without looking at the node again.

use coral_model::{escape, format_bytes};

use super::system::System;
use super::{Check, Status, features};
use crate::probe::{Capability, Feature, GRANT_CAPABILITIES, Trial, parse_release};

/// Clocks that a program in the kernel reads in tens of nanoseconds.
const FAST_CLOCKS: [&str; 5] = [
    "tsc",
    "kvm-clock",
    "xen",
    "hyperv_clocksource_tsc_page",
    "arch_sys_counter",
];

/// All checks, in the order in which they are shown.
pub(super) fn all(system: &System) -> Vec<Check> {
    let mut all = vec![kernel(system), ebpf(system)];
    all.extend(features::all(system));
    if *system.kernel.features.trial(Feature::MultiLinks) == Trial::Unknown {
        all.push(capability(system, Capability::SysAdmin));
    }
    all.extend([
        capability(system, Capability::Bpf),
        capability(system, Capability::Perfmon),
        capability(system, Capability::SysPtrace),
        lockdown(system),
        btf(system),
        unprivileged_bpf(system),
        perf_event_paranoid(system),
        memlock(system),
        ptrace_scope(system),
        container(system),
        clock(system),
    ]);
    all
}

fn kernel(system: &System) -> Check {
    let release = &system.kernel.release;
    let status = match parse_release(release) {
        None => Status::Unknown,
        Some(_) if system.kernel.is_new_enough() => Status::Ok,
        // Distributions add features to older kernels.
        Some(_) if system.kernel.features.missing().is_empty() => Status::Ok,
        Some(_) => Status::Fail,
    };
    let found = if release.is_empty() {
        "no release".into()
    } else {
        escape(release)
    };
    check(
        "kernel",
        status,
        found,
        "Linux 5.17 or newer; 6.10 has everything",
        "boot Linux 6.10 or newer",
    )
}

fn ebpf(system: &System) -> Check {
    let features = &system.kernel.features;
    let missing = features.missing();
    let names: Vec<&str> = missing.iter().map(|feature| feature.name()).collect();
    let (status, found) = match features.refusal() {
        _ if missing.is_empty() => (Status::Ok, "all that probes need works".to_owned()),
        Some(why) => (Status::Fail, format!("refused: {why}")),
        None => (Status::Fail, format!("without {}", names.join(", "))),
    };
    let help = "see the checks that fail; in a container, allow bpf(2) in its seccomp profile";
    check(
        "ebpf",
        status,
        found,
        "eBPF with probes on user programs",
        help,
    )
}

fn capability(system: &System, capability: Capability) -> Check {
    let (name, without, needed) = match capability {
        Capability::Bpf => ("cap_bpf", Status::Fail, "CAP_BPF, to load programs"),
        Capability::Perfmon => ("cap_perfmon", Status::Fail, "CAP_PERFMON, to attach them"),
        Capability::SysPtrace => (
            "cap_sys_ptrace",
            Status::Warn,
            "CAP_SYS_PTRACE, for processes of other users",
        ),
        Capability::SysAdmin => (
            "cap_sys_admin",
            Status::Warn,
            "CAP_SYS_ADMIN, which some kernels want for links for single probes",
        ),
    };
    let (status, found) = match system.kernel.capabilities {
        None => (Status::Unknown, "/proc/self/status cannot be read"),
        Some(held) if held.has(capability) => (Status::Ok, "held"),
        Some(_) => (without, "not held"),
    };
    let fix = match capability {
        Capability::SysAdmin => "run as root",
        _ => GRANT_CAPABILITIES,
    };
    check(name, status, found, needed, fix)
}

fn lockdown(system: &System) -> Check {
    let is_refused = system.kernel.features.refusal().is_some();
    let status = match system.kernel.lockdown.as_deref() {
        Some("confidentiality") if is_refused => Status::Fail,
        Some("confidentiality") => Status::Warn,
        _ => Status::Ok,
    };
    check(
        "lockdown",
        status,
        system
            .kernel
            .lockdown
            .as_deref()
            .unwrap_or("not in this kernel"),
        "none or integrity",
        "boot with `lockdown=integrity` or without lockdown on the kernel's command line",
    )
}

fn btf(system: &System) -> Check {
    let (status, found) = match system.has_btf {
        true => (Status::Ok, "/sys/kernel/btf/vmlinux"),
        false => (Status::Warn, "not there"),
    };
    check(
        "btf",
        status,
        found,
        "the kernel's type information, for other tools; coral's probes work without",
        "boot a kernel with CONFIG_DEBUG_INFO_BTF",
    )
}

fn unprivileged_bpf(system: &System) -> Check {
    let needed = "any value: coral uses CAP_BPF";
    setting(
        "unprivileged_bpf_disabled",
        &system.unprivileged_bpf_disabled,
        Status::Ok,
        needed,
        "",
    )
}

fn perf_event_paranoid(system: &System) -> Check {
    let may_watch = system
        .kernel
        .capabilities
        .is_none_or(|held| held.has(Capability::Perfmon));
    setting(
        "perf_event_paranoid",
        &system.perf_event_paranoid,
        if may_watch { Status::Ok } else { Status::Warn },
        "any value, with CAP_PERFMON",
        "get CAP_PERFMON: the value then does not matter",
    )
}

fn memlock(system: &System) -> Check {
    // Before 5.11 maps counted against this limit; since then they count to the control group.
    const COUNTED_BEFORE: (u32, u32) = (5, 11);
    const NEEDED_BYTES: u64 = 256 << 20;
    let counts =
        parse_release(&system.kernel.release).is_some_and(|release| release < COUNTED_BEFORE);
    let is_low = system
        .memlock_bytes
        .is_some_and(|bytes| bytes < NEEDED_BYTES);
    check(
        "memlock",
        if counts && is_low {
            Status::Warn
        } else {
            Status::Ok
        },
        system
            .memlock_bytes
            .map_or("unlimited".to_owned(), format_bytes),
        "256 MiB before Linux 5.11, any value since",
        "ulimit -l unlimited",
    )
}

fn ptrace_scope(system: &System) -> Check {
    let held = system.kernel.capabilities;
    let status = match system.ptrace_scope.as_deref() {
        Some("2") if held.is_some_and(|held| !held.has(Capability::SysPtrace)) => Status::Warn,
        Some("3") => Status::Warn,
        _ => Status::Ok,
    };
    setting(
        "ptrace_scope",
        &system.ptrace_scope,
        status,
        "0 or 1, or 2 with CAP_SYS_PTRACE, to read the memory of targets",
        "sudo sysctl kernel.yama.ptrace_scope=1 (from 3 only by a restart)",
    )
}

fn container(system: &System) -> Check {
    let container = &system.container;
    let mut found = container.hints.clone();
    if container.has_own_pids {
        found.push("a process namespace of its own");
    }
    if container.has_own_users {
        found.push("a user namespace of its own");
    }
    check(
        "container",
        if container.has_own_pids || container.has_own_users {
            Status::Warn
        } else {
            Status::Ok
        },
        if found.is_empty() {
            "none".to_owned()
        } else {
            found.join(", ")
        },
        "the host's process and user namespaces, to see and probe every process",
        "run on the host, or with `--pid=host --userns=host --cap-add=BPF,PERFMON,SYS_PTRACE`",
    )
}

fn clock(system: &System) -> Check {
    let status = match system.clocksource.as_deref() {
        None => Status::Unknown,
        Some(clock) if FAST_CLOCKS.contains(&clock) => Status::Ok,
        Some(_) => Status::Warn,
    };
    check(
        "clock",
        status,
        system.clocksource.as_deref().unwrap_or("not there"),
        "a clock that is fast to read, such as tsc: every hit reads it",
        "boot with `clocksource=tsc` if the processor's counter is stable",
    )
}

/// A check of a kernel setting that may not be there, which is as good as harmless.
fn setting(
    name: &'static str,
    value: &Option<String>,
    status: Status,
    needed: &'static str,
    fix: &str,
) -> Check {
    match value {
        Some(value) => check(name, status, escape(value), needed, fix),
        None => check(name, Status::Ok, "not in this kernel", needed, fix),
    }
}

/// A check; the fix is left out where nothing is to be fixed.
pub(super) fn check(
    name: &'static str,
    status: Status,
    found: impl Into<String>,
    needed: &'static str,
    fix: &str,
) -> Check {
    Check {
        name,
        status,
        found: found.into(),
        needed,
        fix: matches!(status, Status::Warn | Status::Fail).then(|| fix.to_owned()),
    }
}
