//! Where agents come in: who they are is proven, and from then on the colony is their client.

use std::sync::Arc;
use std::time::Duration;

use coral_proto::colony::v1 as wire;
use coral_proto::colony::v1::agent_link_server::AgentLink;
use coral_proto::convert::duration_to_wire;
use tokio::sync::mpsc;
use tokio::time::timeout;
use tokio_stream::wrappers::ReceiverStream;
use tonic::{Code, Request, Response, Status, Streaming};

use super::registry::{Link, Registry};
use crate::access::audit::{Entry, Outcome, Who};
use crate::access::grpc::{identity, peer};
use crate::serving::{Audit, status, tunnel};

/// Who has not said its name by then is sent away.
const GREETING_MAX: Duration = Duration::from_secs(10);
/// Longer names are none.
const NAME_BYTES_MAX: usize = 256;

/// Takes the links of agents.
pub(super) struct LinkService {
    colony_id: String,
    registry: Arc<Registry>,
    lease: Duration,
    audit: Arc<Audit>,
}

impl LinkService {
    pub(super) fn new(
        colony_id: String,
        registry: Arc<Registry>,
        lease: Duration,
        audit: Arc<Audit>,
    ) -> Self {
        Self {
            colony_id,
            registry,
            lease,
            audit,
        }
    }
}

#[tonic::async_trait]
impl AgentLink for LinkService {
    type OpenLinkStream = ReceiverStream<Result<wire::OpenLinkResponse, Status>>;

    async fn open_link(
        &self,
        request: Request<Streaming<wire::OpenLinkRequest>>,
    ) -> Result<Response<Self::OpenLinkStream>, Status> {
        let who = identity(request.extensions())?.clone();
        let peer = peer(request.extensions())?.clone();
        let mut incoming = request.into_inner();
        let first = timeout(GREETING_MAX, incoming.message()).await;
        let first = first.map_err(|_| bad_greeting("it did not come in time"))??;
        let greeting = first
            .and_then(|first| first.greeting)
            .ok_or_else(|| bad_greeting("the first message has none"))?;
        check_name(&greeting.agent_id)?;
        let mut entry = Entry::new(Who::of(&who, &peer), "agent.connect", Outcome::Allowed);
        entry.settings = serde_json::json!({
            "agent_id": greeting.agent_id,
            "epoch": greeting.epoch,
        });
        if let Err(denied) = who.check_agent(&greeting.agent_id) {
            return Err(self.audit.denied(entry, denied));
        }
        self.audit.note(entry);
        let (outgoing, messages) = mpsc::channel(tunnel::CHUNKS_MAX);
        let welcome = wire::Welcome {
            colony_id: self.colony_id.clone(),
            lease: Some(duration_to_wire(self.lease)),
        };
        let welcome = wire::OpenLinkResponse {
            welcome: Some(welcome),
            data: Vec::new(),
        };
        // The channel is empty.
        let _ = outgoing.try_send(Ok(welcome));
        let (registry, lease) = (Arc::clone(&self.registry), self.lease);
        tokio::spawn(async move {
            // An agent that went away again dials again.
            if let Ok((channel, ended)) = tunnel::colony_end(incoming, outgoing).await {
                let link = Link::new(greeting, channel);
                registry.keep(link, ended.wait(), lease).await;
            }
        });
        Ok(Response::new(ReceiverStream::new(messages)))
    }
}

fn check_name(name: &str) -> Result<(), Status> {
    let is_name = !name.is_empty() && name.len() <= NAME_BYTES_MAX;
    if is_name && !name.chars().any(char::is_control) {
        return Ok(());
    }
    Err(bad_greeting(
        "the agent's name is empty, too long or no text",
    ))
}

fn bad_greeting(why: &str) -> Status {
    let message = format!("the agent's greeting cannot be used: {why}");
    let help = "connect with an agent of this version";
    status::with(Code::InvalidArgument, "bad-greeting", &message, help)
}
