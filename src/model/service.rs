//! What a colony lists: services with their replicas, and the agents that know them.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::ProcessSummary;

/// A service: processes that are called the same, on however many nodes.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Service {
    /// Its name.
    pub name: String,
    /// How it became known: `sdk`, `configuration` or `discovery`.
    pub source: String,
    /// Its processes.
    pub replicas: Vec<ServiceReplica>,
}

/// A process of a service.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ServiceReplica {
    /// The agent of its node.
    pub agent_id: String,
    /// The process, with the reason why it cannot be probed, if it cannot.
    pub process: ProcessSummary,
    /// The executable's build-id, as far as it is known.
    pub build_id: Option<String>,
}

/// An agent of a colony, and what it can do.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct AgentSummary {
    /// Its name, which its identity proves.
    pub agent_id: String,
    /// The node's name.
    pub host: String,
    /// The agent's version.
    pub version: String,
    /// The node's kernel.
    pub kernel: String,
    /// Whether the colony can ask it now.
    pub is_connected: bool,
    /// How long ago it was heard of last, when it was listed; `None` where that is not known.
    pub heard_ago: Option<Duration>,
    /// Whether it can probe.
    pub can_debug: bool,
    /// What it lacks for that, as a clause.
    pub lacks: Option<String>,
    /// What to do about it.
    pub help: Option<String>,
    /// How many sessions it runs.
    pub sessions: u32,
}

impl Service {
    /// How many builds its replicas are of, as far as those are known.
    pub fn build_count(&self) -> usize {
        count(self.replicas.iter().filter_map(|it| it.build_id.as_deref()))
    }

    /// How many agents know a replica of it.
    pub fn agent_count(&self) -> usize {
        count(self.replicas.iter().map(|it| it.agent_id.as_str()))
    }
}

/// How many different ones there are.
fn count<'a>(names: impl Iterator<Item = &'a str>) -> usize {
    let mut names: Vec<&str> = names.collect();
    names.sort_unstable();
    names.dedup();
    names.len()
}
