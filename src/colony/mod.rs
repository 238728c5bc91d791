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
mod changes;
mod history;
mod link;
mod listing;
mod registry;
mod remembered;
mod replica;
mod requests;
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

use coral_model::Diagnostic;
use coral_proto::MESSAGE_BYTES_MAX;
use coral_proto::colony::v1::agent_link_server::{AgentLinkServer, SERVICE_NAME as LINK_NAME};
use coral_proto::colony::v1::debug_service_server::{DebugServiceServer, SERVICE_NAME};
use tonic::service::Routes;
use tonic::service::interceptor::InterceptedService;

use crate::access::Listen;
use crate::config::ColonyConfig;
use crate::outlets::Warn;
use crate::serving::{Opened, ServeError};
use crate::store::{Loss, Opened as Found};
use history::Archive;
use link::LinkService;
use registry::Registry;
use service::Service;

/// Serves until `ended` says so. Sessions go on then, until their leases end. `ready` is told
/// where it listens, `warn` of what the history has lost, of what keeps it from being written, and of
/// where it does not get to.
///
/// # Errors
/// If a place to listen at or the audit log cannot be opened.
pub async fn serve(
    config: &ColonyConfig,
    ready: impl FnOnce(&[Listen]),
    warn: impl Fn(&str) + Send + Sync + 'static,
    ended: impl Future<Output = ()>,
) -> Result<(), ServeError> {
    let opened = Opened::open(&config.listen, &config.access, config.audit.as_ref()).await?;
    let registry = Arc::new(Registry::new());
    let id = own_id(config);
    let warn = Warn::new(warn);
    let archive = Archive::of(&config.debug, &warn)?;
    let service = Arc::new(Service::new(
        id.clone(),
        config,
        Arc::clone(&registry),
        opened.audit(),
        archive.clone(),
    ));
    if let Some(archive) = archive.clone() {
        // Where that fails, sessions are started all the same, and remembered later.
        let is_open = match archive.open().await {
            Ok(found) => {
                remember(&service, found, &warn).await;
                true
            }
            Err(error) => {
                warn.say(&format!("{error} ({})", error.code()));
                false
            }
        };
        let (service, registry) = (Arc::clone(&service), Arc::clone(&registry));
        tokio::spawn(async move {
            if !is_open {
                let found = archive.open_at_last().await;
                remember(&service, found, &warn).await;
            }
            archive.run(registry).await;
        });
    }
    let link = LinkService::new(id, registry, config.agent_lease, opened.audit());
    let guard = opened.guard();
    let debug = DebugServiceServer::from_arc(service)
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
    if let Some(archive) = archive {
        archive.close().await;
    }
    Ok(())
}

/// Goes on with the sessions that an opened history knows as running, and says what it has lost:
/// what its ledger knows of and its file does not.
async fn remember(service: &Service, found: Found, warn: &Warn) {
    for Loss { rows, table } in &found.losses {
        warn.say(&format!("the history has lost {rows} rows of {table}"));
    }
    for session in found.running {
        service.recover(session).await;
    }
}

fn own_id(config: &ColonyConfig) -> String {
    if !config.id.is_empty() {
        return config.id.clone();
    }
    let host = rustix::system::uname();
    host.nodename().to_string_lossy().into_owned()
}
