//! What the history is asked for by people and programs.

use std::time::Duration;

use coral_model::Pattern;
use coral_proto::colony::v1 as wire;
use coral_proto::convert::{histogram_to_wire, timestamp_to_wire};
use jiff::{SignedDuration, Timestamp};
use tonic::{Code, Status};

use super::History;
use crate::serving::status;
use crate::store::{Gap, HistoryFunction, HistoryQuery, HistorySession};

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
        Ok(wire::QueryHistoryResponse {
            functions: found.functions.iter().map(function_to_wire).collect(),
            sessions: found.sessions.iter().map(session_to_wire).collect(),
            losses: found.gaps.iter().map(loss).collect(),
        })
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
