//! What sessions have measured, added up: histograms bucket by bucket, so nothing is averaged.

use std::cmp::Reverse;
use std::collections::BTreeMap;

use coral_model::{Bucket, Histogram, Pattern, SessionId};
use duckdb::{Connection, Row, params};

use super::database::Database;
use super::sessions::{self, key};
use super::values::{numbers, to_sql_time};
use super::{
    Gap, History, HistoryFunction, HistoryQuery, HistorySession, StoreError, StoredSession,
};

/// Sessions that one answer looks at, the newest.
const SESSIONS_MAX: u32 = 10_000;

impl Database {
    /// What is known of a service's functions.
    pub(super) fn history(&mut self, query: &HistoryQuery) -> Result<History, StoreError> {
        let connection = self.connection()?;
        let service = Some(query.service.as_str());
        let stored = sessions::list(connection, service, query.since, SESSIONS_MAX)?;
        let rows = functions(connection, query)?;
        let rows = of_pattern(rows, query.pattern.as_ref());
        let replicas = replicas(connection, query)?;
        let mut by_session: BTreeMap<&SessionId, Sums> = BTreeMap::new();
        for (session, function) in &rows {
            by_session.entry(session).or_default().add(function);
        }
        let session = |session: StoredSession| {
            let functions = by_session.remove(&session.begun.id);
            let mut functions = functions.unwrap_or_default().into_list();
            // Replicas were added up, and are one session.
            functions.iter_mut().for_each(|sum| sum.sessions = 1);
            HistorySession {
                replicas: replicas.get(&session.begun.id).copied().unwrap_or(0),
                functions,
                session,
            }
        };
        let is_asked_for =
            |it: &HistorySession| query.pattern.is_none() || !it.functions.is_empty();
        let sessions: Vec<_> = stored
            .into_iter()
            .map(session)
            .filter(is_asked_for)
            .collect();
        let mut total = Sums::default();
        for function in sessions.iter().flat_map(|session| &session.functions) {
            total.add(function);
        }
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

/// One for each function of each replica, with its session.
fn functions(
    connection: &Connection,
    query: &HistoryQuery,
) -> Result<Vec<(SessionId, HistoryFunction)>, StoreError> {
    let sql = format!(
        "SELECT session_id, function_name, calls, returns, unwound, in_flight, errors, total_ns, \
         min_ns, max_ns, bucket_index, bucket_count FROM function_stats WHERE {OF_QUERY}"
    );
    let mut statement = connection.prepare(&sql)?;
    let arguments = params![query.service, to_sql_time(query.since)];
    let rows = statement.query_map(arguments, |row| {
        Ok((SessionId(row.get(0)?), function(row)?))
    })?;
    Ok(rows.collect::<Result<_, _>>()?)
}

fn function(row: &Row<'_>) -> Result<HistoryFunction, duckdb::Error> {
    let number = |column| row.get::<_, i64>(column).map(i64::unsigned_abs);
    let perhaps = |column| {
        let number = row.get::<_, Option<i64>>(column);
        number.map(|number| number.map(i64::unsigned_abs))
    };
    let indexes = numbers(row.get("bucket_index")?);
    let counts = numbers(row.get("bucket_count")?);
    let bucket = |(index, count)| Bucket {
        // The column has 16 bits.
        index: index as u16,
        count,
    };
    Ok(HistoryFunction {
        name: row.get("function_name")?,
        sessions: 1,
        calls: number("calls")?,
        returns: number("returns")?,
        unwound: number("unwound")?,
        in_flight: number("in_flight")?,
        errors: perhaps("errors")?,
        latency: Histogram {
            buckets: indexes.into_iter().zip(counts).map(bucket).collect(),
            total_ns: number("total_ns")?,
            min_ns: perhaps("min_ns")?.unwrap_or(0),
            max_ns: perhaps("max_ns")?.unwrap_or(0),
        },
    })
}

/// Those that are meant: a whole name goes before last parts of longer ones.
fn of_pattern(
    rows: Vec<(SessionId, HistoryFunction)>,
    pattern: Option<&Pattern>,
) -> Vec<(SessionId, HistoryFunction)> {
    let Some(pattern) = pattern else {
        return rows;
    };
    let is_whole = |function: &HistoryFunction| function.name == pattern.text();
    let whole_alone = rows.iter().any(|(_, function)| is_whole(function));
    let whole_alone = whole_alone && !pattern.selects_many();
    let is_meant = |function: &HistoryFunction| {
        is_whole(function) || !whole_alone && pattern.matches(&function.name)
    };
    let rows = rows.into_iter();
    rows.filter(|(_, function)| is_meant(function)).collect()
}

fn replicas(
    connection: &Connection,
    query: &HistoryQuery,
) -> Result<BTreeMap<SessionId, u32>, StoreError> {
    let sql = format!(
        "SELECT session_id, count(*) FROM session_replicas WHERE {OF_QUERY} GROUP BY session_id"
    );
    let mut statement = connection.prepare(&sql)?;
    let arguments = params![query.service, to_sql_time(query.since)];
    let rows = statement.query_map(arguments, |row| Ok((SessionId(row.get(0)?), row.get(1)?)))?;
    Ok(rows.collect::<Result<_, _>>()?)
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
