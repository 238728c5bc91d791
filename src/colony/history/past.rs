//! Sessions that are over, as they were at their end.

use std::cell::RefCell;
use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use coral_model::merge::{Merger, ReplicaPart};
use coral_model::{
    EndReason, FunctionId, Language, Replica, ReplicaState, SessionId, SessionInfo, SessionNotice,
    SessionState, Snapshot, Target,
};
use jiff::{SignedDuration, Timestamp};

use super::History;
use crate::colony::catalog::Catalog;
use crate::store::{ReplicaRow, StoreError, StoredSession, StoredSnapshot};

/// Past sessions in one list.
const SESSIONS_MAX: u32 = 10_000;

impl History {
    /// A session and its replicas, as far as they are stored.
    pub(in crate::colony) async fn session(
        &self,
        id: &SessionId,
    ) -> Result<(StoredSession, Vec<ReplicaRow>), StoreError> {
        let session = self.store.session(id.clone()).await?;
        let replicas = self.store.replicas(id.clone()).await?;
        Ok((session, replicas))
    }

    /// The sessions of a service, or of all, that are over; newest first.
    pub(in crate::colony) async fn past(
        &self,
        service: Option<String>,
    ) -> Result<Vec<StoredSession>, StoreError> {
        let since = Timestamp::MIN;
        let mut sessions = self
            .store
            .list_sessions(service, since, SESSIONS_MAX)
            .await?;
        sessions.retain(|session| session.ended_at.is_some());
        Ok(sessions)
    }

    /// What a session had measured at its end.
    pub(in crate::colony) async fn snapshot(
        &self,
        id: &SessionId,
        catalog: &Catalog,
    ) -> Result<Snapshot, StoreError> {
        let (session, replicas) = self.session(id).await?;
        let snapshots = self.store.final_snapshots(id.clone()).await?;
        let mut notices = Vec::new();
        let parts: Vec<ReplicaPart> = replicas
            .iter()
            .map(|row| part(row, &snapshots, &mut notices))
            .collect();
        let info = info(&session, catalog.target(&session.begun.service), &parts);
        let numbers = RefCell::new(HashMap::new());
        let in_union = |_: usize, _: FunctionId, name: &str, nth: usize| {
            let mut numbers = numbers.borrow_mut();
            let next = FunctionId(numbers.len() as u32);
            *numbers.entry((name.to_owned(), nth)).or_insert(next)
        };
        Ok(Merger::new().merge(info, notices, &parts, in_union))
    }
}

/// What is stored of a session, without what was measured in it.
pub(in crate::colony) fn stored_info(session: &StoredSession, target: Target) -> SessionInfo {
    info(session, target, &[])
}

fn info(session: &StoredSession, target: Target, parts: &[ReplicaPart]) -> SessionInfo {
    let begun = &session.begun;
    let ended_at = session.ended_at.unwrap_or(begun.expires_at);
    let length: SignedDuration = ended_at.duration_since(begun.started_at);
    let snapshots = || parts.iter().filter_map(|part| part.snapshot.as_ref());
    // How long it was measured, where that is known; it ends a moment later.
    let elapsed = snapshots().map(|it| it.session.elapsed).max();
    SessionInfo {
        id: begun.id.clone(),
        target,
        other_pids: Vec::new(),
        started_at: begun.started_at,
        ended_at: Some(ended_at),
        requested_by: begun.requested_by.clone(),
        elapsed: elapsed.unwrap_or_else(|| Duration::try_from(length).unwrap_or_default()),
        remaining: Duration::ZERO,
        state: match session.state {
            SessionState::Active => SessionState::Ended(EndReason::Failed),
            ended => ended,
        },
        probes: snapshots().map(|it| it.session.probes).sum(),
        settings: begun.settings.clone(),
    }
}

fn part(
    row: &ReplicaRow,
    snapshots: &[StoredSnapshot],
    notices: &mut Vec<SessionNotice>,
) -> ReplicaPart {
    let stored = snapshots.iter().find(|it| it.journal == row.journal);
    let name = format!("{} on {}", row.target.pid, row.target.agent_id);
    if stored.is_some_and(|it| !it.is_final) {
        notices.push(SessionNotice {
            at: Duration::ZERO,
            text: format!("{name}: its last numbers have not come"),
        });
    }
    let own = stored.iter().flat_map(|it| &it.snapshot.notices);
    notices.extend(own.map(|notice| SessionNotice {
        at: notice.at,
        text: format!("{name}: {}", notice.text),
    }));
    let snapshot = stored.map(|it| Arc::clone(&it.snapshot));
    let ended = snapshot.as_ref().map(|it| it.session.state);
    let state = match ended {
        Some(SessionState::Ended(reason)) => ReplicaState::Ended(reason),
        _ => row.state,
    };
    ReplicaPart {
        replica: Replica {
            session: Some(row.journal.agent_session.clone()),
            trouble: row.trouble.clone(),
            ..Replica::new(
                Target {
                    language: Language::Unknown,
                    ..row.target.clone()
                },
                state,
            )
        },
        snapshot,
    }
}
