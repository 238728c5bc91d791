//! The console as a whole: events in, effects and screens out.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

mod any_size;
mod attach;
mod calls;
mod colony;
mod everywhere;
mod finding;
mod fixture;
mod harness;
mod history;
mod hostile;
mod keys;
mod latency;
mod link;
mod mouse;
mod probes;
mod replicas;
mod rows;
mod screens;
mod services;
mod sessions;
mod small;
mod source;
mod sql;
mod storm;
mod time;
mod trace;
mod typed_filter;
mod views;
