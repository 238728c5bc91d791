//! The thread of a session: owns its probes, its lease and its numbers.

use std::collections::HashSet;
use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use coral_ebpf_common::RECORD_IS_TRACED;
use coral_model::filter::Expression;
use coral_model::{
    EndReason, FunctionId, Limits, SessionId, SessionInfo, SessionNotice, SessionState, Snapshot,
};
use jiff::Timestamp;
use tokio::sync::watch;

use super::budget::{self, Action, Budget};
use super::call_stream::CallSink;
use super::ended_calls::EndedCalls;
use super::error::AgentError;
use super::growth::{Growth, is_same};
use super::in_flight;
use super::own_sites::OwnSites;
use super::probes::Probes;
use super::records::{self, Clock};
use super::request::{AttachRequest, Attached};
use super::session::Share;
use super::stacks;
use super::tally::Tally;
use super::traces::{Tracer, Traces};
use super::tree::Tree;
use super::values::Values;
use super::watched::Watched;
use crate::probe::{Calibration, Engine, EngineSpec, monotonic_ns};
use crate::symbols::{Process, Symbols};

/// How often records are taken from the ring and the target is looked at.
const TICK: Duration = Duration::from_millis(20);
/// How often a snapshot is made.
const SNAPSHOT_INTERVAL: Duration = Duration::from_millis(200);

/// How often the frames of threads that are gone are looked for.
const SWEEP_INTERVAL: Duration = Duration::from_secs(5);
/// How often the calls that go on are looked at.
const IN_FLIGHT_INTERVAL: Duration = Duration::from_secs(1);
/// Slow calls whose stacks are looked up for one snapshot.
const STACKS_PER_SNAPSHOT: usize = 5;
/// How many functions are named that are not measured.
const REFUSED_TOLD_MAX: usize = 20;
/// How many notices a session keeps.
const NOTICES_MAX: usize = 100;

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
    Filter {
        filter: Option<Expression>,
        reply: Sender<Result<(), AgentError>>,
    },
    Extend {
        by: Duration,
        reply: Sender<Duration>,
    },
    Notify {
        text: String,
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
    tree: Tree,
    open: in_flight::Open,
    notices: Vec<SessionNotice>,
    budget: Option<Budget>,
    clock: Clock,
    ended: EndedCalls,
    tracer: Tracer,
    calls: Option<CallSink>,
    growth: Growth,
    watched: Arc<Watched>,
    info: SessionInfo,
    started: Instant,
    limits: Limits,
    is_over_budget: bool,
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
            other_pids: watched.others.iter().map(|process| process.pid()).collect(),
            started_at: Timestamp::now(),
            ended_at: None,
            requested_by: request.requested_by.clone(),
            elapsed: Duration::ZERO,
            remaining: request.settings.duration,
            state: SessionState::Active,
            probes: 0,
            settings: request.settings.clone(),
        };
        let room = request.room.max(request.functions.len());
        let engine = Engine::load(spec)?;
        Ok(Self {
            probes: Probes::new(
                engine,
                own_sites,
                Values::new(request, &watched),
                request,
                room,
            ),
            tally: Tally::default(),
            tree: Tree::default(),
            open: in_flight::Open::default(),
            notices: Vec::new(),
            budget: request.settings.budget_percent.map(Budget::new),
            clock: Clock::new(),
            ended: EndedCalls::default(),
            tracer: Tracer::default(),
            calls: request.calls.clone(),
            growth: Growth::new(request.growth.clone()),
            watched,
            info,
            started: Instant::now(),
            limits,
            is_over_budget: false,
            snapshots: None,
            _share: share,
        })
    }

    /// Attaches the first functions and lets the lease begin.
    pub(super) fn begin(&mut self, request: &AttachRequest) -> Result<Attached, AgentError> {
        if let Some(calibration) = Calibration::get() {
            self.probes.engine.set_costs_ns(
                calibration.emulated_ns as u32,
                calibration.single_stepped_ns as u32,
            );
        }
        let watched = Arc::clone(&self.watched);
        let mut attached = match request.functions.as_slice() {
            [] => Attached::default(),
            functions => self.probes.attach(&watched, &mut self.tally, functions)?,
        };
        if let Some(reason) = self.probes.values.misfit() {
            let reason = reason.to_owned();
            return Err(AgentError::Filter { reason });
        }
        self.probes
            .attach_inlined(&watched, &mut self.tally, &request.inlined, &mut attached)?;
        self.info.probes = self.probes.count();
        self.started = Instant::now();
        self.info.started_at = Timestamp::now();
        self.tell_misfits();
        self.tell_refused(&attached);
        self.refill();
        self.probes
            .engine
            .set_deadline_ns(monotonic_ns() + self.info.settings.duration.as_nanos() as u64);
        Ok(attached)
    }

    /// Publishes snapshots from now on; the first one is there at once.
    pub(super) fn publish(&mut self) -> watch::Receiver<Arc<Snapshot>> {
        let (sender, receiver) = watch::channel(Arc::new(self.snapshot()));
        self.snapshots = Some(sender);
        receiver
    }

    /// Where the session's traces will be.
    pub(super) fn traces(&self) -> Arc<Mutex<Traces>> {
        self.tracer.shared()
    }

    /// Works until the session is over, then takes everything out and publishes the final numbers.
    pub(super) fn run(mut self, commands: &Receiver<Command>) {
        let mut next_tick = Instant::now() + TICK;
        let mut next_snapshot = Instant::now() + SNAPSHOT_INTERVAL;
        let mut next_sweep = Instant::now() + SWEEP_INTERVAL;
        let mut next_check = Instant::now() + budget::CHECK_INTERVAL;
        let mut next_in_flight = Instant::now() + IN_FLIGHT_INTERVAL;
        // Kept until the very end, so that who waits for it sees the final snapshot.
        let mut _ending = None;
        let reason = loop {
            let wait = next_tick.saturating_duration_since(Instant::now());
            match commands.recv_timeout(wait) {
                Ok(Command::Add { functions, reply }) => {
                    let _ = reply.send(self.add(&functions));
                    continue;
                }
                Ok(Command::Remove { functions, reply }) => {
                    self.detach(&functions);
                    let _ = reply.send(());
                    continue;
                }
                Ok(Command::Filter { filter, reply }) => {
                    let _ = reply.send(self.set_filter(filter));
                    continue;
                }
                Ok(Command::Extend { by, reply }) => {
                    self.extend(by);
                    let _ = reply.send(self.remaining());
                    continue;
                }
                Ok(Command::Notify { text }) => {
                    self.notify(text);
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
            self.refill();
            if Instant::now() >= next_check {
                next_check = Instant::now() + budget::CHECK_INTERVAL;
                self.keep_budget();
            }
            if let Some(reason) = self.reason_to_end() {
                break reason;
            }
            if Instant::now() >= next_sweep {
                next_sweep = Instant::now() + SWEEP_INTERVAL;
                self.sweep_threads();
            }
            if Instant::now() >= next_in_flight {
                next_in_flight = Instant::now() + IN_FLIGHT_INTERVAL;
                self.look_at_calls(false);
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
        // Before the probes go: what hangs at the end is what one asks for.
        self.sweep_threads();
        self.look_at_calls(true);
        self.probes.engine.set_deadline_ns(0);
        self.probes.detach_all(&mut self.tally);
        self.drain();
        let unwound = self.probes.engine.hits().roots_unwound;
        self.tracer.finish(unwound + self.probes.open_roots());
        // A short session may be over before the calibration that began with it.
        Calibration::measure_once();
        // The clock may have been set meanwhile.
        let ended_at = self.info.started_at.checked_add(self.started.elapsed());
        self.info.ended_at = Some(ended_at.unwrap_or_else(|_| Timestamp::now()));
        self.info.state = SessionState::Ended(reason);
        let mut snapshot = self.snapshot_at(elapsed, usize::MAX);
        self.tally.close(elapsed, &mut snapshot.overhead);
        snapshot.functions = self.tally.functions();
        snapshot.session.remaining = Duration::ZERO;
        self.send(snapshot);
    }

    /// Attaches more functions, within the limit of a session.
    fn add(&mut self, functions: &[FunctionId]) -> Result<Attached, AgentError> {
        let live = self.probes.live.iter().flat_map(|live| &live.functions);
        let mut all: HashSet<FunctionId> = live.map(|function| function.id).collect();
        all.extend(functions);
        let (limit, asked) = (self.limits.functions_per_session, all.len());
        if asked > limit {
            return Err(AgentError::Functions { limit, asked });
        }
        self.attach(functions)
    }

    fn attach(&mut self, functions: &[FunctionId]) -> Result<Attached, AgentError> {
        let misfits = self.probes.values.misfits();
        let attached = self
            .probes
            .attach(&self.watched, &mut self.tally, functions)?;
        self.info.probes = self.probes.count();
        if self.probes.values.misfits() > misfits {
            self.tell_misfits();
        }
        self.tell_refused(&attached);
        Ok(attached)
    }

    /// Says of how many functions no call is recorded, because the filter does not fit.
    fn tell_misfits(&mut self) {
        let misfits = self.probes.values.misfits();
        if misfits > 0 {
            self.notify(format!(
                "the filter does not fit {misfits} of the functions: their calls are counted, and none \
                 is recorded"
            ));
        }
    }

    /// Says which functions are not measured, in every document of the session.
    fn tell_refused(&mut self, attached: &Attached) {
        for refused in attached.refused.iter().take(REFUSED_TOLD_MAX) {
            let function = self.watched.table().get(refused.function);
            let name = function.map_or("", |function| function.name);
            self.notify(format!("{name} is left out: {}", refused.reason));
        }
        let more = attached.refused.len().saturating_sub(REFUSED_TOLD_MAX);
        if more > 0 {
            self.notify(format!("{more} more functions are left out"));
        }
    }

    fn reason_to_end(&mut self) -> Option<EndReason> {
        if let Some(reason) = self.look_at_processes() {
            Some(reason)
        } else if self.remaining().is_zero() {
            Some(EndReason::Expired)
        } else if self.is_over_budget {
            Some(EndReason::Budget)
        } else {
            None
        }
    }

    /// Leaves processes that are gone, and takes in what the target has become; why the session
    /// ends, if none is left.
    fn look_at_processes(&mut self) -> Option<EndReason> {
        let mut last = None;
        let mut left = Vec::new();
        let processes: Vec<Arc<Process>> = self.watched.processes().cloned().collect();
        let several = processes.len() > 1;
        for process in processes {
            if process.has_exited() {
                last = Some(EndReason::TargetExited);
                if several {
                    self.probes.forget_process(process.pid());
                    self.notify(format!("process {} has ended", process.pid()));
                }
            } else if process.has_execed() {
                match self.follow_exec(&process) {
                    Some(process) => left.push(process),
                    None => {
                        last = Some(EndReason::TargetExeced);
                        self.probes.forget_process(process.pid());
                    }
                }
            } else {
                left.push(process);
            }
        }
        if left.is_empty() {
            return last;
        }
        if last.is_some() {
            self.set_processes(left);
        }
        self.take_in_children();
        self.take_in_libraries();
        None
    }

    /// The process as it is after an exec, with its probes; `None` if that is not to be measured.
    fn follow_exec(&mut self, process: &Process) -> Option<Arc<Process>> {
        if !self.growth.follows_execs() {
            return None;
        }
        let pid = process.pid();
        let new = Arc::new(Process::open(pid).ok()?);
        let image = Arc::clone(new.executable());
        let functions = self.probes.functions();
        self.probes.forget_process(pid);
        let mut others: Vec<_> = self.watched.processes().cloned().collect();
        others
            .iter_mut()
            .filter(|other| other.pid() == pid)
            .for_each(|other| {
                *other = Arc::clone(&new);
            });
        self.set_processes(others);
        let added = if is_same(&image, process.executable()) {
            let watched = Arc::clone(&self.watched);
            self.probes
                .add_process(&watched, &mut self.tally, &new, &[], &functions)
                .is_ok()
        } else {
            let symbols = self.watched.symbols.with_library(image).ok()?;
            self.take_in(symbols)
        };
        self.info.probes = self.probes.count();
        self.notify(format!(
            "process {pid} runs {} now",
            new.executable().path()
        ));
        added.then_some(new)
    }

    fn take_in_children(&mut self) {
        for child in self.growth.new_children(&self.watched) {
            let pid = child.pid();
            let watched = Arc::clone(&self.watched);
            let (parents, functions) = (watched.pids(), self.probes.functions());
            let (probes, tally) = (&mut self.probes, &mut self.tally);
            let added = probes.add_process(&watched, tally, &child, &parents, &functions);
            if added.is_ok() {
                self.notify(format!("process {pid}, a child, is measured from now on"));
            }
            // Also if it cannot be: it is not tried again and again.
            let others = self.watched.processes().cloned().chain([child]).collect();
            self.set_processes(others);
            self.info.probes = self.probes.count();
        }
    }

    fn take_in_libraries(&mut self) {
        if let Some(symbols) = self.growth.new_libraries(&self.watched) {
            self.take_in(symbols);
        }
    }

    /// Attaches in modules that the target has gained; whether anything was.
    fn take_in(&mut self, symbols: Symbols) -> bool {
        let first = self.watched.table().modules().len();
        let functions = self.growth.functions_in(&symbols, first);
        Arc::make_mut(&mut self.watched).symbols = symbols;
        if functions.is_empty() {
            return false;
        }
        match self.attach(&functions) {
            Ok(attached) => {
                let modules = self.watched.table().modules();
                let path = modules.last().map_or("", |module| &module.path);
                let text = format!(
                    "{} functions of {path} were attached",
                    attached.functions.len()
                );
                self.notify(text);
                true
            }
            Err(error) => {
                self.notify(format!("new functions cannot be attached: {error}"));
                false
            }
        }
    }

    fn set_processes(&mut self, mut processes: Vec<Arc<Process>>) {
        if processes.is_empty() {
            return;
        }
        let watched = Arc::make_mut(&mut self.watched);
        watched.process = processes.remove(0);
        watched.others = processes;
        self.info.other_pids = watched.others.iter().map(|process| process.pid()).collect();
    }

    fn remaining(&self) -> Duration {
        let lease = self.info.settings.duration;
        lease.saturating_sub(self.started.elapsed())
    }

    fn extend(&mut self, by: Duration) {
        let lease = &mut self.info.settings.duration;
        *lease = (*lease + by).min(self.limits.duration);
        self.probes
            .engine
            .set_deadline_ns(monotonic_ns() + self.remaining().as_nanos() as u64);
    }

    fn refill(&mut self) {
        let engine = &self.probes.engine;
        self.tally.refill(engine, TICK, self.limits.records_per_s);
    }

    /// Warns of what probes cost, and detaches what costs too much.
    fn keep_budget(&mut self) {
        let Some(budget) = &mut self.budget else {
            return;
        };
        let elapsed = self.started.elapsed();
        let costs_ns = self.tally.costs_ns(&self.probes.engine, elapsed);
        let allowed = budget.percent();
        let actions = budget.check(&costs_ns);
        let mut dear = Vec::new();
        for action in actions {
            match action {
                Action::Warn { percent } => self.notify(format!(
                    "probes cost {percent:.1} % of a core within a second; the budget is \
                     {allowed} %"
                )),
                Action::Throttle { slot } => self.tally.throttle(slot),
                Action::Detach {
                    slot,
                    percent,
                    total_percent,
                } => {
                    let alone = percent > allowed;
                    let why = match alone {
                        true => format!(
                            "it cost {percent:.1} % of a core within a second, over the budget \
                             of {allowed} %"
                        ),
                        false => format!(
                            "probes cost {total_percent:.1} % of a core within a second, over \
                             the budget of {allowed} %, and it cost most: {percent:.1} %"
                        ),
                    };
                    self.notify(format!("{} was detached: {why}", self.tally.name(slot)));
                    self.tally.set_detached_because(slot, why);
                    dear.extend(self.tally.id(slot));
                }
            }
        }
        if !dear.is_empty() {
            self.detach(&dear);
            self.is_over_budget = self.probes.count() == 0;
        }
    }

    fn notify(&mut self, text: String) {
        if self.notices.len() < NOTICES_MAX {
            let at = self.started.elapsed();
            self.notices.push(SessionNotice { at, text });
        }
    }

    fn set_filter(&mut self, filter: Option<Expression>) -> Result<(), AgentError> {
        let changes = self
            .probes
            .values
            .change_filter(filter.clone())
            .map_err(|reason| AgentError::Filter { reason })?;
        let engine = &self.probes.engine;
        for change in changes {
            engine.set_arguments_len(change.slot, change.arguments_len);
            engine.set_filter(change.slot, change.filter.as_ref());
        }
        self.info.settings.filter = filter;
        self.tell_misfits();
        Ok(())
    }

    fn detach(&mut self, functions: &[FunctionId]) {
        self.probes.detach(&mut self.tally, functions);
        self.info.probes = self.probes.count();
    }

    fn drain(&mut self) {
        let tally = &mut self.tally;
        let tracer = &mut self.tracer;
        let ended = &mut self.ended;
        let values = &self.probes.values;
        let clock = self.clock;
        let sink = &self.calls;
        self.probes.engine.drain_records(|record| {
            let slot = record.call.slot;
            let Some(function) = tally.id(slot) else {
                return;
            };
            if record.call.flags & RECORD_IS_TRACED != 0 {
                tracer.record(&record.call, function);
            }
            if let Some(sink) = sink {
                sink.put(records::call(&record, function, clock, values));
            }
            if tally.is_slow(slot, record.call.duration_ns) {
                let inside = ended.inside(&record.call);
                let inner = records::inner_calls(&record, &inside, |slot| tally.id(slot), values);
                let mut call = records::call(&record, function, clock, values);
                call.inner = Some(Arc::new(inner));
                let addresses = record.detail.as_deref().map(stacks::addresses);
                tally.record(slot, call, addresses.unwrap_or_default());
            }
            ended.push(record);
        });
    }

    /// Looks at the calls that go on, and where the oldest of them hang.
    fn look_at_calls(&mut self, is_end: bool) {
        self.open = in_flight::read(&self.probes.engine, &self.tally, &self.watched, is_end);
    }

    fn sweep_threads(&mut self) {
        let watched = &self.watched;
        let is_alive = |pid, tid| {
            let mut processes = watched.processes();
            processes.any(|process| process.pid() == pid && process.has_thread(tid))
        };
        for (slot, frames) in self.probes.engine.sweep_threads(is_alive) {
            self.tally.add_thread_ends(slot, frames);
        }
    }

    fn snapshot(&mut self) -> Snapshot {
        self.snapshot_at(self.started.elapsed(), STACKS_PER_SNAPSHOT)
    }

    fn snapshot_at(&mut self, elapsed: Duration, stacks_max: usize) -> Snapshot {
        let left = self.probes.engine.count_frames(&self.open.left);
        self.tally.set_left(&left);
        let (accounting, overhead) = self.tally.read(&self.probes.engine, elapsed);
        self.info.elapsed = elapsed;
        self.info.remaining = self.remaining();
        Snapshot {
            session: self.info.clone(),
            functions: self.tally.functions(),
            call_tree: self.tree.read(&self.probes.engine, &self.tally),
            slow_calls: self.tally.slowest_calls(&self.watched, stacks_max),
            in_flight: self.open.calls.clone(),
            notices: self.notices.clone(),
            accounting,
            overhead,
            replicas: Vec::new(),
        }
    }

    fn send(&self, snapshot: Snapshot) {
        if let Some(snapshots) = &self.snapshots {
            snapshots.send_replace(Arc::new(snapshot));
        }
    }
}
