//! Sessions of everybody, as a colony remembers them.

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use crate::{SessionId, SessionState};

/// A session without its numbers: who asked for it, on what, and what became of it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct SessionSummary {
    /// Its name.
    pub id: SessionId,
    /// The service that it measures.
    pub service: String,
    /// Who asked for it.
    pub requested_by: String,
    /// Whether it still measures, or why it ended.
    pub state: SessionState,
    /// When it began.
    pub started_at: Timestamp,
    /// When it ended.
    pub ended_at: Option<Timestamp>,
    /// How many replicas it measured.
    pub replicas: u32,
    /// The names of its functions, as they stand in the binary: escape them before showing them.
    pub functions: Vec<String>,
    /// How many single calls are kept of it.
    pub records: u64,
}
