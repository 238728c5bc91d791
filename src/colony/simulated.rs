//! A colony for the simulation: agents come in, are kept and read as always; its disk is played.

use std::collections::BTreeMap;
use std::io;
use std::net::{IpAddr, Ipv4Addr};
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::Duration;

use coral_model::SessionId;
use coral_proto::colony::v1::agent_link_server::AgentLinkServer;
use fastrand::Rng;
use tokio::sync::{mpsc, watch};
use tokio::time::sleep;
use tokio_stream::wrappers::ReceiverStream;
use tonic::service::Routes;
use tonic::service::interceptor::InterceptedService;
use turmoil::net::TcpListener;

use super::history::collect::{Collector, Journals};
use super::link::LinkService;
use super::registry::Registry;
use crate::access::grpc::Guard;
use crate::access::{Connection, Gate, Peer, PeerAddress, Settings};
use crate::serving::{Audit, serve_incoming};
use crate::store::{Batch, Content, JournalKey, JournalMark, StoreError};

/// An agent of which nothing is heard for so long counts as lost.
const LEASE: Duration = Duration::from_secs(15);

/// What a colony has on its disk, which outlives it.
pub(crate) struct Disk {
    pub(crate) journals: BTreeMap<JournalKey, Stored>,
    /// Whether it fails now and then.
    pub(crate) is_failing: bool,
    random: Rng,
    tell: Tell,
}

/// Writes down what happens.
pub(crate) type Tell = Arc<dyn Fn(&str) + Send + Sync>;

/// What is stored of a journal.
#[derive(Debug, PartialEq)]
pub(crate) struct Stored {
    pub(crate) mark: JournalMark,
    /// The durations of its calls, which are their names.
    pub(crate) calls: Vec<u64>,
    /// How many calls are missing, as its gaps say.
    pub(crate) named: u64,
    /// How many more may be, where a gap begins among entries that are stored.
    pub(crate) named_at_most: u64,
    /// Whether it was read from before its mark once.
    pub(crate) is_read_again: bool,
    /// How many entries are missing of which nothing is known.
    pub(crate) unnamed: u64,
    /// How long the session had run at its last checkpoint.
    pub(crate) elapsed: Option<Duration>,
}

/// Serves at that port until it is killed.
pub(crate) async fn serve(
    disk: Arc<Mutex<Disk>>,
    settings: Settings,
    port: u16,
) -> turmoil::Result {
    let registry = Arc::new(Registry::new());
    let collector = Arc::new(Collector::new(SlowDisk(disk)));
    tokio::spawn(collector.run(Arc::clone(&registry)));
    let audit = Arc::new(Audit::open(None)?);
    let link = LinkService::new("colony".into(), registry, LEASE, audit);
    let guard = Guard::new(Arc::new(Gate::new(settings)?), |_, _| {});
    let link = InterceptedService::new(AgentLinkServer::new(link), guard);
    let (_open, closed) = watch::channel(false);
    serve_incoming(incoming(port).await?, Routes::new(link), closed).await?;
    Ok(())
}

/// The connections that come in over the simulated network.
async fn incoming(port: u16) -> io::Result<ReceiverStream<io::Result<Connection>>> {
    let listener = TcpListener::bind((IpAddr::from(Ipv4Addr::UNSPECIFIED), port)).await?;
    let (sender, connections) = mpsc::channel(16);
    tokio::spawn(async move {
        while let Ok((stream, address)) = listener.accept().await {
            let peer = Peer {
                address: PeerAddress::Tcp(address),
                certificate: None,
            };
            let connection = Connection::inside_of(stream, peer);
            if sender.send(Ok(connection)).await.is_err() {
                return;
            }
        }
    });
    Ok(ReceiverStream::new(connections))
}

impl Disk {
    pub(crate) fn new(seed: u64, tell: Tell) -> Self {
        Self {
            journals: BTreeMap::new(),
            is_failing: true,
            random: Rng::with_seed(seed),
            tell,
        }
    }

    /// Whether something rare happens to it now.
    fn happens(&mut self, one_of: u32) -> bool {
        self.is_failing && self.random.u32(..one_of) == 0
    }

    fn commit(&mut self, batch: &Batch) -> u64 {
        let key = &batch.journal;
        let stored = self.journals.entry(key.clone()).or_insert_with(|| Stored {
            mark: JournalMark::new(key.clone()),
            calls: Vec::new(),
            named: 0,
            named_at_most: 0,
            is_read_again: false,
            unnamed: 0,
            elapsed: None,
        });
        let before = stored.mark.last_sequence;
        for new in batch.behind(&mut stored.mark) {
            match new.entry.map(|entry| &entry.content) {
                None => stored.unnamed += new.sequences.end() - new.sequences.start() + 1,
                Some(Content::Gap { calls }) if new.is_cut() => stored.named_at_most += calls,
                Some(Content::Gap { calls }) => stored.named += calls,
                Some(Content::Calls(calls)) => {
                    let names = calls.iter().map(|call| call.record.duration_ns);
                    stored.calls.extend(names);
                }
                Some(Content::Checkpoint(snapshot)) => {
                    stored.elapsed = Some(snapshot.session.elapsed);
                }
            }
        }
        let mark = stored.mark.last_sequence;
        (self.tell)(&format!("{} stored {before}..={mark}", name(key)));
        mark
    }
}

/// As short as it is unique.
fn name(key: &JournalKey) -> String {
    format!("{} {} {}", key.agent_id, key.epoch, key.agent_session.0)
}

/// A disk that takes its time: the colony may be killed before a commit and behind it.
struct SlowDisk(Arc<Mutex<Disk>>);

impl SlowDisk {
    fn locked(&self) -> MutexGuard<'_, Disk> {
        self.0.lock().unwrap()
    }

    async fn wait(&self) {
        let most_ms = if self.locked().happens(8) { 2_000 } else { 60 };
        let ms = self.locked().random.u64(0..most_ms);
        sleep(Duration::from_millis(ms)).await;
    }
}

impl Journals for SlowDisk {
    type Reading = ();

    async fn begin(&self, _journal: &JournalKey, _host: &str) {}

    async fn marks(&self, session: SessionId) -> Result<Vec<JournalMark>, StoreError> {
        self.wait().await;
        let mut disk = self.locked();
        // What it reads again must not be there twice.
        let reads_again = disk.happens(16);
        let Disk {
            journals, random, ..
        } = &mut *disk;
        let of_session = journals.values_mut();
        let of_session = of_session.filter(|stored| stored.mark.journal.session == session);
        let marks = of_session.map(|stored| {
            let mut mark = stored.mark.clone();
            if reads_again {
                mark.last_sequence = random.u64(0..=mark.last_sequence);
                mark.is_complete = false;
                stored.is_read_again = true;
            }
            mark
        });
        Ok(marks.collect())
    }

    async fn append(&self, _reading: &mut (), batch: Batch) -> Result<u64, StoreError> {
        self.wait().await;
        if self.locked().happens(16) {
            return Err(StoreError::Full);
        }
        let mark = self.locked().commit(&batch);
        self.wait().await;
        // It is stored, and nobody is told.
        if self.locked().happens(16) {
            return Err(StoreError::Closed);
        }
        Ok(mark)
    }
}
