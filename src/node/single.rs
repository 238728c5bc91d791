//! Sessions on one function whose calls are reported one by one.

use std::sync::Arc;

use coral_model::filter::{Argument, Comparison, Expression, Literal, Operator};
use coral_model::{CallRecord, CallValue};
use coral_proto::agent::v1 as wire;
use coral_proto::convert::timestamp_to_wire;
use jiff::SignedDuration;
use tokio::sync::mpsc;
use tokio::task::spawn_blocking;
use tokio_stream::wrappers::ReceiverStream;
use tonic::{Code, Status};

use super::service::Service;
use super::sessions::Held;
use crate::access::Identity;
use crate::access::audit::Entry;
use crate::agent::{CallStream, call_stream};
use crate::serving::status;
use crate::source::select;

/// Calls that wait for a client; what is above is counted.
const CALLS_MAX: usize = 4_096;
/// Events on their way to a client.
const EVENTS_MAX: usize = 256;

impl Service {
    /// Attaches to one function and reports its calls, until the session ends or nobody listens.
    pub(super) async fn attach_single(
        &self,
        who: Identity,
        entry: Entry,
        request: wire::AttachUprobeRequest,
    ) -> Result<ReceiverStream<Result<wire::UprobeEvent, Status>>, Status> {
        let (sink, calls) = call_stream(CALLS_MAX);
        let request = wire::StartSessionRequest {
            target: Some(wire::TargetRef {
                pids: (request.pid != 0)
                    .then_some(request.pid)
                    .into_iter()
                    .collect(),
                service_name: request.service_name,
                ..wire::TargetRef::default()
            }),
            settings: Some(wire::SessionSettings {
                duration: request.duration,
                ..settings(request.config.unwrap_or_default())?
            }),
            patterns: vec![request.function_name],
            ..wire::StartSessionRequest::default()
        };
        let request = self.check_is_one(&who, &entry, request).await?;
        let started = self.start(who, entry, request, Some(sink)).await?;
        let unknown = || status::failed("the session is gone already");
        let held = self.sessions.get(&started.session_id).ok_or_else(unknown)?;
        let (sender, events) = mpsc::channel(EVENTS_MAX);
        tokio::spawn(report(self.id.clone(), held, calls, sender));
        Ok(ReceiverStream::new(events))
    }

    /// The request, if its pattern means one function.
    async fn check_is_one(
        &self,
        who: &Identity,
        entry: &Entry,
        request: wire::StartSessionRequest,
    ) -> Result<wire::StartSessionRequest, Status> {
        let entry = Entry {
            functions: request.patterns.clone(),
            ..entry.clone()
        };
        let target = request.target.as_ref();
        let watched = self.target(who, target, Some(&entry)).await?;
        let selecting = spawn_blocking(move || {
            let functions = select(watched.table(), &request.patterns);
            functions.map(|functions| (functions, request))
        });
        let selected = selecting.await;
        let selected =
            selected.map_err(|_| status::failed("the functions cannot be looked for"))?;
        let (functions, request) = selected.map_err(|error| status::of(&error))?;
        if functions.len() == 1 {
            return Ok(request);
        }
        let message = format!("the pattern means {} functions", functions.len());
        let help = "name one function, or use StartSession";
        Err(status::with(
            Code::InvalidArgument,
            "ambiguous-function",
            &message,
            help,
        ))
    }
}

fn settings(config: wire::UprobeConfig) -> Result<wire::SessionSettings, Status> {
    let mut filters: Vec<Expression> = Vec::new();
    if !config.filter.is_empty() {
        filters.push(Expression::parse(&config.filter).map_err(|error| status::of(&error))?);
    }
    let mut values: Vec<_> = config.filters.into_iter().collect();
    values.sort_unstable();
    for (name, value) in values {
        filters.push(has_value(name, value)?);
    }
    let filter = match filters.len() {
        0 | 1 => filters.pop(),
        _ => Some(Expression::And(filters)),
    };
    Ok(wire::SessionSettings {
        sample_rate: config.sample_rate,
        min_duration: config.min_duration,
        max_duration: config.max_duration,
        capture_args: config.capture_args,
        capture_return: config.capture_return,
        filter: filter.map(|filter| filter.to_string()).unwrap_or_default(),
        ..wire::SessionSettings::default()
    })
}

/// An argument that has a value: a number or a truth if it looks like one, else a text.
///
/// # Errors
/// If the name is none of an argument: what it displays as would mean something else.
fn has_value(name: String, value: String) -> Result<Expression, Status> {
    let literal = match value.as_str() {
        "true" => Literal::Bool(true),
        "false" => Literal::Bool(false),
        "nil" | "null" => Literal::Nil,
        text => match text.parse() {
            Ok(number) => Literal::Integer(number),
            Err(_) => Literal::Text(value),
        },
    };
    let filter = Expression::Condition(Comparison {
        argument: Argument::Name(name),
        operator: Operator::Equal,
        literal,
    });
    let read = Expression::parse(&filter.to_string()).map_err(|error| status::of(&error))?;
    if read != filter {
        let message = format!("`{filter}` is not a value of one argument");
        let help = "name an argument, or write a filter";
        let code = Code::InvalidArgument;
        return Err(status::with(code, "bad-filter", &message, help));
    }
    Ok(filter)
}

/// Sends the calls of a session, and ends it when nobody listens any longer.
async fn report(
    agent_id: String,
    held: Arc<Held>,
    mut calls: CallStream,
    client: mpsc::Sender<Result<wire::UprobeEvent, Status>>,
) {
    loop {
        let call = tokio::select! {
            call = calls.next() => call,
            () = client.closed() => None,
        };
        let Some(call) = call else { break };
        let events = events(&agent_id, &held, &call, calls.left_out());
        if send(events, &client).await.is_err() {
            break;
        }
    }
    // A thread that failed has dropped its session, and so its probes.
    let _ = spawn_blocking(move || held.end()).await;
}

/// Sends both events of a call; an error if nobody listens.
async fn send(
    events: [wire::UprobeEvent; 2],
    client: &mpsc::Sender<Result<wire::UprobeEvent, Status>>,
) -> Result<(), ()> {
    for event in events {
        client.send(Ok(event)).await.map_err(|_| ())?;
    }
    Ok(())
}

fn events(agent_id: &str, held: &Held, call: &CallRecord, left_out: u64) -> [wire::UprobeEvent; 2] {
    let snapshot = held.snapshot();
    let function = held.watched.table().get(call.function);
    let duration = SignedDuration::from_nanos(i64::try_from(call.duration_ns).unwrap_or(i64::MAX));
    let ended_at = call
        .started_at
        .checked_add(duration)
        .unwrap_or(call.started_at);
    let accounting = &snapshot.accounting;
    let arguments = labels("arg", &call.arguments);
    let entry = wire::UprobeEvent {
        timestamp: Some(timestamp_to_wire(call.started_at)),
        agent_id: agent_id.to_owned(),
        service_name: snapshot.session.target.service.clone(),
        function_name: function.map_or("", |function| function.name).to_owned(),
        r#type: wire::UprobeEventType::Entry.into(),
        duration_ns: 0,
        pid: call.pid,
        tid: call.tid,
        labels: arguments.collect(),
        session_id: snapshot.session.id.0.clone(),
        lost: accounting.throttled + accounting.ring_full + left_out,
    };
    let mut exit = wire::UprobeEvent {
        timestamp: Some(timestamp_to_wire(ended_at)),
        r#type: wire::UprobeEventType::Exit.into(),
        duration_ns: call.duration_ns,
        ..entry.clone()
    };
    exit.labels.extend(labels("return", &call.results));
    [entry, exit]
}

fn labels<'a>(
    kind: &'a str,
    values: &'a [CallValue],
) -> impl Iterator<Item = (String, String)> + 'a {
    values
        .iter()
        .map(move |value| (format!("{kind}.{}", value.name), value.value.clone()))
}
