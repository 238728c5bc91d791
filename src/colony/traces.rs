//! What a session has traced, replica by replica, as their agents have written it down.

use coral_model::Target;
use coral_proto::agent::v1 as wire;
use serde_json::{Value, json};
use tonic::Status;

use super::catalog::of_remote;
use super::registry::Registry;
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
        let mut documents = documents(&self.registry, held, format).await?;
        match documents.len() {
            1 => Ok(documents.pop().map(|it| it.1).unwrap_or_default()),
            _ => all(&documents, format),
        }
    }
}

/// The documents of the replicas whose agents are connected; at least one.
///
/// # Errors
/// If no agent of a replica has one.
pub(super) async fn documents(
    registry: &Registry,
    held: &Held,
    format: TraceFormat,
) -> Result<Vec<(Target, Vec<u8>)>, Status> {
    let snapshot = held.snapshots().borrow().clone();
    let mut documents = Vec::new();
    let mut failure = None;
    for replica in &snapshot.replicas {
        let link = registry.link(&replica.target.agent_id);
        let (Some(link), Some(session)) = (link, &replica.session) else {
            continue;
        };
        match link.agent(None).traces(&session.0, format).await {
            Ok(document) => documents.push((replica.target.clone(), document)),
            Err(error) => failure = Some(of_remote(error)),
        }
    }
    if documents.is_empty() {
        let none = || status::failed("no agent of a replica is connected");
        return Err(failure.unwrap_or_else(none));
    }
    Ok(documents)
}

fn all(documents: &[(Target, Vec<u8>)], format: TraceFormat) -> Result<Vec<u8>, Status> {
    if let TraceFormat::Text(_) = format {
        let text = documents.iter().flat_map(|(target, document)| {
            let title = format!("{} on {}\n\n", target.pid, target.agent_id);
            [title.into_bytes(), document.clone(), b"\n".to_vec()].concat()
        });
        return Ok(text.collect());
    }
    let replicas = documents.iter().map(|(target, document)| {
        let trace: Value = serde_json::from_slice(document)?;
        Ok(json!({ "agent_id": target.agent_id, "pid": target.pid, "trace": trace }))
    });
    let replicas: Result<Vec<Value>, serde_json::Error> = replicas.collect();
    let replicas = replicas.map_err(|error| status::failed(&error.to_string()))?;
    let document = json!({ "schema": "coral.traces.v1", "replicas": replicas });
    serde_json::to_vec_pretty(&document).map_err(|error| status::failed(&error.to_string()))
}
