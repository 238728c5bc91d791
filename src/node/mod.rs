//! The agent of a node, as a service: sessions for many clients over gRPC.
//!
//! One [`Agent`](crate::agent::Agent) holds all sessions, so that two clients on one function share
//! its probes' sites and nobody is refused as another tracer. What blocks (reading symbols,
//! attaching, the audit log's disk) runs on threads of its own; what clients read is the latest
//! snapshot, so that a slow one holds up nobody.
//!
//! **Architecture invariant: nothing privileged happens without an audit record.** Attaching waits
//! for its record to be on disk and is refused without it. Detaching never waits.

mod hints;
mod privileges;
mod recording;
mod service;
mod services;
mod sessions;
mod single;
mod start;
mod targets;

use std::future::Future;
use std::sync::Arc;

use coral_proto::MESSAGE_BYTES_MAX;
use coral_proto::agent::v1::agent_server::{AgentServer, SERVICE_NAME};
use tonic::service::Routes;
use tonic::service::interceptor::InterceptedService;

use crate::access::Listen;
use crate::config::AgentConfig;
use crate::serving::{Opened, ServeError};
pub use privileges::drop_privileges;
use service::Service;

/// A unit of systemd that runs the agent without root.
pub const SYSTEMD_UNIT: &str = include_str!("coral-agent.service");

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
) -> Result<(), ServeError> {
    let opened = Opened::open(&config.listen, &config.access, config.audit.as_ref()).await?;
    let places = opened.places();
    let service = Arc::new(Service::open(config, ports(&places), opened.audit()));
    let guard = opened.guard().admitting(REGISTER_SERVICE);
    let agent = AgentServer::from_arc(Arc::clone(&service))
        .max_decoding_message_size(MESSAGE_BYTES_MAX)
        .max_encoding_message_size(MESSAGE_BYTES_MAX);
    let routes = Routes::new(InterceptedService::new(agent, guard.clone()));
    ready(&places);
    let all_ended = async {
        ended.await;
        service.end_all().await;
    };
    opened
        .serve(routes, guard, &[SERVICE_NAME], all_ended)
        .await;
    Ok(())
}

fn ports(places: &[Listen]) -> Vec<u16> {
    let ports = places.iter().filter_map(|place| match place {
        Listen::Tcp(address) => Some(address.port()),
        Listen::Unix(_) => None,
    });
    ports.collect()
}
