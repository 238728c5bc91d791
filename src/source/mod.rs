//! Where the numbers come from: a process on this node, or a recording. The console and the
//! command line read both the same way.

pub mod local;
pub mod remote;
mod select;
mod trace;
mod wish;

pub use select::{SelectError, matches, select};
pub use trace::{TraceError, TraceFormat, TraceTargets, TraceWish, trace_targets, write_traces};
pub use wish::AttachWish;
