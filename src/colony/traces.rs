//! What a session has traced, replica by replica, as their agents have written it down.

use coral_model::Target;
use coral_proto::agent::v1 as wire;
use serde_json::{Value, json};
use tonic::Status;

use super::catalog::cut_off;
use super::registry::{Registry, of_remote};
use super::service::Service;
use super::sessions::Held;
use crate::serving::status;
use crate::source::TraceFormat;

impl Service {
    /// The document of one replica, or one that holds those of all.
    ///
    /// # Errors
    /// If no agent of a replica has it.
    pub(super) async fn traces(
        &self,
        held: &Held,
        request: &wire::DownloadTracesRequest,
    ) -> Result<Vec<u8>, Status> {
        let format = match request.width {
            0 => TraceFormat::Json,
            width => TraceFormat::Text(width as usize),
        };
        let mut traces = documents(&self.registry, held, format).await?;
        match (traces.documents.len(), traces.missing.len()) {
            (1, 0) => Ok(traces.documents.pop().map(|it| it.1).unwrap_or_default()),
            _ => all(&traces, format),
        }
    }
}

/// What the agents of a session's replicas have written down.
pub(super) struct Traces {
    pub(super) documents: Vec<(Target, Vec<u8>)>,
    /// The replicas that are left out, and why.
    missing: Vec<(Target, Status)>,
}

/// The documents of the replicas whose agents are connected; at least one.
///
/// # Errors
/// If no agent of a replica has one.
pub(super) async fn documents(
    registry: &Registry,
    held: &Held,
    format: TraceFormat,
) -> Result<Traces, Status> {
    let snapshot = held.snapshots().borrow().clone();
    let asked: Vec<_> = snapshot
        .replicas
        .iter()
        .map(|replica| {
            let link = registry.link(&replica.target.agent_id);
            let session = replica.session.clone();
            let document = tokio::spawn(async move {
                let link = link.ok_or_else(cut_off)?;
                let session = session.ok_or_else(|| status::failed("it was not traced"))?;
                let document = link.agent(None).traces(&session.0, format).await;
                document.map_err(of_remote)
            });
            (replica.target.clone(), document)
        })
        .collect();
    let mut traces = Traces {
        documents: Vec::new(),
        missing: Vec::new(),
    };
    for (target, document) in asked {
        // A task that failed has asked nobody.
        match document.await.unwrap_or_else(|_| Err(cut_off())) {
            Ok(document) => traces.documents.push((target, document)),
            Err(status) => traces.missing.push((target, status)),
        }
    }
    match (&traces.documents[..], traces.missing.pop()) {
        ([], Some((_, status))) => Err(status),
        ([], None) => Err(status::failed("the session has no replica")),
        (_, last) => {
            traces.missing.extend(last);
            Ok(traces)
        }
    }
}

fn all(traces: &Traces, format: TraceFormat) -> Result<Vec<u8>, Status> {
    if let TraceFormat::Text(_) = format {
        let documents = traces.documents.iter().flat_map(|(target, document)| {
            let title = format!("{} on {}\n\n", target.pid, target.agent_id);
            [title.into_bytes(), document.clone(), b"\n".to_vec()].concat()
        });
        let missing = traces.missing.iter().flat_map(|(target, status)| {
            let (pid, agent_id, why) = (target.pid, &target.agent_id, status.message());
            format!("{pid} on {agent_id} is left out: {why}\n").into_bytes()
        });
        return Ok(documents.chain(missing).collect());
    }
    let replicas = traces.documents.iter().map(|(target, document)| {
        let trace: Value = serde_json::from_slice(document)?;
        Ok(json!({ "agent_id": target.agent_id, "pid": target.pid, "trace": trace }))
    });
    let replicas: Result<Vec<Value>, serde_json::Error> = replicas.collect();
    let replicas = replicas.map_err(|error| status::failed(&error.to_string()))?;
    let missing = traces.missing.iter().map(|(target, status)| {
        json!({ "agent_id": target.agent_id, "pid": target.pid, "error": status.message() })
    });
    let missing: Vec<Value> = missing.collect();
    let document = json!({ "schema": "coral.traces.v1", "replicas": replicas, "missing": missing });
    serde_json::to_vec_pretty(&document).map_err(|error| status::failed(&error.to_string()))
}
