//! `coral agent` as a daemon, and its clients: other processes and other programs, over its socket
//! and the loopback.
#![allow(clippy::unwrap_used)] // all of this is tests

#[path = "../common/mod.rs"]
mod common;
mod daemon;
mod services;
mod sessions;
