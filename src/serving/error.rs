//! Why a server cannot serve.

use coral_model::{Diagnostic, ExitStatus};

use crate::access::AccessError;
use crate::access::audit::AuditError;
use crate::outlets::ObjectsError;

/// Why a server cannot serve.
#[derive(Debug, thiserror::Error)]
pub enum ServeError {
    /// A place to listen at, or who may come in.
    #[error(transparent)]
    Access(#[from] AccessError),
    /// The audit log.
    #[error(transparent)]
    Audit(#[from] AuditError),
    /// Where the history goes besides.
    #[error(transparent)]
    Objects(#[from] ObjectsError),
}

impl Diagnostic for ServeError {
    fn code(&self) -> &'static str {
        match self {
            Self::Access(error) => error.code(),
            Self::Audit(error) => error.code(),
            Self::Objects(error) => error.code(),
        }
    }

    fn help(&self) -> String {
        match self {
            Self::Access(error) => error.help(),
            Self::Audit(error) => error.help(),
            Self::Objects(error) => error.help(),
        }
    }

    fn exit_status(&self) -> ExitStatus {
        match self {
            Self::Access(error) => error.exit_status(),
            Self::Audit(error) => error.exit_status(),
            Self::Objects(error) => error.exit_status(),
        }
    }
}
