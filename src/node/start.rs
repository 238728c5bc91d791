//! Starting a session: who may, on what, within which limits, and written down before it begins.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use coral_model::filter::Expression;
use coral_model::{FunctionId, SessionSettings};
use coral_proto::agent::v1 as wire;
use coral_proto::convert::settings_from_wire;
use serde_json::json;
use tokio::task::spawn_blocking;
use tokio::time::sleep;
use tonic::{Code, Status};

use super::hints::Notice;
use super::journal;
use super::service::{Service, blocking, no_such_function};
use super::sessions::{Claim, RequestName};
use crate::access::audit::Entry;
use crate::access::{Identity, Role};
use crate::agent::{AttachRequest, Attached, CallSink, TraceRule, Watched};
use crate::serving::{Owner, requested_by, status};
use crate::source::{AttachWish, TraceWish, trace_targets};

/// Functions that are added to a session later, at most.
const ROOM_MAX: u32 = 1_000;
/// Each pattern is held against every function.
const PATTERNS_MAX: usize = 1_000;
/// How often it is looked whether a request that came twice is done, and for how long.
const STARTING_POLL: Duration = Duration::from_millis(50);
const STARTING_POLLS: u32 = 600;
/// Functions that are named in the audit log, and to the application.
const NAMED_MAX: usize = 100;
/// Functions on the path of a trace, if nothing else is asked for.
const TRACED_USUAL: usize = 300;

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
            owner: Owner::of(&who),
            id: request.request_id.clone(),
        };
        let claim = match self.claim(name).await? {
            Claim::Started(held) => return Ok(held.answer.clone()),
            Claim::New(claim) => claim,
        };
        let asked_for = request.settings.clone().unwrap_or_default();
        let settings =
            settings_from_wire(&asked_for, &self.defaults).map_err(|error| status::of(&error))?;
        let possible = settings.check_durations();
        possible.map_err(|error| status::of(&error))?;
        entry.functions.clone_from(&request.patterns);
        let target = request.target.as_ref();
        let watched = self.target(&who, target, Some(&entry)).await?;
        let service = watched.target.service.clone();
        entry.service = Some(service.clone());
        entry.settings = settings_to_audit(&watched, &request, &settings);
        if request.journal
            && let Err(denied) = journal::check(&who)
        {
            return Err(self.audit.denied(entry, denied));
        }
        let roles = [
            Some(Role::Attach),
            settings.reads_values().then_some(Role::Capture),
            // It may end the target.
            request.fast_returns.then_some(Role::Admin),
        ];
        for role in roles.into_iter().flatten() {
            if let Err(denied) = who.check(role, &service) {
                return Err(self.audit.denied(entry, denied));
            }
        }
        self.check_allowed(&watched)?;
        let by = requested_by(&who, &request.requested_by);
        let (attach, request) = attach_request(&watched, request, settings, by).await?;
        // A colony's session is one, on however many processes of this node.
        let of_colony = request
            .request_id
            .split_once('/')
            .map(|(id, _)| id.to_owned());
        let group = of_colony.filter(|_| request.journal);
        let (calls, journal) = match request.journal {
            true => {
                let (calls, journal) = self.journals.prepare(&request.request_id)?;
                (Some(calls), Some(journal))
            }
            false => (calls, None),
        };
        let attach = AttachRequest {
            calls,
            group,
            ..attach
        };
        let table = watched.table();
        let functions = attach.functions.iter().take(NAMED_MAX);
        let functions = functions.filter_map(|&id| table.get(id));
        let names: Vec<_> = functions.map(|it| it.name.to_owned()).collect();
        entry.functions.clone_from(&names);
        self.audit.record(entry).await?;
        let sessions = Arc::clone(&self.sessions);
        let (pid, duration) = (watched.target.pid, attach.settings.duration);
        let started = blocking(move || {
            let expected = sessions.agent().expected(&watched, &attach)?;
            let expected_wire = Some((&expected).into());
            let is_over = expected.is_over(attach.settings.budget_percent);
            let is_refused = request.refuse_over_budget && is_over;
            if is_refused || request.only_expected {
                return Ok(wire::StartSessionResponse {
                    expected: expected_wire,
                    ..wire::StartSessionResponse::default()
                });
            }
            sessions.start(watched, &attach, &claim, journal, |id, attached| {
                wire::StartSessionResponse {
                    session_id: id.to_string(),
                    attached: Some(attached_to_wire(attached)),
                    expected: expected_wire,
                    replicas: Vec::new(),
                }
            })
        })
        .await?;
        if !started.session_id.is_empty() {
            let notice = Notice {
                session_id: started.session_id.clone(),
                functions: names,
                duration,
            };
            self.hints.notify(&self.services, pid, notice);
        }
        Ok(started)
    }

    /// Whether a request is new; while the same one is being worked on, this waits for it.
    async fn claim(&self, name: RequestName) -> Result<Claim, Status> {
        for _ in 0..STARTING_POLLS {
            if let Some(claim) = self.sessions.claim(&name) {
                return Ok(claim);
            }
            sleep(STARTING_POLL).await;
        }
        let message = "the same request is still being worked on";
        Err(status::with(
            Code::Aborted,
            "in-progress",
            message,
            "ask again in a moment",
        ))
    }

    /// Whether the configuration lets sessions measure such a process at all.
    fn check_allowed(&self, watched: &Watched) -> Result<(), Status> {
        let refuse = |code, message: &str, help: &str| {
            Err(status::with(Code::FailedPrecondition, code, message, help))
        };
        if self.is_closing.load(Ordering::Acquire) {
            return refuse(
                "sessions-disabled",
                "the agent is ending",
                "ask again in a moment",
            );
        }
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

fn has_lines(watched: &Watched) -> bool {
    let mut functions = watched.table().iter();
    functions.any(|function| function.module == 0 && function.file.is_some())
}

fn settings_to_audit(
    watched: &Watched,
    request: &wire::StartSessionRequest,
    settings: &SessionSettings,
) -> serde_json::Value {
    json!({
        "patterns": request.patterns,
        "function_ids": request.function_ids.len(),
        "only_expected": request.only_expected,
        "pids": watched.pids(),
        "duration_s": settings.duration.as_secs_f64(),
        "filter": settings.filter.as_ref().map(Expression::to_string),
        "capture_args": settings.capture.arguments,
        "capture_return": settings.capture.results,
    })
}

/// What a request asks for, of that target, and the request. Blocks no other request meanwhile.
async fn attach_request(
    watched: &Arc<Watched>,
    request: wire::StartSessionRequest,
    settings: SessionSettings,
    requested_by: String,
) -> Result<(AttachRequest, wire::StartSessionRequest), Status> {
    let asked = request.patterns.len();
    if asked > PATTERNS_MAX {
        let message = format!("{asked} patterns are more than {PATTERNS_MAX}");
        let help = "name functions by their numbers, or by a glob or a regex";
        let code = Code::ResourceExhausted;
        return Err(status::with(code, "over-limit", &message, help));
    }
    let watched = Arc::clone(watched);
    let selecting = spawn_blocking(move || {
        let attach = select_functions(&watched, &request, settings, requested_by)?;
        Ok((attach, request))
    });
    let selected = selecting.await;
    selected.map_err(|_| status::failed("the functions cannot be looked for"))?
}

fn select_functions(
    watched: &Watched,
    request: &wire::StartSessionRequest,
    settings: SessionSettings,
    requested_by: String,
) -> Result<AttachRequest, Status> {
    let given = request.function_ids.iter().map(|&id| FunctionId(id));
    let given: Vec<_> = given.collect();
    if given.iter().any(|&id| watched.table().get(id).is_none()) {
        return Err(no_such_function());
    }
    if let Some(trace) = &request.trace {
        let (functions, rule) = traced(watched, trace)?;
        return Ok(AttachRequest {
            settings,
            trace: Some(rule),
            ..AttachRequest::new(functions, requested_by)
        });
    }
    let target = request.target.clone().unwrap_or_default();
    let wish = AttachWish {
        patterns: request.patterns.clone(),
        functions: given,
        libraries: target.libraries,
        inlined: request.inlined,
        show_recursion: request.show_recursion,
        follow_forks: request.follow_forks,
        follow_execs: request.follow_execs,
        fast_returns: request.fast_returns,
        room: request.room.min(ROOM_MAX) as usize,
    };
    let request = wish.request(watched, settings, requested_by);
    request.map_err(|error| status::of(&error))
}

/// The functions on the path of what is to be traced, and where traces begin.
fn traced(
    watched: &Watched,
    trace: &wire::TraceRequest,
) -> Result<(Vec<FunctionId>, TraceRule), Status> {
    let given = |text: &String| (!text.is_empty()).then(|| text.clone());
    let wish = TraceWish {
        root: given(&trace.root),
        path: given(&trace.path),
        functions_max: match trace.functions_max {
            0 => TRACED_USUAL,
            max => max as usize,
        },
    };
    let targets = trace_targets(watched, &wish).map_err(|error| status::of(&error))?;
    Ok((targets.functions, targets.rule))
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
