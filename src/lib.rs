//! What the programs `coral-tui` and `coral` are made of. ARCHITECTURE.md has the map.

pub mod access;
pub mod agent;
pub mod cli;
pub mod colony;
mod command_line;
pub mod config;
mod connection;
pub mod console;
pub mod demo;
pub mod doctor;
pub mod export;
pub mod failure;
pub mod node;
pub mod outlets;
pub mod probe;
pub mod recording;
pub mod serving;
mod signals;
#[cfg(test)]
mod simulation;
pub mod source;
pub mod store;
pub mod symbols;
