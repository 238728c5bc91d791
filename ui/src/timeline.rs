//! What was measured, moment by moment, within a bound of memory; and which moment is shown.

use std::collections::{HashMap, VecDeque};
use std::ops::Range;
use std::sync::Arc;
use std::time::Duration;

use coral_model::{InnerCalls, Replica, SessionId, SessionState, Snapshot};

use crate::options::Options;

/// Steps are moments; jumps are this long.
pub(crate) const JUMP: Duration = Duration::from_secs(10);

/// The gaps that are kept; the oldest is dropped first.
const GAPS_MAX: usize = 1_000;

/// What was known at one time.
#[derive(Clone, Debug)]
pub(crate) struct Moment {
    /// On the console's clock; in a recording, since its beginning.
    pub(crate) at: Duration,
    pub(crate) snapshot: Arc<Snapshot>,
    bytes: usize,
}

/// A time from which nothing is known of a session.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Gap {
    pub(crate) session: SessionId,
    /// From the last snapshot before it to the first one after it, on the console's clock.
    pub(crate) shown: Range<Duration>,
    /// The same by the clock of the session, in milliseconds since 1970.
    pub(crate) time_ms: Range<i64>,
}

/// Which moment is shown.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Position {
    /// The newest, whenever there is a newer one.
    Live,
    /// That one, while recording goes on.
    Paused { at: Duration },
    /// A recording goes on from there, since then on the console's clock.
    Playing { from: Duration, since: Duration },
}

/// A moment that somebody wants to find again.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Mark {
    pub(crate) at: Duration,
    pub(crate) name: String,
}

/// All moments that are kept, oldest first.
#[derive(Debug)]
pub(crate) struct Timeline {
    moments: VecDeque<Moment>,
    bytes: usize,
    /// They take so much memory at most; the older half is thinned out first.
    bytes_max: usize,
    position: Position,
    pub(crate) marks: Vec<Mark>,
    /// The oldest first.
    gaps: VecDeque<Gap>,
}

impl Default for Timeline {
    fn default() -> Self {
        Self::new(Options::RECORD_MEMORY_BYTES)
    }
}

impl Timeline {
    /// Room for so many bytes of moments.
    pub(crate) fn new(bytes_max: usize) -> Self {
        Self {
            moments: VecDeque::new(),
            bytes: 0,
            bytes_max,
            position: Position::Live,
            marks: Vec::new(),
            gaps: VecDeque::new(),
        }
    }

    /// Takes in what was known at a time that is not before the last one.
    pub(crate) fn push(&mut self, at: Duration, snapshot: Arc<Snapshot>) {
        let before = self.moments.back().map(|moment| &moment.snapshot);
        let bytes = own_bytes(&snapshot, before.map(|snapshot| &**snapshot));
        self.bytes += bytes;
        self.moments.push_back(Moment {
            at,
            snapshot,
            bytes,
        });
        if self.bytes > self.bytes_max {
            self.thin_out();
        }
    }

    /// Remembers that nothing is known of a time; whether that is news, and no other session's
    /// gap as well.
    pub(crate) fn push_gap(&mut self, gap: Gap) -> bool {
        let is_known =
            |known: &Gap| known.shown.start < gap.shown.end && gap.shown.start < known.shown.end;
        let is_news = !self.gaps.iter().any(is_known);
        self.gaps.push_back(gap);
        if self.gaps.len() > GAPS_MAX {
            self.gaps.pop_front();
        }
        is_news
    }

    pub(crate) fn gaps(&self) -> &VecDeque<Gap> {
        &self.gaps
    }

    /// Whether nothing is known of the time that is shown.
    pub(crate) fn is_in_gap(&self, now: Duration) -> bool {
        let at = self.at(now);
        let mut gaps = self.gaps.iter();
        gaps.any(|gap| gap.shown.start < at && at < gap.shown.end)
    }

    /// Begins to play from the first moment.
    pub(crate) fn play(&mut self, now: Duration) {
        let from = self.start();
        self.position = Position::Playing { from, since: now };
    }

    pub(crate) fn moments(&self) -> &VecDeque<Moment> {
        &self.moments
    }

    pub(crate) fn position(&self) -> Position {
        self.position
    }

    /// The memory that the moments take, about, in bytes.
    pub(crate) fn bytes(&self) -> usize {
        self.bytes
    }

    pub(crate) fn start(&self) -> Duration {
        self.moments
            .front()
            .map_or(Duration::ZERO, |moment| moment.at)
    }

    pub(crate) fn end(&self) -> Duration {
        self.moments
            .back()
            .map_or(Duration::ZERO, |moment| moment.at)
    }

    /// The time that is shown.
    pub(crate) fn at(&self, now: Duration) -> Duration {
        match self.position {
            Position::Live => self.end(),
            Position::Paused { at } => at,
            Position::Playing { from, since } => (from + now.saturating_sub(since)).min(self.end()),
        }
    }

    pub(crate) fn is_live(&self) -> bool {
        self.position == Position::Live
    }

    /// Stops at a time between the first moment and the last.
    pub(crate) fn pause_at(&mut self, at: Duration) {
        let at = at.clamp(self.start(), self.end());
        self.position = Position::Paused { at };
    }

    /// Goes on: a recording from where it is, something live with the newest moment.
    pub(crate) fn resume(&mut self, now: Duration, is_recording: bool) {
        self.position = if is_recording {
            let from = self.at(now);
            Position::Playing { from, since: now }
        } else {
            Position::Live
        };
    }

    /// Stops so many moments before or after the one that is shown.
    pub(crate) fn step(&mut self, moments: isize, now: Duration) {
        if self.moments.is_empty() {
            return;
        }
        let at = self.at(now);
        let shown = self.moments.partition_point(|moment| moment.at <= at);
        let index = shown.saturating_sub(1).saturating_add_signed(moments);
        let index = index.min(self.moments.len() - 1);
        self.pause_at(self.moments[index].at);
    }

    /// What was known of every session at a time, the oldest session first.
    pub(crate) fn known_at(&self, at: Duration) -> Vec<&Moment> {
        let mut places: HashMap<&SessionId, usize> = HashMap::new();
        let mut known: Vec<&Moment> = Vec::new();
        for moment in self.moments.iter().take_while(|moment| moment.at <= at) {
            let id = &moment.snapshot.session.id;
            match places.get(id) {
                Some(&place) => known[place] = moment,
                None => {
                    places.insert(id, known.len());
                    known.push(moment);
                }
            }
        }
        known
    }

    /// The newest snapshot of a session.
    pub(crate) fn latest(&self, id: &SessionId) -> Option<&Arc<Snapshot>> {
        self.latest_moment(id).map(|moment| &moment.snapshot)
    }

    /// When something was heard of a session the last time, and what.
    pub(crate) fn latest_moment(&self, id: &SessionId) -> Option<&Moment> {
        let mut newest_first = self.moments.iter().rev();
        newest_first.find(|moment| moment.snapshot.session.id == *id)
    }

    /// Drops every second moment of the older half; the last of a session stays.
    fn thin_out(&mut self) {
        let half = self.moments.len() / 2;
        let mut index = 0;
        let mut bytes = 0;
        self.moments.retain(|moment| {
            index += 1;
            let stays = index > half || index % 2 == 0 || is_final(&moment.snapshot);
            bytes += if stays { moment.bytes } else { 0 };
            stays
        });
        // What later moments shared with those that are gone is theirs now; it was counted once.
        self.bytes = bytes;
    }
}

fn is_final(snapshot: &Snapshot) -> bool {
    snapshot.session.state != SessionState::Active
}

/// About what a function and a bucket take, in bytes.
const FUNCTION: usize = 300;
const BUCKET: usize = 12;

/// What a snapshot takes that the one before it does not hold already, about, in bytes.
fn own_bytes(snapshot: &Snapshot, before: Option<&Snapshot>) -> usize {
    const NODE: usize = 160;
    const CALL: usize = 400;
    const INNER_CALL: usize = 200;
    let is_shared = |index: usize| {
        let old = before.and_then(|before| before.functions.get(index));
        old.is_some_and(|old| Arc::ptr_eq(old, &snapshot.functions[index]))
    };
    let functions = snapshot
        .functions
        .iter()
        .enumerate()
        .map(|(index, function)| {
            if is_shared(index) {
                return size_of::<usize>();
            }
            FUNCTION + BUCKET * function.latency.buckets.len()
        });
    let shares_tree =
        before.is_some_and(|before| Arc::ptr_eq(&before.call_tree, &snapshot.call_tree));
    let nodes = if shares_tree {
        0
    } else {
        snapshot.call_tree.nodes.len()
    };
    let calls = snapshot.slow_calls.len() + snapshot.in_flight.len();
    let inner = INNER_CALL * own_inner_calls(snapshot, before);
    let replicas = (0..snapshot.replicas.len())
        .map(|place| own_replica_bytes(snapshot, before, place))
        .sum::<usize>();
    let functions = functions.sum::<usize>();
    size_of::<Snapshot>() + functions + NODE * nodes + CALL * calls + inner + replicas
}

/// The memory that a replica takes and that the snapshot before does not hold already, about.
fn own_replica_bytes(snapshot: &Snapshot, before: Option<&Snapshot>, place: usize) -> usize {
    let replica = &snapshot.replicas[place];
    let before = before.and_then(|before| before.replicas.get(place));
    if before.is_some_and(|before| Arc::ptr_eq(before, replica)) {
        return size_of::<usize>();
    }
    let functions = replica.functions.iter().enumerate().map(|(index, stats)| {
        let held = before.and_then(|before| before.function(index));
        match (stats, held) {
            (Some(stats), Some(held)) if Arc::ptr_eq(stats, held) => size_of::<usize>(),
            (Some(stats), _) => FUNCTION + BUCKET * stats.latency.buckets.len(),
            (None, _) => size_of::<usize>(),
        }
    });
    size_of::<Replica>() + functions.sum::<usize>()
}

/// The calls inside of slow ones that the snapshot before does not hold already.
fn own_inner_calls(snapshot: &Snapshot, before: Option<&Snapshot>) -> usize {
    let held = before.map_or(&[][..], |before| &before.slow_calls);
    let is_shared = |inner: &Arc<InnerCalls>| {
        let mut held = held.iter().filter_map(|call| call.inner.as_ref());
        held.any(|held| Arc::ptr_eq(held, inner))
    };
    let calls = snapshot.slow_calls.iter();
    calls
        .filter_map(|call| call.inner.as_ref())
        .filter(|inner| !is_shared(inner))
        .map(|inner| inner.calls.len())
        .sum()
}

#[cfg(test)]
pub(crate) mod tests {
    use coral_model::{
        Accounting, CallRecord, CallTree, FunctionId, Language, Overhead, SessionInfo,
        SessionSettings, Target,
    };

    use super::*;

    pub(crate) fn snapshot(id: &str, hits: u64) -> Arc<Snapshot> {
        Arc::new(Snapshot {
            session: SessionInfo {
                id: SessionId(id.into()),
                target: Target {
                    agent_id: "local".into(),
                    service: String::new(),
                    pid: 1,
                    exe: String::new(),
                    build_id: None,
                    language: Language::C,
                    start_ticks: 0,
                },
                other_pids: Vec::new(),
                started_at: jiff::Timestamp::UNIX_EPOCH,
                ended_at: None,
                requested_by: String::new(),
                elapsed: Duration::ZERO,
                remaining: Duration::ZERO,
                state: SessionState::Active,
                probes: 0,
                settings: SessionSettings::default(),
            },
            functions: Vec::new(),
            replicas: Vec::new(),
            call_tree: Arc::new(CallTree::default()),
            slow_calls: Vec::new(),
            in_flight: Vec::new(),
            notices: Vec::new(),
            accounting: Accounting {
                hits,
                ..Accounting::default()
            },
            overhead: Overhead::default(),
        })
    }

    fn seconds(n: u64) -> Duration {
        Duration::from_secs(n)
    }

    fn hits(timeline: &Timeline, at: u64) -> Vec<u64> {
        let known = timeline.known_at(seconds(at));
        known
            .iter()
            .map(|moment| moment.snapshot.accounting.hits)
            .collect()
    }

    #[test]
    fn every_session_is_as_it_was_then() {
        let mut timeline = Timeline::default();
        for (at, id, count) in [(1, "a", 1), (2, "a", 2), (3, "b", 10), (4, "a", 3)] {
            timeline.push(seconds(at), snapshot(id, count));
        }
        assert_eq!(hits(&timeline, 0), [0; 0]);
        assert_eq!(hits(&timeline, 2), [2]);
        assert_eq!(hits(&timeline, 3), [2, 10]);
        assert_eq!(hits(&timeline, 9), [3, 10]);
    }

    #[test]
    fn steps_are_moments_and_stay_inside() {
        let mut timeline = Timeline::default();
        for at in 1..=5 {
            timeline.push(seconds(at), snapshot("a", at));
        }
        let now = seconds(100);
        timeline.step(-1, now);
        assert_eq!(timeline.position(), Position::Paused { at: seconds(4) });
        timeline.step(-100, now);
        assert_eq!(timeline.at(now), seconds(1));
        timeline.step(2, now);
        assert_eq!(timeline.at(now), seconds(3));
        timeline.push(seconds(6), snapshot("a", 6));
        assert_eq!(timeline.at(now), seconds(3), "new moments move nothing");
        timeline.resume(now, false);
        assert_eq!(timeline.at(now), seconds(6));
    }

    #[test]
    fn a_recording_plays_to_its_end() {
        let mut timeline = Timeline::default();
        for at in 1..=5 {
            timeline.push(seconds(at), snapshot("a", at));
        }
        timeline.play(seconds(50));
        assert_eq!(timeline.at(seconds(52)), seconds(3));
        assert_eq!(timeline.at(seconds(99)), seconds(5));
        timeline.pause_at(seconds(2));
        timeline.resume(seconds(200), true);
        assert_eq!(timeline.at(seconds(201)), seconds(3));
    }

    #[test]
    fn memory_is_bounded_and_the_newest_stays() {
        const BYTES_MAX: usize = 48 << 20;
        let mut timeline = Timeline::new(BYTES_MAX);
        let call = CallRecord::new(FunctionId(0), jiff::Timestamp::UNIX_EPOCH, 1);
        let mut large = Snapshot::clone(&snapshot("a", 0));
        large.slow_calls = vec![call; 2_000];
        for at in 0..500 {
            large.accounting.hits = at;
            timeline.push(seconds(at), Arc::new(large.clone()));
            assert!(timeline.bytes() <= BYTES_MAX);
        }
        assert_eq!(hits(&timeline, 500), [499]);
        assert!(timeline.moments.len() > 50);
    }
}
