//! What an agent refuses, and why.

use std::time::Duration;

use coral_model::{Diagnostic, ExitStatus, format_bytes, format_duration};

use crate::probe::{MissingRight, ProbeError};
use crate::symbols::ProcessError;

/// Why there is no session, or not what was asked of it.
#[derive(Debug, thiserror::Error)]
#[allow(missing_docs)] // the messages say it
pub enum AgentError {
    #[error(transparent)]
    Right(#[from] MissingRight),
    #[error(transparent)]
    Process(#[from] ProcessError),
    #[error(transparent)]
    Probe(#[from] ProbeError),
    #[error("max_concurrent_sessions is {limit}, and so many sessions are active")]
    Sessions { limit: usize },
    #[error("max_functions_per_session is {limit}, and {asked} functions were asked for")]
    Functions { limit: usize, asked: usize },
    #[error(
        "a session lasts more than 0 s and at most max_session_duration, {}; {} were asked for",
        format_duration(*limit), format_duration(*asked)
    )]
    Duration { limit: Duration, asked: Duration },
    #[error(
        "max_memory is {}, and the sessions would need {}",
        format_bytes(*limit), format_bytes(*asked)
    )]
    Memory { limit: u64, asked: u64 },
    #[error("the session has room for {room} functions, and {asked} were asked for")]
    Room { room: usize, asked: usize },
    #[error("none of the functions can be probed: {reason}")]
    NothingToProbe { reason: String },
    #[error(
        "fast returns would end the target: this kernel's return probes are a system call, and the \
         target's seccomp filter does not know it"
    )]
    FastReturns,
    #[error("the filter does not fit: {reason}")]
    Filter { reason: String },
    #[error("there are no traces without the function that they begin at: {reason}")]
    TraceRoot { reason: String },
    #[error("no function was asked for")]
    NoFunction,
    #[error("the session is over")]
    Ended,
    #[error("the session's thread cannot be started: {0}")]
    Thread(#[source] std::io::Error),
}

impl Diagnostic for AgentError {
    fn code(&self) -> &'static str {
        match self {
            Self::Right(error) => error.code(),
            Self::Process(error) => error.code(),
            Self::Probe(error) => error.code(),
            Self::Sessions { .. }
            | Self::Functions { .. }
            | Self::Duration { .. }
            | Self::Memory { .. }
            | Self::Room { .. } => "over-limit",
            Self::NothingToProbe { .. } | Self::FastReturns | Self::TraceRoot { .. } => {
                "not-probeable"
            }
            Self::Filter { .. } => "bad-filter",
            Self::NoFunction => "no-function",
            Self::Ended => "session-ended",
            Self::Thread(_) => "out-of-resources",
        }
    }

    fn help(&self) -> String {
        match self {
            Self::Right(error) => error.help(),
            Self::Process(error) => error.help(),
            Self::Probe(error) => error.help(),
            Self::Sessions { .. } => "end a session, or wait until one expires".into(),
            Self::Functions { limit, .. } => {
                format!("narrow the pattern to at most {limit} functions")
            }
            Self::Duration { limit, .. } => {
                format!(
                    "ask for more than 0 s and at most {}",
                    format_duration(*limit)
                )
            }
            Self::Memory { .. } => "end a session, or attach fewer functions".into(),
            Self::Room { .. } => "detach everything and attach the functions together".into(),
            Self::NothingToProbe { .. } => {
                "`coral functions` shows for every function how it can be probed".into()
            }
            Self::FastReturns => "leave --fast-returns out, or boot Linux 6.14 or newer".into(),
            Self::Filter { .. } => {
                "`--capture-args` shows the names and types of a function's arguments".into()
            }
            Self::TraceRoot { .. } => "trace another path, or from another --root on".into(),
            Self::NoFunction => "name at least one function".into(),
            Self::Ended => "attach again".into(),
            Self::Thread(_) => "free some memory or threads, and try again".into(),
        }
    }

    fn exit_status(&self) -> ExitStatus {
        match self {
            Self::Right(error) => error.exit_status(),
            Self::Process(error) => error.exit_status(),
            Self::Probe(error) => error.exit_status(),
            Self::Functions { .. }
            | Self::Duration { .. }
            | Self::NothingToProbe { .. }
            | Self::FastReturns
            | Self::Filter { .. }
            | Self::TraceRoot { .. }
            | Self::NoFunction => ExitStatus::Usage,
            _ => ExitStatus::Failure,
        }
    }
}
