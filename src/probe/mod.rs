//! From planned probe sites to numbers: loads the kernel programs, attaches them, reads their maps.
//!
//! The only room that knows aya. It owns what the kernel holds for a session; when an [`Engine`]
//! is dropped, or its process dies, the kernel takes the probes out by itself.

mod attach;
mod calibrate;
mod engine;
mod error;
mod features;
mod filter;
mod frames;
mod links;
mod mapped;
mod numbers;
mod perf_events;
mod records;
mod requirements;
mod sites;
mod spec;
mod tree;

pub use attach::Replaced;
pub use calibrate::{Calibration, SiteCosts};
pub use engine::Engine;
pub use error::ProbeError;
pub use features::{Feature, Features, Trial};
pub use filter::{FilterArgument, FilterCompileError, ValueClass, compile_filter};
pub use frames::LiveStack;
pub use links::Links;
pub use numbers::{FunctionNumbers, HitNumbers};
pub use records::KernelRecord;
pub use requirements::*;
pub use sites::{Attachment, FunctionSites, Point, RefusedSite};
pub use spec::EngineSpec;
pub use tree::NodeNumbers;

/// The kernel's monotonic clock in nanoseconds, which leases and records are measured on.
pub fn monotonic_ns() -> u64 {
    let now = rustix::time::clock_gettime(rustix::time::ClockId::Monotonic);
    // The clock counts from boot: neither part is negative.
    now.tv_sec as u64 * 1_000_000_000 + now.tv_nsec as u64
}
