//! What a colony remembers of functions, as a document and for people.

use std::borrow::Cow;
use std::io;

use coral_model::{Histogram, SessionState, escape};
use jiff::Timestamp;
use serde::Serialize;

use super::csv;
use super::session::{BucketEntry, LatencyEntry};
use super::table::{Column, Kind, write_table};
use super::text::duration;

/// What sessions have measured of functions of a service.
#[derive(Clone, Debug, Default)]
pub struct History {
    /// The service.
    pub service: String,
    /// The pattern of the functions that were asked for; `None` for all.
    pub function: Option<String>,
    /// What they add up to, by function.
    pub functions: Vec<RememberedFunction>,
    /// The sessions, newest first.
    pub sessions: Vec<RememberedSession>,
    /// What is known to be missing.
    pub losses: Vec<String>,
}

/// The numbers of a function in one or more sessions.
#[derive(Clone, Debug, Default)]
#[allow(missing_docs)] // as in `FunctionStats`
pub struct RememberedFunction {
    pub name: String,
    /// In how many sessions it was measured.
    pub sessions: u32,
    pub calls: u64,
    pub returns: u64,
    pub unwound: u64,
    pub in_flight: u64,
    pub errors: Option<u64>,
    pub latency: Histogram,
}

/// A session that is remembered.
#[derive(Clone, Debug)]
#[allow(missing_docs)] // as in `SessionInfo`
pub struct RememberedSession {
    pub id: String,
    pub started_at: Timestamp,
    pub ended_at: Option<Timestamp>,
    pub requested_by: String,
    pub state: SessionState,
    pub replicas: u32,
    /// How many single calls were stored.
    pub events: u64,
}

/// The history as a document, `coral.history.v1`.
#[derive(Clone, Debug, Serialize)]
pub struct HistoryDocument<'a> {
    schema: &'static str,
    service: Cow<'a, str>,
    functions: Vec<FunctionEntry<'a>>,
    sessions: Vec<SessionEntry<'a>>,
    losses: Vec<Cow<'a, str>>,
}

#[derive(Clone, Debug, Serialize)]
struct FunctionEntry<'a> {
    name: Cow<'a, str>,
    sessions: u32,
    calls: u64,
    returns: u64,
    unwound: u64,
    in_flight: u64,
    errors: Option<u64>,
    latency: LatencyEntry,
    histogram: Vec<BucketEntry>,
}

#[derive(Clone, Debug, Serialize)]
struct SessionEntry<'a> {
    id: Cow<'a, str>,
    started_at: Timestamp,
    ended_at: Option<Timestamp>,
    requested_by: Cow<'a, str>,
    end_reason: Option<&'static str>,
    replicas: u32,
    events: u64,
}

/// The document of what is remembered.
pub fn history_document(history: &History) -> HistoryDocument<'_> {
    let function = |it| FunctionEntry::of(it);
    HistoryDocument {
        schema: "coral.history.v1",
        service: escape(&history.service),
        functions: history.functions.iter().map(function).collect(),
        sessions: history.sessions.iter().map(SessionEntry::of).collect(),
        losses: history.losses.iter().map(|it| escape(it)).collect(),
    }
}

impl<'a> FunctionEntry<'a> {
    fn of(function: &'a RememberedFunction) -> Self {
        let buckets = function.latency.buckets.iter();
        Self {
            name: escape(&function.name),
            sessions: function.sessions,
            calls: function.calls,
            returns: function.returns,
            unwound: function.unwound,
            in_flight: function.in_flight,
            errors: function.errors,
            latency: LatencyEntry::of(&function.latency),
            histogram: buckets.map(BucketEntry::of).collect(),
        }
    }
}

impl<'a> SessionEntry<'a> {
    fn of(session: &'a RememberedSession) -> Self {
        Self {
            id: escape(&session.id),
            started_at: session.started_at,
            ended_at: session.ended_at,
            requested_by: escape(&session.requested_by),
            end_reason: end_reason(session.state),
            replicas: session.replicas,
            events: session.events,
        }
    }
}

fn end_reason(state: SessionState) -> Option<&'static str> {
    match state {
        SessionState::Active => None,
        SessionState::Ended(reason) => Some(reason.name()),
    }
}

/// Writes it as tables, in lines of at most `width` columns where names allow it.
///
/// # Errors
/// Those of `out`.
pub fn write_text(out: &mut impl io::Write, history: &History, width: usize) -> io::Result<()> {
    if history.sessions.is_empty() {
        let service = escape(&history.service);
        let what = history
            .function
            .as_ref()
            .map_or_else(String::new, |pattern| {
                format!(" that measured a function called {}", escape(pattern))
            });
        return writeln!(
            out,
            "No session of {service} within that time is remembered{what}; --since looks further back."
        );
    }
    let column = |title, kind| Column { title, kind };
    let columns = [
        column("FUNCTION", Kind::Name),
        column("SESSIONS", Kind::Number),
        column("CALLS", Kind::Number),
        column("ERRORS", Kind::Number),
        column("P50", Kind::Number),
        column("P95", Kind::Number),
        column("P99", Kind::Number),
        column("MAX", Kind::Number),
    ];
    write_table(out, columns, width, &history.functions, |it| {
        let percentile = |percent| duration(it.latency.percentile_ns(percent));
        [
            escape(&it.name),
            it.sessions.to_string().into(),
            it.calls.to_string().into(),
            it.errors
                .map_or("-".into(), |errors| errors.to_string().into()),
            percentile(50.0),
            percentile(95.0),
            percentile(99.0),
            percentile(100.0),
        ]
    })?;
    writeln!(out)?;
    let columns = [
        column("SESSION", Kind::Phrase),
        column("STARTED", Kind::Phrase),
        column("BY", Kind::Phrase),
        column("END", Kind::Phrase),
        column("REPLICAS", Kind::Number),
        column("EVENTS", Kind::Number),
    ];
    write_table(out, columns, width, &history.sessions, |it| {
        [
            escape(&it.id),
            format!("{:.0}", it.started_at).into(),
            escape(&it.requested_by),
            end_reason(it.state).unwrap_or("active").into(),
            it.replicas.to_string().into(),
            it.events.to_string().into(),
        ]
    })?;
    for loss in &history.losses {
        writeln!(out, "missing: {}", escape(loss))?;
    }
    Ok(())
}

/// Writes a row for each function.
///
/// # Errors
/// Those of `out`.
pub fn write_csv(out: impl io::Write, history: &History) -> io::Result<()> {
    const COLUMNS: [&str; 13] = [
        "name",
        "sessions",
        "calls",
        "returns",
        "unwound",
        "in_flight",
        "errors",
        "min_ns",
        "max_ns",
        "total_ns",
        "p50_ns",
        "p95_ns",
        "p99_ns",
    ];
    let rows = history.functions.iter().map(|it| {
        let latency = &it.latency;
        let percentile = |percent| {
            latency
                .percentile_ns(percent)
                .unwrap_or_default()
                .to_string()
        };
        vec![
            it.name.clone(),
            it.sessions.to_string(),
            it.calls.to_string(),
            it.returns.to_string(),
            it.unwound.to_string(),
            it.in_flight.to_string(),
            it.errors.map(|it| it.to_string()).unwrap_or_default(),
            latency.min_ns.to_string(),
            latency.max_ns.to_string(),
            latency.total_ns.to_string(),
            percentile(50.0),
            percentile(95.0),
            percentile(99.0),
        ]
    });
    csv::write_table(out, &COLUMNS, &rows.collect::<Vec<_>>())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn that_nothing_is_found_says_what_was_looked_for() {
        let said = |function: Option<&str>| {
            let history = History {
                service: "checkout".into(),
                function: function.map(str::to_owned),
                ..History::default()
            };
            let mut text = Vec::new();
            write_text(&mut text, &history, 80).unwrap();
            String::from_utf8(text).unwrap()
        };
        let end = "; --since looks further back.\n";
        let of_all = "No session of checkout within that time is remembered";
        assert_eq!(said(None), format!("{of_all}{end}"));
        let of_one = format!("{of_all} that measured a function called nosuch{end}");
        assert_eq!(said(Some("nosuch")), of_one);
    }
}
