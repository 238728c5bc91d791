//! An agent for the simulation: its link, its journals and their calls are as always; what its
//! sessions measure is played.

mod calls;
mod session;

use std::collections::BTreeMap;
use std::future::pending;
use std::io;
use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard};

use coral_proto::agent::v1::agent_server::AgentServer;
use coral_proto::colony::v1::Greeting;
use fastrand::Rng;
use tokio::sync::watch;
use tonic::service::Routes;
use tonic::service::interceptor::InterceptedService;
use turmoil::net::TcpStream;

use super::journal::{Journals, Spool, crash};
use super::service::Service;
use super::uplink::{Cut, Say, Uplink, Way};
use crate::access::grpc::Guard;
use crate::access::{
    AuthorizedChannel, Connection, Endpoint, Gate, Peer, PeerAddress, Role, Settings, connect_over,
};
use crate::config::AgentConfig;
use crate::serving::Audit;
use crate::source::remote::BackOff;
use calls::Calls;

/// An agent, as far as it outlives its crashes.
pub(crate) struct Simulated {
    pub(crate) name: String,
    /// Its token for the colony.
    pub(crate) token: String,
    /// Where the colony is, by its simulated name.
    pub(crate) colony: Endpoint,
    /// Its journals.
    pub(crate) folder: PathBuf,
    pub(crate) spool_bytes: u64,
    /// Told of every journal's acknowledgements, before they come about.
    pub(crate) on_acknowledged: OnAcknowledged,
    pub(crate) say: Say,
    /// Sessions are to end, and none begins any more.
    pub(crate) is_quiet: AtomicBool,
    /// What its sessions have recorded.
    recorded: Mutex<BTreeMap<Key, Recorded>>,
    random: Mutex<Rng>,
    /// Which start of the machine it is.
    boot: AtomicU64,
    /// Which start of the agent it is.
    epoch: AtomicU64,
}

/// Told of a journal, and of the entry up to which it is stored.
pub(crate) type OnAcknowledged = Box<dyn Fn(&Key, u64) + Send + Sync>;

/// The start of the agent, and the session.
pub(crate) type Key = (u64, String);

/// What a session has recorded, as its journal has accepted it.
#[derive(Clone, Debug, Default)]
pub(crate) struct Recorded {
    /// The durations of the calls, which are their names, in order.
    pub(crate) calls: Vec<u64>,
    /// How many calls the journal had no room for.
    pub(crate) left_out: u64,
    /// How many of these no entry may have named yet.
    pub(crate) pending: u64,
    /// How many of these went with a crash that way.
    pub(crate) lost: u64,
    /// How many calls, or names of such, went with their entries.
    pub(crate) torn: u64,
    /// Whether the whole journal did.
    pub(crate) is_lost: bool,
    /// How many milliseconds the session had run at its last checkpoint.
    pub(crate) elapsed_ms: Option<u64>,
}

/// How an agent ends that is not asked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Crash {
    /// It is killed.
    Agent,
    /// Its machine fails, and with it what was not on the disk yet.
    Machine,
}

impl Simulated {
    pub(crate) fn new(
        (name, token): (String, String),
        colony: Endpoint,
        (folder, spool_bytes): (PathBuf, u64),
        seed: u64,
        (say, on_acknowledged): (Say, OnAcknowledged),
    ) -> Self {
        Self {
            name,
            token,
            colony,
            folder,
            spool_bytes,
            on_acknowledged,
            say,
            is_quiet: AtomicBool::new(false),
            recorded: Mutex::default(),
            random: Mutex::new(Rng::with_seed(seed)),
            boot: AtomicU64::new(1),
            epoch: AtomicU64::new(0),
        }
    }

    /// Runs until it is killed.
    pub(crate) async fn run(self: Arc<Self>) -> turmoil::Result {
        let boot = self.boot.load(Ordering::Relaxed).to_string();
        let spool = Spool::open_after(&self.folder, self.spool_bytes, &boot, 1)?;
        let epoch = spool.epoch();
        self.epoch.store(epoch, Ordering::Relaxed);
        (self.say)(&format!("starts for the {epoch}. time"));
        let config = AgentConfig {
            id: self.name.clone(),
            ..AgentConfig::default()
        };
        let audit = Arc::new(Audit::open(None)?);
        let journals = Journals::Kept(Arc::clone(&spool));
        let service = Service::open(&config, Vec::new(), audit, journals);
        let calls = AgentServer::new(Calls {
            agent: Arc::clone(&self),
            service,
        });
        let gate = Gate::new(Settings {
            colony: Role::ALL.into(),
            ..Settings::default()
        })?;
        let guard = Guard::new(Arc::new(gate), |_, _| {});
        let uplink = Uplink {
            way: Simply(Arc::clone(&self)),
            greeting: Greeting {
                agent_id: self.name.clone(),
                epoch,
                ..Greeting::default()
            },
            routes: Routes::new(InterceptedService::new(calls, guard)),
            say: Arc::clone(&self.say),
            back_off: BackOff::seeded(self.random().u64(..)),
        };
        let (_open, closed) = watch::channel(false);
        tokio::spawn(uplink.keep(closed));
        for place in 0..self.random().u64(1..=2) {
            tokio::spawn(session::play_all(
                Arc::clone(&self),
                Arc::clone(&spool),
                place,
            ));
        }
        // The journals are open as long as it runs.
        drop(spool);
        pending().await
    }

    /// What it leaves on its disk, after it has been killed.
    pub(crate) fn crashed(&self, crash: Crash) -> io::Result<()> {
        let random = &mut *self.random();
        crash::set_clock(&self.folder, random)?;
        for recorded in self.recorded().values_mut() {
            recorded.lost += std::mem::take(&mut recorded.pending);
        }
        if crash == Crash::Agent {
            return crash::half_written(&self.folder, random);
        }
        self.boot.fetch_add(1, Ordering::Relaxed);
        for (key, lost) in crash::unsynced(&self.folder, random)? {
            let mut all = self.recorded();
            let recorded = all.entry(key).or_default();
            recorded.torn += lost.calls;
            recorded.is_lost |= lost.is_all;
        }
        Ok(())
    }

    /// Which start of the agent it is.
    pub(crate) fn epoch(&self) -> u64 {
        self.epoch.load(Ordering::Relaxed)
    }

    /// Whether no journal is left on its disk.
    pub(crate) fn is_empty(&self) -> bool {
        crash::files(&self.folder).is_ok_and(|files| files.is_empty())
    }

    pub(crate) fn recorded(&self) -> MutexGuard<'_, BTreeMap<Key, Recorded>> {
        self.recorded.lock().unwrap()
    }

    fn random(&self) -> MutexGuard<'_, Rng> {
        self.random.lock().unwrap()
    }
}

/// The way over the simulated network.
struct Simply(Arc<Simulated>);

impl Way for Simply {
    fn to(&self) -> String {
        self.0.colony.to_string()
    }

    async fn connect(&self) -> Result<AuthorizedChannel, Cut> {
        let (to, token) = (self.0.colony.clone(), &self.0.token);
        Ok(connect_over(&to.clone(), Some(token), move || dial(to.clone())).await?)
    }
}

async fn dial(to: Endpoint) -> io::Result<Connection> {
    let Endpoint::Tcp { host, port, .. } = to else {
        return Err(io::ErrorKind::Unsupported.into());
    };
    let stream = TcpStream::connect((host.as_str(), port)).await?;
    let peer = Peer {
        address: PeerAddress::Tcp(stream.peer_addr()?),
        certificate: None,
    };
    Ok(Connection::inside_of(stream, peer))
}
