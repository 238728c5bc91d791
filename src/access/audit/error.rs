//! Why a record is not written, and what is wrong with a log.

use std::io;
use std::path::{Path, PathBuf};

use coral_model::{Diagnostic, ExitStatus};

/// Why the log cannot be opened or written to.
#[derive(Debug, thiserror::Error)]
#[allow(missing_docs)] // the messages say it
pub enum AuditError {
    #[error("the audit log {} cannot be used: {error}", path.display())]
    Io { path: PathBuf, error: io::Error },
    #[error("the audit log {} cannot be read: {error}", path.display())]
    Unreadable { path: PathBuf, error: io::Error },
    #[error("the audit log {} is written by another process", path.display())]
    Locked { path: PathBuf },
    #[error("a record of {bytes} bytes is larger than {bytes_max}")]
    TooLarge { bytes: usize, bytes_max: usize },
    #[error("a record cannot be written as JSON: {0}")]
    Json(serde_json::Error),
    #[error("the audit log {} could not be restored after a failed write", path.display())]
    Torn { path: PathBuf },
    #[error(transparent)]
    Broken(#[from] Broken),
}

/// The first place at which a log is not as it was written.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("record {record} in {} (line {line}): {fault}", file.display())]
pub struct Broken {
    /// The number that the record has, or should have.
    pub record: u64,
    /// Its file.
    pub file: PathBuf,
    /// Its line there, from 1.
    pub line: u64,
    /// What is wrong.
    pub fault: Fault,
}

/// What is wrong with a record.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[allow(missing_docs)] // the messages say it
pub enum Fault {
    #[error("it does not match its own hash: it was edited, or is no record")]
    Edited,
    #[error("its number is {found}: records were removed, repeated or moved")]
    OutOfOrder { found: u64 },
    #[error("it does not follow from the record before it: one of both was replaced")]
    Unchained,
    #[error("it ends in the middle: the file was cut off, or a write was")]
    Torn,
    #[error("it is missing, and the anchor knows of {count} records: the end was cut off")]
    CutOff { count: u64 },
    #[error("its hash is not the anchor's: the log was written anew, or the anchor was edited")]
    NotAnchored,
    #[error("the anchor cannot be read: it was edited, or is no anchor")]
    BadAnchor,
}

impl AuditError {
    /// Names the file in an error of the operating system.
    pub(super) fn io(path: &Path) -> impl Fn(io::Error) -> Self + '_ {
        |error| Self::Io {
            path: path.to_owned(),
            error,
        }
    }

    /// The same where nothing was to be written.
    pub(super) fn of_reading(self) -> Self {
        match self {
            Self::Io { path, error } => Self::Unreadable { path, error },
            other => other,
        }
    }
}

impl Diagnostic for AuditError {
    fn code(&self) -> &'static str {
        match self {
            Self::Io { .. } | Self::Json(_) | Self::Torn { .. } => "audit-unwritable",
            Self::Unreadable { .. } => "audit-unreadable",
            Self::Locked { .. } => "audit-locked",
            Self::TooLarge { .. } => "audit-record-too-large",
            Self::Broken(_) => "audit-broken",
        }
    }

    fn help(&self) -> String {
        match self {
            Self::Io { .. } | Self::Json(_) | Self::Torn { .. } => {
                "make its disk writable and give it space; until then nothing can be attached, \
                 and what is attached can be detached"
            }
            Self::Unreadable { .. } => {
                "name the log as the configuration of its server does (audit.path), as a user who \
                 may read it"
            }
            Self::Locked { .. } => "stop that process, or give each server a log of its own",
            Self::TooLarge { .. } => "ask for fewer functions, or for shorter patterns",
            Self::Broken(_) => {
                "keep the files as they are and find out who could write them; a server starts \
                 again with another, new log"
            }
        }
        .to_owned()
    }

    fn exit_status(&self) -> ExitStatus {
        ExitStatus::Failure
    }
}
