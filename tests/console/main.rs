//! The whole program `coral-tui` in a real terminal: keys in, bytes out, a live process beside it.
#![allow(clippy::unwrap_used)] // all of this is tests

mod agent;
#[path = "../common/mod.rs"]
mod common;
mod configuring;
mod ending;
mod measuring;
mod showing;
mod source;
mod suspending;
mod terminal;
