//! Whether this machine lets tests place probes.

use std::fs;

/// The oldest kernel that takes as many probes as the tests place; older ones take few.
const KERNEL_MIN: (u32, u32) = (6, 6);
const CAP_SYS_ADMIN: u64 = 1 << 21;

/// Whether probes can be placed here; if not, why.
pub(crate) fn probes() -> Result<(), String> {
    if cfg!(not(all(target_os = "linux", target_arch = "x86_64"))) {
        return Err("not Linux on x86-64".into());
    }
    let status = fs::read_to_string("/proc/self/status").unwrap_or_default();
    let effective = status.lines().find_map(|line| line.strip_prefix("CapEff:"));
    let effective = effective.and_then(|mask| u64::from_str_radix(mask.trim(), 16).ok());
    if effective.unwrap_or(0) & CAP_SYS_ADMIN == 0 {
        return Err("not root".into());
    }
    let release = fs::read_to_string("/proc/sys/kernel/osrelease").unwrap_or_default();
    let mut numbers = release.split('.').map(|number| number.parse().unwrap_or(0));
    let version = (numbers.next().unwrap_or(0), numbers.next().unwrap_or(0));
    if version < KERNEL_MIN {
        return Err(format!("kernel {} is too old", release.trim()));
    }
    Ok(())
}
