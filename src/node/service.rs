//! The calls of `coral.agent.v1.Agent`.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use coral_model::filter::Expression;
use coral_model::{FunctionId, SessionSettings};
use coral_proto::MESSAGE_BYTES_MAX;
use coral_proto::agent::v1 as wire;
use coral_proto::agent::v1::agent_server::Agent as AgentCalls;
use coral_proto::convert::{duration_from_wire, duration_to_wire, fit_processes};
use serde_json::json;
use tokio::sync::mpsc;
use tokio::task::spawn_blocking;
use tokio_stream::wrappers::ReceiverStream;
use tonic::{Code, Extensions, Request, Response, Status};

use super::hints::Hints;
use super::journal::{self, Journals, Spool};
use super::services::Services;
use super::sessions::{Held, Sessions};
use super::start::attached_to_wire;
use super::targets::Targets;
use crate::access::audit::{Entry, Outcome, Who};
use crate::access::grpc::{identity, peer};
use crate::access::{Denied, Identity, Role};
use crate::agent::{Agent, AgentError, Watched};
use crate::config::AgentConfig;
use crate::doctor::{Check, Report};
use crate::serving::Audit;
use crate::serving::{functions, pages, status, watching};
use crate::source::TraceFormat;
use crate::symbols::list_processes;

/// Bytes of a document in one message.
const CHUNK_BYTES: usize = 256 << 10;
/// Lines of text are no longer, whoever asks.
const TEXT_COLUMNS_MAX: u32 = 1_000;

/// Answers clients.
#[derive(Debug)]
pub(super) struct Service {
    pub(super) id: String,
    pub(super) is_enabled: bool,
    pub(super) is_closing: AtomicBool,
    pub(super) require_dwarf: bool,
    pub(super) defaults: SessionSettings,
    pub(super) sessions: Arc<Sessions>,
    pub(super) services: Arc<Services>,
    pub(super) hints: Arc<Hints>,
    targets: Targets,
    pub(super) audit: Arc<Audit>,
    pub(super) journals: Journals,
}

impl Service {
    pub(super) fn open(
        config: &AgentConfig,
        ports: Vec<u16>,
        audit: Arc<Audit>,
        journals: Journals,
    ) -> Self {
        let hints = Arc::new(Hints::new(config.debug.sdk_api.clone()));
        let id = if config.id.is_empty() {
            host_name()
        } else {
            config.id.clone()
        };
        Self {
            id: id.clone(),
            is_enabled: config.debug.enabled,
            is_closing: AtomicBool::new(false),
            defaults: SessionSettings {
                budget_percent: config.debug.budget_percent,
                ..SessionSettings::default()
            },
            sessions: Arc::new(Sessions::new(Agent::new(config.limits()))),
            services: Arc::new(Services::new(config.services.clone(), ports)),
            targets: Targets::new(id, Arc::clone(&hints), Arc::clone(&audit)),
            hints,
            require_dwarf: config.debug.require_dwarf,
            audit,
            journals,
        }
    }

    /// Ends all sessions, and waits until no probe is left.
    pub(super) async fn end_all(&self) {
        self.is_closing.store(true, Ordering::Release);
        let sessions = self.sessions.all();
        for held in &sessions {
            let ending = Arc::clone(held);
            // A thread that failed has dropped its session, and so its probes.
            let _ = spawn_blocking(move || ending.end()).await;
        }
        self.journals.close(&sessions).await;
    }

    /// A process that the client may see. A refusal is written down where it is of something
    /// privileged, which has an entry.
    pub(super) async fn target(
        &self,
        who: &Identity,
        target: Option<&wire::TargetRef>,
        entry: Option<&Entry>,
    ) -> Result<Arc<Watched>, Status> {
        let target = target.cloned().unwrap_or_default();
        let refuse = |denied| self.refuse(entry, denied);
        // Who may see nothing learns nothing of which processes there are.
        who.check_anywhere(Role::Read).map_err(refuse)?;
        if !target.service_name.is_empty() {
            who.check(Role::Read, &target.service_name)
                .map_err(refuse)?;
        }
        let watched = self.targets.open(&self.services, &target).await?;
        who.check(Role::Read, &watched.target.service)
            .map_err(refuse)?;
        Ok(watched)
    }

    fn refuse(&self, entry: Option<&Entry>, denied: Denied) -> Status {
        match entry {
            Some(entry) => self.audit.denied(entry.clone(), denied),
            None => denied.into(),
        }
    }

    /// A session that the client may see, with the role that is needed for what comes. A refusal
    /// is written down where that is privileged, and has an entry.
    fn session(
        &self,
        who: &Identity,
        role: Role,
        id: &str,
        entry: Option<&mut Entry>,
    ) -> Result<Arc<Held>, Status> {
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
        let entry = entry.map(|entry| {
            entry.session = Some(id.to_owned());
            entry.service = Some(service.clone());
            &*entry
        });
        if let Err(denied) = who.check(Role::Read, &service) {
            // It is not told, not even that there is such a session.
            self.refuse(entry, denied);
            return Err(unknown());
        }
        who.check(role, &service)
            .map_err(|denied| self.refuse(entry, denied))?;
        Ok(held)
    }
}

impl Service {
    /// A session of which all may be had that it holds: what calls receive and return is not for
    /// everybody, and who had it is written down.
    async fn session_to_download(
        &self,
        extensions: &Extensions,
        id: &str,
    ) -> Result<Arc<Held>, Status> {
        let (who, mut entry) = asked(extensions, "session.download")?;
        let held = self.session(&who, Role::Read, id, Some(&mut entry))?;
        if held.holds_values() {
            self.session(&who, Role::Capture, id, Some(&mut entry))?;
            self.audit.record(entry).await?;
        }
        Ok(held)
    }
}

impl Service {
    /// The journals, for the colony and for who may do everything; others are written down.
    fn journals_for(&self, (who, entry): (Identity, Entry)) -> Result<Arc<Spool>, Status> {
        let allowed = journal::check(&who);
        allowed.map_err(|denied| self.audit.denied(entry, denied))?;
        self.journals.spool()
    }
}

/// Who asks, and how the record of it begins.
fn asked(extensions: &Extensions, action: &str) -> Result<(Identity, Entry), Status> {
    let (identity, peer) = (identity(extensions)?, peer(extensions)?);
    let entry = Entry::new(Who::of(identity, peer), action, Outcome::Allowed);
    Ok((identity.clone(), entry))
}

/// Runs what blocks on a thread of its own.
pub(super) async fn blocking<T: Send + 'static>(
    work: impl FnOnce() -> Result<T, AgentError> + Send + 'static,
) -> Result<T, Status> {
    match spawn_blocking(work).await {
        Ok(Ok(value)) => Ok(value),
        Ok(Err(error)) => Err(status::of(&error)),
        Err(_) => Err(status::failed("the session's thread has failed")),
    }
}

/// What this machine calls itself.
pub(super) fn host_name() -> String {
    let uname = rustix::system::uname();
    uname.nodename().to_string_lossy().into_owned()
}

fn finding(check: &Check) -> wire::Finding {
    wire::Finding {
        name: check.name.into(),
        result: check.status.name().into(),
        message: check.found.clone(),
        help: check.fix.clone().unwrap_or_default(),
    }
}

pub(super) fn no_such_function() -> Status {
    let message = "the process has no function of that number";
    let help = "list its functions again: numbers are those of one process";
    status::with(Code::NotFound, "no-such-function", message, help)
}

fn ids(ids: Vec<u32>) -> Vec<FunctionId> {
    ids.into_iter().map(FunctionId).collect()
}

#[tonic::async_trait]
impl AgentCalls for Service {
    type AttachUprobeStream = ReceiverStream<Result<wire::UprobeEvent, Status>>;
    type WatchSessionStream = ReceiverStream<Result<wire::SessionUpdate, Status>>;
    type DownloadTracesStream = ReceiverStream<Result<wire::DownloadTracesResponse, Status>>;
    type ReadJournalStream = ReceiverStream<Result<wire::JournalEntry, Status>>;
    type DownloadRecordingStream = ReceiverStream<Result<wire::DownloadRecordingResponse, Status>>;

    async fn attach_uprobe(
        &self,
        request: Request<wire::AttachUprobeRequest>,
    ) -> Result<Response<Self::AttachUprobeStream>, Status> {
        let (who, entry) = asked(request.extensions(), "uprobe.attach")?;
        let events = self.attach_single(who, entry, request.into_inner()).await?;
        Ok(Response::new(events))
    }

    async fn detach_uprobe(
        &self,
        request: Request<wire::DetachUprobeRequest>,
    ) -> Result<Response<wire::DetachUprobeResponse>, Status> {
        let (extensions, id) = (
            request.extensions().clone(),
            request.into_inner().session_id,
        );
        let ended = self.end(&extensions, false, |held| held.info().id.0 == id)?;
        let success = !ended.is_empty();
        self.wait_until_ended(ended).await;
        Ok(Response::new(wire::DetachUprobeResponse { success }))
    }

    async fn get_capabilities(
        &self,
        _request: Request<wire::GetCapabilitiesRequest>,
    ) -> Result<Response<wire::GetCapabilitiesResponse>, Status> {
        let report = spawn_blocking(Report::read).await;
        let report = report.map_err(|_| status::failed("the node cannot be looked at"))?;
        let uname = rustix::system::uname();
        Ok(Response::new(wire::GetCapabilitiesResponse {
            agent_id: self.id.clone(),
            version: env!("CARGO_PKG_VERSION").into(),
            host: host_name(),
            kernel: uname.release().to_string_lossy().into_owned(),
            can_debug_uprobes: self.is_enabled && report.verdict().is_ok(),
            findings: report.checks().iter().map(finding).collect(),
            limits: Some(self.sessions.agent().limits().into()),
        }))
    }

    async fn list_services(
        &self,
        request: Request<wire::ListServicesRequest>,
    ) -> Result<Response<wire::ListServicesResponse>, Status> {
        let who = identity(request.extensions())?.clone();
        let token = request.into_inner().page_token;
        let known = Arc::clone(&self.services);
        let services = spawn_blocking(move || known.list()).await;
        let mut services = services.map_err(|_| status::failed("the list cannot be made"))?;
        services.retain(|service| who.may(Role::Read, &service.name));
        for process in services
            .iter_mut()
            .flat_map(|service| &mut service.processes)
        {
            process.sdk = self.hints.verdict(process.pid);
        }
        let page = pages::services(services, &token)?;
        Ok(Response::new(wire::ListServicesResponse {
            services: page.items,
            next_page_token: page.next,
        }))
    }

    async fn list_processes(
        &self,
        request: Request<wire::ListProcessesRequest>,
    ) -> Result<Response<wire::ListProcessesResponse>, Status> {
        let who = identity(request.extensions())?.clone();
        let listed = spawn_blocking(list_processes).await;
        let listed = listed.map_err(|_| status::failed("the list cannot be made"))?;
        let visible = listed
            .iter()
            .filter(|process| who.may(Role::Read, &process.name));
        let mut processes: Vec<_> = visible.map(wire::Process::from).collect();
        if !fit_processes(&mut processes, MESSAGE_BYTES_MAX) {
            let message = format!("{} processes do not fit into a message", processes.len());
            let help = "name the process by its id, or the service";
            let code = Code::ResourceExhausted;
            return Err(status::with(code, "over-limit", &message, help));
        }
        Ok(Response::new(wire::ListProcessesResponse { processes }))
    }

    async fn list_functions(
        &self,
        request: Request<wire::ListFunctionsRequest>,
    ) -> Result<Response<wire::ListFunctionsResponse>, Status> {
        let who = identity(request.extensions())?.clone();
        let request = request.into_inner();
        let watched = self.target(&who, request.target.as_ref(), None).await?;
        let page =
            spawn_blocking(move || functions::page(&watched.target, watched.table(), &request))
                .await;
        let page = page.map_err(|_| status::failed("the page cannot be made"))??;
        Ok(Response::new(page))
    }

    async fn list_callees(
        &self,
        request: Request<wire::ListCalleesRequest>,
    ) -> Result<Response<wire::ListCalleesResponse>, Status> {
        let who = identity(request.extensions())?.clone();
        let request = request.into_inner();
        let watched = self.target(&who, request.target.as_ref(), None).await?;
        let function = FunctionId(request.function_id);
        if watched.table().get(function).is_none() {
            return Err(no_such_function());
        }
        let callees = spawn_blocking(move || watched.symbols.callees(function).direct).await;
        let callees = callees.map_err(|_| status::failed("the code cannot be read"))?;
        Ok(Response::new(wire::ListCalleesResponse {
            function_ids: callees.into_iter().map(|id| id.0).collect(),
        }))
    }

    async fn start_session(
        &self,
        request: Request<wire::StartSessionRequest>,
    ) -> Result<Response<wire::StartSessionResponse>, Status> {
        let (who, entry) = asked(request.extensions(), "session.start")?;
        let started = self.start(who, entry, request.into_inner(), None).await?;
        Ok(Response::new(started))
    }

    async fn watch_session(
        &self,
        request: Request<wire::WatchSessionRequest>,
    ) -> Result<Response<Self::WatchSessionStream>, Status> {
        let who = identity(request.extensions())?.clone();
        let request = request.into_inner();
        let held = self.session(&who, Role::Read, &request.session_id, None)?;
        let interval = watching::interval(&request)?;
        let service = held.info().target.service;
        let with_values = !held.holds_values() || who.may(Role::Capture, &service);
        Ok(Response::new(watching::updates(
            held.snapshots(),
            interval,
            with_values,
        )))
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
        let page = pages::sessions(visible, &request.page_token)?;
        Ok(Response::new(wire::ListSessionsResponse {
            sessions: page.items,
            next_page_token: page.next,
        }))
    }

    async fn add_functions(
        &self,
        request: Request<wire::AddFunctionsRequest>,
    ) -> Result<Response<wire::AddFunctionsResponse>, Status> {
        let (who, mut entry) = asked(request.extensions(), "session.add")?;
        let request = request.into_inner();
        let held = self.session(&who, Role::Attach, &request.session_id, Some(&mut entry))?;
        let mut functions = ids(request.function_ids);
        functions.sort_unstable();
        functions.dedup();
        let (asked, limit) = (
            functions.len(),
            self.sessions.agent().limits().functions_per_session,
        );
        if asked > limit {
            return Err(status::of(&AgentError::Functions { limit, asked }));
        }
        let table = held.watched.table();
        if functions.iter().any(|&id| table.get(id).is_none()) {
            return Err(no_such_function());
        }
        let names = functions.iter().filter_map(|&id| table.get(id));
        entry.functions = names.map(|function| function.name.to_owned()).collect();
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
        let held = self.session(&who, Role::Detach, &request.session_id, Some(&mut entry))?;
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
        let held = self.session(&who, Role::Attach, &request.session_id, Some(&mut entry))?;
        let filter = match request.filter.as_str() {
            "" => None,
            filter => {
                // What it lets through tells values.
                self.session(&who, Role::Capture, &request.session_id, Some(&mut entry))?;
                Some(Expression::parse(filter).map_err(|error| status::of(&error))?)
            }
        };
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
        let held = self.session(&who, Role::Attach, &request.session_id, Some(&mut entry))?;
        let by = request.by.unwrap_or_default();
        let by = duration_from_wire(&by, "by").map_err(|error| status::of(&error))?;
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
        if !request.session_id.is_empty() {
            let (who, mut entry) = asked(&extensions, "session.end")?;
            self.session(&who, Role::Read, &request.session_id, Some(&mut entry))?;
        }
        let ended = self.end(&extensions, request.all, |held| {
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
        request: Request<wire::DownloadRecordingRequest>,
    ) -> Result<Response<Self::DownloadRecordingStream>, Status> {
        let (extensions, id) = (
            request.extensions().clone(),
            request.into_inner().session_id,
        );
        let held = self.session_to_download(&extensions, &id).await?;
        if !held.is_live() {
            held.recording.done().await;
        }
        Ok(Response::new(held.recording.download()?))
    }

    async fn download_traces(
        &self,
        request: Request<wire::DownloadTracesRequest>,
    ) -> Result<Response<Self::DownloadTracesStream>, Status> {
        let extensions = request.extensions().clone();
        let request = request.into_inner();
        let id = &request.session_id;
        let held = self.session_to_download(&extensions, id).await?;
        let format = match request.width {
            0 => TraceFormat::Json,
            width => TraceFormat::Text(width.min(TEXT_COLUMNS_MAX) as usize),
        };
        let written = spawn_blocking(move || held.traces(format)).await;
        let written = written.map_err(|_| status::failed("it cannot be written down"))?;
        let document = written.ok_or_else(|| {
            let message = "the session traces nothing";
            let help = "start it with a trace request";
            status::with(Code::FailedPrecondition, "no-traces", message, help)
        })?;
        let document = document.map_err(|error| status::failed(&error.to_string()))?;
        let chunk = |chunk: &[u8]| {
            let chunk = chunk.to_vec();
            Ok(wire::DownloadTracesResponse { chunk })
        };
        let chunks: Vec<_> = document.chunks(CHUNK_BYTES).map(chunk).collect();
        let (sender, receiver) = mpsc::channel(chunks.len().max(1));
        for chunk in chunks {
            // There is room for all of them.
            let _ = sender.try_send(chunk);
        }
        Ok(Response::new(ReceiverStream::new(receiver)))
    }

    async fn list_journals(
        &self,
        request: Request<wire::ListJournalsRequest>,
    ) -> Result<Response<wire::ListJournalsResponse>, Status> {
        let who = asked(request.extensions(), "journal.list")?;
        let spool = self.journals_for(who)?;
        Ok(Response::new(journal::list(&spool)))
    }

    async fn read_journal(
        &self,
        request: Request<wire::ReadJournalRequest>,
    ) -> Result<Response<Self::ReadJournalStream>, Status> {
        let who = asked(request.extensions(), "journal.read")?;
        let spool = self.journals_for(who)?;
        Ok(Response::new(journal::read(&spool, request.into_inner())?))
    }

    async fn acknowledge_journal(
        &self,
        request: Request<wire::AcknowledgeJournalRequest>,
    ) -> Result<Response<wire::AcknowledgeJournalResponse>, Status> {
        let who = asked(request.extensions(), "journal.acknowledge")?;
        let spool = self.journals_for(who)?;
        let acknowledged = journal::acknowledge(&spool, request.get_ref())?;
        Ok(Response::new(acknowledged))
    }

    async fn register_service(
        &self,
        request: Request<wire::RegisterServiceRequest>,
    ) -> Result<Response<wire::RegisterServiceResponse>, Status> {
        let peer = peer(request.extensions())?.clone();
        let services = Arc::clone(&self.services);
        let registering = spawn_blocking(move || services.register(request.into_inner(), &peer));
        let registered = registering.await;
        let lease = registered.map_err(|_| status::failed("it cannot be registered"))??;
        Ok(Response::new(wire::RegisterServiceResponse {
            agent_id: self.id.clone(),
            lease: Some(duration_to_wire(lease)),
        }))
    }
}

impl Service {
    /// The live sessions that are meant and that the client may end. Each is in the audit log, which
    /// nothing waits for: ending is always possible. Who means all leaves those of others out; else
    /// nothing is ended where one may not be.
    fn end(
        &self,
        extensions: &Extensions,
        is_all: bool,
        is_meant: impl Fn(&Held) -> bool,
    ) -> Result<Vec<Arc<Held>>, Status> {
        let (who, entry) = asked(extensions, "session.end")?;
        let mut sessions = self.sessions.all();
        sessions.retain(|held| held.is_live() && is_meant(held));
        let entry_of = |held: &Held| {
            let info = held.info();
            Entry {
                session: Some(info.id.0),
                service: Some(info.target.service),
                ..entry.clone()
            }
        };
        let mut refusal = None;
        sessions.retain(|held| {
            let service = held.info().target.service;
            let of_role = |role| who.check(role, &service).err();
            if let Some(denied) = of_role(Role::Read) {
                // Who asks is not told, not even that there is such a session.
                if !is_all {
                    self.audit.denied(entry_of(held), denied);
                }
                return false;
            }
            // Who has started it may end it.
            let denied = of_role(Role::Detach).filter(|_| !held.owner().is(&who));
            let may_end = denied.is_none();
            refusal = denied
                .map(|denied| self.audit.denied(entry_of(held), denied))
                .or(refusal.take());
            may_end
        });
        if let Some(refusal) = refusal
            && (!is_all || sessions.is_empty())
        {
            return Err(refusal);
        }
        for held in &sessions {
            self.audit.note(entry_of(held));
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
