//! How errors end both programs: `error[CODE]: what, why`, a `help:` line, and a status.

use std::fmt;
use std::io::{self, Write};
use std::process::ExitCode;

use coral_model::{Diagnostic, ExitStatus};

/// An error on its way to the user.
#[derive(Debug)]
pub struct Failure {
    code: String,
    message: String,
    help: String,
    status: ExitStatus,
}

impl Failure {
    /// An error that has no type of its own.
    pub fn new(
        code: impl Into<String>,
        message: impl Into<String>,
        help: impl Into<String>,
        status: ExitStatus,
    ) -> Self {
        Self {
            code: code.into(),
            message: message.into(),
            help: help.into(),
            status,
        }
    }

    /// Says it on stderr; the status is the program's.
    pub fn report(&self) -> ExitCode {
        // Where stderr is closed, the status has to do.
        let _ = writeln!(io::stderr(), "{self}");
        self.status()
    }

    /// The program's exit status.
    pub fn status(&self) -> ExitCode {
        ExitCode::from(self.status as u8)
    }
}

impl<E: Diagnostic> From<E> for Failure {
    fn from(error: E) -> Self {
        Self::new(
            error.code(),
            error.to_string(),
            error.help(),
            error.exit_status(),
        )
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            formatter,
            "error[{}]: {}\nhelp: {}",
            self.code, self.message, self.help
        )
    }
}

/// A command line that cannot be understood, or a request for help or the version.
pub fn of_command_line(error: &clap::Error) -> ExitCode {
    use clap::error::ErrorKind;
    if matches!(
        error.kind(),
        ErrorKind::DisplayHelp | ErrorKind::DisplayVersion
    ) {
        // A closed stdout is the reader's choice.
        let _ = error.print();
        return ExitCode::SUCCESS;
    }
    let text = error.render().to_string();
    let message = text.strip_prefix("error: ").unwrap_or(&text);
    let (message, help) = match message.split_once("\n\nFor more information, try ") {
        Some((message, _)) => (message, "`--help` explains every command and option"),
        None => (message, "`--help` lists the commands"),
    };
    Failure::new("usage", message.trim_end(), help, ExitStatus::Usage).report()
}
