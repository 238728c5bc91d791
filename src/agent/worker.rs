//! The thread of a session: owns its probes, its lease and its numbers.

use std::os::fd::AsRawFd;
use std::path::Path;
use std::sync::Arc;
use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender};
use std::time::{Duration, Instant};

use coral_model::{
    EndReason, ExitProbe, FunctionId, Limits, Probeability, SessionId, SessionInfo, SessionState,
    Snapshot,
};
use jiff::Timestamp;
use tokio::sync::watch;

use super::error::AgentError;
use super::request::{AttachRequest, Attached, Refused};
use super::session::Share;
use super::tally::{NewTracked, Tally};
use super::watched::Watched;
use crate::probe::{
    Attachment, Calibration, Engine, EngineSpec, FunctionSites, SiteCosts, monotonic_ns,
};
use crate::symbols::Image;
use crate::symbols::planner::{FrameKey, Plan};

/// How often records are taken from the ring and the target is looked at.
const TICK: Duration = Duration::from_millis(20);
/// How often a snapshot is made.
const SNAPSHOT_INTERVAL: Duration = Duration::from_millis(200);

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
    engine: Engine,
    attachments: Vec<Attachment>,
    tally: Tally,
    watched: Arc<Watched>,
    info: SessionInfo,
    started: Instant,
    lease: Duration,
    limits: Limits,
    room: usize,
    fast_returns: bool,
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
        Ok(Self {
            engine: Engine::load(spec)?,
            attachments: Vec::new(),
            tally: Tally::new(),
            watched,
            info,
            started: Instant::now(),
            lease: request.duration,
            limits,
            room: spec.capacity as usize,
            fast_returns: request.fast_returns,
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
        self.engine
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
                    self.detach(&functions);
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
        self.engine.set_deadline_ns(0);
        for attachment in self.attachments.drain(..) {
            self.engine.detach(attachment);
        }
        self.drain();
        self.sweep_threads();
        self.info.ended_at = Some(Timestamp::now());
        self.info.state = SessionState::Ended(reason);
        let mut snapshot = self.snapshot_at(elapsed);
        self.tally.close(elapsed, &mut snapshot.overhead);
        snapshot.functions = self.tally.functions();
        snapshot.session.remaining = Duration::ZERO;
        self.send(snapshot);
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
        self.engine
            .set_deadline_ns(monotonic_ns() + self.remaining().as_nanos() as u64);
    }

    fn refill(&self, interval: Duration) {
        let tokens_in = |time: Duration| {
            (f64::from(self.limits.records_per_s) * time.as_secs_f64()).ceil() as u32
        };
        self.engine
            .refill_records(tokens_in(interval), tokens_in(RECORD_BURST));
    }

    fn drain(&mut self) {
        let tally = &mut self.tally;
        self.engine.drain_records(|record| tally.record(&record));
    }

    fn sweep_threads(&mut self) {
        let process = &self.watched.process;
        for (slot, frames) in self.engine.sweep_threads(|tid| process.has_thread(tid)) {
            self.tally.add_thread_ends(slot, frames);
        }
    }

    fn snapshot(&mut self) -> Snapshot {
        self.snapshot_at(self.started.elapsed())
    }

    fn snapshot_at(&mut self, elapsed: Duration) -> Snapshot {
        let (accounting, overhead) = self.tally.read(&self.engine, elapsed, Calibration::get());
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

    /// Attaches functions that are not attached yet, each module's in one link.
    fn attach(&mut self, functions: &[FunctionId]) -> Result<Attached, AgentError> {
        let mut attached = Attached::default();
        let mut new = Vec::new();
        for &id in functions {
            match self.plan(id) {
                Ok(planned) => new.push(planned),
                Err(reason) => attached.refused.push(Refused { function: id, reason }),
            }
        }
        let asked = self.tally.len() + new.len();
        if asked > self.room {
            return Err(AgentError::Room {
                room: self.room,
                asked,
            });
        }
        for module in 0..self.watched.table().modules().len() as u16 {
            let sites = self.track(new.iter().filter(|planned| planned.module == module));
            if let Some(image) = self.watched.symbols.image(module).cloned()
                && !sites.is_empty()
            {
                self.attach_module(&image, &sites, &mut attached)?;
            }
        }
        if attached.functions.is_empty() {
            let reason = attached
                .refused
                .first()
                .map_or_else(String::new, |refused| refused.reason.clone());
            return Err(AgentError::NothingToProbe { reason });
        }
        Ok(attached)
    }

    /// Gives every planned function its slot.
    fn track<'a>(&mut self, planned: impl Iterator<Item = &'a Planned>) -> Vec<FunctionSites> {
        let mut sites = Vec::new();
        for planned in planned {
            let slot = match self.tally.slot(planned.id) {
                Some(slot) => slot,
                None => self.tally.track(planned.tracked(&self.watched, self.fast_returns)),
            };
            sites.extend(FunctionSites::new(
                slot,
                planned.address,
                &planned.plan,
                self.fast_returns,
                |address| planned.image.file_offset(address),
            ));
        }
        sites
    }

    fn attach_module(
        &mut self,
        image: &Image,
        sites: &[FunctionSites],
        attached: &mut Attached,
    ) -> Result<(), AgentError> {
        // Through the open file, so that no other file can take its place.
        let path = format!("/proc/self/fd/{}", image.file().as_raw_fd());
        let attachment = self.engine.attach(Path::new(&path), sites)?;
        let functions = self.tally.functions();
        for &slot in &attachment.slots {
            self.tally.set_attached(slot, true);
            attached.functions.push(functions[slot as usize].id);
        }
        attached.refused.extend(attachment.refused.iter().map(|site| Refused {
            function: functions[site.slot as usize].id,
            reason: format!(
                "the kernel refused its site at file offset {:#x}: {}",
                site.file_offset, site.reason
            ),
        }));
        attached.probes += attachment.probes;
        self.info.probes += attachment.probes;
        self.attachments.push(attachment);
        Ok(())
    }

    /// Detaches functions. A link is one thing to the kernel: when others of it stay, it stays,
    /// and the functions that go are only no longer counted.
    fn detach(&mut self, functions: &[FunctionId]) {
        for &id in functions {
            if let Some(slot) = self.tally.slot(id) {
                self.engine.set_enabled(slot, false);
                self.tally.set_attached(slot, false);
            }
        }
        let (gone, stay): (Vec<_>, Vec<_>) = self
            .attachments
            .drain(..)
            .partition(|attachment| {
                attachment.slots.iter().all(|&slot| !self.tally.is_attached(slot))
            });
        self.attachments = stay;
        for attachment in gone {
            self.info.probes -= attachment.probes;
            self.engine.detach(attachment);
        }
    }

    fn plan(&self, id: FunctionId) -> Result<Planned, String> {
        const UNKNOWN: &str = "it is no function of this target";
        if self
            .tally
            .slot(id)
            .is_some_and(|slot| self.tally.is_attached(slot))
        {
            return Err("it is attached already".into());
        }
        let symbols = &self.watched.symbols;
        let function = symbols.table().get(id).ok_or(UNKNOWN)?;
        let image = symbols.image(function.module).ok_or(UNKNOWN)?;
        let plan = symbols
            .plan(id)
            .ok_or(UNKNOWN)?
            .map_err(|reason| format!("it {}", reason.text()))?;
        self.watched
            .process
            .check_code(image, function.address..function.address + function.size)
            .map_err(|error| error.to_string())?;
        Ok(Planned {
            id,
            module: function.module,
            address: function.address,
            image: Arc::clone(image),
            plan,
        })
    }
}

/// A function on its way to the kernel.
struct Planned {
    id: FunctionId,
    module: u16,
    address: u64,
    image: Arc<Image>,
    plan: Plan,
}

impl Planned {
    fn tracked(&self, watched: &Watched, fast_returns: bool) -> NewTracked {
        let function = watched.table().get(self.id);
        let exit_probe = match self.plan.summary.probe {
            Probeability::Full if fast_returns && self.plan.key == FrameKey::Thread => {
                ExitProbe::Uretprobe
            }
            Probeability::Full => ExitProbe::ReturnSites,
            Probeability::EntryOnly | Probeability::None => ExitProbe::None,
        };
        NewTracked {
            id: self.id,
            name: function.map(|function| function.name.to_owned()).unwrap_or_default(),
            file: function.and_then(|function| function.file.map(str::to_owned)),
            line: function.and_then(|function| function.line),
            exit_probe,
            reason: self.reason(),
            costs: SiteCosts::of(&self.plan, exit_probe),
        }
    }

    fn reason(&self) -> Option<String> {
        if let Some(reason) = self.plan.summary.reason {
            return Some(reason.text().into());
        }
        (self.plan.tail_calls > 0).then(|| {
            format!(
                "{} of {} exits jump to another function: the time there is not included",
                self.plan.tail_calls,
                self.plan.exits.len()
            )
        })
    }
}
