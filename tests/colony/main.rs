//! A colony, its agents and real replicas on this machine; consoles and programs as its clients.
#![allow(clippy::print_stderr, clippy::unwrap_used)] // all of this is tests

mod access;
#[allow(dead_code)] // the tests of the agent use all of it
#[path = "../common/calls.rs"]
mod calls;
#[allow(dead_code)] // the tests of access use all of it
#[path = "../common/certificates.rs"]
mod certificates;
mod clients;
#[path = "../common/mod.rs"]
mod common;
mod console;
mod faults;
mod identities;
mod network;
mod sessions;
mod storage;
mod world;
