//! Results on their way to stdout or a file.

use std::io::{self, IsTerminal};

use coral_model::ExitStatus;

use super::arguments::Format;
use crate::command_line;
use crate::export::text::DEFAULT_WIDTH;
use crate::failure::Failure;

/// Writes a line to stderr. Where that is closed nobody listens, and the work goes on.
macro_rules! say {
    ($($argument:tt)*) => {{
        use std::io::Write;
        let _ = writeln!(std::io::stderr(), $($argument)*);
    }};
}
pub(super) use say;

impl Format {
    /// As colonies call it.
    pub(super) fn name(self) -> &'static str {
        match self {
            Self::Text => "text",
            Self::Json => "json",
            Self::Csv => "csv",
        }
    }

    /// The usual ending of a file in this format.
    pub(super) fn extension(self) -> &'static str {
        match self {
            Self::Text => "txt",
            Self::Json => "json",
            Self::Csv => "csv",
        }
    }
}

/// One JSON document as bytes, with a final line end.
pub(super) fn json(document: &impl serde::Serialize) -> Result<Vec<u8>, Failure> {
    let mut bytes = serde_json::to_vec_pretty(document).map_err(|error| {
        Failure::new(
            "export-failed",
            format!("the result cannot be written as JSON: {error}"),
            "choose another format, and report this as an error of coral",
            ExitStatus::Failure,
        )
    })?;
    bytes.push(b'\n');
    Ok(bytes)
}

/// What `write` writes, as bytes.
pub(super) fn written(
    write: impl FnOnce(&mut Vec<u8>) -> io::Result<()>,
) -> Result<Vec<u8>, Failure> {
    let mut bytes = Vec::new();
    write(&mut bytes).map_err(|error| of_stdout(&error))?;
    Ok(bytes)
}

/// Writes to stdout. That its reader went away is no error.
pub(super) fn print(bytes: &[u8]) -> Result<(), Failure> {
    command_line::print(bytes).map_err(|error| of_stdout(&error))
}

/// How many columns a table on stdout may take.
pub(super) fn width() -> usize {
    if io::stdout().is_terminal() {
        crossterm::terminal::size().map_or(DEFAULT_WIDTH, |(columns, _)| usize::from(columns))
    } else {
        DEFAULT_WIDTH
    }
}

pub(super) fn of_stdout(error: &io::Error) -> Failure {
    Failure::new(
        "export-failed",
        format!("the result cannot be written: {error}"),
        "write to another place with `--output` or a redirection",
        ExitStatus::Failure,
    )
}
