//! The thread of a session: owns its probes, its lease and its numbers.

use std::sync::Arc;
use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender};
use std::time::{Duration, Instant};

use coral_model::{EndReason, FunctionId, Limits, SessionId, SessionInfo, SessionState, Snapshot};
use jiff::Timestamp;
use tokio::sync::watch;

use super::error::AgentError;
use super::own_sites::OwnSites;
use super::probes::Probes;
use super::request::{AttachRequest, Attached};
use super::session::Share;
use super::tally::Tally;
use super::watched::Watched;
use crate::probe::{Calibration, Engine, EngineSpec, monotonic_ns};

/// How often records are taken from the ring and the target is looked at.
const TICK: Duration = Duration::from_millis(20);
/// How often a snapshot is made.
const SNAPSHOT_INTERVAL: Duration = Duration::from_millis(200);

/// How often the frames of threads that are gone are looked for.
const SWEEP_INTERVAL: Duration = Duration::from_secs(5);
/// Records may come as fast as they like for the time in which the limit allows so many.
const RECORD_BURST: Duration = Duration::from_millis(200);

/// What others ask of a session.
#[derive(Debug)]
pub(super) enum Command {
    Add {
        functions: Vec<FunctionId>,
        reply: Sender<Result<Attached, AgentError>>,
    },
    Remove {
        functions: Vec<FunctionId>,
        reply: Sender<()>,
    },
    Extend {
        by: Duration,
        reply: Sender<Duration>,
    },
    End {
        /// Dropped when the session is over.
        _reply: Sender<()>,
    },
}

/// The state of a session.
pub(super) struct Worker {
    probes: Probes,
    tally: Tally,
    watched: Arc<Watched>,
    info: SessionInfo,
    started: Instant,
    lease: Duration,
    limits: Limits,
    snapshots: Option<watch::Sender<Arc<Snapshot>>>,
    // Given back last, when everything that it pays for is gone.
    _share: Share,
}

impl Worker {
    /// Loads the kernel side; nothing is attached yet.
    pub(super) fn new(
        id: SessionId,
        watched: Arc<Watched>,
        request: &AttachRequest,
        spec: &EngineSpec,
        limits: Limits,
        own_sites: OwnSites,
        share: Share,
    ) -> Result<Self, AgentError> {
        let info = SessionInfo {
            id,
            target: watched.target.clone(),
            started_at: Timestamp::now(),
            ended_at: None,
            requested_by: request.requested_by.clone(),
            elapsed: Duration::ZERO,
            remaining: request.duration,
            state: SessionState::Active,
            probes: 0,
        };
        let room = spec.capacity as usize;
        let engine = Engine::load(spec)?;
        Ok(Self {
            probes: Probes::new(
                engine,
                Arc::clone(&watched),
                own_sites,
                request.fast_returns,
                room,
            ),
            tally: Tally::new(),
            watched,
            info,
            started: Instant::now(),
            lease: request.duration,
            limits,
            snapshots: None,
            _share: share,
        })
    }

    /// Attaches the first functions and lets the lease begin.
    pub(super) fn begin(&mut self, functions: &[FunctionId]) -> Result<Attached, AgentError> {
        let attached = self.attach(functions)?;
        self.started = Instant::now();
        self.info.started_at = Timestamp::now();
        self.refill(RECORD_BURST);
        self.probes
            .engine
            .set_deadline_ns(monotonic_ns() + self.lease.as_nanos() as u64);
        Ok(attached)
    }

    /// Publishes snapshots from now on; the first one is there at once.
    pub(super) fn publish(&mut self) -> watch::Receiver<Arc<Snapshot>> {
        let (sender, receiver) = watch::channel(Arc::new(self.snapshot()));
        self.snapshots = Some(sender);
        receiver
    }

    /// Works until the session is over, then takes everything out and publishes the final numbers.
    pub(super) fn run(mut self, commands: &Receiver<Command>) {
        let mut next_tick = Instant::now() + TICK;
        let mut next_snapshot = Instant::now() + SNAPSHOT_INTERVAL;
        let mut next_sweep = Instant::now() + SWEEP_INTERVAL;
        // Kept until the very end, so that who waits for it sees the final snapshot.
        let mut _ending = None;
        let reason = loop {
            let wait = next_tick.saturating_duration_since(Instant::now());
            match commands.recv_timeout(wait) {
                Ok(Command::Add { functions, reply }) => {
                    let _ = reply.send(self.attach(&functions));
                    continue;
                }
                Ok(Command::Remove { functions, reply }) => {
                    self.probes.detach(&mut self.tally, &functions);
                    self.info.probes = self.probes.count();
                    let _ = reply.send(());
                    continue;
                }
                Ok(Command::Extend { by, reply }) => {
                    self.extend(by);
                    let _ = reply.send(self.remaining());
                    continue;
                }
                Ok(Command::End { _reply }) => {
                    _ending = Some(_reply);
                    break EndReason::Detached;
                }
                Err(RecvTimeoutError::Disconnected) => break EndReason::Detached,
                Err(RecvTimeoutError::Timeout) => {}
            }
            next_tick = Instant::now() + TICK;
            self.drain();
            self.refill(TICK);
            if let Some(reason) = self.reason_to_end() {
                break reason;
            }
            if Instant::now() >= next_sweep {
                next_sweep = Instant::now() + SWEEP_INTERVAL;
                self.sweep_threads();
            }
            if Instant::now() >= next_snapshot {
                next_snapshot = Instant::now() + SNAPSHOT_INTERVAL;
                let snapshot = self.snapshot();
                self.send(snapshot);
            }
        };
        self.end(reason);
    }

    fn end(&mut self, reason: EndReason) {
        let elapsed = self.started.elapsed();
        self.probes.engine.set_deadline_ns(0);
        self.probes.detach_all(&mut self.tally);
        self.drain();
        self.sweep_threads();
        // A short session may be over before the calibration that began with it.
        Calibration::measure_once();
        self.info.ended_at = Some(Timestamp::now());
        self.info.state = SessionState::Ended(reason);
        let mut snapshot = self.snapshot_at(elapsed);
        self.tally.close(elapsed, &mut snapshot.overhead);
        snapshot.functions = self.tally.functions();
        snapshot.session.remaining = Duration::ZERO;
        self.send(snapshot);
    }

    fn attach(&mut self, functions: &[FunctionId]) -> Result<Attached, AgentError> {
        let attached = self.probes.attach(&mut self.tally, functions)?;
        self.info.probes = self.probes.count();
        Ok(attached)
    }

    fn reason_to_end(&self) -> Option<EndReason> {
        let process = &self.watched.process;
        if process.has_exited() {
            Some(EndReason::TargetExited)
        } else if process.has_execed() {
            Some(EndReason::TargetExeced)
        } else if self.remaining().is_zero() {
            Some(EndReason::Expired)
        } else {
            None
        }
    }

    fn remaining(&self) -> Duration {
        self.lease.saturating_sub(self.started.elapsed())
    }

    fn extend(&mut self, by: Duration) {
        self.lease = (self.lease + by).min(self.limits.duration);
        self.probes
            .engine
            .set_deadline_ns(monotonic_ns() + self.remaining().as_nanos() as u64);
    }

    fn refill(&self, interval: Duration) {
        let tokens_in = |time: Duration| {
            (f64::from(self.limits.records_per_s) * time.as_secs_f64()).ceil() as u32
        };
        self.probes
            .engine
            .refill_records(tokens_in(interval), tokens_in(RECORD_BURST));
    }

    fn drain(&mut self) {
        let tally = &mut self.tally;
        self.probes
            .engine
            .drain_records(|record| tally.record(&record));
    }

    fn sweep_threads(&mut self) {
        let process = &self.watched.process;
        for (slot, frames) in self
            .probes
            .engine
            .sweep_threads(|tid| process.has_thread(tid))
        {
            self.tally.add_thread_ends(slot, frames);
        }
    }

    fn snapshot(&mut self) -> Snapshot {
        self.snapshot_at(self.started.elapsed())
    }

    fn snapshot_at(&mut self, elapsed: Duration) -> Snapshot {
        let (accounting, overhead) =
            self.tally
                .read(&self.probes.engine, elapsed, Calibration::get());
        self.info.elapsed = elapsed;
        self.info.remaining = self.remaining();
        Snapshot {
            session: self.info.clone(),
            functions: self.tally.functions(),
            slow_calls: self.tally.slowest_calls(),
            accounting,
            overhead,
        }
    }

    fn send(&self, snapshot: Snapshot) {
        if let Some(snapshots) = &self.snapshots {
            snapshots.send_replace(Arc::new(snapshot));
        }
    }
}
