//! The services of a colony as a tree: services with their replicas, and the agents that know them.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;
use std::time::Duration;

use coral_model::{AgentSummary, Service, ServiceReplica};

use crate::filter_input::FilterInput;
use crate::replicas::ReplicaKey;
use crate::scan::{NameMatcher, Query};
use crate::selection::Selection;

/// Where a listing is not longer than this, all of it is open at first.
const OPEN_MAX: usize = 24;

/// What the services are sorted by.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum ServiceSort {
    /// What can be probed first, then by name.
    #[default]
    Relevance,
    Name,
    Replicas,
}

impl ServiceSort {
    pub(crate) fn next(self) -> Self {
        match self {
            Self::Relevance => Self::Name,
            Self::Name => Self::Replicas,
            Self::Replicas => Self::Relevance,
        }
    }

    /// How the title of the list names it.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Relevance => "what can be probed first",
            Self::Name => "name",
            Self::Replicas => "replicas",
        }
    }
}

/// What a row is about, whatever its place.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(crate) enum ServiceKey {
    Service(String),
    Replica(String, ReplicaKey),
    /// The head of the agents.
    Agents,
    Agent(String),
}

/// A row, and where what it shows is in the listing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum ServiceRow {
    Service {
        service: usize,
        is_open: bool,
    },
    Replica {
        service: usize,
        replica: usize,
        is_last: bool,
    },
    Agents {
        is_open: bool,
    },
    Agent {
        agent: usize,
        is_last: bool,
    },
}

/// What a colony has listed, and what is shown of it.
#[derive(Debug, Default)]
pub(crate) struct ServiceList {
    services: Arc<[Service]>,
    agents: Arc<[AgentSummary]>,
    /// Where each agent is in the listing.
    agent_places: HashMap<String, usize>,
    /// When the colony answered last, on the console's clock.
    pub(crate) listed_at: Option<Duration>,
    pub(crate) sort: ServiceSort,
    pub(crate) filter: FilterInput,
    pub(crate) selection: Selection<ServiceKey>,
    open: HashSet<ServiceKey>,
    rows: Vec<ServiceRow>,
    keys: Vec<ServiceKey>,
}

impl ServiceList {
    pub(crate) fn set(
        &mut self,
        services: Arc<[Service]>,
        agents: Arc<[AgentSummary]>,
        now: Duration,
    ) {
        let is_first = self.services.is_empty();
        (self.services, self.agents) = (services, agents);
        let names = self.agents.iter().map(|agent| agent.agent_id.clone());
        self.agent_places = names.zip(0..).collect();
        self.listed_at = Some(now);
        let length: usize = self.services.iter().map(|it| 1 + it.replicas.len()).sum();
        if is_first && length + self.agents.len() <= OPEN_MAX {
            let names = self.services.iter().map(|service| service.name.clone());
            self.open.extend(names.map(ServiceKey::Service));
            self.open.insert(ServiceKey::Agents);
        }
        self.arrange();
    }

    /// Filters and sorts again.
    pub(crate) fn arrange(&mut self) {
        let query = self
            .filter
            .is_active()
            .then(|| Query::new(self.filter.text()));
        let mut matcher = NameMatcher::default();
        let mut is_match = |text: &str| {
            let query = query.as_ref();
            query.is_none_or(|query| query.score(text, &mut matcher).is_some())
        };
        let mut rows = Vec::new();
        for service in self.order() {
            let known = &self.services[service];
            let mut replicas: Vec<usize> = (0..known.replicas.len()).collect();
            if !is_match(&known.name) {
                replicas.retain(|&place| is_match(&searchable(known, &known.replicas[place])));
                if replicas.is_empty() {
                    continue;
                }
            }
            // What is looked for is shown.
            let is_open = query.is_some() || self.is_open(&ServiceKey::Service(known.name.clone()));
            rows.push(ServiceRow::Service { service, is_open });
            let last = replicas.last().copied();
            let replicas = replicas.into_iter().filter(|_| is_open);
            rows.extend(replicas.map(|replica| ServiceRow::Replica {
                service,
                replica,
                is_last: Some(replica) == last,
            }));
        }
        let mut agents: Vec<usize> = (0..self.agents.len()).collect();
        agents.retain(|&place| {
            let agent = &self.agents[place];
            is_match(&format!("{} {} agent", agent.agent_id, agent.host))
        });
        agents.sort_by_key(|&place| {
            let agent = &self.agents[place];
            (agent.is_connected && agent.can_debug, &agent.agent_id)
        });
        if let Some(&last) = agents.last() {
            let is_open = query.is_some() || self.is_open(&ServiceKey::Agents);
            rows.push(ServiceRow::Agents { is_open });
            let agents = agents.into_iter().filter(|_| is_open);
            rows.extend(agents.map(|agent| ServiceRow::Agent {
                agent,
                is_last: agent == last,
            }));
        }
        self.keys = rows.iter().map(|row| self.key(*row)).collect();
        self.rows = rows;
        self.selection.restore(&self.keys);
    }

    /// The rows that are shown, in order.
    pub(crate) fn rows(&self) -> &[ServiceRow] {
        &self.rows
    }

    pub(crate) fn selected(&self) -> Option<ServiceRow> {
        self.rows.get(self.selection.index()).copied()
    }

    pub(crate) fn services(&self) -> &[Service] {
        &self.services
    }

    pub(crate) fn agents(&self) -> &[AgentSummary] {
        &self.agents
    }

    /// A service by its name.
    pub(crate) fn service(&self, name: &str) -> Option<&Service> {
        self.services.iter().find(|service| service.name == name)
    }

    /// The agent of a replica, if it is listed.
    pub(crate) fn agent_of(&self, replica: &ServiceReplica) -> Option<&AgentSummary> {
        self.agents.get(*self.agent_places.get(&replica.agent_id)?)
    }

    /// Why a replica cannot be probed now; nothing if it can.
    pub(crate) fn trouble(&self, replica: &ServiceReplica) -> Option<String> {
        let agent = self.agent_of(replica);
        let of_agent = agent.and_then(trouble_of);
        of_agent.or_else(|| replica.process.refusal.clone())
    }

    pub(crate) fn move_by(&mut self, delta: isize, height: usize) {
        self.selection.move_by(delta, &self.keys, height);
    }

    /// Opens the selected row, or goes on to its first one.
    pub(crate) fn go_in(&mut self, height: usize) {
        let (Some(ServiceRow::Service { is_open, .. }) | Some(ServiceRow::Agents { is_open })) =
            self.selected()
        else {
            return;
        };
        if is_open {
            self.move_by(1, height);
        } else {
            self.toggle();
        }
    }

    /// Folds the selected row, or goes back to what it is part of.
    pub(crate) fn go_out(&mut self, height: usize) {
        let parent = match self.selected() {
            Some(ServiceRow::Service { is_open, .. } | ServiceRow::Agents { is_open }) => {
                if is_open {
                    self.toggle();
                }
                return;
            }
            Some(ServiceRow::Replica { service, .. }) => {
                ServiceKey::Service(self.services[service].name.clone())
            }
            Some(ServiceRow::Agent { .. }) => ServiceKey::Agents,
            None => return,
        };
        if let Some(index) = self.keys.iter().position(|key| *key == parent) {
            self.selection.go_to(index, &self.keys, height);
        }
    }

    /// Opens what is folded, and folds what is open.
    pub(crate) fn toggle(&mut self) {
        let Some(key) = self.selection.id() else {
            return;
        };
        if !self.open.remove(&key) {
            self.open.insert(key);
        }
        self.arrange();
    }

    fn is_open(&self, key: &ServiceKey) -> bool {
        self.open.contains(key)
    }

    fn key(&self, row: ServiceRow) -> ServiceKey {
        match row {
            ServiceRow::Service { service, .. } => {
                ServiceKey::Service(self.services[service].name.clone())
            }
            ServiceRow::Replica {
                service, replica, ..
            } => {
                let service = &self.services[service];
                let replica = &service.replicas[replica];
                let key = ReplicaKey {
                    agent_id: replica.agent_id.clone(),
                    pid: replica.process.pid,
                    start_ticks: replica.process.start_ticks,
                    turn: 0,
                };
                ServiceKey::Replica(service.name.clone(), key)
            }
            ServiceRow::Agents { .. } => ServiceKey::Agents,
            ServiceRow::Agent { agent, .. } => {
                ServiceKey::Agent(self.agents[agent].agent_id.clone())
            }
        }
    }

    /// The services in the order that is asked for.
    fn order(&self) -> Vec<usize> {
        let mut order: Vec<usize> = (0..self.services.len()).collect();
        let name = |place: usize| &self.services[place].name;
        match self.sort {
            ServiceSort::Name => order.sort_by_key(|&place| name(place)),
            ServiceSort::Replicas => order.sort_by_key(|&place| {
                (
                    std::cmp::Reverse(self.services[place].replicas.len()),
                    name(place),
                )
            }),
            ServiceSort::Relevance => order.sort_by_key(|&place| {
                let mut replicas = self.services[place].replicas.iter();
                let can_be_probed = replicas.any(|replica| self.trouble(replica).is_none());
                (!can_be_probed, name(place))
            }),
        }
        order
    }
}

/// Why an agent cannot probe now; nothing if it can.
pub(crate) fn trouble_of(agent: &AgentSummary) -> Option<String> {
    if !agent.is_connected {
        return Some("its agent is cut off".into());
    }
    let lacks = || {
        agent
            .lacks
            .clone()
            .unwrap_or_else(|| "its agent cannot probe".into())
    };
    (!agent.can_debug).then(lacks)
}

/// Everything of a replica that a filter looks at.
fn searchable(service: &Service, replica: &ServiceReplica) -> String {
    let process = &replica.process;
    let ports: Vec<String> = process.ports.iter().map(u16::to_string).collect();
    let language = process.language.map_or("", |language| language.name());
    let container = process.container.as_deref().unwrap_or_default();
    let build = replica.build_id.as_deref().unwrap_or_default();
    let command: String = process.command.chars().take(512).collect();
    format!(
        "{} {} {} {language} {} {build} {container} {command}",
        service.name,
        replica.agent_id,
        process.pid,
        ports.join(" "),
    )
}

#[cfg(test)]
mod tests {
    use coral_model::ProcessSummary;

    use super::*;

    fn replica(agent: &str, pid: u32) -> ServiceReplica {
        ServiceReplica {
            agent_id: agent.into(),
            process: ProcessSummary {
                pid,
                start_ticks: 1,
                user: "app".into(),
                name: "serve".into(),
                command: "serve".into(),
                language: None,
                ports: Vec::new(),
                container: None,
                resident_bytes: 0,
                refusal: None,
            },
            build_id: None,
        }
    }

    fn agent(agent_id: &str, is_connected: bool) -> AgentSummary {
        AgentSummary {
            agent_id: agent_id.into(),
            host: agent_id.into(),
            version: "1".into(),
            kernel: "6.12".into(),
            is_connected,
            heard_ago: None,
            can_debug: true,
            lacks: None,
            help: None,
            sessions: 0,
        }
    }

    fn list() -> ServiceList {
        let service = |name: &str, replicas: &[(&str, u32)]| Service {
            name: name.into(),
            source: "discovery".into(),
            replicas: replicas
                .iter()
                .map(|&(agent, pid)| replica(agent, pid))
                .collect(),
        };
        let mut list = ServiceList::default();
        let services = [
            service("auth", &[("lost", 7)]),
            service("shop", &[("lost", 1), ("here", 2)]),
        ];
        let agents = [agent("here", true), agent("lost", false)];
        list.set(services.into(), agents.into(), Duration::ZERO);
        list
    }

    /// The rows as one writes them down.
    fn written(list: &ServiceList) -> Vec<String> {
        let words = |key: &ServiceKey| match key {
            ServiceKey::Service(name) => name.clone(),
            ServiceKey::Replica(service, key) => format!("{service}/{}", key.pid),
            ServiceKey::Agents => "agents".into(),
            ServiceKey::Agent(id) => format!("agent {id}"),
        };
        list.keys.iter().map(words).collect()
    }

    #[test]
    fn what_can_be_probed_comes_first_and_agents_in_trouble() {
        assert_eq!(
            written(&list()),
            [
                "shop",
                "shop/1",
                "shop/2",
                "auth",
                "auth/7",
                "agents",
                "agent lost",
                "agent here"
            ]
        );
    }

    #[test]
    fn rows_are_folded_and_left() {
        let mut list = list();
        list.move_by(2, 20);
        list.go_out(20);
        assert_eq!(
            list.selection.id(),
            Some(ServiceKey::Service("shop".into()))
        );
        list.go_out(20);
        assert_eq!(written(&list)[..2], ["shop", "auth"]);
        list.go_in(20);
        list.go_in(20);
        assert_eq!(list.selection.index(), 1);
    }

    #[test]
    fn a_filter_shows_what_it_finds_even_if_that_is_folded() {
        let mut list = list();
        list.toggle();
        assert_eq!(written(&list)[..2], ["shop", "auth"]);
        list.filter.insert("'here");
        list.arrange();
        assert_eq!(written(&list), ["shop", "shop/2", "agents", "agent here"]);
    }
}
