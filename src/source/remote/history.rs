//! What a colony remembers: sessions of everybody, one of them, and rows of its history.

use std::sync::Arc;
use std::time::Instant;

use coral_model::{SessionId, SessionState, SessionSummary, SqlColumn, SqlResult};
use coral_proto::colony::v1 as wire;
use coral_proto::convert::{ConvertError, timestamp_from_wire};
use prost::Message;

use super::pages::Pages;
use super::{RemoteAgent, RemoteError, timed};

/// Rows that take more memory are more than anybody reads.
const ROWS_BYTES_MAX: usize = 256 << 20;

impl RemoteAgent {
    /// The sessions of everybody, live and past, newest first.
    ///
    /// # Errors
    /// If it is no colony, or refuses.
    pub async fn history(&mut self) -> Result<Vec<SessionSummary>, RemoteError> {
        let colony = self.client.colony()?;
        let mut pages = Pages::new();
        while let Some(page_token) = pages.wanted()? {
            let request = timed(wire::ListHistoryRequest {
                page_token,
                ..wire::ListHistoryRequest::default()
            });
            let page = colony.list_history(request).await?.into_inner();
            pages.add(page.sessions, page.next_page_token);
        }
        let sessions = pages.all.into_iter().map(summary);
        Ok(sessions.collect::<Result<_, _>>()?)
    }

    /// Whether a request still waits for somebody else's word.
    ///
    /// # Errors
    /// If it is no colony, or refuses.
    pub async fn waits_for_approval(&mut self, approval: &str) -> Result<bool, RemoteError> {
        let request = timed(wire::ListApprovalsRequest {});
        let answer = self.client.colony()?.list_approvals(request).await?;
        let mut noted = answer.into_inner().approvals.into_iter();
        Ok(noted.any(|it| it.approval_id == approval && it.status == "waiting"))
    }

    /// At most so many rows of a query over the history; 0 lets the colony choose.
    ///
    /// # Errors
    /// If it is no colony, or the query is none, is too long, or may not be asked.
    pub async fn sql(&mut self, sql: &str, rows_max: u32) -> Result<SqlResult, RemoteError> {
        let asked_at = Instant::now();
        let request = timed(wire::QuerySqlRequest {
            sql: sql.to_owned(),
            rows_max,
        });
        let mut messages = self.client.colony()?.query_sql(request).await?.into_inner();
        let (mut columns, mut rows, mut is_cut) = (Vec::new(), Vec::new(), false);
        let (mut as_of, mut bytes) = (None, 0);
        while let Some(message) = messages.message().await? {
            bytes += held_bytes(&message);
            if bytes > ROWS_BYTES_MAX {
                return Err(RemoteError::TooLong);
            }
            columns.extend(message.columns.into_iter().map(|column| SqlColumn {
                name: column.name,
                type_name: column.type_name,
            }));
            let values = message.rows.into_iter().map(|row| row.values.into_iter());
            rows.extend(values.map(|row| row.map(|value| value.text).collect::<Vec<_>>()));
            is_cut |= message.is_cut;
            as_of = as_of.or(message.as_of);
        }
        let field = "as_of";
        let as_of = as_of.ok_or(ConvertError::Missing { field })?;
        Ok(SqlResult {
            columns,
            rows: Arc::new(rows),
            is_cut,
            as_of: timestamp_from_wire(&as_of, field)?,
            elapsed: asked_at.elapsed(),
        })
    }
}

/// What a part of the rows takes in memory, about.
fn held_bytes(message: &wire::QuerySqlResponse) -> usize {
    let rows = message.rows.iter().map(|row| {
        let text = |value: &wire::SqlValue| value.text.as_ref().map_or(0, String::len);
        let values = row.values.iter();
        let values = values.map(|value| size_of::<Option<String>>() + text(value));
        size_of::<Vec<Option<String>>>() + values.sum::<usize>()
    });
    message.encoded_len() + rows.sum::<usize>()
}

fn summary(session: wire::HistorySession) -> Result<SessionSummary, ConvertError> {
    let field = "started_at";
    let started_at = session.started_at.ok_or(ConvertError::Missing { field })?;
    let ended_at = session.ended_at.as_ref();
    Ok(SessionSummary {
        started_at: timestamp_from_wire(&started_at, field)?,
        ended_at: ended_at
            .map(|it| timestamp_from_wire(it, "ended_at"))
            .transpose()?,
        state: SessionState::try_from(session.status())?,
        id: SessionId(session.session_id),
        service: session.service_name,
        requested_by: session.requested_by,
        replicas: session.replicas,
        functions: session.functions.into_iter().map(|it| it.name).collect(),
        records: session.events,
    })
}
