//! What the history is asked for by people and programs.

use std::time::Duration;

use coral_model::Pattern;
use coral_proto::MESSAGE_BYTES_MAX;
use coral_proto::colony::v1 as wire;
use coral_proto::convert::{histogram_to_wire, timestamp_to_wire};
use jiff::{SignedDuration, Timestamp};
use prost::Message;
use tonic::{Code, Status};

use super::History;
use crate::serving::status;
use crate::store::{Gap, HistoryFunction, HistoryQuery, HistorySession};

/// What an answer may take, in bytes: some are left for what tells that it is not all.
const ANSWER_BYTES_MAX: usize = MESSAGE_BYTES_MAX - (16 << 10);
/// Missing entries that one answer names.
const LOSSES_MAX: usize = 1_000;
/// How long a query may take.
const SQL_MAX: Duration = Duration::from_secs(30);

impl History {
    /// What sessions have measured of a service's functions.
    pub(in crate::colony) async fn query(
        &self,
        service: String,
        function: &str,
        since: Duration,
    ) -> Result<wire::QueryHistoryResponse, Status> {
        let pattern = match function {
            "" => None,
            function => Some(Pattern::parse(function).map_err(|error| {
                let help = "write a name, a glob such as `main.*`, or a regex between slashes";
                let code = Code::InvalidArgument;
                status::with(code, "bad-pattern", &error.to_string(), help)
            })?),
        };
        let since = SignedDuration::try_from(since).unwrap_or(SignedDuration::MAX);
        let since = Timestamp::now().checked_sub(since);
        let query = HistoryQuery {
            service,
            pattern,
            since: since.unwrap_or(Timestamp::MIN),
        };
        let found = self.store.history(query).await;
        let found = found.map_err(|error| status::of(&error))?;
        let mut answer = wire::QueryHistoryResponse {
            functions: found.functions.iter().map(function_to_wire).collect(),
            sessions: found.sessions.iter().map(session_to_wire).collect(),
            losses: found.gaps.iter().take(LOSSES_MAX).map(loss).collect(),
        };
        fit(&mut answer);
        Ok(answer)
    }

    /// The rows of a query that can only read.
    pub(in crate::colony) async fn sql(
        &self,
        sql: &str,
        rows_max: u32,
    ) -> Result<Vec<wire::QuerySqlResponse>, Status> {
        let answer = self.workers.query(sql, rows_max, SQL_MAX).await;
        answer.map_err(|error| status::of(&error))
    }
}

/// Leaves out what a message has no room for, of the oldest sessions first: durations, then
/// functions, then the sessions themselves. The sums stay whole.
fn fit(answer: &mut wire::QueryHistoryResponse) {
    let mut bytes = answer.encoded_len();
    let forget: [fn(&mut wire::HistorySession); 2] = [
        |session| {
            session
                .functions
                .iter_mut()
                .for_each(|it| it.latency = None);
        },
        |session| session.functions.clear(),
    ];
    for forget in forget {
        for session in answer.sessions.iter_mut().rev() {
            if bytes <= ANSWER_BYTES_MAX {
                return;
            }
            let before = session.encoded_len();
            forget(session);
            bytes -= before - session.encoded_len();
        }
    }
    let mut left_out = [0, 0];
    while bytes > ANSWER_BYTES_MAX
        && let Some(session) = answer.sessions.pop()
    {
        bytes -= session.encoded_len();
        left_out[0] += 1;
    }
    while bytes > ANSWER_BYTES_MAX
        && let Some(function) = answer.functions.pop()
    {
        bytes -= function.encoded_len();
        left_out[1] += 1;
    }
    for (count, what) in left_out.into_iter().zip(["older sessions", "functions"]) {
        if count > 0 {
            let text = format!("{count} {what} have no room here: ask for less");
            answer.losses.push(text);
        }
    }
}

fn function_to_wire(function: &HistoryFunction) -> wire::HistoryFunction {
    wire::HistoryFunction {
        name: function.name.clone(),
        sessions: function.sessions,
        calls: function.calls,
        returns: function.returns,
        unwound: function.unwound,
        in_flight: function.in_flight,
        errors: function.errors,
        latency: Some(histogram_to_wire(&function.latency)),
    }
}

fn session_to_wire(found: &HistorySession) -> wire::HistorySession {
    let session = &found.session;
    wire::HistorySession {
        session_id: session.begun.id.0.clone(),
        service_name: session.begun.service.clone(),
        started_at: Some(timestamp_to_wire(session.begun.started_at)),
        ended_at: session.ended_at.map(timestamp_to_wire),
        requested_by: session.begun.requested_by.clone(),
        status: coral_proto::agent::v1::SessionStatus::from(session.state).into(),
        replicas: session.replicas,
        functions: found.functions.iter().map(function_to_wire).collect(),
        events: session.events,
    }
}

fn loss(gap: &Gap) -> String {
    let journal = &gap.journal;
    let (first, last) = (gap.sequences.start(), gap.sequences.end());
    let calls = gap.calls.map_or_else(
        || "an unknown number of calls".to_owned(),
        |calls| format!("{calls} calls"),
    );
    format!(
        "entries {first} to {last} of {} on {} in session {}: {calls}",
        journal.agent_session, journal.agent_id, journal.session
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A session of so many functions, each with durations of so many buckets.
    fn session(functions: usize, buckets: usize) -> wire::HistorySession {
        let function = wire::HistoryFunction {
            name: "a function".into(),
            calls: 1,
            latency: Some(coral_proto::agent::v1::Histogram {
                index: vec![300; buckets],
                count: vec![1_000; buckets],
                ..Default::default()
            }),
            ..Default::default()
        };
        wire::HistorySession {
            session_id: "dbg".into(),
            functions: vec![function; functions],
            ..Default::default()
        }
    }

    fn fitted(sessions: Vec<wire::HistorySession>) -> wire::QueryHistoryResponse {
        let functions = sessions[0].functions.clone();
        let mut answer = wire::QueryHistoryResponse {
            functions: functions.clone(),
            sessions,
            losses: Vec::new(),
        };
        fit(&mut answer);
        assert!(answer.encoded_len() <= MESSAGE_BYTES_MAX);
        assert_eq!(answer.functions, functions);
        answer
    }

    #[test]
    fn what_fits_is_left_as_it_is() {
        let sessions = vec![session(50, 100); 20];
        assert_eq!(fitted(sessions.clone()).sessions, sessions);
    }

    #[test]
    fn the_durations_of_the_oldest_sessions_go_first() {
        let answer = fitted(vec![session(50, 100); 100]);
        assert_eq!(answer.sessions.len(), 100);
        assert!(answer.losses.is_empty());
        assert_eq!(answer.sessions[0], session(50, 100));
        let oldest = answer.sessions.last().unwrap();
        assert_eq!(oldest.functions.len(), 50);
        assert!(oldest.functions.iter().all(|it| it.latency.is_none()));
    }

    #[test]
    fn sessions_that_have_no_room_are_told() {
        let mut sessions = vec![session(1, 1); 1];
        sessions.resize(300_000, session(0, 0));
        let answer = fitted(sessions);
        let left_out = 300_000 - answer.sessions.len();
        let told = format!("{left_out} older sessions have no room here: ask for less");
        assert_eq!(answer.losses, [told]);
    }
}
