//! What leaves a colony's history: to a collector of OpenTelemetry and to object storage.
#![allow(clippy::print_stderr, clippy::unwrap_used)] // all of this is tests

#[allow(dead_code)] // the tests of access use all of it
#[path = "../common/certificates.rs"]
mod certificates;
#[path = "../common/collector.rs"]
mod collector;
#[allow(dead_code)] // those of the history use all of it
#[path = "../store/fixture.rs"]
mod fixture;
mod otlp;
mod parquet;
mod s3;
mod tls;
