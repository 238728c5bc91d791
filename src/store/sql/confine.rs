//! What a process gives up before it runs a query of somebody else's.

use std::io;

use rustix::process::{
    Resource, Rlimit, Signal, getuid, set_parent_process_death_signal, setrlimit,
};
use rustix::thread::{UnshareFlags, set_no_new_privs, unshare_unsafe};

/// All memory that the process may map, its program included, in bytes.
const MEMORY_BYTES: u64 = 2 << 30;

/// Gives up files, network, processes and memory, for good; ends with its parent.
pub(super) fn confine() -> io::Result<()> {
    set_parent_process_death_signal(Some(Signal::KILL))?;
    set_no_new_privs(true)?;
    if getuid().is_root() {
        // Best effort: a container's root may not do that, and without access to anything outside
        // DuckDB opens no connection.
        let _ = leave_network();
    }
    for (resource, limit) in [
        (Resource::As, MEMORY_BYTES),
        (Resource::Fsize, 0),
        (Resource::Nproc, 0),
        (Resource::Core, 0),
    ] {
        let limit = Rlimit {
            current: Some(limit),
            maximum: Some(limit),
        };
        setrlimit(resource, limit)?;
    }
    Ok(())
}

#[allow(unsafe_code)] // no other function leaves a namespace
fn leave_network() -> rustix::io::Result<()> {
    // SAFETY: what threads share of memory and open files stays as it is.
    unsafe { unshare_unsafe(UnshareFlags::NEWNET) }
}
