//! Why an agent does not do what it is asked for, with codes that stay.

use std::error::Error;
use std::io;

use coral_model::{Diagnostic, Escaped, ExitStatus};
use coral_proto::convert::ConvertError;
use coral_proto::{APPROVAL_ID, ERROR_CODE, ERROR_HELP};
use tonic::{Code, Status, TimeoutExpired};

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
    #[error("what comes does not end")]
    TooLong,
    /// The connection ended before the session did.
    #[error("the link was lost before the session ended")]
    LinkLost,
    /// It gives no sign of life.
    #[error("nothing is heard of it any more")]
    Silent,
}

impl Diagnostic for RemoteError {
    fn code(&self) -> &'static str {
        match self {
            Self::Access(error) => error.code(),
            Self::Convert(error) => error.code(),
            Self::Refused(status) if is_of_another_kind(status) => "bad-endpoint",
            Self::Refused(status) => code_of(status),
            Self::OverBudget { .. } => "over-budget",
            Self::LinkLost | Self::Silent => "agent-unreachable",
            Self::TooLong => "agent-failed",
            Self::Unwritten(_) => "recording-not-written",
        }
    }

    fn help(&self) -> String {
        match self {
            Self::Access(error) => error.help(),
            Self::Convert(error) => error.help(),
            Self::Refused(status) if is_of_transport(status) || is_no_http(status) => {
                "check that the agent or the colony runs, that it takes this certificate or token, \
                 and that its address begins with https:// if it speaks TLS"
                    .into()
            }
            Self::Refused(status) if is_of_another_kind(status) => {
                "name an agent by --agent and a colony by --colony; if that is so, let both \
                 programs be of the same version"
                    .into()
            }
            Self::Refused(status) if is_late(status) => {
                "ask again later, or for less; what was begun may still be done".into()
            }
            Self::Refused(status) => {
                let help = status
                    .metadata()
                    .get(ERROR_HELP)
                    .and_then(|help| help.to_str().ok());
                Escaped(help.unwrap_or("ask who runs it")).to_string()
            }
            Self::TooLong => "ask for less, or ask who runs it".into(),
            Self::Unwritten(_) => "choose a disk with room".into(),
            Self::OverBudget { .. } => "attach to fewer functions, or raise --budget".into(),
            Self::LinkLost | Self::Silent => {
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
            Self::Refused(status) if is_of_another_kind(status) => ExitStatus::Usage,
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
            Self::LinkLost | Self::Silent | Self::TooLong | Self::Unwritten(_) => {
                ExitStatus::Failure
            }
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

    /// Whether it is the way to the agent that has failed, and not the agent that refuses, or that
    /// takes long.
    pub fn is_of_link(&self) -> bool {
        match self {
            Self::Access(error) => matches!(error, AccessError::Unreachable { .. }),
            Self::Refused(status) => is_of_transport(status),
            Self::LinkLost | Self::Silent => true,
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

/// Why a question failed whose answer is short: one that lives answers it in time.
pub(super) fn of_life(status: Status) -> RemoteError {
    match is_late(&status) {
        true => RemoteError::Silent,
        false => status.into(),
    }
}

/// A stable code that an agent has sent: it is one of those that this program knows, too.
fn code_of(status: &Status) -> &'static str {
    const KNOWN: [&str; 40] = [
        "usage",
        "agent-slow",
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
        "not-your-session",
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
        _ if is_of_transport(status) || is_no_http(status) => "agent-unreachable",
        _ if is_late(status) => "agent-slow",
        _ => "agent-failed",
    })
}

/// What the agent said, or else why nothing was heard of it.
fn said(status: &Status) -> String {
    if is_late(status) {
        return "there is no answer in time".to_owned();
    }
    if is_of_another_kind(status) {
        return "there is another kind of server: an agent is no colony, and a colony no agent"
            .to_owned();
    }
    if is_no_http(status) {
        return "what answers does not speak plain HTTP/2".to_owned();
    }
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
    format!("there is no answer: {}", Escaped(&why))
}

/// Whether the time for the answer was over, which says nothing of the connection: tonic cancels
/// such a call at either end, and others say what it is.
fn is_late(status: &Status) -> bool {
    let is_over = match status.code() {
        Code::DeadlineExceeded => true,
        Code::Cancelled => status.message() == TimeoutExpired(()).to_string(),
        _ => false,
    };
    is_over && status.metadata().get(ERROR_CODE).is_none()
}

/// Whether there is a server of gRPC that has no such call, which says nothing but that.
fn is_of_another_kind(status: &Status) -> bool {
    status.code() == Code::Unimplemented && status.message().is_empty()
}

/// Whether what came is no answer at all, as where TLS is spoken and none was expected.
fn is_no_http(status: &Status) -> bool {
    status.code() == Code::Internal
        && status.message().starts_with("h2 protocol error")
        && status.metadata().get(ERROR_CODE).is_none()
}

/// Whether a status is what the transport made of a connection that does not work.
fn is_of_transport(status: &Status) -> bool {
    let codes = [Code::Unavailable, Code::Unknown, Code::Cancelled];
    codes.contains(&status.code())
        && status.metadata().get(ERROR_CODE).is_none()
        && !is_late(status)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn another_kind_of_server_is_no_empty_message() {
        let error = RemoteError::from(Status::unimplemented(""));
        assert_eq!(error.code(), "bad-endpoint");
        assert!(error.to_string().contains("another kind of server"));
        assert!(error.help().contains("--colony"));
        assert_eq!(error.exit_status(), ExitStatus::Usage);
    }

    #[test]
    fn what_takes_long_is_no_broken_link() {
        let late = [
            Status::deadline_exceeded("the agent does not answer"),
            Status::cancelled("Timeout expired"),
        ];
        for status in late {
            assert_eq!(of_life(status.clone()).code(), "agent-unreachable");
            assert!(of_life(status.clone()).is_of_link());
            let error = RemoteError::from(status);
            assert_eq!(error.code(), "agent-slow");
            assert_eq!(error.to_string(), "there is no answer in time");
            assert!(!error.is_of_link());
        }
        for status in [Status::cancelled("by whom?"), Status::unavailable("gone")] {
            let error = RemoteError::from(status);
            assert_eq!(error.code(), "agent-unreachable");
            assert!(error.is_of_link());
        }
    }
}
