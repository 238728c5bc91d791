//! `coral.sdk.v1.RuntimeMonitoring`: what the agent of this node may ask.

use std::io;
use std::sync::Arc;
use std::time::{Duration, Instant};

use coral_proto::sdk::v1::runtime_monitoring_server::{RuntimeMonitoring, RuntimeMonitoringServer};
use coral_proto::sdk::v1::{
    GetFunctionOffsetRequest, GetFunctionOffsetResponse, ListFunctionsRequest,
    ListFunctionsResponse, NotifyDebugSessionRequest, NotifyDebugSessionResponse,
};
use tokio::sync::mpsc;
use tokio_stream::wrappers::ReceiverStream;
use tonic::transport::Server;
use tonic::{Request, Response, Status};

use crate::address::Listener;
use crate::connections::{SILENCE_MAX, accept};
use crate::index::{self, Index, IndexCache, IndexError, Page};
use crate::log::{Log, LogLevel, escaped};

const PAGE_FUNCTIONS_MAX: usize = 10_000;
const PAGE_FUNCTIONS_DEFAULT: usize = 1_000;
/// A page is at most so long looked for; it is then a short one.
const SEARCH_TIME_MAX: Duration = Duration::from_millis(500);
/// Questions are short.
const REQUEST_BYTES_MAX: usize = 64 << 10;
const STREAMS_MAX: u32 = 16;

/// Answers until the application ends.
pub(crate) async fn serve(
    listener: Listener,
    cache: Arc<IndexCache>,
    log: Log,
) -> Result<(), ServeError> {
    let (sender, connections) = mpsc::channel(1);
    let accepting = tokio::spawn(accept(listener, sender));
    let monitoring = RuntimeMonitoringServer::new(Monitoring { cache, log })
        .max_decoding_message_size(REQUEST_BYTES_MAX)
        .max_encoding_message_size(coral_proto::MESSAGE_BYTES_MAX);
    let served = Server::builder()
        .max_concurrent_streams(STREAMS_MAX)
        .http2_keepalive_interval(Some(SILENCE_MAX / 3))
        .http2_keepalive_timeout(Some(SILENCE_MAX / 3))
        .add_service(monitoring)
        .serve_with_incoming(ReceiverStream::new(connections))
        .await;
    // Serving ends before the application only if accepting has.
    if let Ok(accepted) = accepting.await {
        accepted?;
    }
    Ok(served?)
}

/// Why nobody can ask any longer.
#[derive(Debug, thiserror::Error)]
pub(crate) enum ServeError {
    #[error(transparent)]
    Listen(#[from] io::Error),
    #[error(transparent)]
    Serve(#[from] tonic::transport::Error),
}

struct Monitoring {
    cache: Arc<IndexCache>,
    log: Log,
}

#[tonic::async_trait]
impl RuntimeMonitoring for Monitoring {
    async fn list_functions(
        &self,
        request: Request<ListFunctionsRequest>,
    ) -> Result<Response<ListFunctionsResponse>, Status> {
        let request = request.into_inner();
        let pattern =
            index::compile(&request.pattern).map_err(|reason| invalid("pattern", &reason))?;
        let index = self.index()?;
        let start = start(&request.page_token, index.len())?;
        let len_max = match request.page_size as usize {
            0 => PAGE_FUNCTIONS_DEFAULT,
            wanted => wanted.min(PAGE_FUNCTIONS_MAX),
        };
        let deadline = Instant::now() + SEARCH_TIME_MAX;
        let Page { functions, next } =
            index::page(&index, pattern.as_ref(), start, len_max, deadline);
        Ok(Response::new(ListFunctionsResponse {
            functions,
            next_page_token: next.map(|at| at.to_string()).unwrap_or_default(),
            binary: Some(index.binary.clone()),
        }))
    }

    async fn get_function_offset(
        &self,
        request: Request<GetFunctionOffsetRequest>,
    ) -> Result<Response<GetFunctionOffsetResponse>, Status> {
        let name = request.into_inner().function_name;
        let index = self.index()?;
        let offset = match index.offsets(&name)[..] {
            [] => None,
            [offset] => Some(offset),
            ref several => {
                let message = format!(
                    "{} functions have this name; ListFunctions tells where each begins",
                    several.len()
                );
                return Err(Status::failed_precondition(message));
            }
        };
        Ok(Response::new(GetFunctionOffsetResponse {
            offset: offset.unwrap_or_default(),
            found: offset.is_some(),
            binary: Some(index.binary.clone()),
        }))
    }

    async fn notify_debug_session(
        &self,
        request: Request<NotifyDebugSessionRequest>,
    ) -> Result<Response<NotifyDebugSessionResponse>, Status> {
        let request = request.into_inner();
        let duration_s = request.duration.map_or(0, |duration| duration.seconds);
        let message = format!(
            "session \"{}\" measures \"{}\" for {duration_s} s",
            escaped(&request.session_id),
            escaped(&request.function_name)
        );
        self.log.write(LogLevel::Info, &message);
        Ok(Response::new(NotifyDebugSessionResponse {}))
    }
}

impl Monitoring {
    fn index(&self) -> Result<Arc<Index>, Status> {
        let (index, is_new) = self.cache.get().map_err(|error| {
            self.log
                .write(LogLevel::Warn, &format!("no list of functions: {error}"));
            match error {
                IndexError::Read(_) => Status::unavailable(error.to_string()),
                _ => Status::failed_precondition(error.to_string()),
            }
        })?;
        if is_new {
            let message = format!(
                "found {} functions, {} left out",
                index.len(),
                index.left_out
            );
            self.log.write(LogLevel::Info, &message);
        }
        Ok(index)
    }
}

/// Where a page begins. The list is the same as long as the program runs, so a place in it is all
/// that a token needs.
fn start(page_token: &str, len: usize) -> Result<usize, Status> {
    if page_token.is_empty() {
        return Ok(0);
    }
    let start = page_token.parse().ok().filter(|&start| start < len);
    start.ok_or_else(|| invalid("page_token", "it is not one that ListFunctions gave"))
}

fn invalid(field: &str, reason: &str) -> Status {
    Status::invalid_argument(format!("{field}: {}", escaped(reason)))
}
