//! A process on this node, with an agent inside this program.

use std::sync::Arc;

use coral_model::{Diagnostic, ExitStatus};

use crate::agent::Watched;
use crate::symbols::{Process, ProcessError, SymbolError, Symbols};

/// Why a process cannot be watched.
#[derive(Debug, thiserror::Error)]
pub enum OpenError {
    /// It is none of those that may be watched.
    #[error(transparent)]
    Process(#[from] ProcessError),
    /// Its functions cannot be read.
    #[error(transparent)]
    Symbols(#[from] SymbolError),
}

impl Diagnostic for OpenError {
    fn code(&self) -> &'static str {
        match self {
            Self::Process(error) => error.code(),
            Self::Symbols(error) => error.code(),
        }
    }

    fn help(&self) -> String {
        match self {
            Self::Process(error) => error.help(),
            Self::Symbols(error) => error.help(),
        }
    }

    fn exit_status(&self) -> ExitStatus {
        match self {
            Self::Process(error) => error.exit_status(),
            Self::Symbols(error) => error.exit_status(),
        }
    }
}

/// Opens a process and reads the names of its functions: its executable's, and those of the
/// libraries whose path contains one of `libraries` (`*` for all).
///
/// # Errors
/// If there is no such process, it may not be looked at, or nothing tells its functions.
pub fn open(pid: u32, libraries: &[String]) -> Result<Watched, OpenError> {
    let process = Process::open(pid)?;
    let mut symbols = Symbols::read(Arc::clone(process.executable()))?;
    if !libraries.is_empty() {
        for library in process.libraries()? {
            let is_wanted = |part: &String| part == "*" || library.path.contains(part.as_str());
            if libraries.iter().any(is_wanted) {
                let image = Arc::new(process.open_library(&library)?);
                // A library without functions is none that could be probed.
                symbols = symbols.with_library(image).unwrap_or(symbols);
            }
        }
    }
    Ok(Watched {
        target: process.target(),
        process: Arc::new(process),
        others: Vec::new(),
        symbols,
    })
}

/// Who is asking: the user that became root by sudo, or the one that runs the program.
pub fn user_name() -> String {
    std::env::var("SUDO_USER")
        .or_else(|_| std::env::var("USER"))
        .unwrap_or_else(|_| format!("uid {}", rustix::process::getuid().as_raw()))
}
