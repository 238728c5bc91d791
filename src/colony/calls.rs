//! Parts of answers.

use std::sync::Arc;

use coral_model::{FunctionId, Snapshot, Target};
use tokio::sync::mpsc;
use tokio::task::spawn_blocking;
use tokio_stream::wrappers::ReceiverStream;
use tonic::{Code, Status};

use super::catalog::Catalog;
use super::registry::{Link, ReplicaProcess, of_remote};
use crate::export::text::{self, DEFAULT_WIDTH};
use crate::export::{csv, session_document};
use crate::serving::status;

/// Bytes of a document in one message.
const CHUNK_BYTES: usize = 256 << 10;

/// What a session has measured, as a document.
pub(super) async fn document(snapshot: Arc<Snapshot>, format: String) -> Result<Vec<u8>, Status> {
    let written = spawn_blocking(move || match format.as_str() {
        "json" | "" => {
            let mut document = serde_json::to_vec_pretty(&session_document(&snapshot))
                .map_err(|error| status::failed(&error.to_string()))?;
            document.push(b'\n');
            Ok(document)
        }
        "csv" => {
            let mut rows = Vec::new();
            csv::write_session(&mut rows, &snapshot)
                .map_err(|error| status::failed(&error.to_string()))?;
            Ok(rows)
        }
        "text" => {
            let mut text = Vec::new();
            text::write_session(&mut text, &snapshot, DEFAULT_WIDTH)
                .map_err(|error| status::failed(&error.to_string()))?;
            Ok(text)
        }
        _ => {
            let message = "a session is written as json, csv or text";
            Err(status::with(
                Code::InvalidArgument,
                "usage",
                message,
                "choose one of them",
            ))
        }
    });
    written
        .await
        .map_err(|_| status::failed("it cannot be written down"))?
}

/// A document in messages.
pub(super) fn chunks<T: Send + 'static>(
    document: &[u8],
    message: impl Fn(Vec<u8>) -> T,
) -> ReceiverStream<Result<T, Status>> {
    let chunks = document.chunks(CHUNK_BYTES);
    messages(chunks.map(|chunk| message(chunk.to_vec())).collect())
}

/// What a function of a replica calls, by the numbers of the service's catalog.
pub(super) async fn callees(
    catalog: &Catalog,
    link: &Link,
    replica: &ReplicaProcess,
    function: FunctionId,
) -> Result<Vec<FunctionId>, Status> {
    let mut agent = link.agent(None);
    let callees = agent.callees(&replica.meant(), function).await;
    let target = Target {
        service: String::new(),
        pid: replica.process.pid,
        exe: String::new(),
        build_id: None,
        language: coral_model::Language::Unknown,
        start_ticks: replica.process.start_ticks,
        agent_id: replica.agent_id.clone(),
    };
    let callees = callees.map_err(of_remote)?.into_iter();
    Ok(callees
        .map(|id| catalog.in_union(&target, id, "", 0))
        .collect())
}

/// Messages that are there already.
pub(super) fn messages<T: Send + 'static>(messages: Vec<T>) -> ReceiverStream<Result<T, Status>> {
    let (sender, receiver) = mpsc::channel(messages.len().max(1));
    for message in messages {
        // There is room for all of them.
        let _ = sender.try_send(Ok(message));
    }
    ReceiverStream::new(receiver)
}
