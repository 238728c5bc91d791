//! From entries of journals to rows, each once.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

use coral_model::{ReplicaState, SessionId, SessionState, Snapshot};
use duckdb::arrow::array::RecordBatch;
use duckdb::arrow::error::ArrowError;
use duckdb::types::Value;
use duckdb::{Connection, params, params_from_iter};
use jiff::Timestamp;

use super::columns::{Events, Functions, Nodes, TimeLine, taken_at};
use super::database::Rows;
use super::snapshots;
use super::values::{replica_state_name, to_sql_number, to_sql_time};
use super::{Batch, Content, JournalKey, JournalMark, New, StoreError};

/// What of the stored is held in memory, so that duplicates are known without a query.
#[derive(Debug, Default)]
pub(super) struct Memory {
    /// How far each journal is stored.
    pub(super) marks: HashMap<JournalKey, JournalMark>,
    /// The service of each session.
    pub(super) services: HashMap<SessionId, String>,
    /// The calls of each function of a replica at its last checkpoint, by place.
    calls: HashMap<JournalKey, Vec<u64>>,
}

impl Memory {
    pub(super) fn new(
        marks: HashMap<JournalKey, JournalMark>,
        services: HashMap<SessionId, String>,
    ) -> Self {
        Self {
            marks,
            services,
            calls: HashMap::new(),
        }
    }

    /// Forgets a session that is deleted.
    pub(super) fn forget(&mut self, session: &str) {
        let stays = |key: &JournalKey| key.session.0 != session;
        self.marks.retain(|key, _| stays(key));
        self.calls.retain(|key, _| stays(key));
        self.services.retain(|id, _| id.0 != session);
    }
}

/// Rows that several batches become, and what is known once they are stored.
#[derive(Debug, Default)]
pub(super) struct Staged {
    marks: HashMap<JournalKey, JournalMark>,
    calls: HashMap<JournalKey, Vec<u64>>,
    /// Of each replica the latest that these batches hold.
    latest: BTreeMap<JournalKey, Arc<Snapshot>>,
    /// Single calls of each session.
    event_counts: BTreeMap<SessionId, u64>,
    gaps: Vec<super::Gap>,
    events: Events,
    time_line: TimeLine,
}

impl Staged {
    /// Takes what of a batch is new, and returns the mark behind it.
    pub(super) fn take(&mut self, memory: &Memory, batch: &Batch) -> Result<u64, StoreError> {
        let key = &batch.journal;
        let service = memory.services.get(&key.session);
        let service = service.ok_or_else(|| StoreError::NoSuchSession {
            session: key.session.clone(),
        })?;
        let known = self.marks.get(key).or_else(|| memory.marks.get(key));
        let mut mark = known
            .cloned()
            .unwrap_or_else(|| JournalMark::new(key.clone()));
        for new in batch.behind(&mut mark) {
            self.take_new(memory, (key, service), &new)
                .map_err(|error| not_a_batch(&error))?;
        }
        let last_sequence = mark.last_sequence;
        self.marks.insert(key.clone(), mark);
        Ok(last_sequence)
    }

    fn take_new(
        &mut self,
        memory: &Memory,
        (key, service): (&JournalKey, &str),
        new: &New<'_>,
    ) -> Result<(), ArrowError> {
        match new.entry.map(|entry| &entry.content) {
            None => self.gap(key, new, None),
            // Of a gap that begins among what is stored, some of the calls are.
            Some(Content::Gap { calls }) => {
                self.gap(key, new, (!new.is_cut()).then_some(*calls));
            }
            Some(Content::Checkpoint(snapshot)) => {
                self.take_time_line(memory, (key, service), snapshot);
                self.latest.insert(key.clone(), Arc::clone(snapshot));
            }
            Some(Content::Calls(calls)) => {
                let last = *new.sequences.end();
                for (number, call) in (0..).zip(calls) {
                    self.events.push((key, service), last, number, call)?;
                }
                let count = self.event_counts.entry(key.session.clone()).or_default();
                *count += calls.len() as u64;
            }
        }
        Ok(())
    }

    /// Functions that were called since the checkpoint before.
    fn take_time_line(
        &mut self,
        memory: &Memory,
        of: (&JournalKey, &str),
        snapshot: &Arc<Snapshot>,
    ) {
        let known = self.calls.get(of.0).or_else(|| memory.calls.get(of.0));
        let before = known.map_or(&[][..], Vec::as_slice);
        for (place, function) in snapshot.functions.iter().enumerate() {
            if function.calls > before.get(place).copied().unwrap_or(0) {
                self.time_line.push(of, taken_at(snapshot), function);
            }
        }
        let calls = snapshot.functions.iter().map(|function| function.calls);
        self.calls.insert(of.0.clone(), calls.collect());
    }

    fn gap(&mut self, key: &JournalKey, new: &New<'_>, calls: Option<u64>) {
        self.gaps.push(super::Gap {
            journal: key.clone(),
            sequences: new.sequences.clone(),
            calls,
        });
    }

    /// Writes the rows within the transaction that is open.
    pub(super) fn write(
        &mut self,
        connection: &Connection,
        memory: &Memory,
        rows: &mut Rows,
    ) -> Result<(), StoreError> {
        let events = std::mem::take(&mut self.events);
        rows.add("uprobe_events", events.len());
        append(connection, "uprobe_events", events.finish())?;
        let time_line = std::mem::take(&mut self.time_line);
        rows.add("checkpoints", time_line.len());
        append(connection, "checkpoints", time_line.finish())?;
        self.write_latest(connection, memory, rows)?;
        self.write_gaps(connection, rows)?;
        self.write_marks(connection, memory, rows)?;
        for (session, count) in &self.event_counts {
            connection
                .prepare_cached(
                    "UPDATE debug_sessions SET event_count = event_count + ? WHERE session_id = ?",
                )?
                .execute(params![to_sql_number(*count), session.0])?;
        }
        Ok(())
    }

    /// Puts the latest numbers of replicas into the place of those before.
    fn write_latest(
        &self,
        connection: &Connection,
        memory: &Memory,
        rows: &mut Rows,
    ) -> Result<(), StoreError> {
        let mut functions = Functions::default();
        let mut nodes = Nodes::default();
        let known = |key: &&JournalKey| memory.marks.contains_key(*key);
        let known: Vec<_> = self.latest.keys().filter(known).collect();
        for table in ["function_stats", "call_nodes", "session_snapshots"] {
            rows.remove(table, delete(connection, table, &known)?);
        }
        for (key, snapshot) in &self.latest {
            let service = memory.services.get(&key.session).map_or("", String::as_str);
            for function in &snapshot.functions {
                functions.push((key, service), function);
            }
            let names: HashMap<_, _> = snapshot
                .functions
                .iter()
                .map(|function| (function.id, function.name.as_str()))
                .collect();
            for (id, node) in (0..).zip(&snapshot.call_tree.nodes) {
                let name = names.get(&node.function).copied().unwrap_or("?");
                nodes.push((key, service), id, node, name);
            }
            connection
                .prepare_cached("INSERT INTO session_snapshots VALUES (?, ?, ?, ?, ?, ?)")?
                .execute(params![
                    key.session.0,
                    key.agent_id,
                    key.epoch,
                    key.agent_session.0,
                    to_sql_time(taken_at(snapshot)),
                    snapshots::encode(snapshot),
                ])?;
            rows.add("session_snapshots", 1);
            if let SessionState::Ended(reason) = snapshot.session.state {
                end_replica(connection, key, ReplicaState::Ended(reason))?;
            }
        }
        rows.add("function_stats", functions.len());
        append(connection, "function_stats", functions.finish())?;
        rows.add("call_nodes", nodes.len());
        append(connection, "call_nodes", nodes.finish())
    }

    fn write_gaps(&self, connection: &Connection, rows: &mut Rows) -> Result<(), StoreError> {
        for gap in &self.gaps {
            let key = &gap.journal;
            connection
                .prepare_cached("INSERT INTO gaps VALUES (?, ?, ?, ?, ?, ?, ?, ?)")?
                .execute(params![
                    key.session.0,
                    key.agent_id,
                    key.epoch,
                    key.agent_session.0,
                    gap.sequences.start(),
                    gap.sequences.end(),
                    gap.calls.map(to_sql_number),
                    to_sql_time(Timestamp::now()),
                ])?;
        }
        rows.add("gaps", self.gaps.len() as u64);
        Ok(())
    }

    fn write_marks(
        &self,
        connection: &Connection,
        memory: &Memory,
        rows: &mut Rows,
    ) -> Result<(), StoreError> {
        for (key, mark) in &self.marks {
            let sql = if memory.marks.contains_key(key) {
                "UPDATE journal_marks SET last_sequence = ?5, is_complete = ?6 WHERE \
                 session_id = ?1 AND agent_id = ?2 AND agent_epoch = ?3 AND agent_session = ?4"
            } else {
                rows.add("journal_marks", 1);
                "INSERT INTO journal_marks VALUES (?1, ?2, ?3, ?4, ?5, ?6)"
            };
            connection.prepare_cached(sql)?.execute(params![
                key.session.0,
                key.agent_id,
                key.epoch,
                key.agent_session.0,
                mark.last_sequence,
                mark.is_complete,
            ])?;
        }
        Ok(())
    }

    /// Notes what is stored now.
    pub(super) fn remember(self, memory: &mut Memory) {
        for (key, calls) in self.calls {
            let mark = self.marks.get(&key);
            if mark.is_some_and(|mark| mark.is_complete) {
                memory.calls.remove(&key);
            } else {
                memory.calls.insert(key, calls);
            }
        }
        memory.marks.extend(self.marks);
    }
}

/// Deletes the rows of replicas, and returns how many there were.
fn delete(
    connection: &Connection,
    table: &str,
    keys: &[&JournalKey],
) -> Result<u64, duckdb::Error> {
    if keys.is_empty() {
        return Ok(0);
    }
    let tuples = vec!["(?, ?, ?::UBIGINT, ?)"; keys.len()].join(", ");
    let sql = format!(
        "DELETE FROM {table} WHERE (session_id, agent_id, agent_epoch, agent_session) \
         IN (VALUES {tuples})"
    );
    let values = keys.iter().flat_map(|key| {
        [
            Value::Text(key.session.0.clone()),
            Value::Text(key.agent_id.clone()),
            Value::UBigInt(key.epoch),
            Value::Text(key.agent_session.0.clone()),
        ]
    });
    let count = connection.execute(&sql, params_from_iter(values))?;
    Ok(count as u64)
}

fn end_replica(
    connection: &Connection,
    key: &JournalKey,
    state: ReplicaState,
) -> Result<(), duckdb::Error> {
    connection
        .prepare_cached(
            "UPDATE session_replicas SET state = ?, trouble = NULL WHERE session_id = ? \
             AND agent_id = ? AND agent_epoch = ? AND agent_session = ?",
        )?
        .execute(params![
            replica_state_name(state),
            key.session.0,
            key.agent_id,
            key.epoch,
            key.agent_session.0
        ])?;
    Ok(())
}

fn append(
    connection: &Connection,
    table: &str,
    batch: Result<RecordBatch, ArrowError>,
) -> Result<(), StoreError> {
    let batch = batch.map_err(|error| not_a_batch(&error))?;
    if batch.num_rows() > 0 {
        let mut appender = connection.appender(table)?;
        appender.append_record_batch(batch)?;
        appender.flush()?;
    }
    Ok(())
}

fn not_a_batch(error: &ArrowError) -> StoreError {
    StoreError::Failed {
        why: error.to_string(),
    }
}
