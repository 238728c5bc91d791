//! What is stored, and what is found again.

use std::ops::RangeInclusive;
use std::path::PathBuf;
use std::sync::Arc;

use coral_model::{
    CallRecord, Histogram, Pattern, ReplicaState, SessionId, SessionSettings, SessionState,
    Snapshot, Target,
};
use jiff::Timestamp;

/// A session of the colony, as it begins.
#[derive(Clone, Debug, PartialEq)]
pub struct NewSession {
    /// Its name.
    pub id: SessionId,
    /// The service whose replicas it measures.
    pub service: String,
    /// Who asked for it.
    pub requested_by: String,
    /// How they have proven who they are; empty where that is not known.
    pub requested_via: String,
    /// When it began.
    pub started_at: Timestamp,
    /// When its lease ends at the latest.
    pub expires_at: Timestamp,
    /// The functions that were asked for, as they were written.
    pub functions: Vec<String>,
    /// What it is asked to do.
    pub settings: SessionSettings,
    /// The request, for the caller alone: it starts the session on replicas that come later.
    pub request: Vec<u8>,
}

/// A session as it was stored.
#[derive(Clone, Debug, PartialEq)]
pub struct StoredSession {
    /// As it began.
    pub begun: NewSession,
    /// What was changed since, in the words of the caller of [`super::Store::change_session`].
    pub changes: Option<String>,
    /// When it ended.
    pub ended_at: Option<Timestamp>,
    /// Whether it still measures, and why not.
    pub state: SessionState,
    /// How many single calls were stored, also those that are deleted by now.
    pub events: u64,
    /// How many processes it measured.
    pub replicas: u32,
    /// The agents of these, by name.
    pub agent_ids: Vec<String>,
}

/// A process in a session.
#[derive(Clone, Debug, PartialEq)]
pub struct ReplicaRow {
    /// Its journal; the session of the agent in it is empty where there is none.
    pub journal: JournalKey,
    /// The process.
    pub target: Target,
    /// When it was measured first.
    pub started_at: Option<Timestamp>,
    /// Whether it is measured.
    pub state: ReplicaState,
    /// Why it is not, or since when nothing is heard of it.
    pub trouble: Option<String>,
}

/// Names the journal of an agent's session in a session of the colony.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct JournalKey {
    /// The session of the colony.
    pub session: SessionId,
    /// The agent.
    pub agent_id: String,
    /// The start of the agent: ascending.
    pub epoch: u64,
    /// The session of the agent.
    pub agent_session: SessionId,
}

/// How far a journal is stored.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct JournalMark {
    /// Which journal.
    pub journal: JournalKey,
    /// The last entry that is stored; 0 for none.
    pub last_sequence: u64,
    /// Whether that was the journal's last one.
    pub is_complete: bool,
}

impl JournalMark {
    /// A journal of which nothing is stored.
    pub fn new(journal: JournalKey) -> Self {
        Self {
            journal,
            last_sequence: 0,
            is_complete: false,
        }
    }
}

/// Entries of a journal, to be stored together.
#[derive(Clone, Debug)]
pub struct Batch {
    /// Which journal.
    pub journal: JournalKey,
    /// Its entries, ascending.
    pub entries: Vec<Entry>,
}

/// What of a batch is not stored yet.
#[derive(Clone, Debug)]
pub struct New<'a> {
    /// The numbers that it has, behind what is stored.
    pub sequences: RangeInclusive<u64>,
    /// The entry; none where one should be and is not.
    pub entry: Option<&'a Entry>,
}

impl New<'_> {
    /// Whether the entry has numbers as well that are stored already.
    pub fn is_cut(&self) -> bool {
        self.entry
            .is_some_and(|entry| entry.sequences.start() < self.sequences.start())
    }
}

impl Batch {
    /// What of it is new behind a mark, which moves on behind it: each entry once, and between
    /// them what is missing.
    pub fn behind(&self, mark: &mut JournalMark) -> Vec<New<'_>> {
        let mut new = Vec::new();
        for entry in &self.entries {
            let (first, last) = (*entry.sequences.start(), *entry.sequences.end());
            if last <= mark.last_sequence {
                continue;
            }
            let next = mark.last_sequence + 1;
            if first > next {
                new.push(New {
                    sequences: next..=first - 1,
                    entry: None,
                });
            }
            new.push(New {
                sequences: first.max(next)..=last,
                entry: Some(entry),
            });
            mark.last_sequence = last;
            mark.is_complete |= entry.is_last;
        }
        new
    }
}

/// An entry of a journal.
#[derive(Clone, Debug)]
pub struct Entry {
    /// Its numbers: several where a checkpoint took several messages, or where entries are missing.
    pub sequences: RangeInclusive<u64>,
    /// What it holds.
    pub content: Content,
    /// Whether nothing will follow.
    pub is_last: bool,
}

impl Entry {
    /// An entry with one number, which others follow.
    pub fn new(sequence: u64, content: Content) -> Self {
        Self {
            sequences: sequence..=sequence,
            content,
            is_last: false,
        }
    }
}

/// What an entry holds.
#[derive(Clone, Debug)]
pub enum Content {
    /// The agent's session as it was when the entry was written.
    Checkpoint(Arc<Snapshot>),
    /// Calls that were recorded since the entry before.
    Calls(Vec<StoredCall>),
    /// The agent had to drop these entries; they held so many calls.
    Gap {
        /// How many calls are lost.
        calls: u64,
    },
}

/// A recorded call.
#[derive(Clone, Debug, PartialEq)]
pub struct StoredCall {
    /// The function, by its name.
    pub function: String,
    /// The call.
    pub record: CallRecord,
}

/// The latest that is known of a replica.
#[derive(Clone, Debug, PartialEq)]
pub struct StoredSnapshot {
    /// Its journal.
    pub journal: JournalKey,
    /// The agent's session.
    pub snapshot: Arc<Snapshot>,
    /// Whether nothing will follow.
    pub is_final: bool,
}

/// What the history is asked for.
#[derive(Clone, Debug)]
pub struct HistoryQuery {
    /// The service.
    pub service: String,
    /// Which functions; `None` for all.
    pub pattern: Option<Pattern>,
    /// Sessions that measured since then.
    pub since: Timestamp,
}

/// What sessions have measured.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct History {
    /// What they add up to, by function, those with the most calls first.
    pub functions: Vec<HistoryFunction>,
    /// The sessions, newest first.
    pub sessions: Vec<HistorySession>,
    /// Entries of their journals that are missing.
    pub gaps: Vec<Gap>,
}

/// The numbers of a function in one or more sessions: exact sums over replicas.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct HistoryFunction {
    /// Its name.
    pub name: String,
    /// In how many sessions it was measured.
    pub sessions: u32,
    /// Entries.
    pub calls: u64,
    /// Calls that returned.
    pub returns: u64,
    /// Calls that were left without passing an exit.
    pub unwound: u64,
    /// Calls that were not left.
    pub in_flight: u64,
    /// Calls that returned an error; `None` where one replica cannot tell.
    pub errors: Option<u64>,
    /// The durations.
    pub latency: Histogram,
}

/// A session in the history.
#[derive(Clone, Debug, PartialEq)]
pub struct HistorySession {
    /// The session.
    pub session: StoredSession,
    /// Those of its functions that were asked for, those with the most calls first.
    pub functions: Vec<HistoryFunction>,
}

/// Entries of a journal that are missing.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Gap {
    /// Which journal.
    pub journal: JournalKey,
    /// Which entries.
    pub sequences: RangeInclusive<u64>,
    /// How many calls they held, where the agent said that.
    pub calls: Option<u64>,
}

/// What a file that was opened turned out to be.
#[derive(Clone, Debug, PartialEq)]
pub struct Opened {
    /// The version that it had; 0 for one that is new.
    pub version_found: u32,
    /// What its ledger knows of and the file does not: none, unless something damaged it.
    pub losses: Vec<Loss>,
    /// The sessions that were running when it was closed.
    pub running: Vec<StoredSession>,
}

/// Committed rows that are not there any more.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Loss {
    /// The table; `commits` stands for whole transactions.
    pub table: String,
    /// How many.
    pub rows: u64,
}

/// What leaves the history as files at a time.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ExportPlan {
    /// Its name: the time at which it was decided what it holds.
    pub id: String,
    /// How many single calls it holds.
    pub events: u64,
}

/// A file of an export.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ExportFile {
    /// Where it lies.
    pub path: PathBuf,
    /// The name that it is to have elsewhere, with its folders: the same whenever it is made.
    pub name: String,
    /// Its size.
    pub bytes: u64,
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What of entries with these numbers is new behind a mark, whether it is there, and cut.
    fn new(mark: u64, entries: &[(u64, u64)]) -> Vec<(RangeInclusive<u64>, bool, bool)> {
        let journal = JournalKey {
            session: SessionId("cs-1".into()),
            agent_id: "node-1".into(),
            epoch: 1,
            agent_session: SessionId("dbg-1".into()),
        };
        let mut mark = JournalMark {
            last_sequence: mark,
            ..JournalMark::new(journal.clone())
        };
        let entries = entries.iter().map(|&(first, last)| Entry {
            sequences: first..=last,
            content: Content::Gap { calls: 1 },
            is_last: false,
        });
        let batch = Batch {
            journal,
            entries: entries.collect(),
        };
        let new = batch.behind(&mut mark);
        new.iter()
            .map(|new| (new.sequences.clone(), new.entry.is_some(), new.is_cut()))
            .collect()
    }

    #[test]
    fn what_is_stored_is_not_new_and_what_is_missing_is_between() {
        assert_eq!(new(2, &[(1, 1), (2, 2)]), []);
        assert_eq!(new(2, &[(1, 3)]), [(3..=3, true, true)]);
        let between = [(1..=1, false, false), (2..=4, true, false)];
        assert_eq!(new(0, &[(2, 4), (3, 4)]), between);
        assert_eq!(new(u64::MAX, &[(u64::MAX, u64::MAX)]), []);
        let last = [
            (1..=u64::MAX - 1, false, false),
            (u64::MAX..=u64::MAX, true, false),
        ];
        assert_eq!(new(0, &[(u64::MAX, u64::MAX)]), last);
    }
}
