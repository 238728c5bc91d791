//! Why a process cannot be observed.

use std::io;

use coral_model::{Diagnostic, ExitStatus};

use super::SymbolError;

/// Why a process cannot be observed.
#[derive(Debug, thiserror::Error)]
pub enum ProcessError {
    /// There is no process of that id.
    #[error("there is no process {pid}")]
    NoSuchProcess {
        /// The id that was asked for.
        pid: u32,
    },
    /// The id is that of a thread.
    #[error("{pid} is a thread of process {process}")]
    NotAProcess {
        /// The id that was asked for.
        pid: u32,
        /// The process that the thread belongs to.
        process: u32,
    },
    /// The kernel does not let this user look at the process.
    #[error("process {pid} may not be observed by this user: reading its {what} was refused")]
    NotPermitted {
        /// The process.
        pid: u32,
        /// What could not be read.
        what: &'static str,
    },
    /// It is a part of the kernel.
    #[error("{pid} is a kernel thread")]
    KernelThread {
        /// The thread.
        pid: u32,
    },
    /// It has ended, and its parent has not noticed yet.
    #[error("process {pid} is a zombie")]
    Zombie {
        /// The process.
        pid: u32,
    },
    /// It is this program itself, whose probes would hit while they are counted.
    #[error("process {pid} is this program itself")]
    OwnProcess {
        /// The process.
        pid: u32,
    },
    /// It ended, or runs another program by now.
    #[error("process {pid} went away")]
    Gone {
        /// The process.
        pid: u32,
    },
    /// Its executable, or a library, cannot be used.
    #[error(transparent)]
    Image(#[from] SymbolError),
    /// What the kernel says about it cannot be read or understood.
    #[error("{what} of process {pid} cannot be read: {source}")]
    Unreadable {
        /// The process.
        pid: u32,
        /// What could not be read.
        what: &'static str,
        /// What the kernel said.
        source: io::Error,
    },
}

impl ProcessError {
    /// What a failed access to something of a process means.
    pub(super) fn from_io(pid: u32, what: &'static str, source: io::Error) -> Self {
        match (source.kind(), source.raw_os_error()) {
            (io::ErrorKind::PermissionDenied, _) => Self::NotPermitted { pid, what },
            // `/proc` says ESRCH once a process that was opened is gone.
            (io::ErrorKind::NotFound, _) | (_, Some(3)) => Self::NoSuchProcess { pid },
            _ => Self::Unreadable { pid, what, source },
        }
    }
}

impl Diagnostic for ProcessError {
    fn code(&self) -> &'static str {
        match self {
            Self::NoSuchProcess { .. } => "no-such-process",
            Self::NotAProcess { .. } => "not-a-process",
            Self::NotPermitted { .. } => "not-permitted",
            Self::KernelThread { .. } => "kernel-thread",
            Self::Zombie { .. } => "zombie",
            Self::OwnProcess { .. } => "own-process",
            Self::Gone { .. } => "target-gone",
            Self::Image(error) => error.code(),
            Self::Unreadable { .. } => "unreadable-process",
        }
    }

    fn help(&self) -> String {
        match self {
            Self::NoSuchProcess { .. } => {
                "list processes with `ps -e`, or start `coral-tui --local` and pick one".into()
            }
            Self::NotAProcess { process, .. } => format!("use the process's id: {process}"),
            Self::NotPermitted { .. } => {
                "run as root, or as the process's user with CAP_BPF, CAP_PERFMON and CAP_SYS_PTRACE"
                    .into()
            }
            Self::KernelThread { .. } => "choose a process of a user".into(),
            Self::Zombie { .. } => "choose a process that is still running".into(),
            Self::OwnProcess { .. } => "choose another process".into(),
            Self::Gone { .. } => "attach to the process that replaced it".into(),
            Self::Image(error) => error.help(),
            Self::Unreadable { .. } => "see whether /proc is mounted with all its files".into(),
        }
    }

    fn exit_status(&self) -> ExitStatus {
        match self {
            Self::NotPermitted { .. } => ExitStatus::Unsupported,
            Self::Gone { .. } => ExitStatus::TargetGone,
            Self::Image(error) => error.exit_status(),
            Self::Unreadable { .. } => ExitStatus::Failure,
            _ => ExitStatus::Usage,
        }
    }
}
