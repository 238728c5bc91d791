//! The services of this node: which processes are meant by a name.
//!
//! Applications make themselves known by the SDK, the configuration names others, and what is left
//! goes by the name of its program. The first of these that knows a name decides.

use std::collections::BTreeMap;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use coral_model::{ProcessSummary, glob_matches};
use coral_proto::agent::v1 as wire;
use coral_proto::agent::v1::RegisterServiceRequest;
use tonic::{Code, Status};

use crate::access::{Peer, PeerAddress};
use crate::config::ServiceRule;
use crate::serving::status;
use crate::source::local;
use crate::symbols::{Process, executable_path, holds_connection, list_processes};

/// How long a registration holds; SDKs renew it in half of that.
const LEASE: Duration = Duration::from_secs(60);
/// So many processes may be registered.
const REGISTERED_MAX: usize = 1_000;
/// Longer texts of a registration are refused.
const TEXT_BYTES_MAX: usize = 256;

/// Who is which service.
#[derive(Debug)]
pub(super) struct Services {
    rules: Vec<ServiceRule>,
    /// Where clients of this agent connect to over TCP.
    ports: Vec<u16>,
    registered: Mutex<BTreeMap<u32, Registered>>,
}

/// A process that has made itself known.
#[derive(Debug)]
pub(super) struct Registered {
    process: Process,
    request: RegisterServiceRequest,
    expires_at: Instant,
}

impl Services {
    pub(super) fn new(rules: Vec<ServiceRule>, ports: Vec<u16>) -> Self {
        Self {
            rules,
            ports,
            registered: Mutex::default(),
        }
    }

    /// Notes that a process is a service, and returns how long that holds.
    ///
    /// # Errors
    /// If another process says so than the one that it is about.
    pub(super) fn register(
        &self,
        request: RegisterServiceRequest,
        peer: &Peer,
    ) -> Result<Duration, Status> {
        check_texts(&request)?;
        let pid = self.pid_of(&request, peer)?;
        let process = Process::open(pid).map_err(|error| status::of(&error))?;
        let mut registered = self.registered();
        if registered.len() >= REGISTERED_MAX && !registered.contains_key(&pid) {
            let message = format!("{REGISTERED_MAX} processes are registered");
            let help = "name the others in the agent's configuration";
            return Err(status::with(
                Code::ResourceExhausted,
                "over-limit",
                &message,
                help,
            ));
        }
        let entry = Registered {
            process,
            request,
            expires_at: Instant::now() + LEASE,
        };
        registered.insert(pid, entry);
        Ok(LEASE)
    }

    /// The processes of a service. Blocks while it looks through them.
    ///
    /// # Errors
    /// If there is none.
    pub(super) fn pids(&self, service: &str) -> Result<Vec<u32>, local::OpenError> {
        let registered = self.registered();
        let of_name = registered
            .iter()
            .filter(|(_, entry)| entry.request.name == service);
        let pids: Vec<u32> = of_name.map(|(&pid, _)| pid).collect();
        drop(registered);
        if !pids.is_empty() {
            return Ok(pids);
        }
        let rules: Vec<_> = self
            .rules
            .iter()
            .filter(|rule| rule.name == service)
            .collect();
        if rules.is_empty() {
            return local::processes_of(service);
        }
        let listed = list_processes();
        let is_meant =
            |process: &&ProcessSummary| rules.iter().any(|rule| is_service(rule, process));
        let pids: Vec<u32> = listed.iter().filter(is_meant).map(|it| it.pid).collect();
        if pids.is_empty() {
            let service = service.to_owned();
            return Err(local::OpenError::NoProcess { service });
        }
        Ok(pids)
    }

    /// The name that a process goes by, if it has another one than its program's. Blocks while it
    /// looks for the process.
    pub(super) fn name_of(&self, pid: u32) -> Option<String> {
        let registered = self.registered();
        if let Some(entry) = registered.get(&pid) {
            return Some(entry.request.name.clone());
        }
        drop(registered);
        if self.rules.is_empty() {
            return None;
        }
        let process = list_processes()
            .into_iter()
            .find(|process| process.pid == pid)?;
        let rule = self.rules.iter().find(|rule| is_service(rule, &process))?;
        Some(rule.name.clone())
    }

    /// Where the SDK of a process answers.
    pub(super) fn sdk_address(&self, pid: u32) -> Option<String> {
        let registered = self.registered();
        let address = registered.get(&pid)?.request.sdk_listen_addr.clone();
        (!address.is_empty()).then_some(address)
    }

    /// All services with their processes. Blocks while it looks through them.
    pub(super) fn list(&self) -> Vec<wire::Service> {
        let processes = list_processes();
        let registered = self.registered();
        let mut services = BTreeMap::<(String, &str), wire::Service>::new();
        for process in &processes {
            let entry = registered.get(&process.pid);
            let Some((name, source)) = self.service_of(process, entry) else {
                continue;
            };
            let service = services.entry((name.clone(), source)).or_default();
            service.name = name;
            service.source = source.to_owned();
            service.processes.push(process.into());
            if let Some(entry) = entry {
                service.port = entry.request.port;
                service
                    .health_endpoint
                    .clone_from(&entry.request.health_endpoint);
            }
        }
        services.into_values().collect()
    }

    /// What a process is a replica of, and how that is known. By discovery, processes that listen
    /// on a port are services.
    fn service_of(
        &self,
        process: &ProcessSummary,
        registered: Option<&Registered>,
    ) -> Option<(String, &'static str)> {
        if let Some(entry) = registered {
            return Some((entry.request.name.clone(), "sdk"));
        }
        if let Some(rule) = self.rules.iter().find(|rule| is_service(rule, process)) {
            return Some((rule.name.clone(), "configuration"));
        }
        let is_service = process.refusal.is_none() && !process.ports.is_empty();
        is_service.then(|| (local::program_name(process).to_owned(), "discovery"))
    }

    /// Which process asks. Over a unix socket the kernel says it; over the loopback interface the
    /// process has to hold the other end of the connection.
    fn pid_of(&self, request: &RegisterServiceRequest, peer: &Peer) -> Result<u32, Status> {
        let pid = match peer.address {
            PeerAddress::Unix { pid, .. } => pid.and_then(|pid| u32::try_from(pid).ok()),
            PeerAddress::Tcp(address) => {
                let is_local = address.ip().to_canonical().is_loopback();
                let mut ports = self.ports.iter();
                let is_it = is_local
                    && ports.any(|&port| holds_connection(request.pid, address.port(), port));
                is_it.then_some(request.pid)
            }
            PeerAddress::Colony => None,
        };
        pid.filter(|&pid| pid != 0).ok_or_else(|| {
            let message = "a process can only register itself, from this node";
            let help = "let the SDK register over the agent's unix socket or 127.0.0.1";
            status::with(Code::PermissionDenied, "not-permitted", message, help)
        })
    }

    /// Those that are still there.
    fn registered(&self) -> MutexGuard<'_, BTreeMap<u32, Registered>> {
        let mut registered = self
            .registered
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        let now = Instant::now();
        registered.retain(|_, entry| now < entry.expires_at && !entry.process.has_exited());
        registered
    }
}

fn check_texts(request: &RegisterServiceRequest) -> Result<(), Status> {
    let texts = [
        ("name", &request.name),
        ("health_endpoint", &request.health_endpoint),
        ("sdk_listen_addr", &request.sdk_listen_addr),
        ("sdk_version", &request.sdk_version),
        ("build_id", &request.build_id),
    ];
    let is_bad = |text: &str| text.len() > TEXT_BYTES_MAX || text.chars().any(char::is_control);
    let bad = texts.iter().find(|(_, text)| is_bad(text));
    let why = match bad {
        Some((what, _)) => format!("its {what} is too long or no text"),
        None if request.name.is_empty() => "it has no name".to_owned(),
        None => return Ok(()),
    };
    let message = format!("the service cannot be registered: {why}");
    let help = "register with short texts";
    Err(status::with(Code::InvalidArgument, "usage", &message, help))
}

/// Whether all holds that a rule says of a process.
fn is_service(rule: &ServiceRule, process: &ProcessSummary) -> bool {
    let is_program = |glob: &String| {
        let path = executable_path(process.pid).unwrap_or_default();
        let name = path.rsplit('/').next().unwrap_or_default();
        glob_matches(glob, &path) || glob_matches(glob, name)
    };
    let has_port = |port: &u16| process.ports.contains(port);
    let is_in = |prefix: &String| {
        let container = process.container.as_deref();
        container.is_some_and(|id| id.starts_with(prefix.as_str()))
    };
    process.refusal.is_none()
        && rule.executable.as_ref().is_none_or(is_program)
        && rule.port.as_ref().is_none_or(has_port)
        && rule.container.as_ref().is_none_or(is_in)
}
