//! What sessions have measured, added up: histograms bucket by bucket, so nothing is averaged.

use std::cmp::Reverse;
use std::collections::BTreeMap;

use coral_model::{Bucket, Histogram, SessionId};
use duckdb::arrow::array::{Array, AsArray, RecordBatch};
use duckdb::arrow::datatypes::{Int64Type, UInt16Type};
use duckdb::types::Value;
use duckdb::{Connection, params};

use super::database::Database;
use super::sessions::{self, key};
use super::values::to_sql_time;
use super::{
    Gap, History, HistoryFunction, HistoryQuery, HistorySession, StoreError, StoredSession,
};

/// Sessions that one answer lists, the newest.
const SESSIONS_MAX: u32 = 10_000;

impl Database {
    /// What is known of a service's functions.
    pub(super) fn history(&mut self, query: &HistoryQuery) -> Result<History, StoreError> {
        let connection = self.connection()?;
        let service = Some(query.service.as_str());
        let stored = sessions::list(connection, service, query.since, SESSIONS_MAX)?;
        let mut total = Sums::default();
        let mut by_session = BTreeMap::new();
        for (id, sums) in functions(connection, query)? {
            let mut functions = sums.into_list();
            // Replicas were added up, and are one session.
            functions.iter_mut().for_each(|sum| sum.sessions = 1);
            // All of them count, though not all are listed.
            functions.iter().for_each(|function| total.add(function));
            by_session.insert(id, functions);
        }
        let session = |session: StoredSession| HistorySession {
            functions: by_session.remove(&session.begun.id).unwrap_or_default(),
            session,
        };
        let is_asked_for =
            |it: &HistorySession| query.pattern.is_none() || !it.functions.is_empty();
        let sessions: Vec<_> = stored
            .into_iter()
            .map(session)
            .filter(is_asked_for)
            .collect();
        Ok(History {
            functions: total.into_list(),
            gaps: gaps(connection, query)?,
            sessions,
        })
    }
}

/// Functions by name.
#[derive(Debug, Default)]
struct Sums(BTreeMap<String, HistoryFunction>);

impl Sums {
    fn add(&mut self, part: &HistoryFunction) {
        let Some(sum) = self.0.get_mut(&part.name) else {
            self.0.insert(part.name.clone(), part.clone());
            return;
        };
        sum.sessions = sum.sessions.saturating_add(part.sessions);
        sum.calls = sum.calls.saturating_add(part.calls);
        sum.returns = sum.returns.saturating_add(part.returns);
        sum.unwound = sum.unwound.saturating_add(part.unwound);
        sum.in_flight = sum.in_flight.saturating_add(part.in_flight);
        // Where one cannot tell, nobody can for all of them.
        sum.errors = match (sum.errors, part.errors) {
            (Some(sum), Some(part)) => Some(sum.saturating_add(part)),
            _ => None,
        };
        add_histogram(&mut sum.latency, &part.latency);
    }

    /// Those with the most calls first.
    fn into_list(self) -> Vec<HistoryFunction> {
        let mut list: Vec<_> = self.0.into_values().collect();
        list.sort_by_key(|function| Reverse(function.calls));
        list
    }
}

/// Adds durations; what agents say may not overflow the sum.
fn add_histogram(sum: &mut Histogram, part: &Histogram) {
    let total_ns = sum.total_ns.saturating_add(part.total_ns);
    let mut part = part.clone();
    part.total_ns = 0;
    let room = u64::MAX - sum.count();
    if part.count() <= room {
        sum.merge(&part);
        sum.total_ns = total_ns;
    }
}

const OF_QUERY: &str = "session_id IN (SELECT session_id FROM debug_sessions \
                        WHERE service_name = ? AND (ended_at IS NULL OR ended_at >= ?))";

/// What the replicas of each session add up to.
fn functions(
    connection: &Connection,
    query: &HistoryQuery,
) -> Result<BTreeMap<SessionId, Sums>, StoreError> {
    let names = names(connection, query)?;
    let sql = format!(
        "SELECT session_id, function_name, calls, returns, unwound, in_flight, errors, total_ns, \
         min_ns, max_ns, bucket_index, bucket_count FROM function_stats WHERE {OF_QUERY} \
         AND list_contains(?::VARCHAR[], function_name)"
    );
    let mut statement = connection.prepare(&sql)?;
    let names = Value::List(names.into_iter().map(Value::Text).collect());
    let since = to_sql_time(query.since);
    let batches = statement.stream_arrow(params![query.service, since, names])?;
    let mut sessions: BTreeMap<SessionId, Sums> = BTreeMap::new();
    for batch in batches {
        let batch = batch?;
        let ids = batch.column(0).as_string::<i32>();
        for row in 0..batch.num_rows() {
            let id = SessionId(ids.value(row).to_owned());
            sessions.entry(id).or_default().add(&function(&batch, row));
        }
    }
    Ok(sessions)
}

/// A row, with the columns that `functions` asks for.
fn function(batch: &RecordBatch, row: usize) -> HistoryFunction {
    let column = |place: usize| batch.column(place).as_primitive::<Int64Type>();
    let number = |place| column(place).value(row).unsigned_abs();
    let perhaps = |place| column(place).is_valid(row).then(|| number(place));
    let list = |place: usize| batch.column(place).as_list::<i32>().value(row);
    let (indexes, counts) = (list(10), list(11));
    let indexes = indexes.as_primitive::<UInt16Type>().values();
    let counts = counts.as_primitive::<Int64Type>().values();
    let bucket = |(&index, count): (&u16, &i64)| Bucket {
        index,
        count: count.unsigned_abs(),
    };
    HistoryFunction {
        name: batch.column(1).as_string::<i32>().value(row).to_owned(),
        sessions: 1,
        calls: number(2),
        returns: number(3),
        unwound: number(4),
        in_flight: number(5),
        errors: perhaps(6),
        latency: Histogram {
            buckets: indexes.iter().zip(counts).map(bucket).collect(),
            total_ns: number(7),
            min_ns: perhaps(8).unwrap_or(0),
            max_ns: perhaps(9).unwrap_or(0),
        },
    }
}

/// The functions that are meant: a whole name goes before last parts of longer ones.
fn names(connection: &Connection, query: &HistoryQuery) -> Result<Vec<String>, StoreError> {
    let sql = format!("SELECT DISTINCT function_name FROM function_stats WHERE {OF_QUERY}");
    let mut statement = connection.prepare(&sql)?;
    let arguments = params![query.service, to_sql_time(query.since)];
    let names = statement.query_map(arguments, |row| row.get(0))?;
    let mut names: Vec<String> = names.collect::<Result<_, _>>()?;
    if let Some(pattern) = &query.pattern {
        let is_whole = |name: &String| name == pattern.text();
        if !pattern.selects_many() && names.iter().any(is_whole) {
            names.retain(is_whole);
        } else {
            names.retain(|name| pattern.matches(name));
        }
    }
    Ok(names)
}

fn gaps(connection: &Connection, query: &HistoryQuery) -> Result<Vec<Gap>, StoreError> {
    let sql = format!("SELECT * FROM gaps WHERE {OF_QUERY} ORDER BY noticed_at");
    let mut statement = connection.prepare(&sql)?;
    let arguments = params![query.service, to_sql_time(query.since)];
    let rows = statement.query_map(arguments, |row| {
        let calls: Option<i64> = row.get("calls")?;
        Ok(Gap {
            journal: key(row)?,
            sequences: row.get("first_sequence")?..=row.get("last_sequence")?,
            calls: calls.map(i64::unsigned_abs),
        })
    })?;
    Ok(rows.collect::<Result<_, _>>()?)
}
