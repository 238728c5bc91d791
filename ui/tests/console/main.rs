//! The console as a whole: events in, effects and screens out.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

mod any_size;
mod calls;
mod finding;
mod fixture;
mod harness;
mod hostile;
mod keys;
mod latency;
mod probes;
mod rows;
mod screens;
mod sessions;
mod source;
mod time;
mod trace;
