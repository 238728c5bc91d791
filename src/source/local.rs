//! A process on this node, with an agent inside this program.

use std::sync::Arc;

use coral_model::{Diagnostic, Escaped, ExitStatus, ProcessSummary};

use crate::agent::{Watched, is_same_program};
use crate::symbols::{Process, ProcessError, SymbolError, Symbols, list_processes};

/// Why a process cannot be watched.
#[derive(Debug, thiserror::Error)]
pub enum OpenError {
    /// It is none of those that may be watched.
    #[error(transparent)]
    Process(#[from] ProcessError),
    /// Its functions cannot be read.
    #[error(transparent)]
    Symbols(#[from] SymbolError),
    /// Processes of one session run the same executable.
    #[error("process {pid} runs another build than process {first}: 2 builds are running")]
    OtherBuild {
        /// The process.
        pid: u32,
        /// The one that was opened first.
        first: u32,
    },
    /// No process runs a program of that name.
    #[error("no process runs a program that is called `{}`", Escaped(service))]
    NoProcess {
        /// The name.
        service: String,
    },
}

impl Diagnostic for OpenError {
    fn code(&self) -> &'static str {
        match self {
            Self::OtherBuild { .. } => "other-build",
            Self::NoProcess { .. } => "no-such-process",
            Self::Process(error) => error.code(),
            Self::Symbols(error) => error.code(),
        }
    }

    fn help(&self) -> String {
        match self {
            Self::OtherBuild { .. } => "measure each build in a session of its own".into(),
            Self::NoProcess { .. } => {
                "start it, or name processes by --pid; `coral-tui --local` lists them".into()
            }
            Self::Process(error) => error.help(),
            Self::Symbols(error) => error.help(),
        }
    }

    fn exit_status(&self) -> ExitStatus {
        match self {
            Self::OtherBuild { .. } | Self::NoProcess { .. } => ExitStatus::Usage,
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

/// Opens processes of one executable, to be measured together.
///
/// # Errors
/// As for [`open`], or if they run different builds.
pub fn open_all(pids: &[u32], libraries: &[String]) -> Result<Watched, OpenError> {
    let Some((&first, others)) = pids.split_first() else {
        return Err(OpenError::NoProcess {
            service: String::new(),
        });
    };
    let mut watched = open(first, libraries)?;
    let executable = Arc::clone(watched.process.executable());
    for &pid in others {
        let process = Process::open(pid)?;
        if !is_same_program(process.executable(), &executable) {
            return Err(OpenError::OtherBuild { pid, first });
        }
        watched.others.push(Arc::new(process));
    }
    Ok(watched)
}

/// The processes whose program has that name, which is the last part of its path.
///
/// # Errors
/// If there is none.
pub fn processes_of(service: &str) -> Result<Vec<u32>, OpenError> {
    let of_service = |process: &ProcessSummary| {
        // The kernel's own name is cut to 15 bytes.
        let is_named = program_name(process) == service || process.name == service;
        is_named && process.pid != std::process::id() && process.refusal.is_none()
    };
    let pids: Vec<u32> = list_processes()
        .iter()
        .filter(|process| of_service(process))
        .map(|process| process.pid)
        .collect();
    if pids.is_empty() {
        return Err(OpenError::NoProcess {
            service: service.to_owned(),
        });
    }
    Ok(pids)
}

/// The name of a process's program: the last part of its path.
pub fn program_name(process: &ProcessSummary) -> &str {
    let program = process.command.split(' ').next().unwrap_or_default();
    program.rsplit('/').next().unwrap_or_default()
}

/// Who is asking: the user that became root by sudo, or the one that runs the program.
pub fn user_name() -> String {
    std::env::var("SUDO_USER")
        .or_else(|_| std::env::var("USER"))
        .unwrap_or_else(|_| format!("uid {}", rustix::process::getuid().as_raw()))
}
