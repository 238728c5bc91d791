//! What has been measured: the latest snapshot of every session, and the numbers of each function.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use coral_model::{FunctionId, FunctionStats, SessionId, SessionState, Snapshot, Target};

/// The sessions that are kept once they have ended; the oldest is dropped first.
const SESSIONS_MAX: usize = 100;

/// Without a snapshot for this long, a live session's numbers are called stale.
pub(crate) const STALE_AFTER: Duration = Duration::from_secs(2);

/// A session as it was last heard of.
#[derive(Clone, Debug)]
pub(crate) struct Session {
    pub(crate) snapshot: Arc<Snapshot>,
    /// When its snapshot arrived, on the console's clock.
    pub(crate) received_at: Duration,
}

impl Session {
    pub(crate) fn is_active(&self) -> bool {
        self.snapshot.session.state == SessionState::Active
    }

    /// How much of the lease is left by now.
    pub(crate) fn remaining(&self, now: Duration) -> Duration {
        let since = now.saturating_sub(self.received_at);
        self.snapshot.session.remaining.saturating_sub(since)
    }

    /// How old the numbers are, if they should be newer.
    pub(crate) fn stale_for(&self, now: Duration) -> Option<Duration> {
        let since = now.saturating_sub(self.received_at);
        (self.is_active() && since > STALE_AFTER).then_some(since)
    }

    /// Hits that are missing from durations or records, by whatever cause.
    pub(crate) fn lost(&self) -> u64 {
        let accounting = &self.snapshot.accounting;
        accounting.records_lost() + accounting.map_full
    }
}

/// All sessions of this run of the console.
#[derive(Debug, Default)]
pub(crate) struct Measurements {
    /// In the order in which they began; functions carry the ids of the target's table.
    sessions: Vec<Session>,
    target: Option<Target>,
    /// A past session that is looked at again, instead of the newest.
    opened: Option<SessionId>,
    /// Where each function of the target was measured last: session, and place in it.
    index: HashMap<FunctionId, (usize, usize)>,
}

impl Measurements {
    /// From now on functions are those of this process.
    pub(crate) fn set_target(&mut self, target: &Target) {
        if self.target.as_ref() != Some(target) {
            self.target = Some(target.clone());
            self.reindex();
        }
    }

    /// Takes what was known at another time in the place of all sessions.
    pub(crate) fn show(&mut self, known: Vec<Arc<Snapshot>>, now: Duration) {
        let sessions = known.into_iter().map(|snapshot| Session {
            snapshot,
            received_at: now,
        });
        self.sessions = sessions.collect();
        self.reindex();
    }

    /// Takes a newer snapshot of a session, or the first one.
    pub(crate) fn apply(&mut self, snapshot: Arc<Snapshot>, now: Duration) {
        let session = Session {
            snapshot,
            received_at: now,
        };
        match self.position(&session.snapshot.session.id) {
            Some(position) => self.sessions[position] = session,
            None => self.sessions.push(session),
        }
        if self.sessions.len() > SESSIONS_MAX {
            self.sessions.remove(0);
        }
        self.reindex();
    }

    /// The newest session first, the live ones before those that have ended.
    pub(crate) fn sessions(&self) -> impl Iterator<Item = &Session> {
        let newest_first = || self.sessions.iter().rev();
        newest_first()
            .filter(|session| session.is_active())
            .chain(newest_first().filter(|session| !session.is_active()))
    }

    /// The live sessions of whatever target.
    pub(crate) fn active(&self) -> impl Iterator<Item = &Session> {
        self.sessions().filter(|session| session.is_active())
    }

    /// The session that the header speaks of.
    pub(crate) fn current(&self) -> Option<&Session> {
        self.opened().or_else(|| self.sessions().next())
    }

    /// The past session that is looked at again.
    pub(crate) fn opened(&self) -> Option<&Session> {
        self.get(self.opened.as_ref()?)
    }

    /// Looks at a past session again, or at the newest numbers.
    pub(crate) fn open(&mut self, id: Option<SessionId>) {
        self.opened = id;
        self.reindex();
    }

    pub(crate) fn get(&self, id: &SessionId) -> Option<&Session> {
        self.position(id).map(|position| &self.sessions[position])
    }

    /// What was measured of a function, in the session that measured it last.
    pub(crate) fn stats(&self, id: FunctionId) -> Option<&Arc<FunctionStats>> {
        let &(session, place) = self.index.get(&id)?;
        self.sessions[session].snapshot.functions.get(place)
    }

    /// The session in which a function was measured last.
    pub(crate) fn session_of(&self, id: FunctionId) -> Option<&Session> {
        self.index
            .get(&id)
            .map(|&(session, _)| &self.sessions[session])
    }

    /// Whether a function's probes are live.
    pub(crate) fn is_attached(&self, id: FunctionId) -> bool {
        self.session_of(id).is_some_and(Session::is_active)
            && self.stats(id).is_some_and(|stats| stats.attached)
    }

    /// The functions that were measured, those with live probes first.
    pub(crate) fn measured(&self) -> Vec<FunctionId> {
        let mut places: Vec<_> = self.index.iter().map(|(&id, &place)| (place, id)).collect();
        places.sort_unstable_by_key(|&(place, id)| (!self.is_attached(id), place));
        places.into_iter().map(|(_, id)| id).collect()
    }

    /// How many functions were measured.
    pub(crate) fn measured_count(&self) -> usize {
        self.index.len()
    }

    /// The functions with live probes.
    pub(crate) fn attached(&self) -> Vec<FunctionId> {
        let mut measured = self.measured();
        measured.retain(|&id| self.is_attached(id));
        measured
    }

    fn position(&self, id: &SessionId) -> Option<usize> {
        self.sessions
            .iter()
            .position(|session| session.snapshot.session.id == *id)
    }

    fn reindex(&mut self) {
        self.index.clear();
        let opened = self.opened.as_ref().and_then(|id| self.position(id));
        // The last one that names a function has it.
        let order = (0..self.sessions.len()).chain(opened);
        for position in order {
            let session = &self.sessions[position];
            if self.target.as_ref() == Some(&session.snapshot.session.target) {
                for (place, stats) in session.snapshot.functions.iter().enumerate() {
                    self.index.insert(stats.id, (position, place));
                }
            }
        }
    }
}
