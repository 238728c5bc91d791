//! Why an agent does not do what it is asked for, with codes that stay.

use std::error::Error;
use std::io;

use coral_model::{Diagnostic, Escaped, ExitStatus};
use coral_proto::convert::ConvertError;
use coral_proto::{APPROVAL_ID, ERROR_CODE, ERROR_HELP};
use tonic::{Code, Status};

use crate::access::AccessError;

/// Why an agent does not do what it is asked for.
#[derive(Debug, thiserror::Error)]
pub enum RemoteError {
    /// It cannot be reached, or does not let one in.
    #[error(transparent)]
    Access(#[from] AccessError),
    /// What it sends cannot be understood.
    #[error(transparent)]
    Convert(#[from] ConvertError),
    /// It refuses, or fails.
    #[error("{}", said(.0))]
    Refused(#[from] Status),
    /// It would cost more than its budget.
    #[error("it would cost {percent:.1} % of a core, over the budget")]
    OverBudget {
        /// Share of a core.
        percent: f64,
    },
    /// What it sent cannot be written here.
    #[error("it cannot be written: {0}")]
    Unwritten(io::Error),
    /// It sends more than anybody could use.
    #[error("the agent sends a document that does not end")]
    TooLong,
    /// The connection ended before the session did.
    #[error("the agent went away before the session ended")]
    LinkLost,
}

impl Diagnostic for RemoteError {
    fn code(&self) -> &'static str {
        match self {
            Self::Access(error) => error.code(),
            Self::Convert(error) => error.code(),
            Self::Refused(status) => code_of(status),
            Self::OverBudget { .. } => "over-budget",
            Self::LinkLost => "agent-unreachable",
            Self::TooLong => "agent-failed",
            Self::Unwritten(_) => "recording-not-written",
        }
    }

    fn help(&self) -> String {
        match self {
            Self::Access(error) => error.help(),
            Self::Convert(error) => error.help(),
            Self::Refused(status) if is_of_transport(status) => {
                "check that the agent runs, and that it takes this certificate or token".into()
            }
            Self::Refused(status) => {
                let help = status
                    .metadata()
                    .get(ERROR_HELP)
                    .and_then(|help| help.to_str().ok());
                Escaped(help.unwrap_or("ask who runs the agent")).to_string()
            }
            Self::TooLong => "ask who runs the agent".into(),
            Self::Unwritten(_) => "choose a disk with room".into(),
            Self::OverBudget { .. } => "attach to fewer functions, or raise --budget".into(),
            Self::LinkLost => {
                "if it lives, its sessions go on until their lease ends, and `coral debug list` lists \
                 them; those of an agent that has ended are over"
                    .into()
            }
        }
    }

    fn exit_status(&self) -> ExitStatus {
        match self {
            Self::Access(error) => error.exit_status(),
            Self::Convert(error) => error.exit_status(),
            Self::Refused(status) => match status.code() {
                Code::InvalidArgument | Code::NotFound | Code::ResourceExhausted => {
                    ExitStatus::Usage
                }
                Code::FailedPrecondition | Code::PermissionDenied | Code::Unauthenticated => {
                    ExitStatus::Unsupported
                }
                _ => ExitStatus::Failure,
            },
            Self::OverBudget { .. } => ExitStatus::Usage,
            Self::LinkLost | Self::TooLong | Self::Unwritten(_) => ExitStatus::Failure,
        }
    }
}

impl RemoteError {
    /// The approval that the request waits for.
    pub fn approval(&self) -> Option<&str> {
        let Self::Refused(status) = self else {
            return None;
        };
        status.metadata().get(APPROVAL_ID)?.to_str().ok()
    }

    /// Whether it is the way to the agent that has failed, and not the agent that refuses.
    pub fn is_of_link(&self) -> bool {
        match self {
            Self::Access(error) => matches!(error, AccessError::Unreachable { .. }),
            Self::Refused(status) => is_of_transport(status),
            Self::LinkLost => true,
            Self::Convert(_) | Self::OverBudget { .. } | Self::TooLong | Self::Unwritten(_) => {
                false
            }
        }
    }
}

/// What a stream ended with: what the agent said names its code, what the connection says does not.
pub(super) fn of_stream(status: Status) -> RemoteError {
    match status.metadata().get(ERROR_CODE) {
        Some(_) => status.into(),
        None => RemoteError::LinkLost,
    }
}

/// A stable code that an agent has sent: it is one of those that this program knows, too.
fn code_of(status: &Status) -> &'static str {
    const KNOWN: [&str; 38] = [
        "usage",
        "over-limit",
        "session-ended",
        "no-such-process",
        "no-such-session",
        "no-such-function",
        "ambiguous-function",
        "no-function",
        "bad-pattern",
        "bad-filter",
        "not-probeable",
        "not-permitted",
        "no-bpf-right",
        "sessions-disabled",
        "no-dwarf",
        "no-http-server",
        "no-recording",
        "no-traces",
        "in-progress",
        "other-build",
        "approval-needed",
        "approval-refused",
        "not-approvable",
        "no-such-approval",
        "no-history",
        "history-full",
        "history-failed",
        "history-closed",
        "history-locked",
        "history-newer",
        "history-damaged",
        "history-unusable",
        "bad-durations",
        "bad-sql",
        "sql-too-expensive",
        "sql-too-long",
        "sql-too-large",
        "sql-worker",
    ];
    let sent = status
        .metadata()
        .get(ERROR_CODE)
        .and_then(|code| code.to_str().ok());
    let known = sent.and_then(|sent| KNOWN.into_iter().find(|known| *known == sent));
    known.unwrap_or(match status.code() {
        Code::Unauthenticated => "unauthenticated",
        Code::PermissionDenied => "permission-denied",
        _ if is_of_transport(status) => "agent-unreachable",
        _ => "agent-failed",
    })
}

/// What the agent said, or else why nothing was heard of it.
fn said(status: &Status) -> String {
    if !is_of_transport(status) {
        return Escaped(status.message()).to_string();
    }
    let mut innermost: &dyn Error = status;
    while let Some(source) = innermost.source() {
        innermost = source;
    }
    let why = match innermost.downcast_ref::<Status>() {
        Some(status) => status.message().to_owned(),
        None => innermost.to_string(),
    };
    format!("the agent does not answer: {}", Escaped(&why))
}

/// Whether a status is what the transport made of a connection that does not work.
fn is_of_transport(status: &Status) -> bool {
    let codes = [
        Code::Unavailable,
        Code::Unknown,
        Code::Cancelled,
        Code::DeadlineExceeded,
    ];
    codes.contains(&status.code()) && status.metadata().get(ERROR_CODE).is_none()
}
