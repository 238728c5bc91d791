//! The replicas of a session: in which order they are shown, which of them is selected, and which
//! one is looked at alone.

use std::cmp::Reverse;
use std::collections::HashSet;
use std::sync::Arc;
use std::time::Duration;

use coral_model::{
    EndReason, FunctionId, FunctionStats, Outlier, Replica, ReplicaState, SessionState, Snapshot,
    Target, outliers,
};

use crate::filter_input::FilterInput;
use crate::measurements::Session;
use crate::scan::{NameMatcher, Query};
use crate::selection::Selection;
use crate::state::{Screen, State};

/// Names a replica: a process of a node, whatever becomes of the numbers of others.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(crate) struct ReplicaKey {
    pub(crate) agent_id: String,
    pub(crate) pid: u32,
    pub(crate) start_ticks: u64,
    /// So many times the session had measured that process before: an agent that has begun anew
    /// measures it once more.
    pub(crate) turn: usize,
}

impl ReplicaKey {
    /// The name of the replica at that place of a snapshot.
    fn at(snapshot: &Snapshot, place: usize) -> Self {
        let target = &snapshot.replicas[place].target;
        let mut key = Self {
            agent_id: target.agent_id.clone(),
            pid: target.pid,
            start_ticks: target.start_ticks,
            turn: 0,
        };
        key.turn = key.places(snapshot).take_while(|&it| it < place).count();
        key
    }

    /// Where the process is in a snapshot.
    fn places(&self, snapshot: &Snapshot) -> impl Iterator<Item = usize> {
        let replicas = snapshot.replicas.iter().enumerate();
        let is_it = |target: &Target| {
            (target.pid, target.start_ticks) == (self.pid, self.start_ticks)
                && target.agent_id == self.agent_id
        };
        let here = replicas.filter(move |(_, replica)| is_it(&replica.target));
        here.map(|(place, _)| place)
    }

    /// Where the replica itself is in a snapshot.
    fn place(&self, snapshot: &Snapshot) -> Option<usize> {
        self.places(snapshot).nth(self.turn)
    }

    /// The replica itself in a snapshot.
    pub(crate) fn find<'a>(&self, snapshot: &'a Snapshot) -> Option<&'a Arc<Replica>> {
        snapshot.replicas.get(self.place(snapshot)?)
    }
}

/// What replicas are sorted by.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum ReplicaSort {
    /// What stands out first, then by agent: rows move only when another one stands out.
    #[default]
    OddFirst,
    P99,
    P50,
    CallsPerS,
    Calls,
    Errors,
    Agent,
}

impl ReplicaSort {
    const ALL: [Self; 7] = [
        Self::OddFirst,
        Self::P99,
        Self::P50,
        Self::CallsPerS,
        Self::Calls,
        Self::Errors,
        Self::Agent,
    ];

    pub(crate) fn next(self) -> Self {
        Self::ALL[(self as usize + 1) % Self::ALL.len()]
    }

    /// How the title of the list names it.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::OddFirst => "odd ones first",
            Self::P99 => "p99",
            Self::P50 => "p50",
            Self::CallsPerS => "calls/s",
            Self::Calls => "calls",
            Self::Errors => "errors",
            Self::Agent => "agent",
        }
    }

    /// What is shown first has the least of this.
    fn key(self, row: &ReplicaRow) -> Reverse<u64> {
        let stats = row.stats.as_deref();
        let percentile = |percent| stats.and_then(|stats| stats.latency.percentile_ns(percent));
        let value = match self {
            Self::OddFirst => Some(u64::from(row.outlier.is_some())),
            Self::P99 => percentile(99.0),
            Self::P50 => percentile(50.0),
            Self::CallsPerS => stats.map(|stats| (stats.calls_per_s * 1_000.0) as u64),
            Self::Calls => stats.map(|stats| stats.calls),
            Self::Errors => stats.and_then(|stats| stats.errors),
            Self::Agent => None,
        };
        // What was not measured comes behind what is zero.
        Reverse(value.map_or(0, |value| value.saturating_add(1)))
    }
}

/// A replica in the list, with its numbers of the selected function.
#[derive(Clone, Debug)]
pub(crate) struct ReplicaRow {
    pub(crate) key: ReplicaKey,
    pub(crate) replica: Arc<Replica>,
    pub(crate) stats: Option<Arc<FunctionStats>>,
    pub(crate) outlier: Option<Outlier>,
}

/// The list, and which replica is looked at alone.
#[derive(Debug, Default)]
pub(crate) struct ReplicaList {
    pub(crate) sort: ReplicaSort,
    pub(crate) filter: FilterInput,
    pub(crate) selection: Selection<ReplicaKey>,
    /// The one whose numbers the latency screen shows instead of all.
    pub(crate) only: Option<ReplicaKey>,
    rows: Vec<ReplicaRow>,
    keys: Vec<ReplicaKey>,
}

impl ReplicaList {
    /// The replicas that are shown, in order.
    pub(crate) fn rows(&self) -> &[ReplicaRow] {
        &self.rows
    }

    /// How many of them stand out.
    pub(crate) fn odd_count(&self) -> usize {
        self.rows.iter().filter(|row| row.outlier.is_some()).count()
    }

    /// How many builds they are of.
    pub(crate) fn build_count(&self) -> usize {
        let builds = self.rows.iter().map(|row| &row.replica.target.build_id);
        builds.collect::<HashSet<_>>().len()
    }

    pub(crate) fn selected(&self) -> Option<&ReplicaRow> {
        self.rows.get(self.selection.index())
    }

    pub(crate) fn move_by(&mut self, delta: isize, height: usize) {
        self.selection.move_by(delta, &self.keys, height);
    }

    /// Takes the replicas of a session and their numbers of a function.
    fn arrange(&mut self, session: Option<&Session>, function: FunctionId) {
        self.rows = session.map_or_else(Vec::new, |session| rows(&session.snapshot, function));
        if self.filter.is_active() {
            let query = Query::new(self.filter.text());
            let mut matcher = NameMatcher::default();
            let is_match = |row: &ReplicaRow| query.score(&searchable(row), &mut matcher).is_some();
            self.rows.retain(is_match);
        }
        let sort = self.sort;
        self.rows.sort_by(|a, b| {
            let place = |row: &ReplicaRow| row.replica.target.pid;
            let agent = |row: &ReplicaRow| row.replica.target.agent_id.clone();
            (sort.key(a).cmp(&sort.key(b)))
                .then_with(|| agent(a).cmp(&agent(b)))
                .then_with(|| place(a).cmp(&place(b)))
        });
        self.keys = self.rows.iter().map(|row| row.key.clone()).collect();
        self.selection.restore(&self.keys);
    }
}

/// The replicas of a snapshot in its own order, with their numbers of a function.
pub(crate) fn rows(snapshot: &Snapshot, function: FunctionId) -> Vec<ReplicaRow> {
    let outliers = outliers_of(snapshot, function);
    let function = place_of(snapshot, function);
    let keys = (0..snapshot.replicas.len()).map(|place| ReplicaKey::at(snapshot, place));
    let row = |((replica, key), outlier): ((&Arc<Replica>, _), _)| ReplicaRow {
        key,
        replica: Arc::clone(replica),
        stats: function.and_then(|place| replica.function(place).cloned()),
        outlier,
    };
    let replicas = snapshot.replicas.iter().zip(keys);
    replicas.zip(outliers).map(row).collect()
}

/// Which replicas of a snapshot stand out by a function, each at its place.
fn outliers_of(snapshot: &Snapshot, function: FunctionId) -> Vec<Option<Outlier>> {
    let place = place_of(snapshot, function);
    let latencies = snapshot.replicas.iter().map(|replica| {
        let stats = replica.function(place?)?;
        Some(&stats.latency)
    });
    outliers(&latencies.collect::<Vec<_>>())
}

/// How the replica differs that stands out most by a function, if one does.
pub(crate) fn oddest(snapshot: &Snapshot, function: FunctionId) -> Option<Outlier> {
    let found = outliers_of(snapshot, function).into_iter().flatten();
    found.reduce(|worst, next| worst.or_worse(Some(next)))
}

/// What a snapshot knows of a function: all of it, or what one replica has measured.
pub(crate) fn stats_of<'a>(
    snapshot: &'a Snapshot,
    function: FunctionId,
    only: Option<&ReplicaKey>,
) -> Option<&'a Arc<FunctionStats>> {
    let place = place_of(snapshot, function)?;
    match only {
        None => snapshot.functions.get(place),
        Some(only) => only.find(snapshot)?.function(place),
    }
}

fn place_of(snapshot: &Snapshot, function: FunctionId) -> Option<usize> {
    snapshot
        .functions
        .iter()
        .position(|stats| stats.id == function)
}

/// Everything of a replica that a filter looks at.
fn searchable(row: &ReplicaRow) -> String {
    let target = &row.replica.target;
    let build = target.build_id.as_deref().unwrap_or_default();
    let outlier = row.outlier.map_or_else(String::new, |it| it.to_string());
    let state = state_word(row.replica.state);
    format!(
        "{} {} {build} {state} {outlier} {}",
        target.agent_id, target.pid, target.exe
    )
}

/// The state as a word.
pub(crate) fn state_word(state: ReplicaState) -> &'static str {
    match state {
        ReplicaState::Measuring => "measuring",
        ReplicaState::Silent => "silent",
        ReplicaState::Refused => "refused",
        ReplicaState::Ended(EndReason::TargetExited) => "exited",
        ReplicaState::Ended(EndReason::TargetExeced) => "execed",
        ReplicaState::Ended(reason) => reason.name(),
    }
}

/// How the replicas of a session are, in numbers. While it measures, those that are gone count no
/// more: a rolling restart leaves one behind for each new one.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct ReplicaCounts {
    pub(crate) all: usize,
    pub(crate) agents: usize,
    pub(crate) silent: usize,
    pub(crate) refused: usize,
}

impl ReplicaCounts {
    pub(crate) fn of(snapshot: &Snapshot) -> Self {
        let is_over = snapshot.session.state != SessionState::Active;
        let is_there = |state| is_over || !matches!(state, ReplicaState::Ended(_));
        let replicas = snapshot.replicas.iter();
        let there: Vec<_> = replicas.filter(|it| is_there(it.state)).collect();
        let agents = there.iter().map(|replica| &replica.target.agent_id);
        let count = |state| there.iter().filter(|it| it.state == state).count();
        Self {
            all: there.len(),
            agents: agents.collect::<HashSet<_>>().len(),
            silent: count(ReplicaState::Silent),
            refused: count(ReplicaState::Refused),
        }
    }

    /// How many are measured, or were.
    pub(crate) fn measured(&self) -> usize {
        self.all - self.silent - self.refused
    }
}

impl State {
    /// Brings the list of replicas to what is shown now.
    pub(crate) fn follow_replicas(&mut self) {
        let Some(function) = self.functions.selection.id() else {
            return;
        };
        let session = self.measurements.session_of(function);
        self.replicas.arrange(session, function);
    }

    /// The replica that is looked at alone: only the latency screen does so.
    pub(crate) fn only_replica(&self) -> Option<&ReplicaKey> {
        let only = self.replicas.only.as_ref();
        only.filter(|_| self.screen == Screen::Latency)
    }

    /// What the latency screen shows of a function: the sum of all replicas, or one of them alone.
    pub(crate) fn latency_stats(&self, function: FunctionId) -> Option<&Arc<FunctionStats>> {
        match self.only_replica() {
            None => self.measurements.stats(function),
            only => {
                let session = self.measurements.session_of(function)?;
                stats_of(&session.snapshot, function, only)
            }
        }
    }

    /// Whether a call is of the replica that is looked at alone, if one is.
    pub(crate) fn is_of_only_replica(&self, snapshot: &Snapshot, place: Option<u32>) -> bool {
        let Some(only) = self.only_replica() else {
            return true;
        };
        let place = place.map(|place| place as usize);
        place.is_some() && place == only.place(snapshot)
    }

    /// For how long nothing was heard of the replica of which that is the longest, if of any.
    pub(crate) fn longest_silence(&self, snapshot: &Snapshot) -> Option<Duration> {
        let replicas = snapshot.replicas.iter().enumerate();
        let silent = replicas.filter(|(_, replica)| replica.state == ReplicaState::Silent);
        let ages = silent
            .filter_map(|(place, _)| self.silent_for(snapshot, &ReplicaKey::at(snapshot, place)));
        ages.max()
    }

    /// Whether there is a session with replicas to look at.
    pub(crate) fn has_replicas(&self) -> bool {
        let current = self.current_snapshot();
        current.is_some_and(|snapshot| !snapshot.replicas.is_empty())
    }

    /// For how long nothing was heard of a replica, as far as the past is known: since the last
    /// moment at which something was.
    pub(crate) fn silent_for(&self, snapshot: &Snapshot, key: &ReplicaKey) -> Option<Duration> {
        let shown_at = self.timeline.at(self.now);
        let is_heard = |snapshot: &Snapshot| {
            let replica = key.find(snapshot);
            replica.is_some_and(|replica| replica.state != ReplicaState::Silent)
        };
        let moments = self.timeline.moments().iter().rev();
        let heard = moments
            .filter(|moment| moment.at <= shown_at)
            .filter(|moment| moment.snapshot.session.id == snapshot.session.id)
            .find(|moment| is_heard(&moment.snapshot))?;
        Some(self.shown_now().saturating_sub(heard.at))
    }
}
