//! `coral agent` as a daemon, and its clients: other processes and other programs, over its socket
//! and the loopback.
#![allow(clippy::print_stderr, clippy::unwrap_used)] // all of this is tests

mod calls;
#[path = "../common/certificates.rs"]
mod certificates;
mod colony;
#[path = "../common/mod.rs"]
mod common;
mod daemon;
#[path = "../common/calls.rs"]
mod grpc;
mod hostile;
mod identities;
#[path = "../common/python.rs"]
mod interpreter;
mod journals;
mod leases;
mod limits;
mod proxy;
mod python;
mod services;
mod sessions;
mod standard;
