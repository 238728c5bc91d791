//! The agent and the handle of a session.

use std::collections::HashMap;
use std::sync::mpsc::{self, Sender};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use coral_model::filter::Expression;
use coral_model::{ExpectedCost, FunctionId, Limits, SessionId, Snapshot};
use tokio::sync::watch;
use ulid::Ulid;

use super::error::AgentError;
use super::estimate;
use super::own_sites::OwnSites;
use super::request::{AttachRequest, Attached};
use super::traces::Traces;
use super::watched::Watched;
use super::worker::{Command, Worker};
use crate::probe::{self, Calibration, EngineSpec};

/// How many functions of a session may poll futures.
const FUTURES_ROOM: usize = 64;

/// Starts sessions within limits.
#[derive(Debug)]
pub struct Agent {
    limits: Limits,
    in_use: Arc<Mutex<InUse>>,
    own_sites: OwnSites,
}

/// What the active sessions take of the limits.
#[derive(Debug, Default)]
struct InUse {
    /// How many sessions there are of each group; those without one are their own.
    groups: HashMap<String, usize>,
    sessions_alone: usize,
    memory_bytes: u64,
}

impl InUse {
    fn sessions(&self) -> usize {
        self.groups.len() + self.sessions_alone
    }
}

/// A share of the limits; given back when it is dropped.
#[derive(Debug)]
pub(super) struct Share {
    in_use: Arc<Mutex<InUse>>,
    group: Option<String>,
    memory_bytes: u64,
}

impl Drop for Share {
    fn drop(&mut self) {
        let mut in_use = self.in_use.lock().unwrap_or_else(PoisonError::into_inner);
        in_use.memory_bytes -= self.memory_bytes;
        let Some(group) = &self.group else {
            in_use.sessions_alone -= 1;
            return;
        };
        if let Some(sessions) = in_use.groups.get_mut(group) {
            *sessions -= 1;
            if *sessions == 0 {
                in_use.groups.remove(group);
            }
        }
    }
}

impl Agent {
    /// An agent without sessions.
    pub fn new(limits: Limits) -> Self {
        Self {
            limits,
            in_use: Arc::default(),
            own_sites: OwnSites::default(),
        }
    }

    /// What it allows.
    pub fn limits(&self) -> &Limits {
        &self.limits
    }

    /// Attaches probes in a new session. Blocks until they are live: tens of milliseconds.
    ///
    /// # Errors
    /// If a limit, a right, the target or the kernel is against it; then nothing is attached.
    pub fn attach(
        &self,
        watched: Arc<Watched>,
        request: &AttachRequest,
    ) -> Result<(Session, Attached), AgentError> {
        self.check(request)?;
        probe::can_probe()?;
        check_returns(&watched, request)?;
        let room = request.room.max(request.functions.len()) + request.inlined.len();
        let spec = EngineSpec {
            targets: watched.pids(),
            // Functions that poll futures take two.
            capacity: (room + room.min(FUTURES_ROOM)) as u32,
            sample_rate: request.settings.sample_rate,
            record_range_ns: request.record_range_ns(),
            slow_ns: request.slow_ns(),
            tree: request.tree,
            fold_recursion: request.fold_recursion,
            details: true,
            only_counts: false,
            trace: request.trace.is_some(),
        };
        let share = self.take_share(request.group.clone(), spec.memory_bytes())?;
        let id = SessionId(format!("dbg-{}", Ulid::generate()));
        let own_sites = self.own_sites.clone();
        // What a hit costs is measured once, on this program itself, before others pay for it;
        // meanwhile the kernel checks the session's programs.
        let mut worker = std::thread::scope(|scope| {
            scope.spawn(Calibration::measure_once);
            Worker::new(
                id.clone(),
                watched,
                request,
                &spec,
                self.limits,
                own_sites,
                share,
            )
        })?;
        let attached = worker.begin(request)?;
        let (commands, received) = mpsc::channel();
        let snapshots = worker.publish();
        let traces = worker.traces();
        std::thread::Builder::new()
            .name("coral-session".into())
            .spawn(move || worker.run(&received))
            .map_err(AgentError::Thread)?;
        let session = Session {
            id,
            commands,
            snapshots,
            traces,
        };
        Ok((session, attached))
    }

    /// What the probes of a request would cost, from a short count of the calls. Blocks for about
    /// a fifth of a second.
    ///
    /// # Errors
    /// As for [`Agent::attach`].
    pub fn expected(
        &self,
        watched: &Arc<Watched>,
        request: &AttachRequest,
    ) -> Result<ExpectedCost, AgentError> {
        self.check(request)?;
        probe::can_probe()?;
        Calibration::measure_once();
        estimate::expected(watched, request, self.own_sites.clone())
    }

    fn check(&self, request: &AttachRequest) -> Result<(), AgentError> {
        let asked = request.functions.len() + request.inlined.len();
        let limit = self.limits.functions_per_session;
        if asked == 0 {
            return Err(AgentError::NoFunction);
        }
        if asked > limit {
            return Err(AgentError::Functions { limit, asked });
        }
        if request.settings.duration > self.limits.duration || request.settings.duration.is_zero() {
            return Err(AgentError::Duration {
                limit: self.limits.duration,
                asked: request.settings.duration,
            });
        }
        Ok(())
    }

    fn take_share(&self, group: Option<String>, memory_bytes: u64) -> Result<Share, AgentError> {
        let mut in_use = self.in_use.lock().unwrap_or_else(PoisonError::into_inner);
        let is_known = group
            .as_ref()
            .is_some_and(|it| in_use.groups.contains_key(it));
        if !is_known && in_use.sessions() >= self.limits.sessions {
            return Err(AgentError::Sessions {
                limit: self.limits.sessions,
            });
        }
        let asked = in_use.memory_bytes + memory_bytes;
        if asked > self.limits.memory_bytes {
            return Err(AgentError::Memory {
                limit: self.limits.memory_bytes,
                asked,
            });
        }
        in_use.memory_bytes = asked;
        match &group {
            Some(group) => *in_use.groups.entry(group.clone()).or_default() += 1,
            None => in_use.sessions_alone += 1,
        }
        Ok(Share {
            in_use: Arc::clone(&self.in_use),
            group,
            memory_bytes,
        })
    }
}

/// Whether the kernel's return probes leave the target alone, where they are asked for.
fn check_returns(watched: &Watched, request: &AttachRequest) -> Result<(), AgentError> {
    let is_filtered = || {
        let state = watched.process.state();
        state.map(|state| state.seccomp_filter)
    };
    if request.fast_returns && probe::return_probes_break_seccomp() && is_filtered()? {
        return Err(AgentError::FastReturns);
    }
    Ok(())
}

/// Where a session's traces are.
#[derive(Clone, Debug)]
pub struct TracesHandle(Arc<Mutex<Traces>>);

impl TracesHandle {
    /// The traces as they are now.
    pub fn get(&self) -> Traces {
        self.0
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .clone()
    }
}

/// A session that was started. Dropping it detaches everything.
#[derive(Debug)]
pub struct Session {
    id: SessionId,
    commands: Sender<Command>,
    snapshots: watch::Receiver<Arc<Snapshot>>,
    traces: Arc<Mutex<Traces>>,
}

impl Session {
    /// Its name.
    pub fn id(&self) -> &SessionId {
        &self.id
    }

    /// Its snapshots, several a second; the last one is final, and says so.
    pub fn snapshots(&self) -> watch::Receiver<Arc<Snapshot>> {
        self.snapshots.clone()
    }

    /// What it has traced so far, where traces were asked for. Complete once the session is over.
    pub fn traces(&self) -> TracesHandle {
        TracesHandle(Arc::clone(&self.traces))
    }

    /// Lets only calls with such arguments make single-call records from now on.
    ///
    /// # Errors
    /// If the filter does not fit a function, or the session is over; then the old one stays.
    pub fn set_filter(&self, filter: Option<Expression>) -> Result<(), AgentError> {
        let (reply, answer) = mpsc::channel();
        self.send(Command::Filter { filter, reply })?;
        answer.recv().map_err(|_| AgentError::Ended)?
    }

    /// Attaches more functions. Blocks until their probes are live.
    ///
    /// # Errors
    /// As for [`Agent::attach`]; what was attached before stays.
    pub fn add(&self, functions: Vec<FunctionId>) -> Result<Attached, AgentError> {
        let (reply, answer) = mpsc::channel();
        self.send(Command::Add { functions, reply })?;
        answer.recv().map_err(|_| AgentError::Ended)?
    }

    /// Detaches functions. Blocks until their probes are gone; their numbers stay.
    ///
    /// # Errors
    /// If the session is over.
    pub fn remove(&self, functions: Vec<FunctionId>) -> Result<(), AgentError> {
        let (reply, answer) = mpsc::channel();
        self.send(Command::Remove { functions, reply })?;
        answer.recv().map_err(|_| AgentError::Ended)
    }

    /// Makes the lease longer, up to the limit counted from the session's beginning, and returns
    /// how long it still runs.
    ///
    /// # Errors
    /// If the session is over.
    pub fn extend(&self, by: Duration) -> Result<Duration, AgentError> {
        let (reply, answer) = mpsc::channel();
        self.send(Command::Extend { by, reply })?;
        answer.recv().map_err(|_| AgentError::Ended)
    }

    /// Adds a notice to those that everybody sees who watches it. Waits for nothing.
    ///
    /// # Errors
    /// If the session is over.
    pub fn notify(&self, text: String) -> Result<(), AgentError> {
        self.send(Command::Notify { text })
    }

    /// Ends the session and returns its final numbers. Blocks until no probe is left.
    pub fn detach(self) -> Arc<Snapshot> {
        let (reply, answer) = mpsc::channel::<()>();
        if self.send(Command::End { _reply: reply }).is_ok() {
            // The worker never answers: it drops the sender when it is done.
            let _ = answer.recv();
        }
        Arc::clone(&self.snapshots.borrow())
    }

    fn send(&self, command: Command) -> Result<(), AgentError> {
        self.commands.send(command).map_err(|_| AgentError::Ended)
    }
}
