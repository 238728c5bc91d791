//! The agent of a node, as a service: sessions for many clients over gRPC.
//!
//! One [`Agent`](crate::agent::Agent) holds all sessions, so that two clients on one function share
//! its probes' sites and nobody is refused as another tracer. What blocks (reading symbols,
//! attaching, the audit log's disk) runs on threads of its own; what clients read is the latest
//! snapshot, so that a slow one holds up nobody.
//!
//! **Architecture invariant: nothing privileged happens without an audit record.** Attaching waits
//! for its record to be on disk and is refused without it. Detaching never waits.

mod audit;
mod error;
mod functions;
mod hints;
mod privileges;
mod recording;
mod service;
mod services;
mod sessions;
mod single;
mod start;
mod status;
mod targets;
mod watching;

use std::fs;
use std::future::Future;
use std::sync::Arc;
use std::time::Duration;

use coral_proto::agent::v1::agent_server::AgentServer;
use coral_proto::{DESCRIPTORS, MESSAGE_BYTES_MAX};
use tokio::sync::watch;
use tokio::task::JoinSet;
use tokio::time::timeout;
use tonic::body::Body;
use tonic::service::interceptor::InterceptedService;
use tonic::transport::Server;
use tower::util::MapRequestLayer;

use crate::access::grpc::{Guard, note_path};
use crate::access::{AccessError, Gate, Listen, Listener};
use crate::config::AgentConfig;
pub use error::NodeError;
pub use privileges::drop_privileges;
use service::Service;

/// A unit of systemd that runs the agent without root.
pub const SYSTEMD_UNIT: &str = include_str!("coral-agent.service");

/// How many requests of one connection are served at the same time.
const REQUESTS_MAX: usize = 64;
/// How often a quiet connection is tried, and how long an answer may take: half-open ones end.
const KEEP_ALIVE_EVERY: Duration = Duration::from_secs(20);
const KEEP_ALIVE_MAX: Duration = Duration::from_secs(10);
/// How long clients have to take what is on its way when the agent ends.
const CLOSE_MAX: Duration = Duration::from_secs(2);
/// Applications have no identity; that they are who they say is looked at in another way.
const REGISTER_SERVICE: &str = "/coral.agent.v1.Agent/RegisterService";

/// Serves until `ended` says so; then every session is over. `ready` is told where it listens.
///
/// # Errors
/// If a place to listen at or the audit log cannot be opened.
pub async fn serve(
    config: &AgentConfig,
    ready: impl FnOnce(&[Listen]),
    ended: impl Future<Output = ()>,
) -> Result<(), NodeError> {
    let mut listeners = Vec::new();
    for listen in &config.listen {
        let listen: Listen = listen.parse()?;
        make_folder(&listen)?;
        listeners.push(Listener::bind(&listen, &config.access).await?);
    }
    let gate = Arc::new(Gate::new(config.access.clone())?);
    let places: Vec<Listen> = listeners
        .iter()
        .map(|listener| listener.listen().clone())
        .collect();
    let service = Arc::new(Service::open(config, ports(&places))?);
    let (closing, closed) = watch::channel(false);
    let mut serving = JoinSet::new();
    for listener in listeners {
        let (gate, service) = (Arc::clone(&gate), Arc::clone(&service));
        serving.spawn(serve_one(listener, gate, service, closed.clone()));
    }
    ready(&places);
    ended.await;
    service.end_all().await;
    // Who watches gets the final numbers, and the connection's end after them.
    closing.send_replace(true);
    let all_ended = async { while serving.join_next().await.is_some() {} };
    let _ = timeout(CLOSE_MAX, all_ended).await;
    serving.shutdown().await;
    Ok(())
}

/// `/run/coral` is gone after every start of the machine.
fn make_folder(listen: &Listen) -> Result<(), NodeError> {
    let Listen::Unix(path) = listen else {
        return Ok(());
    };
    let made = path.parent().map_or(Ok(()), fs::create_dir_all);
    Ok(made.map_err(|error| AccessError::Listen {
        listen: listen.clone(),
        error,
    })?)
}

fn ports(places: &[Listen]) -> Vec<u16> {
    let ports = places.iter().filter_map(|place| match place {
        Listen::Tcp(address) => Some(address.port()),
        Listen::Unix(_) => None,
    });
    ports.collect()
}

async fn serve_one(
    listener: Listener,
    gate: Arc<Gate>,
    service: Arc<Service>,
    mut closed: watch::Receiver<bool>,
) -> Result<(), tonic::transport::Error> {
    let closed = async move {
        // It is closed as well where nobody can say so any more.
        let _ = closed.wait_for(|is_closed| *is_closed).await;
    };
    let audit = Arc::clone(&service.audit);
    let refused = Arc::clone(&audit);
    let incoming =
        listener.incoming(move |address, error| refused.refused(address, error.to_string()));
    let guard = Guard::new(gate, move |address, denied| {
        audit.refused(address, denied.reason());
    });
    let guard = guard.admitting(REGISTER_SERVICE);
    let agent = AgentServer::from_arc(service)
        .max_decoding_message_size(MESSAGE_BYTES_MAX)
        .max_encoding_message_size(MESSAGE_BYTES_MAX);
    let (health, health_service) = tonic_health::server::health_reporter();
    health.set_serving::<AgentServer<Service>>().await;
    let server = Server::builder()
        .concurrency_limit_per_connection(REQUESTS_MAX)
        .http2_keepalive_interval(Some(KEEP_ALIVE_EVERY))
        .http2_keepalive_timeout(Some(KEEP_ALIVE_MAX))
        .layer(MapRequestLayer::new(note_path::<Body>))
        .add_service(InterceptedService::new(agent, guard.clone()))
        .add_service(InterceptedService::new(health_service, guard.clone()));
    let reflection = tonic_reflection::server::Builder::configure()
        .register_encoded_file_descriptor_set(DESCRIPTORS)
        .build_v1();
    // The descriptors are those that this program was built with; a test reads them.
    match reflection {
        Ok(reflection) => {
            let server = server.add_service(InterceptedService::new(reflection, guard));
            server.serve_with_incoming_shutdown(incoming, closed).await
        }
        Err(_) => server.serve_with_incoming_shutdown(incoming, closed).await,
    }
}
