//! Where a colony's history goes besides its own file: to a collector of OpenTelemetry, and as
//! Parquet to object storage.
//!
//! **Architecture invariant: who takes the history holds nothing up.** What waits for a collector is
//! bounded, and what is dropped is counted and told. What waits for object storage waits in the
//! history itself.

mod otlp;
mod parquet;

use std::fmt;
use std::sync::Arc;

pub use otlp::{Origin, Otlp};
pub use parquet::{ObjectsError, Parquet};

/// How a person is told what becomes of an outlet.
#[derive(Clone)]
pub struct Warn(Arc<dyn Fn(&str) + Send + Sync>);

impl Warn {
    /// Says what is to be said by that.
    pub fn new(warn: impl Fn(&str) + Send + Sync + 'static) -> Self {
        Self(Arc::new(warn))
    }

    /// Says it.
    pub fn say(&self, text: &str) {
        (self.0)(text);
    }
}

impl fmt::Debug for Warn {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("Warn")
    }
}
