//! Starting a session: who may, on what, within which limits, and written down before it begins.

use std::sync::Arc;

use coral_model::filter::Expression;
use coral_model::{Escaped, ExpectedCost, FunctionId, SessionSettings};
use coral_proto::agent::v1 as wire;
use coral_proto::convert::settings_from_wire;
use serde_json::json;
use tokio::task::spawn_blocking;
use tonic::{Code, Status};

use super::hints::Notice;
use super::service::{Service, blocking, no_such_function};
use super::sessions::{Claim, RequestName};
use super::status;
use crate::access::audit::Entry;
use crate::access::{Identity, Role, Source};
use crate::agent::{AttachRequest, Attached, CallSink, Watched};
use crate::source::select;

/// Functions that are added to a session later, at most.
const ROOM_MAX: u32 = 1_000;
/// Each pattern is held against every function.
const PATTERNS_MAX: usize = 1_000;
/// The name that somebody gives themselves is in every list of sessions.
const NAME_CHARS_MAX: usize = 100;

impl Service {
    /// Starts a session, or says that it would cost too much; `calls` gets every recorded call.
    pub(super) async fn start(
        &self,
        who: Identity,
        mut entry: Entry,
        request: wire::StartSessionRequest,
        calls: Option<CallSink>,
    ) -> Result<wire::StartSessionResponse, Status> {
        let name = RequestName {
            owner: who.name.clone(),
            id: request.request_id.clone(),
        };
        let claim = match self.sessions.claim(name) {
            Claim::New(claim) => claim,
            Claim::Started(held) => return Ok(held.answer.clone()),
            Claim::Starting => return Err(still_starting()),
        };
        let asked_for = request.settings.clone().unwrap_or_default();
        let settings =
            settings_from_wire(&asked_for, &self.defaults).map_err(|error| status::of(&error))?;
        check_durations(&settings)?;
        entry.functions.clone_from(&request.patterns);
        let target = request.target.as_ref();
        let watched = self.target(&who, target, Some(&entry)).await?;
        let service = watched.target.service.clone();
        entry.service = Some(service.clone());
        entry.settings = settings_to_audit(&watched, &settings);
        let reads_values = settings.capture.arguments || settings.capture.results;
        let roles = [Some(Role::Attach), reads_values.then_some(Role::Capture)];
        for role in roles.into_iter().flatten() {
            if let Err(denied) = who.check(role, &service) {
                return Err(self.audit.denied(entry, denied));
            }
        }
        self.check_allowed(&watched)?;
        let (meant, request) = functions(&watched, request).await?;
        let attach = AttachRequest {
            settings,
            room: request.room.min(ROOM_MAX) as usize + meant.len(),
            calls,
            ..AttachRequest::new(meant, requested_by(&who, &request))
        };
        self.audit.record(entry).await?;
        let (sessions, target) = (Arc::clone(&self.sessions), Arc::clone(&watched));
        let (duration, functions) = (attach.settings.duration, attach.functions.clone());
        let started = blocking(move || {
            let expected = sessions.agent().expected(&watched, &attach)?;
            let expected_wire = Some((&expected).into());
            if request.refuse_over_budget && is_over(&expected, &attach.settings) {
                return Ok(wire::StartSessionResponse {
                    expected: expected_wire,
                    ..wire::StartSessionResponse::default()
                });
            }
            sessions.start(watched, &attach, &claim, |id, attached| {
                wire::StartSessionResponse {
                    session_id: id.to_string(),
                    attached: Some(attached_to_wire(attached)),
                    expected: expected_wire,
                }
            })
        })
        .await?;
        let names = functions.iter().filter_map(|&id| target.table().get(id));
        let notice = Notice {
            session_id: started.session_id.clone(),
            functions: names.map(|function| function.name.to_owned()).collect(),
            duration,
        };
        if !started.session_id.is_empty() {
            self.hints.notify(&self.services, target.target.pid, notice);
        }
        Ok(started)
    }

    /// Whether the configuration lets sessions measure such a process at all.
    fn check_allowed(&self, watched: &Watched) -> Result<(), Status> {
        let refuse = |code, message: &str, help: &str| {
            Err(status::with(Code::FailedPrecondition, code, message, help))
        };
        if !self.is_enabled {
            let message = "sessions are disabled here";
            return refuse("sessions-disabled", message, "set agent.debug.enabled");
        }
        if self.require_dwarf && !has_lines(watched) {
            let message = "the executable has neither DWARF nor Go's tables";
            let help = "build it with -g, or unset agent.debug.require_dwarf";
            return refuse("no-dwarf", message, help);
        }
        Ok(())
    }
}

/// No call takes at least more than it takes at most.
fn check_durations(settings: &SessionSettings) -> Result<(), Status> {
    if settings.max.is_none_or(|max| settings.min <= max) {
        return Ok(());
    }
    let message = "no call takes at least min_duration and at most max_duration";
    let help = "swap the two";
    Err(status::with(
        Code::InvalidArgument,
        "bad-durations",
        message,
        help,
    ))
}

fn has_lines(watched: &Watched) -> bool {
    let mut functions = watched.table().iter();
    functions.any(|function| function.module == 0 && function.file.is_some())
}

fn still_starting() -> Status {
    let message = "the same request is being worked on";
    status::with(
        Code::Aborted,
        "in-progress",
        message,
        "ask again in a moment",
    )
}

/// The name of who asks; where it is nobody in particular, the one that they give themselves.
fn requested_by(who: &Identity, request: &wire::StartSessionRequest) -> String {
    match (who.source, request.requested_by.as_str()) {
        (Source::Loopback, name) if !name.is_empty() => {
            let name: String = name.chars().take(NAME_CHARS_MAX).collect();
            format!("{} (loopback)", Escaped(&name))
        }
        _ => who.name.clone(),
    }
}

fn settings_to_audit(watched: &Watched, settings: &SessionSettings) -> serde_json::Value {
    json!({
        "pids": watched.pids(),
        "duration_s": settings.duration.as_secs_f64(),
        "filter": settings.filter.as_ref().map(Expression::to_string),
        "capture_args": settings.capture.arguments,
        "capture_return": settings.capture.results,
    })
}

/// The functions that are meant, each once, and the request, which is not needed meanwhile.
pub(super) async fn functions(
    watched: &Arc<Watched>,
    request: wire::StartSessionRequest,
) -> Result<(Vec<FunctionId>, wire::StartSessionRequest), Status> {
    let asked = request.patterns.len();
    if asked > PATTERNS_MAX {
        let message = format!("{asked} patterns are more than {PATTERNS_MAX}");
        let help = "name functions by their numbers, or by a glob or a regex";
        let code = Code::ResourceExhausted;
        return Err(status::with(code, "over-limit", &message, help));
    }
    let watched = Arc::clone(watched);
    let selecting = spawn_blocking(move || {
        let given = request.function_ids.iter().map(|&id| FunctionId(id));
        let mut functions: Vec<FunctionId> = given.collect();
        if functions
            .iter()
            .any(|&id| watched.table().get(id).is_none())
        {
            return Err(no_such_function());
        }
        if !request.patterns.is_empty() {
            let selected = select(watched.table(), &request.patterns);
            functions.extend(selected.map_err(|error| status::of(&error))?);
        }
        functions.sort_unstable();
        functions.dedup();
        Ok((functions, request))
    });
    let selected = selecting.await;
    selected.map_err(|_| status::failed("the functions cannot be looked for"))?
}

pub(super) fn attached_to_wire(attached: Attached) -> wire::Attached {
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
