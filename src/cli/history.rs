//! `coral debug query` and `coral sql`: what a colony remembers.

use std::borrow::Cow;
use std::collections::HashSet;
use std::process::ExitCode;

use coral_model::{Escaped, ExitStatus, Histogram, SessionState, SqlResult, escape};
use coral_proto::MESSAGE_BYTES_MAX;
use coral_proto::colony::v1 as wire;
use coral_proto::colony::v1::debug_service_client::DebugServiceClient;
use coral_proto::convert::{
    ConvertError, duration_to_wire, histogram_from_wire, timestamp_from_wire,
};
use serde_json::{Map, Value, json};

use super::arguments::{Format, QueryArguments, SqlArguments};
use super::output::{self, say};
use super::remote::runtime;
use crate::access::AuthorizedChannel;
use crate::connection::ConnectionArguments;
use crate::export::csv;
use crate::export::history::{
    History, RememberedFunction, RememberedSession, history_document, write_csv, write_text,
};
use crate::export::text::write_rows;
use crate::failure::Failure;
use crate::source::remote::{RemoteAgent, RemoteError};

/// `coral debug query`
pub(super) fn query(arguments: &QueryArguments) -> Result<ExitCode, Failure> {
    let request = wire::QueryHistoryRequest {
        service_name: arguments.service.clone(),
        function: arguments.function.clone().unwrap_or_default(),
        since: Some(duration_to_wire(arguments.since)),
    };
    let answer = runtime()?.block_on(async {
        let mut colony = connect(&arguments.connection).await?;
        let answer = colony.query_history(request).await;
        Ok::<_, Failure>(answer.map_err(RemoteError::from)?.into_inner())
    })?;
    let history = remembered(arguments, answer).map_err(RemoteError::from)?;
    let bytes = match arguments.format {
        Format::Json => output::json(&history_document(&history))?,
        Format::Csv => output::written(|out| write_csv(out, &history))?,
        Format::Text => output::written(|out| write_text(out, &history, output::width()))?,
    };
    output::print(&bytes)?;
    Ok(ExitCode::SUCCESS)
}

/// `coral sql`
pub(super) fn sql(arguments: &SqlArguments) -> Result<ExitCode, Failure> {
    let result = runtime()?.block_on(async {
        let mut colony = RemoteAgent::colony_over(channel(&arguments.connection).await?);
        let result = colony.sql(&arguments.query, arguments.rows).await;
        Ok::<_, Failure>(result?)
    })?;
    let names: Vec<&str> = result.columns.iter().map(|it| &*it.name).collect();
    let bytes = match arguments.format {
        Format::Json => output::json(&document(&result))?,
        Format::Csv => output::written(|out| csv::write_table(out, &names, &texts(&result)))?,
        Format::Text => output::written(|out| write_rows(out, &names, &texts(&result)))?,
    };
    output::print(&bytes)?;
    if result.is_cut {
        say!("note: there are more rows; --rows takes more");
    }
    Ok(ExitCode::SUCCESS)
}

/// Connects to the colony, which has to be named.
pub(super) async fn connect(
    connection: &ConnectionArguments,
) -> Result<DebugServiceClient<AuthorizedChannel>, Failure> {
    let channel = channel(connection).await?;
    Ok(DebugServiceClient::new(channel).max_decoding_message_size(MESSAGE_BYTES_MAX))
}

async fn channel(connection: &ConnectionArguments) -> Result<AuthorizedChannel, Failure> {
    let address = connection.address()?;
    if !address.is_colony {
        return Err(Failure::new(
            "no-colony",
            "only a colony has a history, and none is named",
            "name it: --colony https://colony:9000, --profile, or CORAL_COLONY",
            ExitStatus::Usage,
        ));
    }
    Ok(address.channel().await?)
}

fn remembered(
    arguments: &QueryArguments,
    answer: wire::QueryHistoryResponse,
) -> Result<History, ConvertError> {
    let functions = answer.functions.into_iter().map(function);
    let sessions = answer.sessions.into_iter().map(session);
    Ok(History {
        service: arguments.service.clone(),
        function: arguments.function.clone(),
        functions: functions.collect::<Result<_, _>>()?,
        sessions: sessions.collect::<Result<_, _>>()?,
        losses: answer.losses,
    })
}

fn function(function: wire::HistoryFunction) -> Result<RememberedFunction, ConvertError> {
    let latency = function.latency.as_ref().map(histogram_from_wire);
    Ok(RememberedFunction {
        name: function.name,
        sessions: function.sessions,
        calls: function.calls,
        returns: function.returns,
        unwound: function.unwound,
        in_flight: function.in_flight,
        errors: function.errors,
        latency: latency.transpose()?.unwrap_or_else(Histogram::default),
    })
}

fn session(session: wire::HistorySession) -> Result<RememberedSession, ConvertError> {
    let field = "started_at";
    let started_at = session.started_at.ok_or(ConvertError::Missing { field })?;
    let ended_at = session.ended_at.as_ref();
    Ok(RememberedSession {
        started_at: timestamp_from_wire(&started_at, field)?,
        ended_at: ended_at
            .map(|it| timestamp_from_wire(it, "ended_at"))
            .transpose()?,
        state: SessionState::try_from(session.status())?,
        id: session.session_id,
        requested_by: session.requested_by,
        replicas: session.replicas,
        events: session.events,
    })
}

/// Rows as text; what is NULL is empty.
fn texts(result: &SqlResult) -> Vec<Vec<String>> {
    let text = |value: &Option<String>| value.clone().unwrap_or_default();
    let rows = result.rows.iter();
    rows.map(|row| row.iter().map(text).collect()).collect()
}

/// The rows as `coral.sql.v1`: every value as text, NULL as null.
fn document(result: &SqlResult) -> Value {
    let names = unique(result.columns.iter().map(|column| escape(&column.name)));
    let columns = names.iter().zip(&result.columns).map(|(name, column)| {
        json!({
            "name": name,
            "type": Escaped(&column.type_name).to_string(),
        })
    });
    let row = |row: &Vec<Option<String>>| -> Map<String, Value> {
        let values = row.iter().map(|value| match value {
            Some(text) => Escaped(text).to_string().into(),
            None => Value::Null,
        });
        names.iter().cloned().zip(values).collect()
    };
    json!({
        "schema": "coral.sql.v1",
        "columns": columns.collect::<Vec<_>>(),
        "rows": result.rows.iter().map(row).collect::<Vec<_>>(),
        "is_cut": result.is_cut,
    })
}

/// The names, of which equal ones are numbered: a row of a JSON document has each once.
fn unique<'a>(names: impl Iterator<Item = Cow<'a, str>>) -> Vec<String> {
    let names: Vec<_> = names.collect();
    // A number must not make a name of another column.
    let mut taken: HashSet<String> = names.iter().map(|name| name.to_string()).collect();
    let mut seen = HashSet::new();
    let mut unique = Vec::with_capacity(names.len());
    for name in &names {
        let mut own = name.to_string();
        if !seen.insert(name) {
            let numbered = (1_u64..).map(|number| format!("{name}_{number}"));
            own = numbered
                .into_iter()
                .find(|own| !taken.contains(own))
                .unwrap_or(own);
            taken.insert(own.clone());
        }
        unique.push(own);
    }
    unique
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;
    use std::time::Duration;

    use coral_model::SqlColumn;
    use jiff::Timestamp;

    use super::*;

    #[test]
    fn columns_of_equal_names_are_all_there() {
        let column = |name: &str| SqlColumn {
            name: name.into(),
            type_name: "BIGINT".into(),
        };
        let value = |text: &str| Some(text.to_owned());
        let result = SqlResult {
            columns: ["calls", "calls", "calls_1", "calls"].map(column).into(),
            rows: Arc::new(vec![["1", "2", "3", "4"].map(value).into()]),
            is_cut: false,
            as_of: Timestamp::UNIX_EPOCH,
            elapsed: Duration::ZERO,
        };
        let document = document(&result);
        let names = document["columns"].as_array().unwrap();
        let names: Vec<_> = names.iter().map(|column| &column["name"]).collect();
        assert_eq!(names, ["calls", "calls_2", "calls_1", "calls_3"]);
        let row = json!({"calls": "1", "calls_2": "2", "calls_1": "3", "calls_3": "4"});
        assert_eq!(document["rows"], json!([row]));
    }
}
