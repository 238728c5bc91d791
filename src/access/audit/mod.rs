//! The audit log: what privileged things were asked for, by whom, and what became of it.
//!
//! A file of JSON lines. Every record holds the hash of the record before it and, at its end, its
//! own: one that was edited, removed or moved breaks the chain. Who can write the file can also
//! make a new chain, or cut records off its end; an anchor in another place, which holds the
//! number and the hash of the last record, tells that.
//!
//! **Architecture invariant: the record comes before the deed.** [`AuditLog::append`] returns when
//! the record is on disk; where it fails, nothing is attached. Detaching asks nobody: it notes
//! what it can, and goes on.

mod anchor;
mod entry;
mod error;
mod files;
mod line;
mod log;
mod verify;

pub use entry::{Entry, Outcome, Who};
pub use error::{AuditError, Broken, Fault};
pub use log::{AuditLog, AuditSettings};
pub use verify::{Verified, verify};
