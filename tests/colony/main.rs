//! A colony, its agents and real replicas on this machine; consoles and programs as its clients.
#![allow(clippy::print_stderr, clippy::unwrap_used)] // all of this is tests

mod access;
mod asking;
#[allow(dead_code)] // the tests of the agent use all of it
#[path = "../common/calls.rs"]
mod calls;
#[allow(dead_code)] // the tests of access use all of it
#[path = "../common/certificates.rs"]
mod certificates;
mod clients;
mod clock;
#[allow(dead_code)] // it is never in a bad mood here
#[path = "../common/collector.rs"]
mod collector;
#[path = "../common/mod.rs"]
mod common;
mod console;
mod export;
mod faults;
mod identities;
mod jumps;
#[allow(dead_code)] // the figures use all of it
#[path = "../../benches/figures/colony/made.rs"]
mod made;
mod many;
mod network;
#[allow(dead_code)] // the figures use all of it
#[path = "../../benches/figures/colony/nodes.rs"]
mod nodes;
mod requests;
mod sessions;
mod storage;
#[allow(dead_code)] // it can do more than is needed here
#[path = "../console/terminal.rs"]
mod terminal;
mod world;

type Result<T> = std::result::Result<T, Box<dyn std::error::Error>>;
