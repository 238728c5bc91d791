//! Values on their way into the database and out of it.

use coral_model::{EndReason, Language, ReplicaState, SessionState};
use duckdb::Row;
use duckdb::types::{TimeUnit, Value, ValueRef};
use jiff::Timestamp;

/// A time as it is stored, in whole microseconds.
pub(super) fn to_sql_time(time: Timestamp) -> Value {
    Value::Timestamp(TimeUnit::Microsecond, time.as_microsecond())
}

/// The time in that column; `None` for NULL, and for what is no time.
pub(super) fn time(row: &Row<'_>, column: &str) -> Result<Option<Timestamp>, duckdb::Error> {
    Ok(match row.get_ref(column)? {
        ValueRef::Timestamp(unit, value) => Timestamp::from_microsecond(unit.to_micros(value)).ok(),
        _ => None,
    })
}

/// The time in a column that is never NULL.
pub(super) fn known_time(row: &Row<'_>, column: &str) -> Result<Timestamp, duckdb::Error> {
    Ok(time(row, column)?.unwrap_or(Timestamp::UNIX_EPOCH))
}

/// The texts of a list.
pub(super) fn texts(value: Value) -> Vec<String> {
    let Value::List(items) = value else {
        return Vec::new();
    };
    let text = |item| match item {
        Value::Text(text) => Some(text),
        _ => None,
    };
    items.into_iter().filter_map(text).collect()
}

/// A count or a duration as SQL has it: signed, so that differences can be taken; what does not
/// fit is the largest one.
pub(super) fn to_sql_number(number: u64) -> i64 {
    i64::try_from(number).unwrap_or(i64::MAX)
}

/// The state in documents and in the table.
pub(super) fn session_state_name(state: SessionState) -> &'static str {
    match state {
        SessionState::Active => "active",
        SessionState::Ended(reason) => reason.name(),
    }
}

/// The state of that name; a session whose state nobody knows has failed.
pub(super) fn session_state(name: &str) -> SessionState {
    match name {
        "active" => SessionState::Active,
        name => SessionState::Ended(end_reason(name)),
    }
}

pub(super) fn replica_state_name(state: ReplicaState) -> &'static str {
    match state {
        ReplicaState::Measuring => "measuring",
        ReplicaState::Silent => "silent",
        ReplicaState::Refused => "refused",
        ReplicaState::Ended(reason) => reason.name(),
    }
}

pub(super) fn replica_state(name: &str) -> ReplicaState {
    match name {
        "measuring" => ReplicaState::Measuring,
        "silent" => ReplicaState::Silent,
        "refused" => ReplicaState::Refused,
        name => ReplicaState::Ended(end_reason(name)),
    }
}

fn end_reason(name: &str) -> EndReason {
    [
        EndReason::Expired,
        EndReason::Detached,
        EndReason::TargetExited,
        EndReason::TargetExeced,
        EndReason::Budget,
    ]
    .into_iter()
    .find(|reason| reason.name() == name)
    .unwrap_or(EndReason::Failed)
}

pub(super) fn language(name: &str) -> Language {
    [
        Language::Go,
        Language::Rust,
        Language::C,
        Language::Cpp,
        Language::Assembly,
    ]
    .into_iter()
    .find(|language| language.name() == name)
    .unwrap_or_default()
}
