//! Starting a session: who may, on which replicas, within which limits, and written down before it
//! begins.

use std::sync::Arc;
use std::time::Duration;

use coral_model::filter::Expression;
use coral_model::{EndReason, FunctionId, SessionId, SessionInfo, SessionSettings, SessionState};
use coral_proto::agent::v1 as wire;
use coral_proto::convert::settings_from_wire;
use jiff::Timestamp;
use serde_json::json;
use tokio::task::JoinSet;
use tokio::time::{Instant, timeout};
use tonic::{Code, Status};
use ulid::Ulid;

use super::catalog::{cut_off, no_replica};
use super::changes::Changes;
use super::history::{Note, Notes};
use super::registry::{ReplicaProcess, timed};
use super::replica::{Wish, replica_request};
use super::service::Service;
use super::session::NewSession;
use super::sessions::Held;
use crate::access::audit::{Entry, Outcome};
use crate::access::{Identity, Role};
use crate::serving::{Owner, requested_by, status};

/// Reading the symbols of large programs on slow nodes takes a while; what is attached by then
/// is measured, and the rest joins.
const STARTED_MAX: Duration = Duration::from_secs(30);
/// How long a session waits for the history before it begins.
const NOTED_MAX: Duration = Duration::from_secs(1);
const ANSWER_MAX: Duration = Duration::from_secs(60);
const PATTERNS_MAX: usize = 1_000;

impl Service {
    /// Starts a session, or says that it would cost too much. A request that was made before is
    /// answered with its session; `id` names a new one.
    pub(super) async fn start(
        &self,
        who: Identity,
        mut entry: Entry,
        id: SessionId,
        request: wire::StartSessionRequest,
    ) -> Result<wire::StartSessionResponse, Status> {
        let owner = Owner::of(&who);
        let claim = self.sessions.claim(&owner, &request.request_id);
        let Some(claim) = claim else {
            let message = "the same request is still being worked on";
            let help = "ask again in a moment";
            return Err(status::with(Code::Aborted, "in-progress", message, help));
        };
        if let Some(held) = self.sessions.of_request(&owner, &request.request_id) {
            drop(claim);
            return held.answer().await;
        }
        let defaults = SessionSettings {
            duration: self.debug.sessions.default_duration,
            ..SessionSettings::default()
        };
        let asked_for = request.settings.clone().unwrap_or_default();
        let settings =
            settings_from_wire(&asked_for, &defaults).map_err(|error| status::of(&error))?;
        let possible = settings.check_durations();
        possible.map_err(|error| status::of(&error))?;
        let target = request.target.clone().unwrap_or_default();
        let service = target.service_name;
        entry.service = Some(service.clone());
        entry.functions.clone_from(&request.patterns);
        entry.functions.extend(request.trace.as_ref().map(traced));
        entry.settings = settings_to_audit(&request, &settings);
        self.check_may_start(&who, &entry, &service, &request, &settings)?;
        self.check_limits(&request, &settings)?;
        let replicas = self.replicas(&service, &target.replicas)?;
        let functions: Vec<FunctionId> = request
            .function_ids
            .iter()
            .copied()
            .map(FunctionId)
            .collect();
        let catalog = self.catalogs.of(&service);
        entry.functions.extend(catalog.names(&functions));
        let is_production = self.debug.production.contain(&service);
        if is_production && request.only_expected {
            // To find it out, calls would be counted, which nobody has agreed to.
            return Ok(unstarted(wire::ExpectedCost::default()));
        }
        if is_production {
            let functions = entry.functions.as_slice();
            let agreed = self.approvals.check(&who, &request, functions, &settings);
            if let Err(status) = agreed {
                entry.outcome = Outcome::Refused(status.message().to_owned());
                self.audit.note(entry);
                return Err(status);
            }
        }
        self.audit.record(entry).await?;
        if request.only_expected || (request.refuse_over_budget && !is_production) {
            let expected = self.expected(&who, &request, &replicas).await?;
            let is_over = match (settings.budget_percent, expected.cpu_percent) {
                (Some(budget), Some(percent)) => percent > budget,
                _ => false,
            };
            if request.only_expected || is_over {
                return Ok(unstarted(expected));
            }
        }
        let request_id = request.request_id.clone();
        let chosen = target.replicas;
        let info = new_info(
            id,
            &service,
            requested_by(&who, &request.requested_by),
            settings,
        );
        let request = wire::StartSessionRequest {
            refuse_over_budget: false,
            ..request
        };
        let wish = Wish {
            functions,
            requested_by: info.requested_by.clone(),
            deadline: Instant::now() + info.settings.duration,
            changes: Changes::default(),
            request,
        };
        let holds_values = wish_holds_values(&info.settings);
        let notes = match &self.archive {
            None => Notes::none(),
            Some(archive) => {
                let begun = self.begun(&info, &wish, &owner);
                let notes = archive.notes(&info.id);
                let begins = timeout(NOTED_MAX, archive.begin(begun.clone())).await;
                if !matches!(begins, Ok(Ok(()))) {
                    // It says itself that it is not written; the session is noted when it is.
                    notes.leave(Note::Begun(Box::new(begun)));
                }
                notes
            }
        };
        let session = NewSession {
            notes,
            registry: Arc::clone(&self.registry),
            catalog,
            info,
            wish,
            chosen,
            duration_max: self.debug.sessions.max_duration,
            known: Vec::new(),
        };
        let (held, started) = self
            .sessions
            .begin(session, owner, request_id, holds_values);
        drop(claim);
        let starting = Arc::clone(&held);
        // Who asked may go away, and ask for the same once more.
        tokio::spawn(async move {
            let started = timeout(STARTED_MAX, started).await;
            let starts = started.ok().and_then(Result::ok).unwrap_or_default();
            starting.set_answer(answer(&starting, starts).await);
        });
        held.answer().await
    }

    fn check_may_start(
        &self,
        who: &Identity,
        entry: &Entry,
        service: &str,
        request: &wire::StartSessionRequest,
        settings: &SessionSettings,
    ) -> Result<(), Status> {
        let roles = [
            Some(Role::Attach),
            settings.reads_values().then_some(Role::Capture),
            // It may end the target.
            request.fast_returns.then_some(Role::Admin),
        ];
        for role in roles.into_iter().flatten() {
            if let Err(denied) = who.check(role, service) {
                return Err(self.audit.denied(entry.clone(), denied));
            }
        }
        Ok(())
    }

    fn check_limits(
        &self,
        request: &wire::StartSessionRequest,
        settings: &SessionSettings,
    ) -> Result<(), Status> {
        let over = |message: String, help: &str| {
            let code = Code::ResourceExhausted;
            Err(status::with(code, "over-limit", &message, help))
        };
        if !self.debug.enabled {
            let message = "sessions are disabled here";
            let code = Code::FailedPrecondition;
            let help = "set colony.debug.enabled";
            return Err(status::with(code, "sessions-disabled", message, help));
        }
        let limits = &self.debug.sessions;
        let max_s = limits.max_duration.as_secs();
        if settings.duration.is_zero() || settings.duration > limits.max_duration {
            let message = format!("a session lasts more than 0s and at most {max_s}s");
            let help = "ask for a shorter session, or extend it while it runs";
            return over(message, help);
        }
        let max = limits.max_concurrent;
        if self.sessions.live() >= max {
            let help = "end one, or raise colony.debug.sessions.max_concurrent";
            return over(format!("{max} sessions are live"), help);
        }
        if request.patterns.len() > PATTERNS_MAX {
            let message = format!("more than {PATTERNS_MAX} patterns");
            return over(message, "ask for fewer, with globs");
        }
        Ok(())
    }

    /// The replicas that can be attached to now.
    fn replicas(
        &self,
        service: &str,
        chosen: &[wire::ReplicaRef],
    ) -> Result<Vec<ReplicaProcess>, Status> {
        let mut replicas = self.registry.replicas(service);
        let is_chosen = |it: &ReplicaProcess| {
            let same =
                |one: &wire::ReplicaRef| one.agent_id == it.agent_id && one.pid == it.process.pid;
            chosen.is_empty() || chosen.iter().any(same)
        };
        replicas.retain(is_chosen);
        if replicas.is_empty() {
            return Err(no_replica(service));
        }
        Ok(replicas)
    }

    /// What attaching would cost the replica that would pay most.
    async fn expected(
        &self,
        who: &Identity,
        request: &wire::StartSessionRequest,
        replicas: &[ReplicaProcess],
    ) -> Result<wire::ExpectedCost, Status> {
        let mut asked = JoinSet::new();
        for replica in replicas {
            let service = request.target.as_ref().map(|it| it.service_name.clone());
            let catalog = self.catalogs.of(&service.unwrap_or_default());
            let registry = Arc::clone(&self.registry);
            let link = self.registry.link(&replica.agent_id).ok_or_else(cut_off)?;
            let (name, replica) = (who.name.clone(), replica.clone());
            let mut question = replica_request(request, replica.process.pid);
            let functions: Vec<_> = request
                .function_ids
                .iter()
                .copied()
                .map(FunctionId)
                .collect();
            asked.spawn(async move {
                if !functions.is_empty() {
                    let ids = catalog.in_build(&registry, &replica, &functions).await?;
                    question.function_ids = ids.into_iter().map(|id| id.0).collect();
                }
                question.only_expected = true;
                question.request_id.clear();
                let mut calls = link.calls(Some(&name));
                let answer = calls.start_session(timed(ANSWER_MAX, question)).await?;
                Ok::<_, Status>(answer.into_inner().expected.unwrap_or_default())
            });
        }
        let mut dearest = wire::ExpectedCost::default();
        let mut refusal = None;
        while let Some(one) = asked.join_next().await {
            match one.unwrap_or_else(|_| Err(cut_off())) {
                Ok(cost) => {
                    let hits_per_s = dearest.hits_per_s + cost.hits_per_s;
                    if dearest.counted.is_none() || cost.cpu_percent > dearest.cpu_percent {
                        dearest = cost;
                        // Its number is one of that replica's build.
                        dearest.dearest_function_id = None;
                    }
                    dearest.hits_per_s = hits_per_s;
                }
                Err(status) => refusal = Some(status),
            }
        }
        match refusal {
            Some(status) if dearest.counted.is_none() => Err(status),
            _ => Ok(dearest),
        }
    }
}

/// What is attached by now; if that is nothing, why.
async fn answer(
    held: &Held,
    replicas: Vec<wire::ReplicaStart>,
) -> Result<wire::StartSessionResponse, Status> {
    let attached = |it: &&wire::ReplicaStart| it.error.is_empty();
    let Some(refused) = replicas.iter().find(|it| !it.error.is_empty()) else {
        return Ok(response(held, replicas));
    };
    if replicas.iter().any(|it| attached(&it)) {
        return Ok(response(held, replicas));
    }
    // Nothing was measured.
    held.end(EndReason::Failed).await;
    let others = replicas.len() - 1;
    let message = match others {
        0 => refused.error.clone(),
        _ => format!("{} (and {others} other replicas refuse)", refused.error),
    };
    let code = match refused.error_code.as_str() {
        "over-limit" => Code::ResourceExhausted,
        "no-such-process" => Code::NotFound,
        "no-such-function" | "ambiguous-function" | "no-http-server" => Code::InvalidArgument,
        code if code.starts_with("bad-") => Code::InvalidArgument,
        _ => Code::FailedPrecondition,
    };
    let help = &refused.help;
    Err(status::with(code, &refused.error_code, &message, help))
}

/// An answer to who asks for a session that would cost that.
fn unstarted(expected: wire::ExpectedCost) -> wire::StartSessionResponse {
    wire::StartSessionResponse {
        expected: Some(expected),
        ..wire::StartSessionResponse::default()
    }
}

/// What is told of a session that has started.
pub(super) fn response(
    held: &Held,
    replicas: Vec<wire::ReplicaStart>,
) -> wire::StartSessionResponse {
    let snapshot = held.snapshots().borrow().clone();
    let functions = snapshot.functions.iter().filter(|it| it.attached);
    wire::StartSessionResponse {
        session_id: held.id.0.clone(),
        attached: Some(wire::Attached {
            function_ids: functions.map(|function| function.id.0).collect(),
            probes: replicas.iter().map(|it| it.probes).sum(),
            refused: Vec::new(),
        }),
        expected: None,
        replicas,
    }
}

fn wish_holds_values(settings: &SessionSettings) -> bool {
    settings.capture.arguments || settings.capture.results
}

/// The name of a session that is to begin.
pub(super) fn new_id() -> SessionId {
    SessionId(format!("dbg-{}", Ulid::generate()))
}

pub(super) fn new_info(
    id: SessionId,
    service: &str,
    requested_by: String,
    settings: SessionSettings,
) -> SessionInfo {
    SessionInfo {
        id,
        target: coral_model::Target {
            service: service.to_owned(),
            pid: 0,
            exe: String::new(),
            build_id: None,
            language: coral_model::Language::Unknown,
            start_ticks: 0,
            agent_id: String::new(),
        },
        other_pids: Vec::new(),
        started_at: Timestamp::now(),
        ended_at: None,
        requested_by,
        elapsed: Duration::ZERO,
        remaining: settings.duration,
        state: SessionState::Active,
        probes: 0,
        settings,
    }
}

/// What a trace asks for, to who is to agree to it.
pub(super) fn traced(trace: &wire::TraceRequest) -> String {
    match (trace.root.as_str(), trace.path.as_str()) {
        ("", "") => "traces of all HTTP requests".to_owned(),
        ("", path) => format!("traces of HTTP requests of {path}"),
        (root, _) => format!("traces of {root}"),
    }
}

fn settings_to_audit(
    request: &wire::StartSessionRequest,
    settings: &SessionSettings,
) -> serde_json::Value {
    json!({
        "patterns": request.patterns,
        "replicas": request.target.as_ref().map(|target| {
            let chosen = target.replicas.iter();
            chosen.map(|it| format!("{}/{}", it.agent_id, it.pid)).collect::<Vec<_>>()
        }),
        "only_expected": request.only_expected,
        "duration_s": settings.duration.as_secs_f64(),
        "filter": settings.filter.as_ref().map(Expression::to_string),
        "capture_args": settings.capture.arguments,
        "capture_return": settings.capture.results,
        "fast_returns": request.fast_returns,
    })
}
