//! Whatever happens in whatever order: nothing is lost unnamed, and nothing is said twice.

use std::collections::BTreeMap;

use proptest::prelude::*;

use super::*;

/// What can happen to the spool of an agent.
#[derive(Clone, Debug)]
enum Event {
    /// The session records so many calls.
    Calls(u64),
    /// So many calls never come to the journal.
    LeftOut(u64),
    Checkpoint,
    /// The session ends, and another one begins.
    End,
    /// Who stores the journals takes at most so many entries of each.
    Read(usize),
    /// It has stored what it took.
    Acknowledge,
    /// The agent is killed and starts again.
    Crash,
}

fn events() -> impl Strategy<Value = Vec<Event>> {
    let event = prop_oneof![
        8 => (1..20_u64).prop_map(Event::Calls),
        1 => (1..20_u64).prop_map(Event::LeftOut),
        3 => Just(Event::Checkpoint),
        1 => Just(Event::End),
        3 => (0..6_usize).prop_map(Event::Read),
        2 => Just(Event::Acknowledge),
        1 => Just(Event::Crash),
    ];
    prop::collection::vec(event, 1..60)
}

/// What somebody has stored of a journal.
#[derive(Debug, Default)]
struct Stored {
    last_sequence: u64,
    durations: Vec<u64>,
    /// Calls that gaps have named whose entries nobody had before.
    named: u64,
    /// Calls that gaps have named that begin among entries that are stored: some of them are.
    named_at_most: u64,
    is_over: bool,
}

struct World {
    folder: TempDir,
    max_bytes: u64,
    spool: Arc<Spool>,
    writer: Option<Writer>,
    session: (u64, String),
    /// How many calls each session has recorded.
    recorded: BTreeMap<(u64, String), Recorded>,
    stored: BTreeMap<(u64, String), Stored>,
    next_duration: u64,
}

/// What a session has recorded.
#[derive(Debug, Default)]
struct Recorded {
    calls: u64,
    /// Those that no entry names by now; a crash forgets them.
    pending: u64,
    /// Those that were forgotten so.
    forgotten: u64,
}

impl World {
    fn new(max_bytes: u64) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let mut world = Self {
            spool: open(folder.path(), max_bytes),
            folder,
            max_bytes,
            writer: None,
            session: (0, String::new()),
            recorded: BTreeMap::new(),
            stored: BTreeMap::new(),
            next_duration: 0,
        };
        world.begin();
        world
    }

    fn begin(&mut self) {
        let session = format!("dbg-{:03}", self.recorded.len());
        let writer = self.spool.begin(&session, "");
        self.session = (self.spool.epoch(), session);
        self.recorded
            .insert(self.session.clone(), Recorded::default());
        // Where even that finds no room, the session goes on all the same.
        let _ = writer.checkpoint(active(), false);
        self.writer = Some(writer);
    }

    fn happen(&mut self, event: &Event) {
        let writer = self.writer.as_ref().unwrap();
        let recorded = self.recorded.get_mut(&self.session).unwrap();
        match *event {
            Event::Calls(count) => {
                let durations = self.next_duration..self.next_duration + count;
                self.next_duration += count;
                recorded.calls += count;
                match writer.calls(calls(durations)) {
                    Ok(()) => recorded.pending = 0,
                    Err(_) => recorded.pending += count,
                }
            }
            Event::LeftOut(count) => {
                recorded.calls += count;
                recorded.pending += count;
                writer.leave_out(count);
            }
            Event::Checkpoint => {
                if writer.checkpoint(active(), false).is_ok() {
                    recorded.pending = 0;
                }
            }
            Event::End => {
                if writer.checkpoint(expired(), true).is_ok() {
                    recorded.pending = 0;
                    self.begin();
                }
            }
            Event::Read(count) => self.read(count),
            Event::Acknowledge => self.acknowledge(),
            Event::Crash => {
                self.crash(self.max_bytes);
                self.begin();
            }
        }
    }

    /// Dropping the writer and the spool is what a kill leaves: written is what was written.
    fn crash(&mut self, max_bytes: u64) {
        let recorded = self.recorded.get_mut(&self.session).unwrap();
        recorded.forgotten = recorded.pending;
        self.writer = None;
        let other = tempfile::tempdir().unwrap();
        // The lock goes with the old one.
        self.spool = open(other.path(), max_bytes);
        self.spool = open(self.folder.path(), max_bytes);
    }

    fn read(&mut self, count: usize) {
        for key in self.recorded.keys() {
            let stored = self.stored.entry(key.clone()).or_default();
            let entries = read(&self.spool, key.0, &key.1, stored.last_sequence);
            for entry in entries.iter().take(count) {
                stored.take(entry);
            }
        }
    }

    fn acknowledge(&mut self) {
        for ((epoch, session), stored) in &self.stored {
            let stored = stored.last_sequence;
            self.spool.acknowledge(*epoch, session, stored).unwrap();
        }
    }
}

impl Stored {
    fn take(&mut self, entry: &JournalEntry) {
        assert!(!self.is_over, "nothing comes behind the last entry");
        let first = entry
            .gap
            .as_ref()
            .map_or(entry.sequence, |gap| gap.first_sequence);
        match &entry.gap {
            Some(gap) if first <= self.last_sequence => self.named_at_most += gap.calls,
            Some(gap) => self.named += gap.calls,
            None => {}
        }
        assert!(entry.sequence > self.last_sequence, "numbers ascend");
        assert!(first <= self.last_sequence + 1, "no number is missing");
        self.last_sequence = entry.sequence;
        self.durations
            .extend(durations(std::slice::from_ref(entry)));
        self.is_over = entry.is_last;
    }
}

proptest! {
    // The disk is waited for in each of them.
    #![proptest_config(ProptestConfig::with_cases(64))]
    #[test]
    fn nothing_is_lost_unnamed_and_nothing_is_said_twice(
        events in events(),
        max_bytes in prop_oneof![Just(ROOMY), 1_500..20_000_u64],
    ) {
        let mut world = World::new(max_bytes);
        for event in &events {
            world.happen(event);
            let used: u64 = files(world.folder.path())
                .iter()
                .map(|file| file.metadata().unwrap().len())
                .sum();
            prop_assert!(used <= max_bytes, "{used} bytes");
        }
        // At last there is room for all ends.
        world.crash(ROOMY);
        world.read(usize::MAX);
        for (key, recorded) in &world.recorded {
            let stored = &world.stored[key];
            prop_assert!(stored.durations.is_sorted_by(|one, next| one < next), "{key:?}");
            let missing = recorded.calls - recorded.forgotten - stored.durations.len() as u64;
            prop_assert!(stored.named <= missing, "{key:?}: {stored:?} of {recorded:?}");
            let named_max = stored.named + stored.named_at_most;
            prop_assert!(missing <= named_max, "{key:?}: {stored:?} of {recorded:?}");
        }
        world.acknowledge();
        prop_assert_eq!(world.spool.list(), []);
    }
}
