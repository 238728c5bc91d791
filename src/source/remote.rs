//! An agent that is another program, on this node or another.

mod client;
mod error;
mod history;
mod listing;
mod pages;

use std::io;
use std::sync::Arc;
use std::time::Duration;

use coral_model::filter::Expression;
use coral_model::{
    EndReason, ExpectedCost, FunctionId, FunctionTable, Limits, ProcessSummary, SessionInfo,
    SessionSettings, SessionState, Snapshot, Target,
};
use coral_proto::MESSAGE_BYTES_MAX;
use coral_proto::agent::v1 as wire;
use coral_proto::agent::v1::agent_client::AgentClient;
use coral_proto::colony::v1::debug_service_client::DebugServiceClient;
use coral_proto::convert::{
    Assembled, ConvertError, FunctionPages, duration_to_wire, joined_services,
};
use tonic::Streaming;
use ulid::Ulid;

use super::trace::{TraceFormat, TraceWish};
use super::wish::AttachWish;
pub use crate::access::BackOff;
use crate::access::{AuthorizedChannel, Endpoint, TlsConfig, connect};
use crate::agent::{Attached, Refused};
use client::Client;
pub use error::RemoteError;
pub use listing::Listed;
use pages::Pages;

/// How long a call may take whose answer is no stream: reading the symbols of a large program
/// takes seconds.
const ANSWER_MAX: Duration = Duration::from_secs(60);
/// How long an agent that lives takes at most to say so.
const SIGN_OF_LIFE_MAX: Duration = Duration::from_secs(5);
/// As many functions in a page as the agent lets be.
const PAGE_FUNCTIONS: u32 = u32::MAX;
/// Documents that an agent writes are shorter.
const DOCUMENT_BYTES_MAX: usize = 256 << 20;

/// A connection to an agent, or to a colony, which has the same calls for all of its agents.
#[derive(Clone)]
pub struct RemoteAgent {
    client: Client,
}

/// What is to be attached there.
#[derive(Clone, Debug, Default)]
pub struct RemoteRequest {
    /// Names the request: asked for again, it is the same session.
    pub id: String,
    /// The processes.
    pub target: RemoteTarget,
    /// What is attached.
    pub wish: AttachWish,
    /// Trace whole requests instead.
    pub trace: Option<TraceWish>,
    /// What the session is asked to do.
    pub settings: SessionSettings,
    /// Whether nothing is attached where that would cost more than the budget.
    pub refuse_over_budget: bool,
}

impl RemoteRequest {
    /// A request under a name of its own.
    pub fn new(target: RemoteTarget, settings: SessionSettings) -> Self {
        Self {
            id: Ulid::generate().to_string(),
            target,
            settings,
            ..Self::default()
        }
    }
}

/// Processes of an agent's node: by the name of their program, or by their ids.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct RemoteTarget {
    /// All processes of a program of that name.
    pub service: Option<String>,
    /// The processes.
    pub pids: Vec<u32>,
    /// Also the functions of libraries whose path contains one of these; `*` for all.
    pub libraries: Vec<String>,
}

/// What an agent may do, and can.
#[derive(Clone, Debug)]
pub struct Capabilities {
    /// What it allows.
    pub limits: Limits,
    /// Why it can place no probes, if it cannot: what is missing, and the next step.
    pub lacks: Option<(String, String)>,
}

/// What came of a request for a session.
#[derive(Clone, Debug)]
pub enum RemoteStart {
    /// It would cost more than its budget, and was not started.
    Costly(ExpectedCost),
    /// It was started.
    Started {
        /// Its name.
        session: String,
        /// What is attached.
        attached: Attached,
    },
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
        Ok(Self::over(connect(endpoint, tls, token).await?))
    }

    /// The agent at the other end of a channel.
    pub fn over(channel: AuthorizedChannel) -> Self {
        let client = AgentClient::new(channel)
            .max_decoding_message_size(MESSAGE_BYTES_MAX)
            .max_encoding_message_size(MESSAGE_BYTES_MAX);
        Self {
            client: Client::Agent(client),
        }
    }

    /// The colony at the other end of a channel.
    pub fn colony_over(channel: AuthorizedChannel) -> Self {
        let client = DebugServiceClient::new(channel)
            .max_decoding_message_size(MESSAGE_BYTES_MAX)
            .max_encoding_message_size(MESSAGE_BYTES_MAX);
        Self {
            client: Client::Colony(client),
        }
    }

    /// What the agent may do, and can.
    ///
    /// # Errors
    /// If it does not answer soon, or does not let one in.
    pub async fn capabilities(&mut self) -> Result<Capabilities, RemoteError> {
        let request = within(SIGN_OF_LIFE_MAX, wire::GetCapabilitiesRequest {});
        let answer = self.client.get_capabilities(request).await;
        let answer = answer.map_err(error::of_life)?.into_inner();
        let field = "limits";
        let limits = answer.limits.ok_or(ConvertError::Missing { field })?;
        let findings = answer.findings.into_iter();
        let mut lacks = findings.filter(|it| !answer.can_debug_uprobes && it.result == "fail");
        Ok(Capabilities {
            limits: limits.try_into()?,
            lacks: lacks.next().map(|lack| (lack.message, lack.help)),
        })
    }

    /// Whether it lives: it says so, or fails soon.
    ///
    /// # Errors
    /// If it does not answer.
    pub async fn sign_of_life(&mut self) -> Result<(), RemoteError> {
        // No service is called that, and the answer is short.
        let request = wire::ListSessionsRequest {
            service_name: "/".into(),
            ..wire::ListSessionsRequest::default()
        };
        let request = within(SIGN_OF_LIFE_MAX, request);
        let answer = self.client.list_sessions(request).await;
        answer.map_err(error::of_life)?;
        Ok(())
    }

    /// The processes of its node.
    ///
    /// # Errors
    /// If the agent refuses.
    pub async fn processes(&mut self) -> Result<Vec<ProcessSummary>, RemoteError> {
        let request = timed(wire::ListProcessesRequest {});
        let answer = self.client.list_processes(request).await?.into_inner();
        let processes = answer.processes.into_iter().map(ProcessSummary::try_from);
        Ok(processes.collect::<Result<_, _>>()?)
    }

    /// The services of its node, or of a colony's nodes, with their processes.
    ///
    /// # Errors
    /// If it refuses.
    pub async fn services(&mut self) -> Result<Vec<wire::Service>, RemoteError> {
        let mut pages = Pages::new();
        while let Some(page_token) = pages.wanted()? {
            let request = timed(wire::ListServicesRequest { page_token });
            let page = self.client.list_services(request).await?.into_inner();
            pages.add(page.services, page.next_page_token);
        }
        Ok(joined_services(pages.all))
    }

    /// The functions of a process, page by page; `progress` is told how many have come, and of how
    /// many.
    ///
    /// # Errors
    /// If the agent refuses.
    pub async fn functions(
        &mut self,
        target: &RemoteTarget,
        mut progress: impl FnMut(u64, u64),
    ) -> Result<(Target, FunctionTable), RemoteError> {
        let mut pages = FunctionPages::new();
        let mut page_token = String::new();
        let mut functions = 0;
        loop {
            let request = functions_request(target, PAGE_FUNCTIONS, page_token);
            let page = self.client.list_functions(timed(request)).await?;
            let page = page.into_inner();
            pages.add(&page)?;
            functions += page.functions.len() as u64;
            progress(functions, page.total);
            page_token = page.next_page_token;
            if page_token.is_empty() || page.functions.is_empty() {
                let field = "target";
                let target = page.target.ok_or(ConvertError::Missing { field })?;
                return Ok((target.into(), pages.build()?));
            }
        }
    }

    /// The process that those words mean now.
    ///
    /// # Errors
    /// If there is none.
    pub async fn look_at(&mut self, target: &RemoteTarget) -> Result<Target, RemoteError> {
        let request = timed(functions_request(target, 1, String::new()));
        let page = self.client.list_functions(request).await?.into_inner();
        let field = "target";
        Ok(page.target.ok_or(ConvertError::Missing { field })?.into())
    }

    /// What a function calls, as far as its code tells.
    ///
    /// # Errors
    /// If the agent refuses.
    pub async fn callees(
        &mut self,
        target: &RemoteTarget,
        function: FunctionId,
    ) -> Result<Vec<FunctionId>, RemoteError> {
        let request = timed(wire::ListCalleesRequest {
            target: Some(target.into()),
            function_id: function.0,
        });
        let answer = self.client.list_callees(request).await?.into_inner();
        Ok(ids(answer.function_ids))
    }

    /// Starts a session.
    ///
    /// # Errors
    /// If the agent refuses.
    pub async fn start(&mut self, request: &RemoteRequest) -> Result<RemoteStart, RemoteError> {
        self.ask_to_start(request_to_wire(request)).await
    }

    async fn ask_to_start(
        &mut self,
        request: wire::StartSessionRequest,
    ) -> Result<RemoteStart, RemoteError> {
        let answer = self
            .client
            .start_session(timed(request))
            .await?
            .into_inner();
        if answer.session_id.is_empty() {
            let field = "expected";
            let expected = answer.expected.ok_or(ConvertError::Missing { field })?;
            return Ok(RemoteStart::Costly(expected.try_into()?));
        }
        Ok(RemoteStart::Started {
            session: answer.session_id,
            attached: attached(answer.attached.unwrap_or_default()),
        })
    }

    /// What probes on functions would cost.
    ///
    /// # Errors
    /// If the agent refuses.
    pub async fn expected(&mut self, request: &RemoteRequest) -> Result<ExpectedCost, RemoteError> {
        let question = wire::StartSessionRequest {
            only_expected: true,
            ..request_to_wire(request)
        };
        match self.ask_to_start(question).await? {
            RemoteStart::Costly(expected) => Ok(expected),
            RemoteStart::Started { .. } => {
                let field = "expected";
                Err(ConvertError::Missing { field }.into())
            }
        }
    }

    /// Attaches more functions in a session.
    ///
    /// # Errors
    /// If the session is over, or the agent refuses.
    pub async fn add(
        &mut self,
        session: &str,
        functions: &[FunctionId],
    ) -> Result<Attached, RemoteError> {
        let request = timed(wire::AddFunctionsRequest {
            session_id: session.to_owned(),
            function_ids: numbers(functions),
        });
        let answer = self.client.add_functions(request).await?.into_inner();
        Ok(attached(answer.attached.unwrap_or_default()))
    }

    /// Detaches functions of a session.
    ///
    /// # Errors
    /// If the session is over, or the agent refuses.
    pub async fn remove(
        &mut self,
        session: &str,
        functions: &[FunctionId],
    ) -> Result<(), RemoteError> {
        let request = timed(wire::RemoveFunctionsRequest {
            session_id: session.to_owned(),
            function_ids: numbers(functions),
        });
        self.client.remove_functions(request).await?;
        Ok(())
    }

    /// Lets only calls with such arguments make records from now on.
    ///
    /// # Errors
    /// If the filter does not fit, the session is over, or the agent refuses.
    pub async fn set_filter(
        &mut self,
        session: &str,
        filter: Option<&Expression>,
    ) -> Result<(), RemoteError> {
        let request = timed(wire::UpdateFilterRequest {
            session_id: session.to_owned(),
            filter: filter.map(Expression::to_string).unwrap_or_default(),
        });
        self.client.update_filter(request).await?;
        Ok(())
    }

    /// Makes a lease longer.
    ///
    /// # Errors
    /// If the session is over, or the agent refuses.
    pub async fn extend(&mut self, session: &str, by: Duration) -> Result<(), RemoteError> {
        let request = timed(wire::ExtendSessionRequest {
            session_id: session.to_owned(),
            by: Some(duration_to_wire(by)),
        });
        self.client.extend_session(request).await?;
        Ok(())
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
        Ok(Watching::of(stream))
    }

    /// The sessions of the agent, of that service or of all.
    ///
    /// # Errors
    /// If the agent refuses.
    pub async fn sessions(
        &mut self,
        service: Option<&str>,
    ) -> Result<Vec<SessionInfo>, RemoteError> {
        let mut pages = Pages::new();
        while let Some(page_token) = pages.wanted()? {
            let request = wire::ListSessionsRequest {
                service_name: service.unwrap_or_default().to_owned(),
                with_ended: false,
                page_token,
            };
            let page = self
                .client
                .list_sessions(timed(request))
                .await?
                .into_inner();
            pages.add(page.sessions, page.next_page_token);
        }
        let infos = pages.all.into_iter().map(SessionInfo::try_from);
        Ok(infos.collect::<Result<_, _>>()?)
    }

    /// What a session has traced, written down: in lines of so many columns, or as JSON.
    ///
    /// # Errors
    /// If it traces nothing, or the agent refuses.
    pub async fn traces(
        &mut self,
        session: &str,
        format: TraceFormat,
    ) -> Result<Vec<u8>, RemoteError> {
        let request = wire::DownloadTracesRequest {
            session_id: session.to_owned(),
            width: match format {
                TraceFormat::Json => 0,
                TraceFormat::Text(width) => u32::try_from(width.max(1)).unwrap_or(u32::MAX),
            },
        };
        let answer = self.client.download_traces(timed(request)).await?;
        let mut chunks = answer.into_inner();
        let mut document = Vec::new();
        while let Some(part) = chunks.message().await.map_err(error::of_stream)? {
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
        session: &str,
        out: &mut impl io::Write,
    ) -> Result<(), RemoteError> {
        let request = wire::DownloadRecordingRequest {
            session_id: session.to_owned(),
        };
        let answer = self.client.download_recording(timed(request)).await?;
        let mut chunks = answer.into_inner();
        let mut len = 0;
        while let Some(part) = chunks.message().await.map_err(error::of_stream)? {
            len += part.chunk.len();
            if len > DOCUMENT_BYTES_MAX {
                return Err(RemoteError::TooLong);
            }
            out.write_all(&part.chunk).map_err(RemoteError::Unwritten)?;
        }
        Ok(())
    }

    /// Ends a session.
    ///
    /// # Errors
    /// If the agent refuses.
    pub async fn end_session(&mut self, session: &str) -> Result<(), RemoteError> {
        let request = wire::EndSessionsRequest {
            session_id: session.to_owned(),
            ..wire::EndSessionsRequest::default()
        };
        self.end(request).await?;
        Ok(())
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
    /// A session of which nothing has come yet.
    pub fn of(stream: Streaming<wire::SessionUpdate>) -> Self {
        Self {
            stream,
            assembled: Assembled::new(),
        }
    }

    /// The next snapshot; `None` once the final one has come.
    ///
    /// # Errors
    /// If the connection ends before the session does, or what comes cannot be understood.
    pub async fn next(&mut self) -> Result<Option<Arc<Snapshot>>, RemoteError> {
        while let Some(update) = self.stream.message().await.map_err(error::of_stream)? {
            if let Some(snapshot) = self.assembled.apply(update)? {
                return Ok(Some(snapshot));
            }
        }
        Ok(None)
    }
}

/// Whether a session has come to its end by itself or by a request.
pub fn has_ended(snapshot: &Snapshot) -> Option<EndReason> {
    match snapshot.session.state {
        SessionState::Active => None,
        SessionState::Ended(reason) => Some(reason),
    }
}

impl From<&RemoteTarget> for wire::TargetRef {
    fn from(target: &RemoteTarget) -> Self {
        Self {
            service_name: target.service.clone().unwrap_or_default(),
            pids: target.pids.clone(),
            libraries: target.libraries.clone(),
            replicas: Vec::new(),
        }
    }
}

fn request_to_wire(request: &RemoteRequest) -> wire::StartSessionRequest {
    let wish = &request.wish;
    wire::StartSessionRequest {
        request_id: request.id.clone(),
        target: Some((&request.target).into()),
        patterns: wish.patterns.clone(),
        function_ids: numbers(&wish.functions),
        settings: Some((&request.settings).into()),
        refuse_over_budget: request.refuse_over_budget,
        room: u32::try_from(wish.room).unwrap_or(u32::MAX),
        trace: request.trace.as_ref().map(trace_to_wire),
        show_recursion: wish.show_recursion,
        inlined: wish.inlined,
        follow_forks: wish.follow_forks,
        follow_execs: wish.follow_execs,
        fast_returns: wish.fast_returns,
        ..wire::StartSessionRequest::default()
    }
}

fn trace_to_wire(trace: &TraceWish) -> wire::TraceRequest {
    wire::TraceRequest {
        root: trace.root.clone().unwrap_or_default(),
        path: trace.path.clone().unwrap_or_default(),
        functions_max: u32::try_from(trace.functions_max).unwrap_or(u32::MAX),
    }
}

fn functions_request(
    target: &RemoteTarget,
    page_size: u32,
    page_token: String,
) -> wire::ListFunctionsRequest {
    wire::ListFunctionsRequest {
        target: Some(target.into()),
        pattern: String::new(),
        page_size,
        page_token,
        with_plans: true,
    }
}

fn attached(attached: wire::Attached) -> Attached {
    let refused = attached.refused.into_iter();
    Attached {
        functions: ids(attached.function_ids),
        probes: attached.probes,
        refused: refused
            .map(|refused| Refused {
                function: FunctionId(refused.function_id),
                reason: refused.reason,
            })
            .collect(),
    }
}

fn ids(numbers: Vec<u32>) -> Vec<FunctionId> {
    numbers.into_iter().map(FunctionId).collect()
}

fn numbers(functions: &[FunctionId]) -> Vec<u32> {
    functions.iter().map(|function| function.0).collect()
}

fn timed<T>(message: T) -> tonic::Request<T> {
    within(ANSWER_MAX, message)
}

fn within<T>(time: Duration, message: T) -> tonic::Request<T> {
    let mut request = tonic::Request::new(message);
    request.set_timeout(time);
    request
}
