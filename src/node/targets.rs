//! The processes that clients have asked about, held open with their symbols.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, PoisonError};

use coral_proto::agent::v1::TargetRef;
use tokio::task::spawn_blocking;
use tonic::Status;

use super::status;
use crate::agent::Watched;
use crate::source::local;

/// So many processes are held; the one that was asked about longest ago goes first.
const HELD_MAX: usize = 16;
/// So many processes may be measured together.
const PIDS_MAX: usize = 64;

/// The open processes, the one that was asked about last at the end.
#[derive(Debug, Default)]
pub(super) struct Targets {
    held: Mutex<VecDeque<Arc<Watched>>>,
}

impl Targets {
    /// The processes that are meant, with all that can be known of their functions. Reading a large
    /// executable takes seconds, once.
    pub(super) async fn open(&self, target: &TargetRef) -> Result<Arc<Watched>, Status> {
        let pids = match (target.pids.as_slice(), target.service_name.as_str()) {
            ([], "") => {
                let help = "name a service, or process ids";
                return Err(status::with(
                    tonic::Code::InvalidArgument,
                    "usage",
                    "no process was named",
                    help,
                ));
            }
            ([], service) => local::processes_of(service).map_err(|error| status::of(&error))?,
            (pids, _) => pids.to_vec(),
        };
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
        if let Some(held) = self.find(&pids) {
            return Ok(held);
        }
        let opening = spawn_blocking(move || {
            let opened = local::open_all(&pids, &[])?;
            Ok(Watched {
                symbols: opened.symbols.completed(),
                ..opened
            })
        });
        let opened: Result<Watched, local::OpenError> = opening
            .await
            .map_err(|_| Status::internal("reading the symbols has failed"))?;
        let watched = Arc::new(opened.map_err(|error| status::of(&error))?);
        let mut held = self.held.lock().unwrap_or_else(PoisonError::into_inner);
        held.push_back(Arc::clone(&watched));
        if held.len() > HELD_MAX {
            held.pop_front();
        }
        Ok(watched)
    }

    /// Processes that are held and still those that they were.
    fn find(&self, pids: &[u32]) -> Option<Arc<Watched>> {
        let mut held = self.held.lock().unwrap_or_else(PoisonError::into_inner);
        held.retain(|watched| {
            let mut processes = watched.processes();
            processes.all(|process| !process.has_exited() && !process.has_execed())
        });
        let place = held.iter().position(|watched| watched.pids() == pids)?;
        let found = held.remove(place)?;
        held.push_back(Arc::clone(&found));
        Some(found)
    }
}
