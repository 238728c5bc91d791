//! The events of the kernel's that links for single probes are made of.
#![allow(unsafe_code)] // a system call that no library offers for this kind of event

use std::fs;
use std::io;

/// Where the kernel says which number this kind of events has.
const UPROBE_TYPE: &str = "/sys/bus/event_source/devices/uprobe/type";

/// `struct perf_event_attr` of perf_event_open(2), in its second version (`PERF_ATTR_SIZE_VER1`).
#[repr(C)]
#[derive(Default)]
struct EventAttributes {
    kind: u32,
    size: u32,
    config: u64,
    sample_period: u64,
    sample_type: u64,
    read_format: u64,
    flags: u64,
    wakeup_events: u32,
    breakpoint_kind: u32,
    path: u64,
    file_offset: u64,
}

const _: () = assert!(size_of::<EventAttributes>() == 72, "PERF_ATTR_SIZE_VER1");

/// Whether the kernel has events for probes on user programs, and lets this process have them.
///
/// A probe on a directory is asked for: who may have probes is told that this is no file.
///
/// # Errors
/// What the kernel said, if it does not let this process have them.
pub(super) fn try_uprobe() -> io::Result<bool> {
    let Ok(kind) = fs::read_to_string(UPROBE_TYPE) else {
        return Ok(false);
    };
    let path = c"/";
    let event = EventAttributes {
        kind: kind.trim().parse().map_err(io::Error::other)?,
        size: size_of::<EventAttributes>() as u32,
        path: path.as_ptr() as u64,
        ..EventAttributes::default()
    };
    const EVERY_PROCESS: i32 = -1;
    const FIRST_PROCESSOR: i32 = 0;
    const NO_GROUP: i32 = -1;
    /// `PERF_FLAG_FD_CLOEXEC`
    const CLOSE_ON_EXEC: u64 = 1 << 3;
    // SAFETY: the kernel reads `size` bytes of the attributes and the path, which both live on.
    let opened = unsafe {
        libc::syscall(
            libc::SYS_perf_event_open,
            &raw const event,
            EVERY_PROCESS,
            FIRST_PROCESSOR,
            NO_GROUP,
            CLOSE_ON_EXEC,
        )
    };
    let error = io::Error::last_os_error();
    match error.raw_os_error() {
        _ if opened >= 0 => Err(io::Error::other("a probe on a directory was accepted")),
        Some(libc::EINVAL) => Ok(true),
        Some(libc::ENOENT | libc::EOPNOTSUPP | libc::ENOSYS) => Ok(false),
        _ => Err(error),
    }
}
