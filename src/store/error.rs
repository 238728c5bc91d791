//! Why the history is not opened, written or read.

use std::io;
use std::path::{Path, PathBuf};

use coral_model::{Diagnostic, ExitStatus, SessionId};
use coral_proto::convert::ConvertError;

use super::schema;

/// Why the history is not opened, written or read.
#[derive(Debug, thiserror::Error)]
#[allow(missing_docs)] // the messages say it
pub enum StoreError {
    #[error("the history {} is in use by another process", path.display())]
    Locked { path: PathBuf },
    #[error(
        "the history is of version {version}, and this program knows versions up to {}",
        schema::VERSION
    )]
    Newer { version: u32 },
    #[error("the history {} is damaged: {why}", path.display())]
    Damaged { path: PathBuf, why: String },
    #[error("the history's file {} cannot be used: {error}", path.display())]
    Io { path: PathBuf, error: io::Error },
    #[error("the history is not written to: its disk is full")]
    Full,
    #[error("the history is not written to: {why}")]
    Failed { why: String },
    #[error("the history knows no session {session}")]
    NoSuchSession { session: SessionId },
    #[error("the history holds something that is no snapshot: {0}")]
    Snapshot(#[from] ConvertError),
    #[error("the history is closed")]
    Closed,
}

impl StoreError {
    /// Names the file in an error of the operating system.
    pub(super) fn io(path: &Path) -> impl Fn(io::Error) -> Self + '_ {
        |error| match error.kind() {
            io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded => Self::Full,
            _ => Self::Io {
                path: path.to_owned(),
                error,
            },
        }
    }

    /// The same error for somebody else who asked for the same.
    pub(super) fn again(&self) -> Self {
        match self {
            Self::Full => Self::Full,
            Self::Closed => Self::Closed,
            Self::NoSuchSession { session } => Self::NoSuchSession {
                session: session.clone(),
            },
            Self::Failed { why } => Self::Failed { why: why.clone() },
            error => Self::Failed {
                why: error.to_string(),
            },
        }
    }
}

impl From<duckdb::Error> for StoreError {
    fn from(error: duckdb::Error) -> Self {
        let why = error.to_string();
        if is_of_full_disk(&why) {
            Self::Full
        } else {
            Self::Failed { why }
        }
    }
}

/// DuckDB tells what the operating system said in words alone.
fn is_of_full_disk(why: &str) -> bool {
    ["No space left", "quota exceeded", "File too large"]
        .iter()
        .any(|words| why.contains(words))
}

impl Diagnostic for StoreError {
    fn code(&self) -> &'static str {
        match self {
            Self::Locked { .. } => "history-locked",
            Self::Newer { .. } => "history-newer",
            Self::Damaged { .. } | Self::Snapshot(_) => "history-damaged",
            Self::Io { .. } => "history-unusable",
            Self::Full => "history-full",
            Self::Failed { .. } => "history-failed",
            Self::NoSuchSession { .. } => "no-such-session",
            Self::Closed => "history-closed",
        }
    }

    fn help(&self) -> String {
        match self {
            Self::Locked { .. } => "stop that process, or give each colony a history of its own",
            Self::Newer { .. } => "use the newer program again, or begin another history",
            Self::Damaged { .. } | Self::Snapshot(_) => {
                "set the file aside with what lies beside it, and begin anew or from a copy"
            }
            Self::Io { .. } => "let its folder exist, and be readable and writable",
            Self::Full => {
                "make room on its disk: what is live is shown all the same, and writing goes on \
                 by itself"
            }
            Self::Failed { .. } => {
                "check its disk: what is live is shown all the same, and writing goes on by itself \
                 once it can"
            }
            Self::NoSuchSession { .. } => "list the sessions; old ones are deleted by and by",
            Self::Closed => "start the colony again",
        }
        .to_owned()
    }

    fn exit_status(&self) -> ExitStatus {
        match self {
            Self::NoSuchSession { .. } => ExitStatus::Usage,
            _ => ExitStatus::Failure,
        }
    }
}
