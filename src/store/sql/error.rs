//! Why a query has no rows.

use std::io;

use coral_model::{Diagnostic, ExitStatus, format_bytes, format_duration};

use crate::store::StoreError;

/// Why a query has no rows.
#[derive(Debug, thiserror::Error)]
#[allow(missing_docs)] // the messages say it
pub enum SqlError {
    #[error("{why}")]
    Refused { why: String },
    #[error("the query takes more memory than it may: {why}")]
    TooExpensive { why: String },
    #[error("the query took longer than {}", format_duration(*deadline))]
    TooLong { deadline: std::time::Duration },
    #[error("the result is larger than {}", format_bytes(*bytes_max))]
    TooLarge { bytes_max: u64 },
    #[error("the query's process ended without a result: {why}")]
    Died { why: String },
    #[error("the query's process cannot be used: {0}")]
    Process(io::Error),
    #[error(transparent)]
    Store(#[from] StoreError),
}

impl SqlError {
    /// What DuckDB said of a query.
    pub(super) fn of_database(error: &duckdb::Error) -> Self {
        let said = error.to_string();
        // What follows draws the place in the query.
        let said = said.split("\n\nLINE ").next().unwrap_or_default();
        let why = said.lines().collect::<Vec<_>>().join(" ");
        if why.starts_with("Out of Memory") {
            Self::TooExpensive { why }
        } else {
            Self::Refused { why }
        }
    }
}

impl Diagnostic for SqlError {
    fn code(&self) -> &'static str {
        match self {
            Self::Refused { .. } => "bad-sql",
            Self::TooExpensive { .. } => "sql-too-expensive",
            Self::TooLong { .. } => "sql-too-long",
            Self::TooLarge { .. } => "sql-too-large",
            Self::Died { .. } | Self::Process(_) => "sql-worker",
            Self::Store(error) => error.code(),
        }
    }

    fn help(&self) -> String {
        match self {
            Self::Refused { .. } => {
                "write one statement that reads: SELECT, WITH, DESCRIBE, SHOW, SUMMARIZE or \
                 EXPLAIN; SHOW TABLES lists the tables"
            }
            Self::TooExpensive { .. } | Self::TooLong { .. } => {
                "narrow it down: a session, a service, a shorter time"
            }
            Self::TooLarge { .. } => "ask for fewer columns, or add a LIMIT",
            Self::Died { .. } | Self::Process(_) => {
                "check that the colony may start processes, and has memory"
            }
            Self::Store(error) => return error.help(),
        }
        .to_owned()
    }

    fn exit_status(&self) -> ExitStatus {
        match self {
            Self::Refused { .. } => ExitStatus::Usage,
            Self::Store(error) => error.exit_status(),
            _ => ExitStatus::Failure,
        }
    }
}
