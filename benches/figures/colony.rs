//! What a colony bears: agents, sessions and rows, what crosses its links, and how long its answers
//! take.

mod fleet;
mod live;
mod made;
mod nodes;
mod past;

use coral_proto::agent::v1 as agent;
use coral_proto::colony::v1::debug_service_client::DebugServiceClient;
use coral_tui::access::AuthorizedChannel;
use tonic::Streaming;

use crate::Result;

/// A colony's calls.
type Client = DebugServiceClient<AuthorizedChannel>;

pub(crate) fn run() -> Result<()> {
    if cfg!(debug_assertions) {
        println!("colony: a build without optimisation, of which nothing is to be quoted\n");
    }
    fleet::run()?;
    live::run()?;
    println!();
    past::run()
}

/// A session on functions of a service, in which one call in so many is recorded; its name.
async fn start(
    client: &mut Client,
    service: &str,
    pattern: &str,
    sample_rate: u32,
) -> Result<String> {
    let request = agent::StartSessionRequest {
        target: Some(agent::TargetRef {
            service_name: service.into(),
            ..agent::TargetRef::default()
        }),
        patterns: vec![pattern.into()],
        settings: Some(agent::SessionSettings {
            duration: Some(prost_types::Duration {
                seconds: 600,
                nanos: 0,
            }),
            no_budget: true,
            sample_rate,
            ..agent::SessionSettings::default()
        }),
        ..agent::StartSessionRequest::default()
    };
    let started = client.start_session(request).await?.into_inner();
    Ok(started.session_id)
}

async fn watch(client: &mut Client, session: &str) -> Result<Streaming<agent::SessionUpdate>> {
    let request = agent::WatchSessionRequest {
        session_id: session.to_owned(),
        interval: None,
    };
    Ok(client.watch_session(request).await?.into_inner())
}

async fn end_all(client: &mut Client) -> Result<()> {
    let all = agent::EndSessionsRequest {
        all: true,
        ..agent::EndSessionsRequest::default()
    };
    client.end_sessions(all).await?;
    Ok(())
}
