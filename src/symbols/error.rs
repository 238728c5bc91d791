//! What can be wrong with a file that functions are read from.

use std::io;

use coral_model::{Diagnostic, ExitStatus};

/// Why no functions can be read from a file.
#[derive(Debug, thiserror::Error)]
pub enum SymbolError {
    /// The file could not be read.
    #[error("{path} cannot be read: {source}")]
    Unreadable {
        /// The file, as it was shown to the user.
        path: String,
        /// What the kernel said.
        source: io::Error,
    },
    /// The file is not an ELF executable or library.
    #[error("{path} is not an ELF file")]
    NotElf {
        /// The file, as it was shown to the user.
        path: String,
    },
    /// The file's headers contradict themselves or the file's length.
    #[error("{path} is damaged: {what}")]
    Corrupt {
        /// The file, as it was shown to the user.
        path: String,
        /// What is wrong with it.
        what: &'static str,
    },
    /// The file is for 32-bit processes.
    #[error("{path} is a 32-bit program")]
    Not64Bit {
        /// The file, as it was shown to the user.
        path: String,
    },
    /// The file is for another processor than this machine's.
    #[error("{path} is for another processor (ELF machine {machine})")]
    ForeignArchitecture {
        /// The file, as it was shown to the user.
        path: String,
        /// The number of the processor in the ELF header.
        machine: u16,
    },
    /// Nothing in the file tells where a function starts.
    #[error("{path} names no functions and has no unwind table")]
    NoFunctions {
        /// The file, as it was shown to the user.
        path: String,
    },
}

impl Diagnostic for SymbolError {
    fn code(&self) -> &'static str {
        match self {
            Self::Unreadable { .. } => "unreadable-file",
            Self::NotElf { .. } => "not-elf",
            Self::Corrupt { .. } => "corrupt-elf",
            Self::Not64Bit { .. } => "not-64-bit",
            Self::ForeignArchitecture { .. } => "foreign-architecture",
            Self::NoFunctions { .. } => "no-functions",
        }
    }

    fn help(&self) -> String {
        match self {
            Self::Unreadable { .. } => "run as the owner of the process or as root",
            Self::NotElf { .. } | Self::Corrupt { .. } => {
                "choose a process that runs an intact ELF executable"
            }
            Self::Not64Bit { .. } => "only 64-bit programs can be probed",
            Self::ForeignArchitecture { .. } => {
                "probe programs that are built for this machine's processor"
            }
            Self::NoFunctions { .. } => {
                "build the program without `strip`, or install its separate debug information"
            }
        }
        .to_owned()
    }

    fn exit_status(&self) -> ExitStatus {
        match self {
            Self::Unreadable { .. } => ExitStatus::Unsupported,
            _ => ExitStatus::Usage,
        }
    }
}
