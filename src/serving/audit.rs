//! What the agent writes down of what it was asked for.

use std::fs;
use std::sync::Arc;

use serde_json::Value;
use tokio::task::spawn_blocking;
use tonic::Status;

use crate::access::audit::{AuditError, AuditLog, AuditSettings, Entry, Outcome, Who};
use crate::access::{Denied, PeerAddress};

use super::ServeError;

/// The audit log, or none where none is configured.
#[derive(Debug)]
pub(crate) struct Audit(Option<Arc<AuditLog>>);

impl Audit {
    pub(crate) fn open(settings: Option<&AuditSettings>) -> Result<Self, ServeError> {
        let log = settings.map(|settings| {
            // Where it cannot be made, opening the log says why.
            let _ = settings.path.parent().map(fs::create_dir_all);
            AuditLog::open(settings.clone())
        });
        Ok(Self(log.transpose()?.map(Arc::new)))
    }

    /// Writes a record and waits for the disk.
    ///
    /// # Errors
    /// If it could not be written: then what was asked for must not be done.
    pub(crate) async fn record(&self, entry: Entry) -> Result<(), Status> {
        let Some(log) = self.0.clone() else {
            return Ok(());
        };
        let written = spawn_blocking(move || log.append(&entry)).await;
        match written {
            Ok(Ok(())) => Ok(()),
            Ok(Err(error)) => Err(super::status::of(&error)),
            Err(_) => Err(super::status::failed("the audit log's thread has failed")),
        }
    }

    /// Writes a record of what is done whether that works or not.
    pub(crate) fn note(&self, entry: Entry) {
        if let Some(log) = self.0.clone() {
            spawn_blocking(move || {
                // Ending a session must not depend on a disk; the log says itself that it is full.
                let _ = log.append(&entry);
            });
        }
    }

    /// Somebody was not let in.
    pub(crate) fn refused(&self, address: PeerAddress, reason: String) {
        let who = Who::unidentified(address);
        self.note(Entry::new(who, "connect", Outcome::Refused(reason)));
    }

    /// Somebody may not do that: notes it, and returns what they get.
    pub(crate) fn denied(&self, mut entry: Entry, denied: Denied) -> Status {
        entry.outcome = Outcome::Refused(denied.reason());
        if let Some(log) = self.0.clone() {
            spawn_blocking(move || {
                // Nobody escapes the log by asking for more than a record can hold.
                if let Err(AuditError::TooLarge { .. }) = log.append(&entry) {
                    entry.functions.clear();
                    entry.settings = Value::Null;
                    let _ = log.append(&entry);
                }
            });
        }
        denied.into()
    }
}
