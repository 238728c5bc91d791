//! The colony: sessions on every replica of a service, on the nodes of many agents.
//!
//! Agents dial it, and it calls them over the link that they hold open. A session has one task,
//! which owns what is known of its replicas; each replica is followed by a task of its own, over
//! however many links come and go. What they report is added up several times a second; who
//! watches gets the latest.
//!
//! **Architecture invariant: a colony's work grows with sessions, not with calls.** What comes from
//! agents are counters, histograms and few single calls.
//!
//! **Architecture invariant: leases are the agents'.** Nothing that happens to the colony or to
//! the way to it keeps a probe alive.

mod approvals;
mod calls;
mod catalog;
mod history;
mod link;
mod listing;
mod registry;
mod remembered;
mod replica;
mod service;
mod session;
mod sessions;
#[cfg(test)]
pub(crate) mod simulated;
mod single;
mod start;
mod traces;

use std::future::Future;
use std::sync::Arc;

use coral_proto::MESSAGE_BYTES_MAX;
use coral_proto::colony::v1::agent_link_server::{AgentLinkServer, SERVICE_NAME as LINK_NAME};
use coral_proto::colony::v1::debug_service_server::{DebugServiceServer, SERVICE_NAME};
use tonic::service::Routes;
use tonic::service::interceptor::InterceptedService;

use crate::access::Listen;
use crate::config::ColonyConfig;
use crate::serving::{Opened, ServeError};
use crate::store::Loss;
use history::History;
use link::LinkService;
use registry::Registry;
use service::Service;

/// Serves until `ended` says so. Sessions go on then, until their leases end. `ready` is told
/// where it listens, `warn` of what the history has lost.
///
/// # Errors
/// If a place to listen at, the audit log or the history cannot be opened.
pub async fn serve(
    config: &ColonyConfig,
    ready: impl FnOnce(&[Listen]),
    warn: impl Fn(&str),
    ended: impl Future<Output = ()>,
) -> Result<(), ServeError> {
    let opened = Opened::open(&config.listen, &config.access, config.audit.as_ref()).await?;
    let registry = Arc::new(Registry::new());
    let id = own_id(config);
    let history = History::open(&config.debug.storage)?;
    let (history, found) = history.map_or((None, None), |(it, found)| (Some(it), Some(found)));
    let service = Service::new(
        id.clone(),
        config,
        Arc::clone(&registry),
        opened.audit(),
        history.clone(),
    );
    for warning in found.iter().flat_map(|found| warnings(&found.losses)) {
        warn(&warning);
    }
    for session in found.into_iter().flat_map(|found| found.running) {
        service.recover(session).await;
    }
    if let Some(history) = &history {
        tokio::spawn(Arc::clone(history).run(Arc::clone(&registry)));
    }
    let link = LinkService::new(id, registry, config.agent_lease, opened.audit());
    let guard = opened.guard();
    let debug = DebugServiceServer::new(service)
        .max_decoding_message_size(MESSAGE_BYTES_MAX)
        .max_encoding_message_size(MESSAGE_BYTES_MAX);
    let link = AgentLinkServer::new(link)
        .max_decoding_message_size(MESSAGE_BYTES_MAX)
        .max_encoding_message_size(MESSAGE_BYTES_MAX);
    let routes = Routes::new(InterceptedService::new(debug, guard.clone()))
        .add_service(InterceptedService::new(link, guard.clone()));
    ready(&opened.places());
    opened
        .serve(routes, guard, &[SERVICE_NAME, LINK_NAME], ended)
        .await;
    if let Some(history) = history {
        history.close().await;
    }
    Ok(())
}

/// What the history's ledger knows of and its file does not.
fn warnings(losses: &[Loss]) -> Vec<String> {
    let losses = losses.iter();
    losses
        .map(|loss| format!("the history has lost {} rows of {}", loss.rows, loss.table))
        .collect()
}

fn own_id(config: &ColonyConfig) -> String {
    if !config.id.is_empty() {
        return config.id.clone();
    }
    let host = rustix::system::uname();
    host.nodename().to_string_lossy().into_owned()
}
