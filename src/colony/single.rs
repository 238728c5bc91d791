//! Sessions on one function of a service whose calls are reported one by one.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use coral_model::{EndReason, SessionState};
use coral_proto::agent::v1 as agent;
use coral_proto::colony::v1 as wire;
use coral_proto::convert::timestamp_to_wire;
use jiff::SignedDuration;
use tokio::sync::mpsc;
use tokio::time::{Instant, sleep_until};
use tokio_stream::wrappers::ReceiverStream;
use tonic::{Code, Status};

use super::history::RecordedCall;
use super::service::Service;
use super::sessions::Held;
use super::start::new_id;
use crate::access::Identity;
use crate::access::audit::Entry;
use crate::serving::status;
use crate::serving::uprobe::{labels, settings};

/// Events on their way to a client.
const EVENTS_MAX: usize = 256;
/// How long after the end of a session its last calls are waited for.
const LATE_MAX: Duration = Duration::from_secs(5);

impl Service {
    /// Attaches to one function and reports its calls as the agents hand them over, until the
    /// session ends or nobody listens.
    pub(super) async fn attach_single(
        &self,
        who: Identity,
        entry: Entry,
        request: wire::AttachUprobeRequest,
    ) -> Result<ReceiverStream<Result<wire::UprobeEvent, Status>>, Status> {
        let id = new_id();
        let calls = self.history()?.calls(id.clone());
        let config = request.config.unwrap_or_default();
        let config = agent::UprobeConfig {
            capture_args: config.capture_args,
            capture_return: config.capture_return,
            sample_rate: config.sample_rate,
            filters: HashMap::from_iter(config.filters),
            ..agent::UprobeConfig::default()
        };
        let request = agent::StartSessionRequest {
            target: Some(agent::TargetRef {
                service_name: request.service_name,
                ..agent::TargetRef::default()
            }),
            settings: Some(agent::SessionSettings {
                duration: request.duration,
                ..settings(config)?
            }),
            patterns: vec![request.function_name],
            ..agent::StartSessionRequest::default()
        };
        let started = self.start(who, entry, id, request).await?;
        let functions = started.attached.map_or(0, |it| it.function_ids.len());
        let held = self.sessions.get(&started.session_id);
        let held = held.ok_or_else(|| status::failed("the session is gone already"))?;
        if functions > 1 {
            held.end(EndReason::Detached).await;
            let message = format!("the pattern means {functions} functions");
            let help = "name one function, or use StartSession";
            let code = Code::InvalidArgument;
            return Err(status::with(code, "ambiguous-function", &message, help));
        }
        let (sender, events) = mpsc::channel(EVENTS_MAX);
        tokio::spawn(report(held, calls, sender));
        Ok(ReceiverStream::new(events))
    }
}

/// Sends the calls of a session, and ends it when nobody listens any longer.
async fn report(
    held: Arc<Held>,
    mut calls: mpsc::Receiver<RecordedCall>,
    client: mpsc::Sender<Result<wire::UprobeEvent, Status>>,
) {
    let mut snapshots = held.snapshots();
    let mut sent = 0;
    // The last calls come after the end, from the journals.
    let mut late_until = None;
    loop {
        let late = async {
            match late_until {
                None => std::future::pending().await,
                Some(until) => sleep_until(until).await,
            }
        };
        let call = tokio::select! {
            biased;
            () = client.closed() => break,
            call = calls.recv() => call,
            over = snapshots.wait_for(|it| it.session.state != SessionState::Active),
                if late_until.is_none() =>
            {
                let is_all = over.is_ok_and(|it| it.accounting.events_stored <= sent);
                late_until = Some(Instant::now() + if is_all { Duration::ZERO } else { LATE_MAX });
                continue;
            }
            () = late => break,
        };
        match call {
            Some(call) => {
                for event in events(&held, &call) {
                    // Found out above.
                    let _ = client.send(Ok(event)).await;
                }
                sent += 1;
                let stored = snapshots.borrow().accounting.events_stored;
                if late_until.is_some() && sent >= stored {
                    break;
                }
            }
            None => {
                let message = "the client is too slow: it has got no call after this one";
                let help = "ask for fewer calls: a sample rate, or a filter";
                let code = Code::ResourceExhausted;
                let slow = status::with(code, "over-limit", message, help);
                let _ = client.send(Err(slow)).await;
                break;
            }
        }
    }
    held.end(EndReason::Detached).await;
}

fn events(held: &Held, call: &RecordedCall) -> [wire::UprobeEvent; 2] {
    let record = &call.call.record;
    let length = i64::try_from(record.duration_ns).unwrap_or(i64::MAX);
    let ended_at = record
        .started_at
        .checked_add(SignedDuration::from_nanos(length))
        .unwrap_or(record.started_at);
    let entry = wire::UprobeEvent {
        timestamp: Some(timestamp_to_wire(record.started_at)),
        agent_id: call.agent_id.clone(),
        service_name: held.service.clone(),
        function_name: call.call.function.clone(),
        r#type: wire::UprobeEventType::Entry.into(),
        duration_ns: 0,
        pid: record.pid,
        tid: record.tid,
        labels: labels("arg", &record.arguments).collect(),
    };
    let mut exit = wire::UprobeEvent {
        timestamp: Some(timestamp_to_wire(ended_at)),
        r#type: wire::UprobeEventType::Exit.into(),
        duration_ns: record.duration_ns,
        ..entry.clone()
    };
    exit.labels.extend(labels("return", &record.results));
    [entry, exit]
}
