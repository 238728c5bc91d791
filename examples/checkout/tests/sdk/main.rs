//! The SDK inside of a real application, asked and watched from outside.
#![allow(clippy::unwrap_used)] // all of this is tests

mod agent;
mod checkout;
mod connections;
mod monitoring;
mod registration;
mod truth;
