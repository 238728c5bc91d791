//! From planned probe sites to numbers: loads the kernel programs, attaches them, reads their maps.
//!
//! The only room that knows aya. It owns what the kernel holds for a session; when an [`Engine`]
//! is dropped, or its process dies, the kernel takes the probes out by itself.

mod calibrate;
mod engine;
mod error;
mod filter;
mod mapped;
mod numbers;
mod records;
mod requirements;
mod sites;

pub use calibrate::{Calibration, SiteCosts};
pub use engine::{Engine, EngineSpec};
pub use error::ProbeError;
pub use filter::{FilterArgument, FilterCompileError, ValueClass, compile_filter};
pub use numbers::{FunctionNumbers, HitNumbers};
pub use requirements::*;
pub use sites::{Attachment, FunctionSites, RefusedSite};

pub use coral_ebpf_common::CallRecord as KernelCallRecord;

/// The kernel's monotonic clock in nanoseconds, which leases and records are measured on.
pub fn monotonic_ns() -> u64 {
    let now = rustix::time::clock_gettime(rustix::time::ClockId::Monotonic);
    // The clock counts from boot: neither part is negative.
    now.tv_sec as u64 * 1_000_000_000 + now.tv_nsec as u64
}
