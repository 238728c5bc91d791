//! Where the numbers come from: a process on this node, or a recording. The console and the
//! command line read both the same way.

pub mod local;
pub mod remote;
mod select;

pub use select::{SelectError, matches, select};
