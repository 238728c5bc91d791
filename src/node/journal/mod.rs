//! What sessions measure, on disk until somebody has stored it elsewhere.
//!
//! A colony that is cut off for a while, or killed, misses nothing: it reads the journals of its
//! sessions from the entry on that it has stored last. An entry is a batch of recorded calls or a
//! part of a checkpoint, which is the whole session as it was; entries are numbered from 1 on, and
//! what is missing among them is a gap, which says how many calls it held.
//!
//! In the spool's folder, each start of the agent has a folder of its own, and a journal in it
//! several files: one for each checkpoint, and up to 4 MiB of calls in each of the others. So what
//! is forgotten is a file that is removed, and where numbers are missing between two files, their
//! heads tell what was there.
//!
//! **Architecture invariant: a journal loses nothing unnamed and says nothing twice.** An entry is
//! written whole or not at all, its number is used once, and a later start of the agent goes on
//! behind what an earlier one has written.

#[cfg(test)]
pub(super) mod crash;
mod epoch;
mod index;
mod keeper;
mod last;
mod reader;
mod segment;
pub(super) mod spool;
#[cfg(test)]
mod tests;

use std::sync::Arc;
use std::time::Duration;

use coral_proto::MESSAGE_BYTES_MAX;
use coral_proto::agent::v1 as wire;
use prost::{Message, length_delimiter_len};
use tokio::runtime::{Handle, RuntimeFlavor};
use tokio::sync::watch;
use tokio::task::block_in_place;
use tokio::time::timeout;
use tokio_stream::wrappers::ReceiverStream;
use tonic::{Code, Status};

use super::sessions::Held;
use crate::access::{Denied, Identity, Role, Source};
use crate::agent::{CallSink, CallStream, call_stream};
use crate::config::SpoolConfig;
use crate::serving::status;
use keeper::Keeper;
pub(super) use spool::Spool;

/// Recorded calls that wait to be written, of each session; what is above is counted.
const CALLS_MAX: usize = 16_384;
/// A longer name of a request has no place in every file.
const REQUEST_ID_BYTES_MAX: usize = 256;
/// How long the ends of journals may take when the agent ends.
const CLOSE_MAX: Duration = Duration::from_secs(5);

/// Whether journals are kept here.
#[derive(Clone, Debug)]
pub(super) enum Journals {
    /// Nobody would store them.
    NotAsked,
    /// They should be, and why they cannot be.
    Impossible {
        /// The number of this start, which nothing outlives.
        epoch: u64,
        why: String,
    },
    /// They are.
    Kept(Arc<Spool>),
}

/// A journal of a session that is about to begin.
#[derive(Debug)]
pub(super) struct NewJournal {
    journals: Journals,
    request_id: String,
    calls: CallStream,
}

impl Journals {
    /// Opens the folder. Blocks while what is there is read.
    pub(super) fn open(config: &SpoolConfig) -> Self {
        match Spool::open(&config.path, config.max_mb << 20) {
            Ok(spool) => Self::Kept(spool),
            Err(error) => Self::impossible(format!("{}: {error}", config.path.display())),
        }
    }

    /// None can be kept.
    pub(super) fn impossible(why: String) -> Self {
        let epoch = epoch::of_now();
        Self::Impossible { epoch, why }
    }

    /// The number of this start of the agent; 0 where nobody asks for it.
    pub(super) fn epoch(&self) -> u64 {
        match self {
            Self::Kept(spool) => spool.epoch(),
            Self::Impossible { epoch, .. } => *epoch,
            Self::NotAsked => 0,
        }
    }

    /// What a session begins with that is to have a journal: where its calls go, and the journal.
    ///
    /// # Errors
    /// If nobody would store it.
    pub(super) fn prepare(&self, request_id: &str) -> Result<(CallSink, NewJournal), Status> {
        if request_id.len() > REQUEST_ID_BYTES_MAX {
            let message = format!("a request's name has at most {REQUEST_ID_BYTES_MAX} bytes");
            let help = "choose a shorter request_id";
            let code = Code::ResourceExhausted;
            return Err(status::with(code, "over-limit", &message, help));
        }
        if let Self::NotAsked = self {
            return Err(no_journals("this agent has no colony"));
        }
        let (sink, calls) = call_stream(CALLS_MAX);
        let journal = NewJournal {
            journals: self.clone(),
            request_id: request_id.to_owned(),
            calls,
        };
        Ok((sink, journal))
    }

    /// Waits until the sessions, which are over, stand in their journals to their ends. Where the
    /// disk is full, the next start of the agent does it.
    pub(super) async fn close(&self, sessions: &[Arc<Held>]) {
        let Self::Kept(spool) = self else { return };
        let all_kept = async {
            for held in sessions {
                // It is done as well where nobody says so.
                let _ = held.is_kept().wait_for(|is_kept| *is_kept).await;
            }
        };
        let _ = timeout(CLOSE_MAX, all_kept).await;
        spool.close();
    }

    /// The journals.
    ///
    /// # Errors
    /// If none are kept.
    pub(super) fn spool(&self) -> Result<Arc<Spool>, Status> {
        match self {
            Self::Kept(spool) => Ok(Arc::clone(spool)),
            Self::NotAsked => Err(no_journals("this agent has no colony")),
            Self::Impossible { why, .. } => Err(no_journals(why)),
        }
    }
}

impl NewJournal {
    /// Begins it, and keeps it until the session is over. Needs to run within the runtime.
    pub(super) fn keep(self, held: &Arc<Held>, kept: watch::Sender<bool>) {
        match self.journals {
            Journals::Kept(spool) => {
                Keeper::begin(&spool, &self.request_id, self.calls, held).keep(kept);
            }
            Journals::NotAsked => {}
            Journals::Impossible { why, .. } => {
                held.notify(format!("there is no journal of this session: {why}"));
            }
        }
    }
}

/// Journals hold what all sessions of the colony have measured: they are for it, and for who may do
/// everything.
///
/// # Errors
/// If it is somebody else.
pub(super) fn check(who: &Identity) -> Result<(), Denied> {
    match who.source {
        Source::Colony => Ok(()),
        _ => who.check_anywhere(Role::Admin),
    }
}

/// The oldest journals, as many as fit into a message; others come when these are acknowledged.
pub(super) fn list(spool: &Spool) -> wire::ListJournalsResponse {
    let mut journals = on_disk(|| spool.list());
    let mut list = wire::ListJournalsResponse {
        epoch: spool.epoch(),
        journals: Vec::new(),
    };
    let mut bytes = list.encoded_len();
    let fitting = journals.iter().take_while(|journal| {
        // The field's tag is one byte.
        let len = journal.encoded_len();
        bytes += 1 + length_delimiter_len(len) + len;
        bytes <= MESSAGE_BYTES_MAX
    });
    let fitting = fitting.count();
    journals.truncate(fitting);
    list.journals = journals;
    list
}

pub(super) fn read(
    spool: &Arc<Spool>,
    request: wire::ReadJournalRequest,
) -> Result<ReceiverStream<Result<wire::JournalEntry, Status>>, Status> {
    reader::entries(spool, request).ok_or_else(|| {
        let message = "there is no such journal";
        let help = "ListJournals tells which there are; all of this one may be acknowledged";
        status::with(Code::NotFound, "no-journal", message, help)
    })
}

pub(super) fn acknowledge(
    spool: &Spool,
    request: &wire::AcknowledgeJournalRequest,
) -> Result<wire::AcknowledgeJournalResponse, Status> {
    let wire::AcknowledgeJournalRequest {
        session_id,
        epoch,
        sequence,
    } = request;
    let forgotten = on_disk(|| spool.acknowledge(*epoch, session_id, *sequence));
    forgotten.map_err(|error| status::failed(&error.to_string()))?;
    Ok(wire::AcknowledgeJournalResponse {})
}

/// Does what waits for the disk. What else the thread has to do goes on meanwhile, if the runtime
/// has other threads for it.
fn on_disk<T>(work: impl FnOnce() -> T) -> T {
    match Handle::current().runtime_flavor() {
        RuntimeFlavor::MultiThread => block_in_place(work),
        _ => work(),
    }
}

fn no_journals(why: &str) -> Status {
    let message = format!("no journals are kept here: {why}");
    let help = "set agent.colony, and give its spool a folder that can be written";
    status::with(Code::FailedPrecondition, "no-journal", &message, help)
}
