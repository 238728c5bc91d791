//! Reading the journals of agents: what is stored for good is acknowledged, and nothing else.

use std::collections::HashSet;
use std::future::Future;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use coral_model::SessionId;
use coral_proto::agent::v1 as wire;
use tokio::sync::{Notify, Semaphore};
use tokio::time::{sleep, timeout};
use tonic::{Code, Status};

use super::entries::Journal;
use super::listeners::Listeners;
use crate::colony::registry::{Link, Registry, timed};
use crate::outlets::{Origin, Otlp};
use crate::store::{Batch, JournalKey, JournalMark, Store, StoreError};

/// How often an agent is asked for its journals, if nothing calls for it.
const LIST_EVERY: Duration = Duration::from_secs(10);
const ANSWER_MAX: Duration = Duration::from_secs(10);
/// How long to wait before what could not be stored is tried again.
const AGAIN_AFTER: Duration = Duration::from_secs(1);
/// The same for what is of no session that is known.
const UNKNOWN_AGAIN_AFTER: Duration = Duration::from_secs(60);

/// Batches that are in memory at the same time.
const BATCHES_MAX: usize = 32;

/// Where journals are stored for good.
pub(in crate::colony) trait Journals: Send + Sync + 'static {
    /// What is known of a journal while it is read.
    type Reading: Send;

    /// How far the journals of a session are stored.
    fn marks(
        &self,
        session: SessionId,
    ) -> impl Future<Output = Result<Vec<JournalMark>, StoreError>> + Send;

    /// A journal, which is on a host, is to be read.
    fn begin(&self, journal: &JournalKey, host: &str)
    -> impl Future<Output = Self::Reading> + Send;

    /// Stores entries of a journal, each once, and returns the journal's mark: the last entry that
    /// is stored.
    fn append(
        &self,
        reading: &mut Self::Reading,
        batch: Batch,
    ) -> impl Future<Output = Result<u64, StoreError>> + Send;
}

/// The history's file, and the collector of OpenTelemetry that is told what is stored there.
#[derive(Debug)]
pub(super) struct Shelf {
    pub(super) store: Store,
    pub(super) otlp: Option<Otlp>,
}

impl Shelf {
    pub(super) fn otlp(&self) -> Option<&Otlp> {
        self.otlp.as_ref()
    }
}

impl Journals for Shelf {
    type Reading = Option<Origin>;

    async fn marks(&self, session: SessionId) -> Result<Vec<JournalMark>, StoreError> {
        self.store.marks(session).await
    }

    async fn begin(&self, journal: &JournalKey, host: &str) -> Option<Origin> {
        self.otlp.as_ref()?;
        let session = self.store.session(journal.session.clone()).await.ok()?;
        let replicas = self.store.replicas(journal.session.clone()).await.ok()?;
        let row = replicas.into_iter().find(|row| row.journal == *journal);
        let target = row.map(|row| row.target);
        Some(Origin::new(journal.clone(), &session.begun, host, target))
    }

    async fn append(&self, origin: &mut Option<Origin>, batch: Batch) -> Result<u64, StoreError> {
        let told = origin.is_some().then(|| batch.entries.clone());
        let stored = self.store.append(batch).await?;
        if let (Some(otlp), Some(origin), Some(told)) = (&self.otlp, origin, &told) {
            otlp.offer(origin, told);
        }
        Ok(stored)
    }
}

/// Reads the journals of all agents.
#[derive(Debug)]
pub(in crate::colony) struct Collector<J> {
    journals: J,
    /// Journals that are being read.
    collecting: Mutex<HashSet<JournalKey>>,
    /// For batches on their way into the store: hundreds of agents come back at once.
    places: Semaphore,
    /// There may be a new journal.
    poke: Notify,
    pub(super) listeners: Listeners,
}

/// Why a journal is not read any further for now.
enum Stopped {
    /// Its last entry is stored, or there is nothing of it any more.
    Complete,
    /// The way to the agent, or what it says.
    Agent,
    /// The history.
    Store,
    /// The history has no such session: it was deleted as too old, or begun while nothing could be
    /// written.
    Unknown,
}

impl<J: Journals> Collector<J> {
    pub(in crate::colony) fn new(journals: J) -> Self {
        Self {
            journals,
            collecting: Mutex::default(),
            places: Semaphore::new(BATCHES_MAX),
            poke: Notify::new(),
            listeners: Listeners::default(),
        }
    }

    pub(super) fn journals(&self) -> &J {
        &self.journals
    }

    /// Reads from every agent that is connected, for ever.
    pub(in crate::colony) async fn run(self: Arc<Self>, registry: Arc<Registry>) {
        let mut changes = registry.changes();
        let mut served: Vec<Link> = Vec::new();
        loop {
            served.retain(Link::is_up);
            for link in registry.links() {
                if !served.iter().any(|it| it.is(&link)) {
                    served.push(link.clone());
                    tokio::spawn(Arc::clone(&self).collect_all(link));
                }
            }
            if changes.changed().await.is_err() {
                return;
            }
        }
    }

    /// A session has begun on an agent: its journal is to be read.
    pub(super) fn poke(&self) {
        self.poke.notify_waiters();
    }

    /// Reads the journals of an agent until its link ends.
    async fn collect_all(self: Arc<Self>, link: Link) {
        let mut calls = link.calls(None);
        loop {
            let poked = self.poke.notified();
            let request = timed(ANSWER_MAX, wire::ListJournalsRequest {});
            if let Ok(listed) = calls.list_journals(request).await {
                for journal in listed.into_inner().journals {
                    if let Some(key) = key_of(&link, &journal)
                        && self.locked().insert(key.clone())
                    {
                        let (collector, link) = (Arc::clone(&self), link.clone());
                        tokio::spawn(async move {
                            tokio::select! {
                                biased;
                                () = collector.collect(&link, &key) => {}
                                () = link.down() => {}
                            }
                            collector.locked().remove(&key);
                        });
                    }
                }
            }
            tokio::select! {
                biased;
                () = poked => {}
                () = sleep(LIST_EVERY) => {}
                () = link.down() => return,
            }
        }
    }

    /// Reads one journal to its end.
    async fn collect(&self, link: &Link, key: &JournalKey) {
        loop {
            match self.collect_once(link, key).await {
                Stopped::Complete => return,
                Stopped::Agent | Stopped::Store => sleep(AGAIN_AFTER).await,
                Stopped::Unknown => {
                    // It may be noted later; somebody says so then.
                    let _ = timeout(UNKNOWN_AGAIN_AFTER, self.poke.notified()).await;
                }
            }
        }
    }

    async fn collect_once(&self, link: &Link, key: &JournalKey) -> Stopped {
        let Ok(marks) = self.journals.marks(key.session.clone()).await else {
            return Stopped::Store;
        };
        let mark = marks.into_iter().find(|mark| mark.journal == *key);
        let (mut stored, is_complete) =
            mark.map_or((0, false), |mark| (mark.last_sequence, mark.is_complete));
        if is_complete {
            // What is stored may be forgotten there; it is told again when the link is back.
            return match acknowledge(link, key, stored).await {
                Ok(()) => Stopped::Complete,
                Err(_) => Stopped::Agent,
            };
        }
        let request = wire::ReadJournalRequest {
            session_id: key.agent_session.0.clone(),
            epoch: key.epoch,
            after_sequence: stored,
        };
        let entries = match link.calls(None).read_journal(request).await {
            Ok(entries) => entries,
            // Its agent has it no longer, and lists it no more.
            Err(status) if status.code() == Code::NotFound => return Stopped::Complete,
            Err(_) => return Stopped::Agent,
        };
        let mut journal = Journal::of(entries.into_inner());
        let mut reading = self.journals.begin(key, &link.host).await;
        loop {
            let Ok((entries, place)) = journal.some(&self.places).await else {
                return Stopped::Agent;
            };
            let Some(last) = entries.last() else {
                return Stopped::Agent;
            };
            let is_last = last.is_last;
            let told = self.listeners.has(&key.session).then(|| entries.clone());
            let batch = Batch {
                journal: key.clone(),
                entries,
            };
            let before = stored;
            stored = match self.journals.append(&mut reading, batch).await {
                Ok(stored) => stored,
                Err(StoreError::NoSuchSession { .. }) => return Stopped::Unknown,
                Err(_) => return Stopped::Store,
            };
            drop(place);
            // What is stored once is told once.
            let new = told
                .iter()
                .flatten()
                .filter(|it| *it.sequences.end() > before);
            self.listeners.tell(key, new);
            if acknowledge(link, key, stored).await.is_err() {
                return Stopped::Agent;
            }
            if is_last {
                return Stopped::Complete;
            }
        }
    }

    /// What it guards is whole at any time, so a panic spoils nothing.
    fn locked(&self) -> MutexGuard<'_, HashSet<JournalKey>> {
        let locked = self.collecting.lock();
        locked.unwrap_or_else(PoisonError::into_inner)
    }
}

async fn acknowledge(link: &Link, key: &JournalKey, sequence: u64) -> Result<(), Status> {
    let request = wire::AcknowledgeJournalRequest {
        session_id: key.agent_session.0.clone(),
        epoch: key.epoch,
        sequence,
    };
    let mut calls = link.calls(None);
    calls
        .acknowledge_journal(timed(ANSWER_MAX, request))
        .await?;
    Ok(())
}

/// Which journal of which session it is; nothing if it is of no session of a colony.
fn key_of(link: &Link, journal: &wire::Journal) -> Option<JournalKey> {
    let (session, _) = journal.request_id.split_once('/')?;
    Some(JournalKey {
        session: SessionId(session.to_owned()),
        agent_id: link.agent_id.clone(),
        epoch: journal.epoch,
        agent_session: SessionId(journal.session_id.clone()),
    })
}
