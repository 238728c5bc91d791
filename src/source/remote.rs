//! An agent that is another program, on this node or another.

use std::io;
use std::sync::Arc;
use std::time::Duration;

use coral_model::{
    Diagnostic, EndReason, ExitStatus, SessionInfo, SessionSettings, SessionState, Snapshot,
};
use coral_proto::agent::v1 as wire;
use coral_proto::agent::v1::agent_client::AgentClient;
use coral_proto::convert::{Assembled, ConvertError};
use coral_proto::{ERROR_CODE, ERROR_HELP, MESSAGE_BYTES_MAX};
use tonic::{Code, Status, Streaming};
use ulid::Ulid;

use super::trace::{TraceFormat, TraceWish};
use super::wish::AttachWish;
use crate::access::{AccessError, AuthorizedChannel, Endpoint, TlsConfig, connect};

/// How long a call may take whose answer is no stream: reading the symbols of a large program
/// takes seconds.
const ANSWER_MAX: Duration = Duration::from_secs(60);
/// Documents that an agent writes are shorter.
const DOCUMENT_BYTES_MAX: usize = 256 << 20;

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
    #[error("{}", .0.message())]
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
            Self::Refused(status) => {
                let help = status
                    .metadata()
                    .get(ERROR_HELP)
                    .and_then(|help| help.to_str().ok());
                help.unwrap_or("ask who runs the agent").to_owned()
            }
            Self::TooLong => "ask who runs the agent".into(),
            Self::Unwritten(_) => "choose a disk with room".into(),
            Self::OverBudget { .. } => "attach to fewer functions, or raise --budget".into(),
            Self::LinkLost => {
                "its sessions go on until their lease ends; `coral debug list` lists them".into()
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

/// A stable code that an agent has sent: it is one of those that this program knows, too.
fn code_of(status: &Status) -> &'static str {
    const KNOWN: [&str; 20] = [
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
    ];
    let sent = status
        .metadata()
        .get(ERROR_CODE)
        .and_then(|code| code.to_str().ok());
    let known = sent.and_then(|sent| KNOWN.into_iter().find(|known| *known == sent));
    known.unwrap_or(match status.code() {
        Code::Unauthenticated => "unauthenticated",
        Code::PermissionDenied => "permission-denied",
        Code::Unavailable => "agent-unreachable",
        _ => "agent-failed",
    })
}

/// A connection to an agent.
#[derive(Clone)]
pub struct RemoteAgent {
    client: AgentClient<AuthorizedChannel>,
}

/// What is to be attached there.
#[derive(Clone, Debug, Default)]
pub struct RemoteRequest {
    /// By the name of the service, or by process ids.
    pub service: Option<String>,
    /// The processes.
    pub pids: Vec<u32>,
    /// What is attached.
    pub wish: AttachWish,
    /// What the session is asked to do.
    pub settings: SessionSettings,
    /// Trace whole requests instead.
    pub trace: Option<TraceWish>,
}

impl RemoteAgent {
    /// Connects to an agent.
    ///
    /// # Errors
    /// If it cannot be reached, or does not let one in.
    pub async fn connect(
        endpoint: &Endpoint,
        tls: Option<&TlsConfig>,
        token: Option<&str>,
    ) -> Result<Self, RemoteError> {
        let channel = connect(endpoint, tls, token).await?;
        let client = AgentClient::new(channel)
            .max_decoding_message_size(MESSAGE_BYTES_MAX)
            .max_encoding_message_size(MESSAGE_BYTES_MAX);
        Ok(Self { client })
    }

    /// Starts a session.
    ///
    /// # Errors
    /// If the agent refuses.
    pub async fn start(
        &mut self,
        request: &RemoteRequest,
    ) -> Result<wire::StartSessionResponse, RemoteError> {
        let request = wire::StartSessionRequest {
            request_id: Ulid::generate().to_string(),
            target: Some(wire::TargetRef {
                service_name: request.service.clone().unwrap_or_default(),
                pids: request.pids.clone(),
                libraries: request.wish.libraries.clone(),
            }),
            patterns: request.wish.patterns.clone(),
            function_ids: request.wish.functions.iter().map(|id| id.0).collect(),
            room: u32::try_from(request.wish.room).unwrap_or(u32::MAX),
            show_recursion: request.wish.show_recursion,
            inlined: request.wish.inlined,
            follow_forks: request.wish.follow_forks,
            follow_execs: request.wish.follow_execs,
            fast_returns: request.wish.fast_returns,
            settings: Some((&request.settings).into()),
            trace: request.trace.as_ref().map(trace_to_wire),
            ..wire::StartSessionRequest::default()
        };
        Ok(self
            .client
            .start_session(timed(request))
            .await?
            .into_inner())
    }

    /// What a session measures, from now on.
    ///
    /// # Errors
    /// If there is no such session.
    pub async fn watch(&mut self, session_id: &str) -> Result<Watching, RemoteError> {
        let request = wire::WatchSessionRequest {
            session_id: session_id.to_owned(),
            interval: None,
        };
        let stream = self.client.watch_session(request).await?.into_inner();
        Ok(Watching {
            stream,
            assembled: Assembled::new(),
        })
    }

    /// What a session has traced, written down: in lines of so many columns, or as JSON.
    ///
    /// # Errors
    /// If it traces nothing, or the agent refuses.
    pub async fn traces(
        &mut self,
        session_id: &str,
        format: TraceFormat,
    ) -> Result<Vec<u8>, RemoteError> {
        let request = wire::DownloadTracesRequest {
            session_id: session_id.to_owned(),
            width: match format {
                TraceFormat::Json => 0,
                TraceFormat::Text(width) => u32::try_from(width.max(1)).unwrap_or(u32::MAX),
            },
        };
        let answer = self.client.download_traces(timed(request)).await?;
        let mut chunks = answer.into_inner();
        let mut document = Vec::new();
        while let Some(part) = chunks.message().await.map_err(of_stream)? {
            document.extend(part.chunk);
            if document.len() > DOCUMENT_BYTES_MAX {
                return Err(RemoteError::TooLong);
            }
        }
        Ok(document)
    }

    /// Writes what was recorded of a session.
    ///
    /// # Errors
    /// If there is no recording, the agent refuses, or it cannot be written.
    pub async fn recording(
        &mut self,
        session_id: &str,
        out: &mut impl io::Write,
    ) -> Result<(), RemoteError> {
        let request = wire::DownloadRecordingRequest {
            session_id: session_id.to_owned(),
        };
        let answer = self.client.download_recording(timed(request)).await?;
        let mut chunks = answer.into_inner();
        let mut len = 0;
        while let Some(part) = chunks.message().await.map_err(of_stream)? {
            len += part.chunk.len();
            if len > DOCUMENT_BYTES_MAX {
                return Err(RemoteError::TooLong);
            }
            out.write_all(&part.chunk).map_err(RemoteError::Unwritten)?;
        }
        Ok(())
    }

    /// The sessions of the agent, of that service or of all.
    ///
    /// # Errors
    /// If the agent refuses.
    pub async fn sessions(
        &mut self,
        service: Option<&str>,
    ) -> Result<Vec<SessionInfo>, RemoteError> {
        let request = wire::ListSessionsRequest {
            service_name: service.unwrap_or_default().to_owned(),
            with_ended: false,
        };
        let answer = self
            .client
            .list_sessions(timed(request))
            .await?
            .into_inner();
        let infos = answer.sessions.into_iter().map(SessionInfo::try_from);
        Ok(infos.collect::<Result<_, _>>()?)
    }

    /// Ends one session, or all of a service; returns those that have ended.
    ///
    /// # Errors
    /// If the agent refuses.
    pub async fn end(
        &mut self,
        request: wire::EndSessionsRequest,
    ) -> Result<Vec<SessionInfo>, RemoteError> {
        let answer = self.client.end_sessions(timed(request)).await?.into_inner();
        let infos = answer.sessions.into_iter().map(SessionInfo::try_from);
        Ok(infos.collect::<Result<_, _>>()?)
    }
}

/// A session that is watched over the wire.
pub struct Watching {
    stream: Streaming<wire::SessionUpdate>,
    assembled: Assembled,
}

impl Watching {
    /// The next snapshot; `None` once the final one has come.
    ///
    /// # Errors
    /// If the connection ends before the session does, or what comes cannot be understood.
    pub async fn next(&mut self) -> Result<Option<Arc<Snapshot>>, RemoteError> {
        while let Some(update) = self.stream.message().await.map_err(of_stream)? {
            if let Some(snapshot) = self.assembled.apply(update)? {
                return Ok(Some(snapshot));
            }
        }
        Ok(None)
    }
}

/// What a stream ended with: what the agent said names its code, what the connection says does not.
fn of_stream(status: Status) -> RemoteError {
    match status.metadata().get(ERROR_CODE) {
        Some(_) => status.into(),
        None => RemoteError::LinkLost,
    }
}

/// Whether a session has come to its end by itself or by a request.
pub fn has_ended(snapshot: &Snapshot) -> Option<EndReason> {
    match snapshot.session.state {
        SessionState::Active => None,
        SessionState::Ended(reason) => Some(reason),
    }
}

fn trace_to_wire(trace: &TraceWish) -> wire::TraceRequest {
    wire::TraceRequest {
        root: trace.root.clone().unwrap_or_default(),
        path: trace.path.clone().unwrap_or_default(),
        functions_max: u32::try_from(trace.functions_max).unwrap_or(u32::MAX),
    }
}

fn timed<T>(message: T) -> tonic::Request<T> {
    let mut request = tonic::Request::new(message);
    request.set_timeout(ANSWER_MAX);
    request
}
