//! Whole requests of an HTTP path, reported as they come.

use std::collections::HashSet;
use std::sync::Arc;
use std::time::Duration;

use coral_model::{EndReason, SessionState};
use coral_proto::agent::v1 as agent;
use coral_proto::colony::v1 as wire;
use coral_proto::convert::timestamp_to_wire;
use jiff::Timestamp;
use serde::Deserialize;
use tokio::sync::mpsc;
use tokio::time::sleep;
use tokio_stream::wrappers::ReceiverStream;
use tonic::Status;

use super::registry::Registry;
use super::service::Service;
use super::sessions::Held;
use super::start::new_id;
use super::traces;
use crate::access::Identity;
use crate::access::audit::Entry;
use crate::source::TraceFormat;

/// How often the agents are asked for what they have traced.
const LOOK_EVERY: Duration = Duration::from_secs(1);
/// Events on their way to a client.
const EVENTS_MAX: usize = 256;

/// What of `coral.trace.v1` is told on.
#[derive(Deserialize)]
struct Document {
    traces: Vec<Request>,
}

#[derive(Deserialize)]
struct Request {
    span_id: String,
    events: Vec<Call>,
}

#[derive(Deserialize)]
struct Call {
    timestamp: Timestamp,
    function_name: String,
    duration_ns: u64,
    depth: u32,
}

impl Service {
    /// Traces the requests of a path on all replicas, and reports those that are the slowest when
    /// they are, each once, until the session ends or nobody listens.
    pub(super) async fn trace_path(
        &self,
        who: Identity,
        entry: Entry,
        request: wire::TraceRequestPathRequest,
    ) -> Result<ReceiverStream<Result<wire::TraceEvent, Status>>, Status> {
        let request = agent::StartSessionRequest {
            target: Some(agent::TargetRef {
                service_name: request.service_name,
                ..agent::TargetRef::default()
            }),
            settings: Some(agent::SessionSettings {
                duration: request.duration,
                ..agent::SessionSettings::default()
            }),
            trace: Some(agent::TraceRequest {
                path: request.http_path,
                ..agent::TraceRequest::default()
            }),
            ..agent::StartSessionRequest::default()
        };
        let started = self.start(who, entry, new_id(), request).await?;
        let held = self.sessions.get(&started.session_id);
        let held = held.ok_or_else(super::service::no_such_session)?;
        let (client, events) = mpsc::channel(EVENTS_MAX);
        let reporter = Reporter {
            registry: Arc::clone(&self.registry),
            held,
            client,
            told: HashSet::new(),
        };
        tokio::spawn(reporter.run());
        Ok(ReceiverStream::new(events))
    }
}

/// Reports the requests of a session to one client.
struct Reporter {
    registry: Arc<Registry>,
    held: Arc<Held>,
    client: mpsc::Sender<Result<wire::TraceEvent, Status>>,
    /// The requests that were told, by their agents and spans.
    told: HashSet<(String, String)>,
}

impl Reporter {
    async fn run(mut self) {
        let mut snapshots = self.held.snapshots();
        let is_over = |it: &Arc<_>| {
            let it: &coral_model::Snapshot = it;
            it.session.state != SessionState::Active
        };
        loop {
            let goes_on = tokio::select! {
                () = sleep(LOOK_EVERY) => true,
                () = self.client.closed() => break,
                _ = snapshots.wait_for(is_over) => false,
            };
            // After the end once more, for what has come since the last look.
            let told = self.tell().await;
            if !goes_on {
                if let Err(status) = told {
                    // The client is gone, or hears why nothing more comes.
                    let _ = self.client.send(Err(status)).await;
                }
                return;
            }
        }
        self.held.end(EndReason::Detached).await;
    }

    /// Tells the requests that were not told yet.
    async fn tell(&mut self) -> Result<(), Status> {
        let traces = traces::documents(&self.registry, &self.held, TraceFormat::Json).await?;
        for (target, document) in traces.documents {
            let document: Document = serde_json::from_slice(&document)
                .map_err(|error| crate::serving::status::failed(&error.to_string()))?;
            // The fastest of them came to be the slowest before the others did.
            for request in document.traces.into_iter().rev() {
                let name = (target.agent_id.clone(), request.span_id.clone());
                if !self.told.insert(name) {
                    continue;
                }
                for call in request.events {
                    let event = self.event(&target.agent_id, &request.span_id, call);
                    if self.client.send(Ok(event)).await.is_err() {
                        return Ok(());
                    }
                }
            }
        }
        Ok(())
    }

    fn event(&self, agent_id: &str, span_id: &str, call: Call) -> wire::TraceEvent {
        wire::TraceEvent {
            timestamp: Some(timestamp_to_wire(call.timestamp)),
            function_name: call.function_name,
            duration_ns: call.duration_ns,
            depth: call.depth,
            span_id: span_id.to_owned(),
            request: u64::from_str_radix(span_id, 16).unwrap_or_default(),
            agent_id: agent_id.to_owned(),
            session_id: self.held.id.0.clone(),
        }
    }
}
