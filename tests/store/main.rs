//! A colony's history: each row once, nothing lost that was answered, and no query that does harm.
#![allow(clippy::print_stdout, clippy::unwrap_used)] // all of this is tests

mod crash;
mod damage;
mod exports;
mod failures;
mod fixture;
mod history;
mod once;
mod queries;
mod retention;
