//! The calls of `coral.colony.v1.DebugService`.

use std::sync::Arc;

use coral_model::filter::Expression;
use coral_model::{Diagnostic, EndReason, FunctionId, Limits};
use coral_proto::agent::v1 as agent;
use coral_proto::colony::v1 as wire;
use coral_proto::colony::v1::debug_service_server::DebugService;
use coral_proto::convert::{duration_from_wire, duration_to_wire};
use tokio::task::spawn_blocking;
use tokio_stream::wrappers::ReceiverStream;
use tonic::{Code, Extensions, Request, Response, Status};

use super::approvals::Approvals;
use super::catalog::Catalogs;
use super::history::Archive;
use super::registry::Registry;
use super::session::Command;
use super::sessions::{Held, Sessions};
use super::start::new_id;
use super::{calls, listing};
use crate::access::audit::{Entry, Outcome, Who};
use crate::access::grpc::{identity, peer};
use crate::access::{Identity, Role};
use crate::config::{ColonyConfig, ColonyDebug};
use crate::serving::{Audit, functions, pages, status, watching};

/// Answers clients.
pub(super) struct Service {
    pub(super) id: String,
    pub(super) debug: ColonyDebug,
    pub(super) registry: Arc<Registry>,
    pub(super) catalogs: Catalogs,
    pub(super) sessions: Sessions,
    pub(super) audit: Arc<Audit>,
    pub(super) archive: Option<Arc<Archive>>,
    pub(super) approvals: Approvals,
}

impl Service {
    pub(super) fn new(
        id: String,
        config: &ColonyConfig,
        registry: Arc<Registry>,
        audit: Arc<Audit>,
        archive: Option<Arc<Archive>>,
    ) -> Self {
        Self {
            id,
            debug: config.debug.clone(),
            registry,
            catalogs: Catalogs::default(),
            sessions: Sessions::new(config.debug.sessions.auto_cleanup_after),
            audit,
            archive,
            approvals: Approvals::new(config.debug.approval_timeout),
        }
    }

    /// A session that the client may see, with the role that is needed for what comes. A refusal
    /// is written down where that is privileged, and has an entry.
    pub(super) fn session(
        &self,
        who: &Identity,
        role: Role,
        id: &str,
        entry: Option<&mut Entry>,
    ) -> Result<Arc<Held>, Status> {
        let held = self.sessions.get(id).ok_or_else(no_such_session)?;
        let entry = entry.map(|entry| {
            entry.session = Some(id.to_owned());
            entry.service = Some(held.service.clone());
            &*entry
        });
        let refuse = |denied| match entry {
            Some(entry) => self.audit.denied(entry.clone(), denied),
            None => Status::from(denied),
        };
        if let Err(denied) = who.check(Role::Read, &held.service) {
            // It is not told, not even that there is such a session.
            refuse(denied);
            return Err(no_such_session());
        }
        who.check(role, &held.service).map_err(refuse)?;
        Ok(held)
    }

    /// A session that the client may change: one's own, or anybody's with the role for all. Its
    /// functions and its length are what somebody else has agreed to, where that was needed.
    fn session_to_change(
        &self,
        who: &Identity,
        id: &str,
        entry: &mut Entry,
        is_agreed_to: bool,
    ) -> Result<Arc<Held>, Status> {
        let held = self.session(who, Role::Attach, id, Some(entry))?;
        let refuse = |code, message: &str, help: &str| {
            let mut entry = entry.clone();
            entry.outcome = Outcome::Refused(message.to_owned());
            self.audit.note(entry);
            Err(status::with(Code::PermissionDenied, code, message, help))
        };
        if !held.owner.may_be(who) && !who.may(Role::Admin, &held.service) {
            let message = "the session is somebody else's";
            let help = "ask whoever has started it, or start one of your own";
            return refuse("not-your-session", message, help);
        }
        if is_agreed_to && self.debug.production.contain(&held.service) {
            let message = "a session of production stays what somebody else has agreed to";
            let help = "start another session";
            return refuse("approval-needed", message, help);
        }
        Ok(held)
    }

    /// The live sessions that are meant and that the client may end. Ending waits for no disk. Who
    /// means all leaves those of others out; else nothing is ended where one may not be.
    fn to_end(
        &self,
        extensions: &Extensions,
        is_all: bool,
        is_meant: impl Fn(&Held) -> bool,
    ) -> Result<Vec<Arc<Held>>, Status> {
        let (who, entry) = asked(extensions, "session.end")?;
        let mut sessions = self.sessions.all();
        sessions
            .retain(|held| held.is_live() && is_meant(held) && who.may(Role::Read, &held.service));
        let entry_of = |held: &Held| Entry {
            session: Some(held.id.0.clone()),
            service: Some(held.service.clone()),
            ..entry.clone()
        };
        let mut refusal = None;
        sessions.retain(|held| {
            // Who has started it may end it.
            let denied = who.check(Role::Detach, &held.service).err();
            let denied = denied.filter(|_| !held.owner.is(&who));
            let may_end = denied.is_none();
            if let Some(denied) = denied {
                refusal = Some(self.audit.denied(entry_of(held), denied));
            }
            may_end
        });
        match refusal {
            Some(refusal) if !is_all || sessions.is_empty() => Err(refusal),
            _ => {
                for held in &sessions {
                    self.audit.note(entry_of(held));
                }
                Ok(sessions)
            }
        }
    }

    /// Ends sessions, all at once, and says what they were.
    async fn end(&self, sessions: Vec<Arc<Held>>) -> Vec<agent::SessionInfo> {
        let ending = sessions.iter().map(|held| {
            let held = Arc::clone(held);
            tokio::spawn(async move { held.end(EndReason::Detached).await })
        });
        for ended in ending.collect::<Vec<_>>() {
            // A task that failed has dropped its session.
            let _ = ended.await;
        }
        sessions.iter().map(|held| (&held.info()).into()).collect()
    }
}

/// Who asks, and how the record of it begins.
pub(super) fn asked(extensions: &Extensions, action: &str) -> Result<(Identity, Entry), Status> {
    let (identity, peer) = (identity(extensions)?, peer(extensions)?);
    let entry = Entry::new(Who::of(identity, peer), action, Outcome::Allowed);
    Ok((identity.clone(), entry))
}

pub(super) fn no_such_session() -> Status {
    let message = "there is no such session";
    let help = "`coral debug list` lists the sessions";
    status::with(Code::NotFound, "no-such-session", message, help)
}

fn ids(ids: Vec<u32>) -> Vec<FunctionId> {
    ids.into_iter().map(FunctionId).collect()
}

#[tonic::async_trait]
impl DebugService for Service {
    type AttachUprobeStream = ReceiverStream<Result<wire::UprobeEvent, Status>>;
    type TraceRequestPathStream = ReceiverStream<Result<wire::TraceEvent, Status>>;
    type WatchSessionStream = ReceiverStream<Result<agent::SessionUpdate, Status>>;
    type DownloadTracesStream = ReceiverStream<Result<agent::DownloadTracesResponse, Status>>;
    type QuerySqlStream = ReceiverStream<Result<wire::QuerySqlResponse, Status>>;
    type ExportSessionStream = ReceiverStream<Result<wire::ExportSessionResponse, Status>>;

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
        let extensions = request.extensions().clone();
        let id = request.into_inner().session_id;
        let meant = self.to_end(&extensions, false, |held| held.id.0 == id)?;
        let success = !self.end(meant).await.is_empty();
        Ok(Response::new(wire::DetachUprobeResponse { success }))
    }

    async fn list_debug_sessions(
        &self,
        request: Request<wire::ListDebugSessionsRequest>,
    ) -> Result<Response<wire::ListDebugSessionsResponse>, Status> {
        let who = identity(request.extensions())?.clone();
        let request = request.into_inner();
        let sessions = self.visible(&who, &request.service_name, request.with_ended);
        let past = match request.with_ended {
            true => self.past_sessions(&who, &request.service_name).await,
            false => Vec::new(),
        };
        let page = listing::debug_sessions(&sessions, &past, &request.page_token)?;
        Ok(Response::new(wire::ListDebugSessionsResponse {
            sessions: page.items,
            next_page_token: page.next,
        }))
    }

    async fn trace_request_path(
        &self,
        request: Request<wire::TraceRequestPathRequest>,
    ) -> Result<Response<Self::TraceRequestPathStream>, Status> {
        let (who, entry) = asked(request.extensions(), "trace.start")?;
        let events = self.trace_path(who, entry, request.into_inner()).await?;
        Ok(Response::new(events))
    }

    async fn get_capabilities(
        &self,
        request: Request<agent::GetCapabilitiesRequest>,
    ) -> Result<Response<agent::GetCapabilitiesResponse>, Status> {
        identity(request.extensions())?;
        let limits = Limits {
            sessions: self.debug.sessions.max_concurrent,
            duration: self.debug.sessions.max_duration,
            ..Limits::default()
        };
        let archive = self.archive.as_ref();
        let trouble = archive.and_then(|archive| archive.trouble().borrow().clone());
        let findings = trouble.iter().map(|error| agent::Finding {
            name: "history".into(),
            result: "warn".into(),
            message: error.to_string(),
            help: error.help(),
        });
        Ok(Response::new(agent::GetCapabilitiesResponse {
            findings: findings.collect(),
            agent_id: self.id.clone(),
            version: env!("CARGO_PKG_VERSION").to_owned(),
            can_debug_uprobes: true,
            limits: Some((&limits).into()),
            ..agent::GetCapabilitiesResponse::default()
        }))
    }

    async fn list_services(
        &self,
        request: Request<agent::ListServicesRequest>,
    ) -> Result<Response<agent::ListServicesResponse>, Status> {
        let who = identity(request.extensions())?;
        let mut services = listing::services(&self.registry);
        services.retain(|service| who.may(Role::Read, &service.name));
        let page = pages::services(services, &request.get_ref().page_token)?;
        Ok(Response::new(agent::ListServicesResponse {
            services: page.items,
            next_page_token: page.next,
        }))
    }

    async fn list_functions(
        &self,
        request: Request<agent::ListFunctionsRequest>,
    ) -> Result<Response<agent::ListFunctionsResponse>, Status> {
        let who = identity(request.extensions())?.clone();
        let request = request.into_inner();
        let service = request.target.clone().unwrap_or_default().service_name;
        who.check(Role::Read, &service)?;
        let catalog = self.catalogs.of(&service);
        let listing = catalog.load(&self.registry, &service).await?;
        let is_first = request.page_token.is_empty();
        let builds = listing.builds.clone();
        let page = spawn_blocking(move || {
            let mut page = functions::page(&listing.target, &listing.table, &request)?;
            for function in &mut page.functions {
                function.builds = catalog.builds_with(FunctionId(function.id));
            }
            Ok::<_, Status>(page)
        });
        let mut page = page
            .await
            .map_err(|_| status::failed("the page cannot be made"))??;
        if is_first {
            page.builds = listing::builds(&builds);
        }
        Ok(Response::new(page))
    }

    async fn list_callees(
        &self,
        request: Request<agent::ListCalleesRequest>,
    ) -> Result<Response<agent::ListCalleesResponse>, Status> {
        let who = identity(request.extensions())?.clone();
        let request = request.into_inner();
        let service = request.target.unwrap_or_default().service_name;
        who.check(Role::Read, &service)?;
        let callees = self
            .callees(&service, FunctionId(request.function_id))
            .await?;
        Ok(Response::new(agent::ListCalleesResponse {
            function_ids: callees.into_iter().map(|id| id.0).collect(),
        }))
    }

    async fn start_session(
        &self,
        request: Request<agent::StartSessionRequest>,
    ) -> Result<Response<agent::StartSessionResponse>, Status> {
        let (who, entry) = asked(request.extensions(), "session.start")?;
        let started = self
            .start(who, entry, new_id(), request.into_inner())
            .await?;
        Ok(Response::new(started))
    }

    async fn watch_session(
        &self,
        request: Request<agent::WatchSessionRequest>,
    ) -> Result<Response<Self::WatchSessionStream>, Status> {
        let who = identity(request.extensions())?.clone();
        let request = request.into_inner();
        let interval = watching::interval(&request)?;
        let Some(held) = self.sessions.get(&request.session_id) else {
            let past = self.past(&who, &request.session_id).await?;
            let (_, snapshots) = tokio::sync::watch::channel(past.0);
            return Ok(Response::new(watching::updates(
                snapshots, interval, past.1,
            )));
        };
        self.session(&who, Role::Read, &request.session_id, None)?;
        held.ready().await;
        let with_values = !held.holds_values || who.may(Role::Capture, &held.service);
        let snapshots = match self.completed(&who, &held).await {
            Some(snapshot) => tokio::sync::watch::channel(snapshot).1,
            None => held.snapshots(),
        };
        let updates = watching::updates(snapshots, interval, with_values);
        Ok(Response::new(updates))
    }

    async fn list_sessions(
        &self,
        request: Request<agent::ListSessionsRequest>,
    ) -> Result<Response<agent::ListSessionsResponse>, Status> {
        let who = identity(request.extensions())?.clone();
        let request = request.into_inner();
        let sessions = self.visible(&who, &request.service_name, request.with_ended);
        let past = match request.with_ended {
            true => self.past_infos(&who, &request.service_name).await,
            false => Vec::new(),
        };
        let infos = past
            .into_iter()
            .chain(sessions.iter().map(|held| held.info()));
        let page = pages::sessions(infos, &request.page_token)?;
        Ok(Response::new(agent::ListSessionsResponse {
            sessions: page.items,
            next_page_token: page.next,
        }))
    }

    async fn add_functions(
        &self,
        request: Request<agent::AddFunctionsRequest>,
    ) -> Result<Response<agent::AddFunctionsResponse>, Status> {
        let (who, mut entry) = asked(request.extensions(), "session.add")?;
        let request = request.into_inner();
        let held = self.session_to_change(&who, &request.session_id, &mut entry, true)?;
        let functions = ids(request.function_ids);
        entry.functions = self.catalogs.of(&held.service).names(&functions);
        self.audit.record(entry).await?;
        let attached = held.ask(|answer| Command::Add(functions, answer)).await?;
        Ok(Response::new(agent::AddFunctionsResponse {
            attached: Some(attached),
        }))
    }

    async fn remove_functions(
        &self,
        request: Request<agent::RemoveFunctionsRequest>,
    ) -> Result<Response<agent::RemoveFunctionsResponse>, Status> {
        let (who, mut entry) = asked(request.extensions(), "session.remove")?;
        let request = request.into_inner();
        let held = self.session(&who, Role::Detach, &request.session_id, Some(&mut entry))?;
        self.audit.note(entry);
        let functions = ids(request.function_ids);
        held.ask(|answer| Command::Remove(functions, answer))
            .await?;
        Ok(Response::new(agent::RemoveFunctionsResponse {}))
    }

    async fn update_filter(
        &self,
        request: Request<agent::UpdateFilterRequest>,
    ) -> Result<Response<agent::UpdateFilterResponse>, Status> {
        let (who, mut entry) = asked(request.extensions(), "session.filter")?;
        let request = request.into_inner();
        let id = &request.session_id;
        let held = self.session_to_change(&who, id, &mut entry, false)?;
        let filter = match request.filter.as_str() {
            "" => None,
            filter => {
                // What it lets through tells values.
                self.session(&who, Role::Capture, id, Some(&mut entry))?;
                Some(Expression::parse(filter).map_err(|error| status::of(&error))?)
            }
        };
        entry.settings = serde_json::json!({ "filter": request.filter });
        self.audit.record(entry).await?;
        held.ask(|answer| Command::SetFilter(filter, answer))
            .await?;
        Ok(Response::new(agent::UpdateFilterResponse {}))
    }

    async fn extend_session(
        &self,
        request: Request<agent::ExtendSessionRequest>,
    ) -> Result<Response<agent::ExtendSessionResponse>, Status> {
        let (who, mut entry) = asked(request.extensions(), "session.extend")?;
        let request = request.into_inner();
        let held = self.session_to_change(&who, &request.session_id, &mut entry, true)?;
        let by = request.by.unwrap_or_default();
        let by = duration_from_wire(&by, "by").map_err(|error| status::of(&error))?;
        entry.settings = serde_json::json!({ "by_s": by.as_secs_f64() });
        self.audit.record(entry).await?;
        let remaining = held.ask(|answer| Command::Extend(by, answer)).await?;
        Ok(Response::new(agent::ExtendSessionResponse {
            remaining: Some(duration_to_wire(remaining)),
        }))
    }

    async fn end_sessions(
        &self,
        request: Request<agent::EndSessionsRequest>,
    ) -> Result<Response<agent::EndSessionsResponse>, Status> {
        let extensions = request.extensions().clone();
        let request = request.into_inner();
        if !request.session_id.is_empty() {
            let (who, mut entry) = asked(&extensions, "session.end")?;
            self.session(&who, Role::Read, &request.session_id, Some(&mut entry))?;
        }
        let meant = self.to_end(&extensions, request.all, |held| {
            request.all
                || held.id.0 == request.session_id
                || (!request.service_name.is_empty() && held.service == request.service_name)
        })?;
        let sessions = self.end(meant).await;
        Ok(Response::new(agent::EndSessionsResponse { sessions }))
    }

    async fn download_traces(
        &self,
        request: Request<agent::DownloadTracesRequest>,
    ) -> Result<Response<Self::DownloadTracesStream>, Status> {
        let (who, mut entry) = asked(request.extensions(), "session.download")?;
        let request = request.into_inner();
        let id = &request.session_id;
        let held = self.session(&who, Role::Read, id, Some(&mut entry))?;
        if held.holds_values {
            self.session(&who, Role::Capture, id, Some(&mut entry))?;
            self.audit.record(entry).await?;
        }
        let document = self.traces(&held, &request).await?;
        Ok(Response::new(calls::chunks(&document, |chunk| {
            agent::DownloadTracesResponse { chunk }
        })))
    }

    async fn list_agents(
        &self,
        request: Request<wire::ListAgentsRequest>,
    ) -> Result<Response<wire::ListAgentsResponse>, Status> {
        let who = identity(request.extensions())?;
        who.check_anywhere(Role::Read)?;
        let agents = listing::agents(&self.registry, &self.sessions);
        let keyed = agents.into_iter().map(|it| (it.agent_id.clone(), it));
        let page = pages::page(keyed, &request.get_ref().page_token)?;
        Ok(Response::new(wire::ListAgentsResponse {
            agents: page.items,
            next_page_token: page.next,
        }))
    }

    async fn list_history(
        &self,
        request: Request<wire::ListHistoryRequest>,
    ) -> Result<Response<wire::ListHistoryResponse>, Status> {
        let who = identity(request.extensions())?.clone();
        let request = request.into_inner();
        let known = self.visible(&who, &request.service_name, true);
        let past = self.past_sessions(&who, &request.service_name).await;
        let page = listing::history(&known, &past, &request.page_token)?;
        Ok(Response::new(wire::ListHistoryResponse {
            sessions: page.items,
            next_page_token: page.next,
        }))
    }

    async fn query_history(
        &self,
        request: Request<wire::QueryHistoryRequest>,
    ) -> Result<Response<wire::QueryHistoryResponse>, Status> {
        let who = identity(request.extensions())?.clone();
        let request = request.into_inner();
        who.check(Role::Read, &request.service_name)?;
        let since = request.since.unwrap_or_default();
        let since = duration_from_wire(&since, "since").map_err(|error| status::of(&error))?;
        let history = self.history()?;
        let found = history.query(request.service_name, &request.function, since);
        Ok(Response::new(found.await?))
    }

    async fn query_sql(
        &self,
        request: Request<wire::QuerySqlRequest>,
    ) -> Result<Response<Self::QuerySqlStream>, Status> {
        let (who, mut entry) = asked(request.extensions(), "history.sql")?;
        let request = request.into_inner();
        entry.settings = serde_json::json!({ "sql": request.sql });
        // Rows are of all services, and hold what calls received and returned.
        for role in [Role::Read, Role::Capture] {
            if let Err(denied) = who.check_everywhere(role) {
                return Err(self.audit.denied(entry, denied));
            }
        }
        self.audit.record(entry).await?;
        let rows = self.history()?.sql(&request.sql, request.rows_max).await?;
        Ok(Response::new(calls::messages(rows)))
    }

    async fn export_session(
        &self,
        request: Request<wire::ExportSessionRequest>,
    ) -> Result<Response<Self::ExportSessionStream>, Status> {
        let (who, mut entry) = asked(request.extensions(), "session.download")?;
        let request = request.into_inner();
        let id = &request.session_id;
        let snapshot = match self.sessions.get(id) {
            None => {
                let (past, _) = self.past(&who, id).await?;
                let capture = past.session.settings.capture;
                if capture.arguments || capture.results {
                    let service = &past.session.target.service;
                    entry.session = Some(id.clone());
                    entry.service = Some(service.clone());
                    if let Err(denied) = who.check(Role::Capture, service) {
                        return Err(self.audit.denied(entry, denied));
                    }
                    self.audit.record(entry).await?;
                }
                past
            }
            Some(held) => {
                self.session(&who, Role::Read, id, Some(&mut entry))?;
                if held.holds_values {
                    self.session(&who, Role::Capture, id, Some(&mut entry))?;
                    self.audit.record(entry).await?;
                }
                match self.completed(&who, &held).await {
                    Some(snapshot) => snapshot,
                    None => Arc::clone(&held.snapshots().borrow()),
                }
            }
        };
        let document = calls::document(snapshot, request.format).await?;
        Ok(Response::new(calls::chunks(&document, |chunk| {
            wire::ExportSessionResponse { chunk }
        })))
    }

    async fn list_approvals(
        &self,
        request: Request<wire::ListApprovalsRequest>,
    ) -> Result<Response<wire::ListApprovalsResponse>, Status> {
        let approvals = self.approvals.list(identity(request.extensions())?);
        Ok(Response::new(wire::ListApprovalsResponse { approvals }))
    }

    async fn decide_approval(
        &self,
        request: Request<wire::DecideApprovalRequest>,
    ) -> Result<Response<wire::DecideApprovalResponse>, Status> {
        let request_of = request.get_ref();
        let action = match request_of.is_granted {
            true => "approval.grant",
            false => "approval.refuse",
        };
        let (who, mut entry) = asked(request.extensions(), action)?;
        let request = request.into_inner();
        let id = &request.approval_id;
        let service = self.approvals.service(id)?;
        entry.service = Some(service.clone());
        entry.settings = serde_json::json!({ "approval_id": id });
        if let Err(denied) = who.check(Role::Attach, &service) {
            return Err(self.audit.denied(entry, denied));
        }
        self.audit.record(entry).await?;
        let approval = self.approvals.decide(&who, id, request.is_granted)?;
        Ok(Response::new(wire::DecideApprovalResponse {
            approval: Some(approval),
        }))
    }
}

impl Service {
    /// The sessions that the client may see, of a service or of all.
    fn visible(&self, who: &Identity, service: &str, with_ended: bool) -> Vec<Arc<Held>> {
        let mut sessions = self.sessions.all();
        sessions.retain(|held| {
            (service.is_empty() || held.service == service)
                && (with_ended || held.is_live())
                && who.may(Role::Read, &held.service)
        });
        sessions
    }

    /// What a function calls, as far as the code of the first replica that has it tells.
    async fn callees(
        &self,
        service: &str,
        function: FunctionId,
    ) -> Result<Vec<FunctionId>, Status> {
        let catalog = self.catalogs.of(service);
        let listing = catalog.load(&self.registry, service).await?;
        let replicas = listing.builds.iter().flat_map(|build| &build.2);
        for replica in replicas {
            let own = catalog
                .in_build(&self.registry, replica, &[function])
                .await?;
            let (Some(own), Some(link)) = (own.first(), self.registry.link(&replica.agent_id))
            else {
                continue;
            };
            return calls::callees(&catalog, &link, replica, *own).await;
        }
        let message = "no replica has a function of that number";
        let help = "list the functions again";
        let code = Code::NotFound;
        Err(status::with(code, "no-such-function", message, help))
    }
}
