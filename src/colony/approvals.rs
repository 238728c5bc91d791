//! Sessions on services that are marked as production: they begin when a second person agrees.
//!
//! A request that needs that word is refused and noted. Who agrees names the note, and the same
//! request of the same person is let through then, once.

use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use coral_model::SessionSettings;
use coral_model::filter::Expression;
use coral_proto::APPROVAL_ID;
use coral_proto::agent::v1::StartSessionRequest;
use coral_proto::colony::v1 as wire;
use coral_proto::convert::{duration_to_wire, timestamp_to_wire};
use jiff::{SignedDuration, Timestamp};
use prost::Message;
use tonic::{Code, Status};
use ulid::Ulid;

use crate::access::{Identity, Role};
use crate::serving::{Owner, status};

/// Notes that are kept; the oldest go first.
const NOTED_MAX: usize = 1_000;

/// The requests that wait, and what became of those before.
#[derive(Debug)]
pub(super) struct Approvals {
    noted: Mutex<Vec<Noted>>,
    timeout: Duration,
}

#[derive(Clone, Debug)]
struct Noted {
    id: String,
    owner: Owner,
    requested_by: String,
    /// What was asked for, without the name that its client gave it.
    request: Vec<u8>,
    service: String,
    functions: Vec<String>,
    duration: Duration,
    captures: bool,
    filter: String,
    requested_at: Timestamp,
    expires_at: Timestamp,
    state: State,
    decided_by: String,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    Waiting,
    Granted,
    Refused,
    /// It was let through.
    Used,
}

impl Approvals {
    /// Requests wait for so long, and what was granted may be used for so long.
    pub(super) fn new(timeout: Duration) -> Self {
        Self {
            noted: Mutex::default(),
            timeout,
        }
    }

    /// Lets a request through if somebody else agreed to it; else it waits for that.
    ///
    /// # Errors
    /// If nobody has agreed yet, or somebody has refused.
    pub(super) fn check(
        &self,
        who: &Identity,
        request: &StartSessionRequest,
        functions: &[String],
        settings: &SessionSettings,
    ) -> Result<(), Status> {
        let target = request.target.clone().unwrap_or_default();
        let owner = Owner::of(who);
        let bytes = StartSessionRequest {
            request_id: String::new(),
            ..request.clone()
        }
        .encode_to_vec();
        let mut noted = self.locked();
        let now = Timestamp::now();
        let mut same = noted.iter_mut().filter(|it| {
            it.owner == owner
                && it.request == bytes
                && it.expires_at > now
                && it.state != State::Used
        });
        if let Some(known) = same.next_back() {
            return match known.state {
                State::Granted => {
                    known.state = State::Used;
                    Ok(())
                }
                State::Refused => Err(refused(known)),
                State::Waiting | State::Used => Err(needed(known)),
            };
        }
        let timeout = SignedDuration::try_from(self.timeout).unwrap_or(SignedDuration::MAX);
        let new = Noted {
            id: format!("apr-{}", Ulid::generate()),
            owner,
            requested_by: who.name.clone(),
            request: bytes,
            service: target.service_name,
            functions: functions.to_vec(),
            duration: settings.duration,
            captures: settings.reads_values(),
            filter: settings
                .filter
                .as_ref()
                .map(Expression::to_string)
                .unwrap_or_default(),
            requested_at: now,
            expires_at: now.checked_add(timeout).unwrap_or(Timestamp::MAX),
            state: State::Waiting,
            decided_by: String::new(),
        };
        let refusal = needed(&new);
        noted.push(new);
        let surplus = noted.len().saturating_sub(NOTED_MAX);
        noted.drain(..surplus);
        Err(refusal)
    }

    /// All that are noted and that somebody may see, newest last.
    pub(super) fn list(&self, who: &Identity) -> Vec<wire::Approval> {
        let noted = self.locked();
        let visible = noted.iter().filter(|it| who.may(Role::Read, &it.service));
        visible.map(Noted::to_wire).collect()
    }

    /// The service that a note is about.
    ///
    /// # Errors
    /// If there is no such note.
    pub(super) fn service(&self, id: &str) -> Result<String, Status> {
        let noted = self.locked();
        let found = noted.iter().find(|it| it.id == id);
        found.map(|it| it.service.clone()).ok_or_else(no_such)
    }

    /// Agrees or refuses, for somebody who may attach there and did not ask for it.
    ///
    /// # Errors
    /// If it was the same person, it does not wait any more, or is not there.
    pub(super) fn decide(
        &self,
        who: &Identity,
        id: &str,
        is_granted: bool,
    ) -> Result<wire::Approval, Status> {
        let mut noted = self.locked();
        let found = noted
            .iter_mut()
            .find(|it| it.id == id)
            .ok_or_else(no_such)?;
        let bad = |message: &str, help: &str| {
            Err(status::with(
                Code::FailedPrecondition,
                "not-approvable",
                message,
                help,
            ))
        };
        if found.owner == Owner::of(who) || found.requested_by == who.name {
            return bad("who asks cannot agree", "let somebody else look at it");
        }
        if found.state != State::Waiting || found.expires_at <= Timestamp::now() {
            return bad("it does not wait any more", "let it be asked for again");
        }
        found.state = if is_granted {
            State::Granted
        } else {
            State::Refused
        };
        found.decided_by.clone_from(&who.name);
        Ok(found.to_wire())
    }

    /// What it guards is whole at any time, so a panic spoils nothing.
    fn locked(&self) -> MutexGuard<'_, Vec<Noted>> {
        self.noted.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Noted {
    fn to_wire(&self) -> wire::Approval {
        let is_late = self.expires_at <= Timestamp::now();
        let status = match self.state {
            State::Waiting if is_late => "expired",
            State::Waiting => "waiting",
            State::Granted | State::Used => "granted",
            State::Refused => "refused",
        };
        wire::Approval {
            approval_id: self.id.clone(),
            requested_by: self.requested_by.clone(),
            requested_at: Some(timestamp_to_wire(self.requested_at)),
            expires_at: Some(timestamp_to_wire(self.expires_at)),
            service_name: self.service.clone(),
            functions: self.functions.clone(),
            duration: Some(duration_to_wire(self.duration)),
            capture: self.captures,
            filter: self.filter.clone(),
            status: status.into(),
            decided_by: self.decided_by.clone(),
        }
    }
}

fn needed(noted: &Noted) -> Status {
    let message = format!(
        "`{}` is production: the session waits for somebody else's word, as {}",
        noted.service, noted.id
    );
    let help = format!(
        "let a second person run `coral approvals grant {}`, and ask again; --wait waits for it",
        noted.id
    );
    let code = Code::FailedPrecondition;
    let mut status = status::with(code, "approval-needed", &message, &help);
    if let Ok(id) = noted.id.parse() {
        status.metadata_mut().insert(APPROVAL_ID, id);
    }
    status
}

fn refused(noted: &Noted) -> Status {
    let message = format!("{} was refused by {}", noted.id, noted.decided_by);
    let help = "ask them why";
    let code = Code::PermissionDenied;
    status::with(code, "approval-refused", &message, help)
}

fn no_such() -> Status {
    let message = "no request waits under that name";
    let help = "`coral approvals list` lists those that wait";
    status::with(Code::NotFound, "no-such-approval", message, help)
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use coral_proto::ERROR_CODE;
    use coral_proto::agent::v1::TargetRef;

    use super::*;
    use crate::access::{Services, Source};

    fn person(name: &str) -> Identity {
        Identity {
            name: name.into(),
            roles: BTreeSet::from([Role::Read, Role::Attach]),
            services: Services::all(),
            source: Source::Certificate,
        }
    }

    fn request(pattern: &str) -> StartSessionRequest {
        StartSessionRequest {
            request_id: Ulid::generate().to_string(),
            target: Some(TargetRef {
                service_name: "pay".into(),
                ..TargetRef::default()
            }),
            patterns: vec![pattern.into()],
            ..StartSessionRequest::default()
        }
    }

    #[test]
    fn a_second_person_sees_what_is_asked_for() {
        let approvals = Approvals::new(Duration::from_secs(60));
        let settings = SessionSettings {
            duration: Duration::from_secs(7),
            filter: Some(Expression::parse("amount > 5").unwrap()),
            ..SessionSettings::default()
        };
        let functions = ["charge".to_owned()];
        let asked = approvals.check(&person("ann"), &request("charge"), &functions, &settings);
        assert_eq!(code(asked), "approval-needed");
        let seen = approvals.list(&person("bob")).pop().unwrap();
        assert_eq!(seen.requested_by, "ann");
        assert_eq!(seen.functions, functions);
        assert_eq!(seen.duration, Some(duration_to_wire(settings.duration)));
        assert_eq!(seen.filter, settings.filter.unwrap().to_string());
        assert!(seen.capture, "a filter reads what calls receive");
    }

    fn code(result: Result<(), Status>) -> String {
        match result {
            Ok(()) => "ok".into(),
            Err(status) => {
                let code = status.metadata().get(ERROR_CODE).unwrap();
                code.to_str().unwrap().to_owned()
            }
        }
    }

    #[test]
    fn what_a_second_person_grants_is_let_through_once() {
        let approvals = Approvals::new(Duration::from_secs(60));
        let (ann, bob) = (person("ann"), person("bob"));
        let ask = |who: &Identity, pattern: &str| {
            let settings = SessionSettings::default();
            code(approvals.check(who, &request(pattern), &[], &settings))
        };
        assert_eq!(ask(&ann, "charge"), "approval-needed");
        assert_eq!(ask(&ann, "charge"), "approval-needed");
        let waiting = approvals.list(&bob);
        assert_eq!((waiting.len(), &*waiting[0].status), (1, "waiting"));
        let id = &waiting[0].approval_id;
        let own = approvals.decide(&ann, id, true).map(drop);
        assert_eq!(code(own), "not-approvable");
        approvals.decide(&bob, id, true).unwrap();
        assert_eq!(ask(&ann, "refund"), "approval-needed");
        assert_eq!(ask(&bob, "charge"), "approval-needed");
        assert_eq!(ask(&ann, "charge"), "ok");
        assert_eq!(ask(&ann, "charge"), "approval-needed");
    }

    #[test]
    fn what_is_refused_stays_so() {
        let approvals = Approvals::new(Duration::from_secs(60));
        let (ann, bob) = (person("ann"), person("bob"));
        let asked = request("charge");
        let settings = SessionSettings::default();
        let ask = || code(approvals.check(&ann, &asked, &[], &settings));
        assert_eq!(ask(), "approval-needed");
        let id = approvals.list(&bob)[0].approval_id.clone();
        approvals.decide(&bob, &id, false).unwrap();
        assert_eq!(ask(), "approval-refused");
        let again = approvals.decide(&bob, &id, true).map(drop);
        assert_eq!(code(again), "not-approvable");
        assert_eq!(
            code(approvals.service("apr-x").map(drop)),
            "no-such-approval"
        );
    }
}
