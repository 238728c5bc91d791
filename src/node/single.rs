//! Sessions on one function whose calls are reported one by one.

use std::sync::Arc;

use coral_model::CallRecord;
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
use crate::serving::uprobe::{labels, settings};
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
