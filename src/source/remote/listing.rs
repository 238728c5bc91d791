//! What there is to open: the processes of an agent's node, or the services of a colony.

use std::time::Duration;

use coral_model::{AgentSummary, ProcessSummary, Service, ServiceReplica};
use coral_proto::agent::v1 as wire;
use coral_proto::colony::v1::{Agent, ListAgentsRequest};
use coral_proto::convert::{ConvertError, timestamp_from_wire};
use jiff::Timestamp;

use super::client::Client;
use super::pages::Pages;
use super::{RemoteAgent, RemoteError, timed};

/// What there is to open.
#[derive(Clone, Debug)]
pub enum Listed {
    /// The processes of a node.
    Processes(Vec<ProcessSummary>),
    /// The services of a colony, and its agents.
    Services(Vec<Service>, Vec<AgentSummary>),
}

impl RemoteAgent {
    /// What there is to open.
    ///
    /// # Errors
    /// If the agent or the colony refuses.
    pub async fn listed(&mut self) -> Result<Listed, RemoteError> {
        let Client::Colony(colony) = &self.client else {
            return Ok(Listed::Processes(self.processes().await?));
        };
        let mut colony = colony.clone();
        let services = self.services().await?.into_iter();
        let mut pages = Pages::new();
        while let Some(page_token) = pages.wanted()? {
            let request = timed(ListAgentsRequest { page_token });
            let page = colony.list_agents(request).await?.into_inner();
            pages.add(page.agents, page.next_page_token);
        }
        let agents = pages.all.into_iter();
        Ok(Listed::Services(
            services.map(service).collect::<Result<_, _>>()?,
            agents.map(agent).collect(),
        ))
    }
}

fn service(service: wire::Service) -> Result<Service, ConvertError> {
    let replicas = service.processes.into_iter().map(|process| {
        Ok(ServiceReplica {
            agent_id: process.agent_id.clone(),
            build_id: process.build_id.clone(),
            process: process.try_into()?,
        })
    });
    Ok(Service {
        name: service.name,
        source: service.source,
        replicas: replicas.collect::<Result<_, ConvertError>>()?,
    })
}

fn agent(agent: Agent) -> AgentSummary {
    let said = |text: String| (!text.is_empty()).then_some(text);
    let heard_at = agent.heard_at.as_ref();
    let heard_at = heard_at.and_then(|it| timestamp_from_wire(it, "heard_at").ok());
    AgentSummary {
        agent_id: agent.agent_id,
        host: agent.host,
        version: agent.version,
        kernel: agent.kernel,
        is_connected: agent.is_connected,
        heard_ago: heard_at
            .map(|at| Duration::try_from(Timestamp::now().duration_since(at)).unwrap_or_default()),
        can_debug: agent.can_debug_uprobes,
        lacks: said(agent.lacks),
        help: said(agent.help),
        sessions: agent.sessions,
    }
}
