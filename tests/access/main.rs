//! Who gets in, what they may do, and what the audit log knows of it afterwards.
#![allow(clippy::unwrap_used)] // all of this is tests

mod audit;
#[path = "../common/certificates.rs"]
mod certificates;
mod certs;
mod identities;
mod listeners;
mod server;
