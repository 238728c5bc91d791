//! What a function did, column of time by column of time: differences of the cumulative histograms
//! that the timeline keeps.

use std::collections::VecDeque;
use std::ops::{Range, RangeInclusive};
use std::sync::Arc;
use std::time::Duration;

use coral_model::{FunctionId, FunctionStats, Histogram, SessionId, Snapshot, Target};

use crate::replicas::{ReplicaKey, stats_of};
use crate::timeline::{Gap, Moment, Timeline};

/// Columns are so many tenths of a power of ten long: close enough to each other that most of the
/// axis is always in use.
const NICE_STEPS: [i64; 9] = [10, 12, 15, 20, 25, 30, 40, 60, 80];
/// A tenth of the shortest column; shorter ones would be shorter than the time between snapshots.
const STEP_UNIT_MS: i64 = 10;

/// An axis of the time of day, in milliseconds since 1970.
///
/// Columns begin at multiples of their length: what was drawn stays where it is while time goes on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct TimeAxis {
    pub(crate) start_ms: i64,
    pub(crate) step_ms: i64,
    pub(crate) columns: u16,
}

impl TimeAxis {
    fn of(start_ms: i64, end_ms: i64, columns: u16) -> Self {
        let columns = columns.max(1);
        let needed = |step_ms: i64| end_ms.div_euclid(step_ms) - start_ms.div_euclid(step_ms);
        let mut decade = STEP_UNIT_MS;
        let step_ms = loop {
            let steps = NICE_STEPS.iter().map(|step| decade.saturating_mul(*step));
            let fits = steps
                .into_iter()
                .find(|&step| needed(step) < i64::from(columns));
            match fits {
                Some(step) => break step,
                None if decade > i64::MAX / 100 => break i64::MAX,
                None => decade *= 10,
            }
        };
        Self {
            start_ms: start_ms.div_euclid(step_ms).saturating_mul(step_ms),
            step_ms,
            columns,
        }
    }

    /// The column of a time; that of an end for what lies beyond it.
    pub(crate) fn column(&self, at_ms: i64) -> u16 {
        let column = at_ms.saturating_sub(self.start_ms).div_euclid(self.step_ms);
        column.clamp(0, i64::from(self.columns) - 1) as u16
    }

    /// The time of a column.
    pub(crate) fn range_ms(&self, column: u16) -> Range<i64> {
        let start = i64::from(column).saturating_mul(self.step_ms);
        let start = self.start_ms.saturating_add(start);
        start..start.saturating_add(self.step_ms)
    }
}

/// The calls that returned between two snapshots of a session.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Slice {
    pub(crate) from_ms: i64,
    pub(crate) until_ms: i64,
    /// The columns from which to which it reaches.
    pub(crate) first: u16,
    pub(crate) last: u16,
    pub(crate) latency: Histogram,
    /// Nobody looked between the two: when in that time its calls were is not known at all.
    pub(crate) is_gap: bool,
}

impl Slice {
    /// How much of its time is within another, from 0 to 1.
    pub(crate) fn share_in(&self, time_ms: &Range<i64>) -> f64 {
        let from_ms = self.from_ms.max(time_ms.start);
        let until_ms = self.until_ms.min(time_ms.end);
        let within_ms = until_ms.saturating_sub(from_ms).max(0);
        within_ms as f64 / self.until_ms.saturating_sub(self.from_ms).max(1) as f64
    }
}

/// All slices until the time that is shown, and the axis that they lie on.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct History {
    pub(crate) axis: TimeAxis,
    pub(crate) slices: Vec<Slice>,
    /// All of them together.
    pub(crate) all: Histogram,
    /// The last column that any snapshot reaches.
    pub(crate) newest: u16,
    /// The columns of the timeline's marks.
    pub(crate) marks: Vec<u16>,
    /// The columns of the times from which nothing is known.
    pub(crate) gaps: Vec<RangeInclusive<u16>>,
}

/// Whose calls a history is about: those of a function, on all replicas or on one.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Of<'a> {
    pub(crate) function: FunctionId,
    pub(crate) only: Option<&'a ReplicaKey>,
}

/// A session, and what was last known of the function in it.
struct Known<'a> {
    session: &'a SessionId,
    until_ms: i64,
    stats: Option<&'a Arc<FunctionStats>>,
    /// The newest snapshot of the column that is being filled.
    pending: &'a Snapshot,
}

impl History {
    /// `None` if nothing was measured by then.
    pub(crate) fn of(
        timeline: &Timeline,
        target: &Target,
        of: Of<'_>,
        shown_at: Duration,
        columns: u16,
    ) -> Option<Self> {
        let moments: Vec<&Moment> = timeline
            .moments()
            .iter()
            .take_while(|moment| moment.at <= shown_at)
            .filter(|moment| moment.snapshot.session.target == *target)
            .collect();
        let snapshots = || moments.iter().map(|moment| &*moment.snapshot);
        let start_ms = snapshots().map(start_ms).min()?;
        let end_ms = snapshots().map(until_ms).max()?;
        let axis = TimeAxis::of(start_ms, end_ms, columns);
        let slices = slices(snapshots(), of, timeline.gaps(), &axis);
        let mut all = Histogram::default();
        slices.iter().for_each(|slice| all.merge(&slice.latency));
        let newest = moments.last()?;
        let clock_ms = until_ms(&newest.snapshot).saturating_sub(millis(newest.at));
        let marks = timeline.marks.iter().filter(|mark| mark.at <= shown_at);
        let marks = marks.map(|mark| axis.column(clock_ms.saturating_add(millis(mark.at))));
        Some(Self {
            marks: marks.collect(),
            gaps: gap_columns(&slices, &axis),
            newest: axis.column(end_ms.saturating_sub(1)),
            axis,
            slices,
            all,
        })
    }

    /// The slices of which it is known when they were.
    pub(crate) fn placed(&self) -> impl Iterator<Item = &Slice> {
        self.slices.iter().filter(|slice| !slice.is_gap)
    }

    /// The histogram of each column; `None` where nothing was measured. What happened somewhere
    /// within several columns is in each of them.
    pub(crate) fn columns(&self) -> Vec<Option<Histogram>> {
        let mut columns = vec![None; usize::from(self.axis.columns)];
        for slice in self.placed() {
            for column in &mut columns[usize::from(slice.first)..=usize::from(slice.last)] {
                column
                    .get_or_insert_with(Histogram::default)
                    .merge(&slice.latency);
            }
        }
        columns
    }
}

/// The columns that lie within gaps.
fn gap_columns(slices: &[Slice], axis: &TimeAxis) -> Vec<RangeInclusive<u16>> {
    let gaps = slices.iter().filter(|slice| slice.is_gap);
    let columns = gaps.map(|gap| axis.column(gap.from_ms)..=axis.column(gap.until_ms - 1));
    columns.collect()
}

/// One slice for each session and column in which there is a snapshot, and one for each gap.
fn slices<'a>(
    snapshots: impl Iterator<Item = &'a Snapshot>,
    of: Of<'_>,
    gaps: &VecDeque<Gap>,
    axis: &TimeAxis,
) -> Vec<Slice> {
    let mut slices = Vec::new();
    let mut sessions: Vec<Known<'a>> = Vec::new();
    for snapshot in snapshots {
        let id = &snapshot.session.id;
        let Some(known) = sessions.iter_mut().rfind(|known| known.session == id) else {
            sessions.push(Known {
                session: id,
                until_ms: start_ms(snapshot),
                stats: None,
                pending: snapshot,
            });
            continue;
        };
        let column = |snapshot| axis.column(until_ms(snapshot).saturating_sub(1));
        let is_gap = gaps.iter().any(|gap| {
            gap.session == *id
                && gap.time_ms.start < until_ms(snapshot)
                && gap.time_ms.end > until_ms(known.pending)
        });
        if is_gap || column(snapshot) != column(known.pending) {
            slices.extend(known.take_pending(of, axis));
        }
        known.pending = snapshot;
        if is_gap {
            let slice = known.take_pending(of, axis);
            slices.extend(slice.map(|slice| Slice { is_gap, ..slice }));
        }
    }
    for known in &mut sessions {
        slices.extend(known.take_pending(of, axis));
    }
    slices.sort_by_key(|slice| slice.from_ms);
    slices
}

impl Known<'_> {
    /// What happened between what was known and the pending snapshot, which is known from now on.
    fn take_pending(&mut self, of: Of<'_>, axis: &TimeAxis) -> Option<Slice> {
        let stats = stats_of(self.pending, of.function, of.only);
        let until_ms = until_ms(self.pending);
        if until_ms == self.until_ms {
            // A gap's end was taken at once.
            return None;
        }
        let from_ms = std::mem::replace(&mut self.until_ms, until_ms).min(until_ms - 1);
        let before = std::mem::replace(&mut self.stats, stats);
        let stats = stats?;
        let latency = match before {
            Some(before) => stats.latency.since(&before.latency),
            None => stats.latency.clone(),
        };
        let was_measured = stats.attached || !latency.buckets.is_empty();
        was_measured.then(|| {
            let last = axis.column(until_ms - 1);
            Slice {
                // A slice that begins within a column before its own has that one's last instants.
                first: match before {
                    Some(_) => axis.column(from_ms - 1).saturating_add(1).min(last),
                    None => axis.column(from_ms).min(last),
                },
                last,
                from_ms,
                until_ms,
                latency,
                is_gap: false,
            }
        })
    }
}

/// When a snapshot's session began.
fn start_ms(snapshot: &Snapshot) -> i64 {
    snapshot.session.started_at.as_millisecond()
}

/// Until when a snapshot counts.
pub(crate) fn until_ms(snapshot: &Snapshot) -> i64 {
    start_ms(snapshot).saturating_add(millis(snapshot.session.elapsed).max(1))
}

fn millis(duration: Duration) -> i64 {
    i64::try_from(duration.as_millis()).unwrap_or(i64::MAX)
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use coral_model::{ExitProbe, Language, SessionInfo, SessionSettings, SessionState};
    use proptest::prelude::*;

    use super::*;

    const FUNCTION: FunctionId = FunctionId(3);
    const OF: Of<'_> = Of {
        function: FUNCTION,
        only: None,
    };

    fn target() -> Target {
        Target {
            agent_id: "local".into(),
            service: "shop".into(),
            pid: 1,
            exe: "/srv/shop".into(),
            build_id: None,
            language: Language::Go,
            start_ticks: 1,
        }
    }

    fn snapshot(session: &str, elapsed_ms: u64, latency: &Histogram) -> Snapshot {
        let mut stats = FunctionStats::new(FUNCTION, "main.f");
        (stats.attached, stats.exit_probe) = (true, ExitProbe::ReturnSites);
        stats.latency = latency.clone();
        Snapshot {
            session: SessionInfo {
                id: SessionId(session.into()),
                target: target(),
                other_pids: Vec::new(),
                started_at: "2026-03-01T03:12:09Z".parse().unwrap(),
                ended_at: None,
                requested_by: String::new(),
                elapsed: Duration::from_millis(elapsed_ms),
                remaining: Duration::ZERO,
                state: SessionState::Active,
                probes: 1,
                settings: SessionSettings::default(),
            },
            functions: vec![Arc::new(stats)],
            call_tree: Arc::default(),
            slow_calls: Vec::new(),
            in_flight: Vec::new(),
            notices: Vec::new(),
            accounting: coral_model::Accounting::default(),
            overhead: coral_model::Overhead::default(),
            replicas: Vec::new(),
        }
    }

    #[test]
    fn a_gap_between_snapshots_is_one_slice_over_all_its_columns() {
        let mut timeline = Timeline::default();
        let mut latency = Histogram::default();
        for elapsed_ms in [1_000, 2_000, 7_000] {
            latency.record(1_000_000);
            let snapshot = snapshot("a", elapsed_ms, &latency);
            timeline.push(Duration::from_millis(elapsed_ms), Arc::new(snapshot));
        }
        let history = History::of(&timeline, &target(), OF, Duration::MAX, 10).unwrap();
        assert_eq!(history.axis.step_ms, 800);
        let reached: Vec<_> = history.slices.iter().map(|s| (s.first, s.last)).collect();
        assert_eq!(reached, [(0, 1), (2, 2), (3, 8)]);
    }

    #[test]
    fn nothing_is_placed_in_a_time_that_nobody_saw() {
        let mut timeline = Timeline::default();
        let mut latency = Histogram::default();
        let at = Duration::from_millis;
        for elapsed_ms in [1_000, 2_000, 7_000, 8_000] {
            latency.record(1_000_000);
            let snapshot = snapshot("a", elapsed_ms, &latency);
            timeline.push(at(elapsed_ms), Arc::new(snapshot));
        }
        let began_ms = start_ms(&snapshot("a", 0, &latency));
        timeline.push_gap(Gap {
            session: SessionId("a".into()),
            shown: at(2_000)..at(7_000),
            time_ms: began_ms + 2_000..began_ms + 7_000,
        });
        let history = History::of(&timeline, &target(), OF, Duration::MAX, 10).unwrap();
        assert_eq!(history.axis.step_ms, 1_000);
        let columns = history.columns();
        let measured: Vec<bool> = columns.iter().map(Option::is_some).collect();
        let (yes, no) = (true, false);
        assert_eq!(measured, [yes, yes, no, no, no, no, no, yes, no, no]);
        assert_eq!(history.gaps.first(), Some(&(2..=6)));
        assert_eq!(history.all.count(), 4, "but it is counted");
    }

    proptest! {
        #[test]
        fn slices_add_up_to_what_was_measured(
            steps in prop::collection::vec((0u8..2, 1u64..5_000, 1u64..1_000_000_000), 1..60),
            columns in 1u16..200,
        ) {
            let mut timeline = Timeline::default();
            let mut sessions = [("a", Histogram::default()), ("b", Histogram::default())];
            let mut at_ms = 0;
            for (session, wait_ms, duration_ns) in steps {
                at_ms += wait_ms;
                let (id, latency) = &mut sessions[usize::from(session)];
                latency.record(duration_ns);
                let snapshot = snapshot(id, at_ms, latency);
                timeline.push(Duration::from_millis(at_ms), Arc::new(snapshot));
            }
            let mut measured = sessions[0].1.clone();
            measured.merge(&sessions[1].1);
            let history = History::of(&timeline, &target(), OF, Duration::MAX, columns);
            let history = history.unwrap();
            prop_assert_eq!(&history.all.buckets, &measured.buckets);
            prop_assert_eq!(history.all.total_ns, measured.total_ns);
            for slice in &history.slices {
                let columns = history.axis.column(slice.from_ms)..=slice.last;
                let shares = columns.map(|column| slice.share_in(&history.axis.range_ms(column)));
                prop_assert!((shares.sum::<f64>() - 1.0).abs() < 1e-9);
                prop_assert!(slice.first <= slice.last && slice.last <= history.newest);
                prop_assert!(slice.from_ms < slice.until_ms);
                let last = history.axis.range_ms(slice.last);
                prop_assert!(last.start < slice.until_ms && slice.until_ms <= last.end);
            }
        }

        #[test]
        fn any_time_has_an_axis(start in any::<i64>(), end in any::<i64>(), columns in 0u16..300) {
            let (start, end) = (start.min(end) / 2, start.max(end) / 2);
            let axis = TimeAxis::of(start, end, columns);
            prop_assert!(axis.column(start) <= axis.column(end));
            prop_assert!(axis.column(end) < axis.columns);
            prop_assert!(axis.range_ms(axis.column(start)).contains(&start));
        }
    }
}
