//! The calls of `coral.agent.v1.Agent`.

use std::sync::Arc;
use std::time::Duration;

use coral_model::filter::Expression;
use coral_model::{ExpectedCost, FunctionId, SessionSettings};
use coral_proto::agent::v1 as wire;
use coral_proto::agent::v1::agent_server::Agent as AgentCalls;
use coral_proto::convert::{duration_from_wire, duration_to_wire, settings_from_wire};
use serde_json::json;
use tokio::task::spawn_blocking;
use tokio_stream::wrappers::ReceiverStream;
use tonic::{Code, Extensions, Request, Response, Status};

use super::audit::Audit;
use super::sessions::{Held, Sessions};
use super::targets::Targets;
use super::{NodeError, functions, status, watch};
use crate::access::audit::{Entry, Outcome, Who};
use crate::access::grpc::{identity, peer};
use crate::access::{Identity, Role};
use crate::agent::{Agent, AgentError, AttachRequest, Attached, Watched};
use crate::config::AgentConfig;
use crate::source::select;
use crate::symbols::list_processes;

/// The shortest time between two updates of a session, and what it is if nothing is asked for.
const INTERVAL_MIN: Duration = Duration::from_millis(50);
const INTERVAL_USUAL: Duration = Duration::from_millis(200);
/// Functions that are added to a session later, at most.
const ROOM_MAX: u32 = 1_000;

/// Answers clients.
#[derive(Debug)]
pub(super) struct Service {
    id: String,
    is_enabled: bool,
    defaults: SessionSettings,
    sessions: Arc<Sessions>,
    targets: Targets,
    audit: Arc<Audit>,
}

impl Service {
    pub(super) fn open(config: &AgentConfig) -> Result<Self, NodeError> {
        let host = || {
            rustix::system::uname()
                .nodename()
                .to_string_lossy()
                .into_owned()
        };
        Ok(Self {
            id: if config.id.is_empty() {
                host()
            } else {
                config.id.clone()
            },
            is_enabled: config.debug.enabled,
            defaults: SessionSettings {
                budget_percent: config.debug.budget_percent,
                ..SessionSettings::default()
            },
            sessions: Arc::new(Sessions::new(Agent::new(config.limits()))),
            targets: Targets::default(),
            audit: Arc::new(Audit::open(config.audit.as_ref())?),
        })
    }

    pub(super) fn audit(&self) -> Arc<Audit> {
        Arc::clone(&self.audit)
    }

    /// Ends all sessions, and waits until no probe is left.
    pub(super) async fn end_all(&self) {
        for held in self.sessions.all() {
            // A thread that failed has dropped its session, and so its probes.
            let _ = spawn_blocking(move || held.end()).await;
        }
    }

    /// A process that the client may see.
    async fn target(
        &self,
        who: &Identity,
        target: Option<&wire::TargetRef>,
    ) -> Result<Arc<Watched>, Status> {
        let target = target.cloned().unwrap_or_default();
        if !target.service_name.is_empty() {
            who.check(Role::Read, &target.service_name)?;
        }
        let watched = self.targets.open(&target).await?;
        who.check(Role::Read, &watched.target.service)?;
        Ok(watched)
    }

    /// A session that the client may see, with the role that is needed for what comes.
    fn session(&self, who: &Identity, role: Role, id: &str) -> Result<Arc<Held>, Status> {
        let unknown = || {
            let help = "`coral debug list` lists the sessions";
            status::with(
                Code::NotFound,
                "no-such-session",
                "there is no such session",
                help,
            )
        };
        let held = self.sessions.get(id).ok_or_else(unknown)?;
        let service = held.info().target.service;
        if !who.may(Role::Read, &service) {
            return Err(unknown());
        }
        who.check(role, &service)?;
        Ok(held)
    }

    /// The functions that are meant, each once.
    fn functions(
        watched: &Watched,
        request: &wire::StartSessionRequest,
    ) -> Result<Vec<FunctionId>, Status> {
        let mut functions: Vec<FunctionId> = request
            .function_ids
            .iter()
            .map(|&id| FunctionId(id))
            .filter(|&id| watched.table().get(id).is_some())
            .collect();
        if !request.patterns.is_empty() {
            let selected = select(watched.table(), &request.patterns);
            functions.extend(selected.map_err(|error| status::of(&error))?);
        }
        functions.sort_unstable();
        functions.dedup();
        Ok(functions)
    }
}

/// Who asks, and how the record of it begins.
fn asked(extensions: &Extensions, action: &str) -> Result<(Identity, Entry), Status> {
    let (identity, peer) = (identity(extensions)?, peer(extensions)?);
    let entry = Entry::new(Who::of(identity, peer), action, Outcome::Allowed);
    Ok((identity.clone(), entry))
}

/// Runs what blocks on a thread of its own.
async fn blocking<T: Send + 'static>(
    work: impl FnOnce() -> Result<T, AgentError> + Send + 'static,
) -> Result<T, Status> {
    match spawn_blocking(work).await {
        Ok(Ok(value)) => Ok(value),
        Ok(Err(error)) => Err(status::of(&error)),
        Err(_) => Err(Status::internal("the session's thread has failed")),
    }
}

fn attached_to_wire(attached: Attached) -> wire::Attached {
    let refused = attached.refused.into_iter();
    wire::Attached {
        function_ids: attached.functions.iter().map(|id| id.0).collect(),
        probes: attached.probes,
        refused: refused
            .map(|refused| wire::Refused {
                function_id: refused.function.0,
                reason: refused.reason,
            })
            .collect(),
    }
}

fn is_over(expected: &ExpectedCost, settings: &SessionSettings) -> bool {
    let both = expected.cpu_percent.zip(settings.budget_percent);
    both.is_some_and(|(percent, budget)| percent > budget)
}

fn ids(ids: Vec<u32>) -> Vec<FunctionId> {
    ids.into_iter().map(FunctionId).collect()
}

#[tonic::async_trait]
impl AgentCalls for Service {
    type AttachUprobeStream = ReceiverStream<Result<wire::UprobeEvent, Status>>;
    type WatchSessionStream = ReceiverStream<Result<wire::SessionUpdate, Status>>;
    type DownloadRecordingStream = ReceiverStream<Result<wire::DownloadRecordingResponse, Status>>;

    async fn attach_uprobe(
        &self,
        _request: Request<wire::AttachUprobeRequest>,
    ) -> Result<Response<Self::AttachUprobeStream>, Status> {
        Err(Status::unimplemented(
            "single calls are not streamed yet: use StartSession",
        ))
    }

    async fn detach_uprobe(
        &self,
        request: Request<wire::DetachUprobeRequest>,
    ) -> Result<Response<wire::DetachUprobeResponse>, Status> {
        let (extensions, id) = (
            request.extensions().clone(),
            request.into_inner().session_id,
        );
        let ended = self.end(&extensions, |held| held.info().id.0 == id)?;
        let success = !ended.is_empty();
        self.wait_until_ended(ended).await;
        Ok(Response::new(wire::DetachUprobeResponse { success }))
    }

    async fn get_capabilities(
        &self,
        _request: Request<wire::GetCapabilitiesRequest>,
    ) -> Result<Response<wire::GetCapabilitiesResponse>, Status> {
        let can_probe = crate::probe::can_probe();
        let findings = can_probe.as_ref().err().map(|missing| wire::Finding {
            name: "probes".into(),
            result: "fail".into(),
            message: missing.to_string(),
            help: coral_model::Diagnostic::help(missing),
        });
        let uname = rustix::system::uname();
        Ok(Response::new(wire::GetCapabilitiesResponse {
            agent_id: self.id.clone(),
            version: env!("CARGO_PKG_VERSION").into(),
            host: uname.nodename().to_string_lossy().into_owned(),
            kernel: uname.release().to_string_lossy().into_owned(),
            can_debug_uprobes: self.is_enabled && can_probe.is_ok(),
            findings: findings.into_iter().collect(),
            limits: Some(self.sessions.agent().limits().into()),
        }))
    }

    async fn list_services(
        &self,
        _request: Request<wire::ListServicesRequest>,
    ) -> Result<Response<wire::ListServicesResponse>, Status> {
        Err(Status::unimplemented(
            "services are not known yet: use ListProcesses",
        ))
    }

    async fn list_processes(
        &self,
        request: Request<wire::ListProcessesRequest>,
    ) -> Result<Response<wire::ListProcessesResponse>, Status> {
        let who = identity(request.extensions())?.clone();
        let listed = spawn_blocking(list_processes).await;
        let listed = listed.map_err(|_| Status::internal("the list cannot be made"))?;
        let visible = listed
            .iter()
            .filter(|process| who.may(Role::Read, &process.name));
        Ok(Response::new(wire::ListProcessesResponse {
            processes: visible.map(wire::Process::from).collect(),
        }))
    }

    async fn list_functions(
        &self,
        request: Request<wire::ListFunctionsRequest>,
    ) -> Result<Response<wire::ListFunctionsResponse>, Status> {
        let who = identity(request.extensions())?.clone();
        let request = request.into_inner();
        let watched = self.target(&who, request.target.as_ref()).await?;
        let page = spawn_blocking(move || functions::page(&watched, &request)).await;
        let page = page.map_err(|_| Status::internal("the page cannot be made"))??;
        Ok(Response::new(page))
    }

    async fn list_callees(
        &self,
        request: Request<wire::ListCalleesRequest>,
    ) -> Result<Response<wire::ListCalleesResponse>, Status> {
        let who = identity(request.extensions())?.clone();
        let request = request.into_inner();
        let watched = self.target(&who, request.target.as_ref()).await?;
        let function = FunctionId(request.function_id);
        let callees = spawn_blocking(move || watched.symbols.callees(function).direct).await;
        let callees = callees.map_err(|_| Status::internal("the code cannot be read"))?;
        Ok(Response::new(wire::ListCalleesResponse {
            function_ids: callees.into_iter().map(|id| id.0).collect(),
        }))
    }

    async fn start_session(
        &self,
        request: Request<wire::StartSessionRequest>,
    ) -> Result<Response<wire::StartSessionResponse>, Status> {
        let (who, mut entry) = asked(request.extensions(), "session.start")?;
        let request = request.into_inner();
        if let Some(held) = self.sessions.of_request(&who.name, &request.request_id) {
            return Ok(Response::new(wire::StartSessionResponse {
                session_id: held.info().id.0,
                ..wire::StartSessionResponse::default()
            }));
        }
        let asked_for = request.settings.clone().unwrap_or_default();
        let settings =
            settings_from_wire(&asked_for, &self.defaults).map_err(|error| status::of(&error))?;
        let watched = self.target(&who, request.target.as_ref()).await?;
        let service = watched.target.service.clone();
        entry.service = Some(service.clone());
        entry.functions.clone_from(&request.patterns);
        entry.settings = json!({
            "pids": watched.pids(),
            "duration_s": settings.duration.as_secs_f64(),
            "filter": settings.filter.as_ref().map(Expression::to_string),
            "capture_args": settings.capture.arguments,
            "capture_return": settings.capture.results,
        });
        let reads_values = settings.capture.arguments || settings.capture.results;
        let roles = [Some(Role::Attach), reads_values.then_some(Role::Capture)];
        for role in roles.into_iter().flatten() {
            if let Err(denied) = who.check(role, &service) {
                self.audit.denied(entry, &denied);
                return Err(denied.into());
            }
        }
        if !self.is_enabled {
            let help = "set agent.debug.enabled";
            return Err(status::with(
                Code::FailedPrecondition,
                "sessions-disabled",
                "sessions are disabled here",
                help,
            ));
        }
        let attach = AttachRequest {
            settings,
            room: request.room.min(ROOM_MAX) as usize + request.function_ids.len(),
            ..AttachRequest::new(Self::functions(&watched, &request)?, who.name)
        };
        self.audit.record(entry).await?;
        let sessions = Arc::clone(&self.sessions);
        let answer = blocking(move || {
            let expected = sessions.agent().expected(&watched, &attach)?;
            let expected_wire = Some((&expected).into());
            if request.refuse_over_budget && is_over(&expected, &attach.settings) {
                return Ok(wire::StartSessionResponse {
                    expected: expected_wire,
                    ..wire::StartSessionResponse::default()
                });
            }
            let (held, attached) = sessions.start(watched, &attach, request.request_id)?;
            Ok(wire::StartSessionResponse {
                session_id: held.info().id.0,
                attached: Some(attached_to_wire(attached)),
                expected: expected_wire,
            })
        });
        Ok(Response::new(answer.await?))
    }

    async fn watch_session(
        &self,
        request: Request<wire::WatchSessionRequest>,
    ) -> Result<Response<Self::WatchSessionStream>, Status> {
        let who = identity(request.extensions())?.clone();
        let request = request.into_inner();
        let held = self.session(&who, Role::Read, &request.session_id)?;
        let interval = match &request.interval {
            Some(interval) => duration_from_wire(interval, "interval")
                .map_err(|error| status::of(&error))?
                .max(INTERVAL_MIN),
            None => INTERVAL_USUAL,
        };
        Ok(Response::new(watch::updates(held.snapshots(), interval)))
    }

    async fn list_sessions(
        &self,
        request: Request<wire::ListSessionsRequest>,
    ) -> Result<Response<wire::ListSessionsResponse>, Status> {
        let who = identity(request.extensions())?.clone();
        let request = request.into_inner();
        let all = self.sessions.all();
        let infos = all
            .iter()
            .filter(|held| request.with_ended || held.is_live())
            .map(|held| held.info());
        let of_service =
            |service: &str| request.service_name.is_empty() || request.service_name == service;
        let visible = infos.filter(|info| {
            of_service(&info.target.service) && who.may(Role::Read, &info.target.service)
        });
        Ok(Response::new(wire::ListSessionsResponse {
            sessions: visible.map(|info| wire::SessionInfo::from(&info)).collect(),
        }))
    }

    async fn add_functions(
        &self,
        request: Request<wire::AddFunctionsRequest>,
    ) -> Result<Response<wire::AddFunctionsResponse>, Status> {
        let (who, mut entry) = asked(request.extensions(), "session.add")?;
        let request = request.into_inner();
        let held = self.session(&who, Role::Attach, &request.session_id)?;
        let functions = ids(request.function_ids);
        let table = held.watched.table();
        let names = functions.iter().filter_map(|&id| table.get(id));
        entry.functions = names.map(|function| function.name.to_owned()).collect();
        entry.session = Some(request.session_id);
        self.audit.record(entry).await?;
        let attached = blocking(move || held.ask(|session| session.add(functions))).await?;
        Ok(Response::new(wire::AddFunctionsResponse {
            attached: Some(attached_to_wire(attached)),
        }))
    }

    async fn remove_functions(
        &self,
        request: Request<wire::RemoveFunctionsRequest>,
    ) -> Result<Response<wire::RemoveFunctionsResponse>, Status> {
        let (who, mut entry) = asked(request.extensions(), "session.remove")?;
        let request = request.into_inner();
        let held = self.session(&who, Role::Detach, &request.session_id)?;
        entry.session = Some(request.session_id);
        self.audit.note(entry);
        let functions = ids(request.function_ids);
        blocking(move || held.ask(|session| session.remove(functions))).await?;
        Ok(Response::new(wire::RemoveFunctionsResponse {}))
    }

    async fn update_filter(
        &self,
        request: Request<wire::UpdateFilterRequest>,
    ) -> Result<Response<wire::UpdateFilterResponse>, Status> {
        let (who, mut entry) = asked(request.extensions(), "session.filter")?;
        let request = request.into_inner();
        let held = self.session(&who, Role::Attach, &request.session_id)?;
        let filter = match request.filter.as_str() {
            "" => None,
            filter => Some(Expression::parse(filter).map_err(|error| status::of(&error))?),
        };
        entry.session = Some(request.session_id);
        entry.settings = json!({ "filter": request.filter });
        self.audit.record(entry).await?;
        blocking(move || held.ask(|session| session.set_filter(filter))).await?;
        Ok(Response::new(wire::UpdateFilterResponse {}))
    }

    async fn extend_session(
        &self,
        request: Request<wire::ExtendSessionRequest>,
    ) -> Result<Response<wire::ExtendSessionResponse>, Status> {
        let (who, mut entry) = asked(request.extensions(), "session.extend")?;
        let request = request.into_inner();
        let held = self.session(&who, Role::Attach, &request.session_id)?;
        let by = request.by.unwrap_or_default();
        let by = duration_from_wire(&by, "by").map_err(|error| status::of(&error))?;
        entry.session = Some(request.session_id);
        entry.settings = json!({ "by_s": by.as_secs_f64() });
        self.audit.record(entry).await?;
        let remaining = blocking(move || held.ask(|session| session.extend(by))).await?;
        Ok(Response::new(wire::ExtendSessionResponse {
            remaining: Some(duration_to_wire(remaining)),
        }))
    }

    async fn end_sessions(
        &self,
        request: Request<wire::EndSessionsRequest>,
    ) -> Result<Response<wire::EndSessionsResponse>, Status> {
        let extensions = request.extensions().clone();
        let request = request.into_inner();
        let ended = self.end(&extensions, |held| {
            let info = held.info();
            request.all
                || info.id.0 == request.session_id
                || (!request.service_name.is_empty() && info.target.service == request.service_name)
        })?;
        let sessions = self.wait_until_ended(ended).await;
        Ok(Response::new(wire::EndSessionsResponse { sessions }))
    }

    async fn download_recording(
        &self,
        _request: Request<wire::DownloadRecordingRequest>,
    ) -> Result<Response<Self::DownloadRecordingStream>, Status> {
        Err(Status::unimplemented(
            "recordings are not kept by agents yet: use WatchSession",
        ))
    }

    async fn register_service(
        &self,
        _request: Request<wire::RegisterServiceRequest>,
    ) -> Result<Response<wire::RegisterServiceResponse>, Status> {
        Err(Status::unimplemented("services cannot register yet"))
    }
}

impl Service {
    /// The live sessions that are meant and that the client may end. Each is in the audit log, which
    /// nothing waits for: ending is always possible.
    fn end(
        &self,
        extensions: &Extensions,
        is_meant: impl Fn(&Held) -> bool,
    ) -> Result<Vec<Arc<Held>>, Status> {
        let (who, entry) = asked(extensions, "session.end")?;
        let mut sessions = self.sessions.all();
        sessions.retain(|held| held.is_live() && is_meant(held));
        sessions.retain(|held| who.may(Role::Read, &held.info().target.service));
        for held in &sessions {
            let info = held.info();
            let entry = Entry {
                session: Some(info.id.0),
                service: Some(info.target.service.clone()),
                ..entry.clone()
            };
            if let Err(denied) = who.check(Role::Detach, &info.target.service) {
                self.audit.denied(entry, &denied);
                return Err(denied.into());
            }
            self.audit.note(entry);
        }
        Ok(sessions)
    }

    async fn wait_until_ended(&self, sessions: Vec<Arc<Held>>) -> Vec<wire::SessionInfo> {
        let mut infos = Vec::new();
        for held in sessions {
            let ending = Arc::clone(&held);
            // A thread that failed has dropped its session, and so its probes.
            let _ = spawn_blocking(move || ending.end()).await;
            infos.push(wire::SessionInfo::from(&held.info()));
        }
        infos
    }
}
