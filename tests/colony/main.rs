//! A colony, its agents and real replicas on this machine; consoles and programs as its clients.
#![allow(clippy::print_stderr, clippy::unwrap_used)] // all of this is tests

mod access;
#[allow(dead_code)] // it is never in a bad mood here
#[path = "../common/collector.rs"]
mod collector;
#[path = "../common/mod.rs"]
mod common;
mod console;
mod export;
mod requests;
mod sessions;
#[allow(dead_code)] // it can do more than is needed here
#[path = "../console/terminal.rs"]
mod terminal;
mod world;
