//! Sessions of the history: those that are over, and those that go on after a restart.

use std::sync::Arc;

use coral_model::{FunctionId, ReplicaState, SessionId, SessionInfo, SessionState, Snapshot};
use coral_proto::agent::v1 as wire;
use jiff::Timestamp;
use prost::Message;
use tokio::time::Instant;
use tonic::Status;

use super::changes::Changes;
use super::history::{History, stored_info};
use super::replica::{AgentSession, Wish};
use super::service::{Service, no_such_session};
use super::session::NewSession;
use super::sessions::Held;
use super::start::{response, traced};
use crate::access::{Identity, Role, Source};
use crate::serving::{Owner, status};
use crate::store::{NewSession as Begun, StoreError, StoredSession};

impl Service {
    /// The history.
    ///
    /// # Errors
    /// If there is none, or it cannot be opened.
    pub(super) fn history(&self) -> Result<Arc<History>, Status> {
        let archive = self.archive.as_ref().ok_or_else(|| {
            let message = "this colony keeps no history";
            let help = "set colony.debug.storage.path";
            let code = tonic::Code::FailedPrecondition;
            status::with(code, "no-history", message, help)
        })?;
        archive.history().map_err(|error| status::of(&*error))
    }

    /// A session that is over, as it was at its end, and whether the client may see what its calls
    /// received and returned.
    pub(super) async fn past(
        &self,
        who: &Identity,
        id: &str,
    ) -> Result<(Arc<Snapshot>, bool), Status> {
        if self.archive.is_none() {
            return Err(no_such_session());
        }
        let history = self.history()?;
        let id = SessionId(id.to_owned());
        let (session, _) = history
            .session(&id)
            .await
            .map_err(|error| of_store(&error))?;
        let service = &session.begun.service;
        if !who.may(Role::Read, service) {
            return Err(no_such_session());
        }
        let catalog = self.catalogs.of(service);
        let snapshot = history.snapshot(&id, &catalog).await;
        let snapshot = snapshot.map_err(|error| of_store(&error))?;
        Ok((Arc::new(snapshot), who.may(Role::Capture, service)))
    }

    /// What the history knows by now of a session that ended without its last numbers: agents that
    /// were cut off bring them later.
    pub(super) async fn completed(&self, who: &Identity, held: &Held) -> Option<Arc<Snapshot>> {
        let latest = held.snapshots().borrow().clone();
        let mut replicas = latest.replicas.iter();
        let is_cut_off = replicas.any(|it| it.state == ReplicaState::Silent);
        if held.is_live() || !is_cut_off {
            return None;
        }
        let past = self.past(who, &held.id.0).await;
        past.ok().map(|(snapshot, _)| snapshot)
    }

    /// The sessions that are over and that only the history knows. Without the history there are
    /// none, and what is live is listed all the same.
    pub(super) async fn past_infos(&self, who: &Identity, service: &str) -> Vec<SessionInfo> {
        let past = self.past_sessions(who, service).await;
        let infos = past.iter().map(|session| {
            let catalog = self.catalogs.of(&session.begun.service);
            stored_info(session, catalog.target(&session.begun.service))
        });
        infos.collect()
    }

    /// The sessions that are over and that only the history knows, newest first; none without it.
    pub(super) async fn past_sessions(&self, who: &Identity, service: &str) -> Vec<StoredSession> {
        let Ok(history) = self.history() else {
            return Vec::new();
        };
        let service = (!service.is_empty()).then(|| service.to_owned());
        let mut past = history.past(service).await.unwrap_or_default();
        past.retain(|session| {
            let begun = &session.begun;
            who.may(Role::Read, &begun.service) && self.sessions.get(&begun.id.0).is_none()
        });
        past
    }

    /// What the history is told of a session before it begins.
    pub(super) fn begun(&self, info: &SessionInfo, wish: &Wish, owner: &Owner) -> Begun {
        let service = &info.target.service;
        let mut request = wish.request.clone();
        // Numbers of functions are those of this run of the colony.
        let names = self.catalogs.of(service).names(&wish.functions);
        request.patterns.extend(names);
        request.function_ids.clear();
        let traced = request.trace.as_ref().map(traced);
        let length = jiff::SignedDuration::try_from(info.settings.duration);
        let expires_at = length
            .ok()
            .and_then(|it| info.started_at.checked_add(it).ok());
        Begun {
            id: info.id.clone(),
            service: service.clone(),
            requested_by: info.requested_by.clone(),
            requested_via: owner.source().name().to_owned(),
            started_at: info.started_at,
            expires_at: expires_at.unwrap_or(Timestamp::MAX),
            functions: request.patterns.iter().cloned().chain(traced).collect(),
            settings: info.settings.clone(),
            request: request.encode_to_vec(),
        }
    }

    /// Goes on with a session that was running when the colony ended.
    pub(super) async fn recover(&self, stored: StoredSession) {
        let (Some(archive), Ok(history)) = (&self.archive, self.history()) else {
            return;
        };
        let begun = &stored.begun;
        let changes = stored.changes.as_deref().map(Changes::from_json);
        let replicas = history.session(&begun.id).await;
        let replicas = replicas.map(|(_, replicas)| replicas).unwrap_or_default();
        let known = replicas.into_iter().map(|row| {
            let session = AgentSession {
                id: row.journal.agent_session.0.clone(),
                epoch: row.journal.epoch,
            };
            (row.target, Some(session).filter(|it| !it.id.is_empty()))
        });
        // It is what this program has written; a part that is not there is not asked for.
        let request = wire::StartSessionRequest::decode(begun.request.as_slice());
        let request = request.unwrap_or_default();
        let left = begun.expires_at.duration_since(Timestamp::now());
        let left = std::time::Duration::try_from(left).unwrap_or_default();
        let known: Vec<_> = known.collect();
        let catalog = self.catalogs.of(&begun.service);
        catalog.expect(known.iter().map(|(target, _)| target.clone()));
        let wish = Wish {
            functions: Vec::<FunctionId>::new(),
            requested_by: begun.requested_by.clone(),
            deadline: Instant::now() + left,
            changes: changes.unwrap_or_default(),
            request,
        };
        let info = SessionInfo {
            ended_at: None,
            remaining: left,
            elapsed: begun.settings.duration.saturating_sub(left),
            state: SessionState::Active,
            ..stored_info(&stored, catalog.target(&begun.service))
        };
        let target = wish.request.target.clone().unwrap_or_default();
        let capture = begun.settings.capture;
        let request_id = wish.request.request_id.clone();
        let session = NewSession {
            registry: Arc::clone(&self.registry),
            catalog,
            info,
            wish,
            duration_max: self.debug.sessions.max_duration,
            chosen: target.replicas,
            known,
            notes: archive.notes(&begun.id),
        };
        // Where it was not stored it is nobody's.
        let source = Source::from_name(&begun.requested_via).unwrap_or(Source::Loopback);
        let owner = Owner::named(begun.requested_by.clone(), source);
        let holds_values = capture.arguments || capture.results;
        let (held, _) = self
            .sessions
            .begin(session, owner, request_id, holds_values);
        // Who asked for it before the colony ended may ask again.
        tokio::spawn(async move {
            held.ready().await;
            held.set_answer(Ok(response(&held, Vec::new())));
        });
    }
}

fn of_store(error: &StoreError) -> Status {
    match error {
        StoreError::NoSuchSession { .. } => no_such_session(),
        error => status::of(error),
    }
}
