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
mod journal;
mod privileges;
mod recording;
mod service;
mod services;
mod sessions;
#[cfg(test)]
pub(crate) mod simulated;
mod single;
mod start;
mod targets;
mod uplink;

use std::fs::DirBuilder;
use std::future::Future;
use std::io;
use std::os::unix::fs::DirBuilderExt;
use std::sync::Arc;
use std::time::Duration;

use coral_proto::MESSAGE_BYTES_MAX;
use coral_proto::agent::v1::agent_server::{AgentServer, SERVICE_NAME};
use coral_proto::colony::v1::Greeting;
use tokio::sync::watch;
use tokio::task::spawn_blocking;
use tokio::time::timeout;
use tonic::service::Routes;
use tonic::service::interceptor::InterceptedService;

use crate::access::{Listen, Settings, check_files};
use crate::config::{AgentConfig, SpoolConfig};
use crate::serving::{Opened, ServeError};
use crate::source::remote::BackOff;
use journal::Journals;
pub use privileges::drop_privileges;
use service::{Service, host_name};
pub use uplink::Say;
use uplink::Uplink;

/// A unit of systemd that runs the agent without root.
pub const SYSTEMD_UNIT: &str = include_str!("coral-agent.service");

/// Applications have no identity; that they are who they say is looked at in another way.
const REGISTER_SERVICE: &str = "/coral.agent.v1.Agent/RegisterService";

/// How long the colony has to take what is on its way when the agent ends.
const CLOSE_MAX: Duration = Duration::from_secs(2);

/// Makes the folder for journals, if there is to be one; before privileges are dropped.
///
/// # Errors
/// Those of the file system. The agent goes on without it, and says so when it opens it.
pub fn make_spool(config: &AgentConfig) -> io::Result<()> {
    let Some(colony) = &config.colony else {
        return Ok(());
    };
    let mut folder = DirBuilder::new();
    folder.recursive(true).mode(0o700);
    folder.create(&colony.spool.path)
}

/// Serves until `ended` says so; then every session is over. `ready` is told where it listens, and
/// `say` what becomes of the link to the colony.
///
/// # Errors
/// If a place to listen at or the audit log cannot be opened, or a file for the way to the colony
/// cannot be used.
pub async fn serve(
    config: &AgentConfig,
    ready: impl FnOnce(&[Listen]),
    say: Say,
    ended: impl Future<Output = ()>,
) -> Result<(), ServeError> {
    let colony = config.colony.as_ref();
    if let Some(colony) = colony {
        // What is wrong now stays so, however often the colony is dialled.
        check_files(&colony.url, &colony.tls(), colony.token_file.as_deref())?;
    }
    let access = Settings {
        colony: colony.map_or_else(Default::default, |it| it.roles.clone()),
        ..config.access.clone()
    };
    let opened = Opened::open(&config.listen, &access, config.audit.as_ref()).await?;
    let places = opened.places();
    let journals = open_journals(colony.map(|colony| &colony.spool), &say).await;
    let epoch = journals.epoch();
    let service = Service::open(config, ports(&places), opened.audit(), journals);
    let service = Arc::new(service);
    let guard = opened.guard().admitting(REGISTER_SERVICE);
    let agent = AgentServer::from_arc(Arc::clone(&service))
        .max_decoding_message_size(MESSAGE_BYTES_MAX)
        .max_encoding_message_size(MESSAGE_BYTES_MAX);
    let routes = Routes::new(InterceptedService::new(agent, guard.clone()));
    ready(&places);
    let (closing, closed) = watch::channel(false);
    let uplink = colony.map(|colony| {
        let uplink = Uplink {
            way: colony.clone(),
            greeting: greeting(&service, epoch),
            routes: routes.clone(),
            say,
            back_off: BackOff::new(),
        };
        tokio::spawn(uplink.keep(closed))
    });
    let all_ended = async {
        ended.await;
        service.end_all().await;
        closing.send_replace(true);
    };
    opened
        .serve(routes, guard, &[SERVICE_NAME], all_ended)
        .await;
    if let Some(uplink) = uplink {
        let _ = timeout(CLOSE_MAX, uplink).await;
    }
    Ok(())
}

/// What the agent says of itself to its colony.
fn greeting(service: &Service, epoch: u64) -> Greeting {
    Greeting {
        agent_id: service.id.clone(),
        version: env!("CARGO_PKG_VERSION").into(),
        host: host_name(),
        epoch,
    }
}

/// Opens the journals, on a thread of its own: what an earlier start has left is read. Where they
/// cannot be kept, everything else goes on.
async fn open_journals(config: Option<&SpoolConfig>, say: &Say) -> Journals {
    let Some(config) = config.cloned() else {
        return Journals::NotAsked;
    };
    let opening = spawn_blocking(move || Journals::open(&config));
    let opened = opening.await;
    let journals = opened.unwrap_or_else(|error| Journals::impossible(error.to_string()));
    if let Journals::Impossible { why, .. } = &journals {
        say(&format!("colony: no journals are kept: {why}"));
    }
    journals
}

fn ports(places: &[Listen]) -> Vec<u16> {
    let ports = places.iter().filter_map(|place| match place {
        Listen::Tcp(address) => Some(address.port()),
        Listen::Unix(_) => None,
    });
    ports.collect()
}
