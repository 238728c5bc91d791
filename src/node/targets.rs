//! The processes that clients have asked about, held open with their symbols.

use std::collections::{HashSet, VecDeque};
use std::sync::{Arc, Mutex, PoisonError};

use coral_proto::agent::v1::TargetRef;
use tokio::task::spawn_blocking;
use tonic::Status;

use super::hints::Hints;
use super::services::Services;
use crate::agent::Watched;
use crate::serving::Audit;
use crate::serving::status;
use crate::source::local;

/// So many processes are held; the one that was asked about longest ago goes first.
const HELD_MAX: usize = 16;
/// So many processes may be measured together.
const PIDS_MAX: usize = 64;

/// The open processes, the one that was asked about last at the end.
#[derive(Debug)]
pub(super) struct Targets {
    agent_id: String,
    hints: Arc<Hints>,
    audit: Arc<Audit>,
    held: Mutex<VecDeque<Opened>>,
}

/// Processes, and which libraries were asked for with them.
#[derive(Debug)]
struct Opened {
    libraries: Vec<String>,
    watched: Arc<Watched>,
}

impl Targets {
    pub(super) fn new(agent_id: String, hints: Arc<Hints>, audit: Arc<Audit>) -> Self {
        Self {
            agent_id,
            hints,
            audit,
            held: Mutex::default(),
        }
    }

    /// The processes that are meant, with all that can be known of their functions. Reading a large
    /// executable takes seconds, once.
    pub(super) async fn open(
        &self,
        services: &Arc<Services>,
        target: &TargetRef,
    ) -> Result<Arc<Watched>, Status> {
        let mut pids = match (target.pids.as_slice(), target.service_name.as_str()) {
            ([], "") => {
                let help = "name a service, or process ids";
                return Err(status::with(
                    tonic::Code::InvalidArgument,
                    "usage",
                    "no process was named",
                    help,
                ));
            }
            ([], service) => pids_of(services, service.to_owned()).await?,
            (pids, _) => pids.to_vec(),
        };
        // A process that is named twice is one: its calls would be counted twice.
        let mut seen = HashSet::new();
        pids.retain(|&pid| seen.insert(pid));
        if pids.len() > PIDS_MAX {
            let message = format!("{} processes are more than {PIDS_MAX}", pids.len());
            let help = "measure some of them";
            return Err(status::with(
                tonic::Code::ResourceExhausted,
                "over-limit",
                &message,
                help,
            ));
        }
        let first = pids.first().copied().unwrap_or_default();
        let known = Arc::clone(services);
        let name = spawn_blocking(move || known.name_of(first)).await;
        let name = name.map_err(|_| status::failed("the processes cannot be listed"))?;
        if let Some(held) = self.find(&pids, &target.libraries, name.as_deref()) {
            return Ok(held);
        }
        let (libraries, agent_id) = (target.libraries.clone(), self.agent_id.clone());
        let opening = spawn_blocking(move || {
            let mut opened = local::open_all(&pids, &libraries)?;
            opened.target.service = name.unwrap_or(opened.target.service);
            opened.target.agent_id = agent_id;
            Ok(Watched {
                symbols: opened.symbols.completed(),
                ..opened
            })
        });
        let opened: Result<Watched, local::OpenError> = opening
            .await
            .map_err(|_| status::failed("reading the symbols has failed"))?;
        let opened = opened.map_err(|error| status::of(&error))?;
        let watched = Arc::new(self.hints.apply(services, opened, &self.audit).await);
        let mut held = self.held.lock().unwrap_or_else(PoisonError::into_inner);
        held.push_back(Opened {
            libraries: target.libraries.clone(),
            watched: Arc::clone(&watched),
        });
        if held.len() > HELD_MAX {
            held.pop_front();
        }
        Ok(watched)
    }

    /// Processes that are held, still those that they were, and still known by that name.
    fn find(&self, pids: &[u32], libraries: &[String], name: Option<&str>) -> Option<Arc<Watched>> {
        let mut held = self.held.lock().unwrap_or_else(PoisonError::into_inner);
        held.retain(|opened| {
            let mut processes = opened.watched.processes();
            processes.all(|process| !process.has_exited() && !process.has_execed())
        });
        let is_it = |opened: &Opened| {
            opened.watched.pids() == pids
                && opened.libraries == libraries
                && name.is_none_or(|name| opened.watched.target.service == name)
        };
        let place = held.iter().position(is_it)?;
        let found = held.remove(place)?;
        let watched = Arc::clone(&found.watched);
        held.push_back(found);
        Some(watched)
    }
}

async fn pids_of(services: &Arc<Services>, service: String) -> Result<Vec<u32>, Status> {
    let services = Arc::clone(services);
    let found = spawn_blocking(move || services.pids(&service)).await;
    let found = found.map_err(|_| status::failed("the processes cannot be listed"))?;
    found.map_err(|error| status::of(&error))
}
