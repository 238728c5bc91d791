//! The agents: who is connected, what each can do, and which services run on its node.

use std::collections::{BTreeMap, HashMap};
use std::future::Future;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use coral_proto::MESSAGE_BYTES_MAX;
use coral_proto::agent::v1 as wire;
use coral_proto::agent::v1::agent_client::AgentClient;
use coral_proto::colony::v1::Greeting;
use jiff::{SignedDuration, Timestamp};
use tokio::sync::watch;
use tokio::time::{Instant, sleep, timeout};
use tonic::service::interceptor::InterceptedService;
use tonic::transport::Channel;
use tonic::{Request, Status};

use crate::access::{AuthorizedChannel, Bearer};
use crate::serving::status;
use crate::source::remote::{RemoteAgent, RemoteError, RemoteTarget};

/// How often an agent is asked for its services, which is the sign of its life as well.
const LOOK_EVERY: Duration = Duration::from_secs(1);
/// How long the agents of a colony that has just begun take to dial: their back-off is 5 s at most.
const GATHERING: Duration = Duration::from_secs(8);
/// How often it is asked what it can do.
const CAPABILITIES_EVERY: u32 = 60;
/// How long an agent is listed that is not connected.
const FORGOTTEN_AFTER: SignedDuration = SignedDuration::from_hours(24);

/// The agents that are connected, or were.
#[derive(Debug)]
pub(super) struct Registry {
    known: Mutex<BTreeMap<String, Known>>,
    /// Grows with every change.
    changes: watch::Sender<u64>,
    began: Instant,
}

/// What is known of an agent.
#[derive(Clone, Debug)]
pub(super) struct Known {
    pub(super) host: String,
    pub(super) version: String,
    pub(super) kernel: String,
    pub(super) can_debug: bool,
    /// Why it cannot, and the next step.
    pub(super) lacks: Option<(String, String)>,
    pub(super) heard_at: Timestamp,
    pub(super) services: Vec<wire::Service>,
    link: Option<Link>,
}

/// The way to an agent, for as long as it lasts.
#[derive(Clone, Debug)]
pub(super) struct Link {
    pub(super) agent_id: String,
    /// Which start of the agent it is.
    pub(super) epoch: u64,
    pub(super) host: String,
    version: String,
    channel: Channel,
    /// Closed when the link has ended.
    is_up: Arc<watch::Sender<bool>>,
}

/// A process that is a replica of a service.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct ReplicaProcess {
    pub(super) agent_id: String,
    pub(super) process: wire::Process,
}

impl ReplicaProcess {
    /// How its agent is told which process is meant.
    pub(super) fn meant(&self) -> RemoteTarget {
        RemoteTarget {
            pids: vec![self.process.pid],
            ..RemoteTarget::default()
        }
    }
}

impl Registry {
    pub(super) fn new() -> Self {
        Self {
            known: Mutex::default(),
            changes: watch::Sender::new(0),
            began: Instant::now(),
        }
    }

    /// How long agents of before may still take to dial again; nothing when that is over.
    pub(super) fn gathering(&self) -> Option<Duration> {
        GATHERING.checked_sub(self.began.elapsed())
    }

    /// Keeps a link until it has ended: the agent is asked again and again for what it has.
    pub(super) async fn keep<T>(
        &self,
        link: Link,
        ended: impl Future<Output = T>,
        lease: Duration,
    ) {
        self.connected(&link);
        tokio::select! {
            biased;
            _ = ended => {}
            _ = self.look(&link, lease) => {}
        }
        self.lost(&link);
    }

    /// Everything that is known, by the agents' names.
    pub(super) fn all(&self) -> BTreeMap<String, Known> {
        self.locked().clone()
    }

    /// The way to an agent, if there is one now.
    pub(super) fn link(&self, agent_id: &str) -> Option<Link> {
        self.locked().get(agent_id)?.link.clone()
    }

    /// Which start of each connected agent it is.
    pub(super) fn epochs(&self) -> HashMap<String, u64> {
        let known = self.locked();
        let epoch = |(id, it): (&String, &Known)| Some((id.clone(), it.link.as_ref()?.epoch));
        known.iter().filter_map(epoch).collect()
    }

    /// The agents that are connected.
    pub(super) fn links(&self) -> Vec<Link> {
        let known = self.locked();
        known.values().filter_map(|it| it.link.clone()).collect()
    }

    /// The processes of a service on the nodes of connected agents.
    pub(super) fn replicas(&self, service: &str) -> Vec<ReplicaProcess> {
        let known = self.locked();
        let connected = known.iter().filter(|(_, it)| it.link.is_some());
        let mut replicas = Vec::new();
        for (agent_id, known) in connected {
            let of_name = known.services.iter().filter(|it| it.name == service);
            replicas.extend(
                of_name
                    .flat_map(|it| &it.processes)
                    .map(|process| ReplicaProcess {
                        agent_id: agent_id.clone(),
                        process: process.clone(),
                    }),
            );
        }
        replicas.sort_by_key(|it| (it.agent_id.clone(), it.process.pid));
        replicas.dedup();
        replicas
    }

    /// Tells of every change from now on.
    pub(super) fn changes(&self) -> watch::Receiver<u64> {
        self.changes.subscribe()
    }

    fn connected(&self, link: &Link) {
        let known = Known {
            host: link.host.clone(),
            version: link.version.clone(),
            kernel: String::new(),
            can_debug: false,
            lacks: None,
            heard_at: Timestamp::now(),
            services: Vec::new(),
            link: Some(link.clone()),
        };
        let mut all = self.locked();
        let before = all.insert(link.agent_id.clone(), known);
        let now = Timestamp::now();
        // Nodes come and go.
        all.retain(|_, it| it.link.is_some() || now.duration_since(it.heard_at) < FORGOTTEN_AFTER);
        drop(all);
        // An agent has one link: an older one is half-open by now.
        if let Some(before) = before.and_then(|before| before.link) {
            before.is_up.send_replace(false);
        }
        self.changed();
    }

    fn lost(&self, link: &Link) {
        link.is_up.send_replace(false);
        let mut known = self.locked();
        if let Some(known) = known.get_mut(&link.agent_id) {
            known.link.take_if(|it| it.is(link));
        }
        drop(known);
        self.changed();
    }

    /// Until the agent does not answer any more.
    async fn look(&self, link: &Link, lease: Duration) -> Result<(), Status> {
        let (mut calls, mut agent) = (link.calls(None), link.agent(None));
        let mut is_up = link.is_up.subscribe();
        for round in 0.. {
            if round % CAPABILITIES_EVERY == 0 {
                let asked = calls.get_capabilities(wire::GetCapabilitiesRequest {});
                let answer = within(lease, asked).await?.into_inner();
                self.update(link, |known| known.take_capabilities(answer));
            }
            let asked = async { agent.services().await.map_err(of_remote) };
            let services = within(lease, asked).await?;
            self.update(link, |known| known.services = services);
            tokio::select! {
                biased;
                () = sleep(LOOK_EVERY) => {}
                _ = is_up.wait_for(|is_up| !is_up) => break,
            }
        }
        Ok(())
    }

    fn update(&self, link: &Link, change: impl FnOnce(&mut Known)) {
        let mut all = self.locked();
        let known = all.get_mut(&link.agent_id);
        let of_link = |known: &&mut Known| known.link.as_ref().is_some_and(|it| it.is(link));
        let Some(known) = known.filter(of_link) else {
            return;
        };
        let before = (known.services.clone(), known.can_debug);
        change(known);
        known.heard_at = Timestamp::now();
        let is_changed = before != (known.services.clone(), known.can_debug);
        drop(all);
        if is_changed {
            self.changed();
        }
    }

    fn changed(&self) {
        self.changes.send_modify(|changes| *changes += 1);
    }

    /// What it guards is whole at any time, so a panic spoils nothing.
    fn locked(&self) -> MutexGuard<'_, BTreeMap<String, Known>> {
        self.known.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Known {
    /// Whether it is connected.
    pub(super) fn is_connected(&self) -> bool {
        self.link.is_some()
    }

    fn take_capabilities(&mut self, answer: wire::GetCapabilitiesResponse) {
        self.kernel = answer.kernel;
        self.can_debug = answer.can_debug_uprobes;
        let mut failed = answer.findings.into_iter().filter(|it| it.result == "fail");
        let lack = failed.next().filter(|_| !self.can_debug);
        self.lacks = lack.map(|it| (it.message, it.help));
    }
}

impl Link {
    /// The link of an agent that has said who it is.
    pub(super) fn new(greeting: Greeting, channel: Channel) -> Self {
        Self {
            agent_id: greeting.agent_id,
            epoch: greeting.epoch,
            host: greeting.host,
            version: greeting.version,
            channel,
            is_up: Arc::new(watch::Sender::new(true)),
        }
    }

    /// The agent's calls, for somebody or for the colony itself.
    pub(super) fn calls(&self, on_behalf_of: Option<&str>) -> AgentClient<AuthorizedChannel> {
        AgentClient::new(self.authorized(on_behalf_of))
            .max_decoding_message_size(MESSAGE_BYTES_MAX)
            .max_encoding_message_size(MESSAGE_BYTES_MAX)
    }

    /// The agent, as every client sees it.
    pub(super) fn agent(&self, on_behalf_of: Option<&str>) -> RemoteAgent {
        RemoteAgent::over(self.authorized(on_behalf_of))
    }

    /// Waits until the link has ended.
    pub(super) async fn down(&self) {
        // Where nobody can say so any more, it has ended as well.
        let _ = self.is_up.subscribe().wait_for(|is_up| !is_up).await;
    }

    /// Whether it lasts still.
    pub(super) fn is_up(&self) -> bool {
        *self.is_up.borrow()
    }

    /// Whether it is the same link.
    pub(super) fn is(&self, other: &Self) -> bool {
        Arc::ptr_eq(&self.is_up, &other.is_up)
    }

    fn authorized(&self, on_behalf_of: Option<&str>) -> AuthorizedChannel {
        let bearer = on_behalf_of.map_or_else(Bearer::default, Bearer::on_behalf_of);
        InterceptedService::new(self.channel.clone(), bearer)
    }
}

/// The answer, if it comes in time.
async fn within<T>(
    time: Duration,
    asked: impl Future<Output = Result<T, Status>>,
) -> Result<T, Status> {
    let answer = timeout(time, asked).await;
    answer.unwrap_or_else(|_| Err(Status::deadline_exceeded("the agent does not answer")))
}

/// What an agent says goes on to who asked the colony.
pub(super) fn of_remote(error: RemoteError) -> Status {
    match error {
        RemoteError::Refused(status) => status,
        error => status::of(&error),
    }
}

/// A request that has to be answered within that time.
pub(super) fn timed<T>(time: Duration, message: T) -> Request<T> {
    let mut request = Request::new(message);
    request.set_timeout(time);
    request
}
