//! A session on the replicas of a service: one task owns what is known of them.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use coral_model::filter::Expression;
use coral_model::merge::{Merger, ReplicaPart};
use coral_model::{
    EndReason, FunctionId, Replica, ReplicaState, SessionId, SessionInfo, SessionNotice,
    SessionState, Snapshot, Target,
};
use coral_proto::agent::v1 as wire;
use coral_proto::convert::duration_to_wire;
use jiff::Timestamp;
use tokio::sync::{mpsc, oneshot, watch};
use tokio::task::JoinSet;
use tokio::time::{Instant, MissedTickBehavior, interval, timeout, timeout_at};
use tonic::Status;

use super::catalog::{Catalog, cut_off, key};
use super::history::{Note, Notes, Trouble};
use super::registry::{Registry, ReplicaProcess, timed};
use super::replica::{AgentSession, Follower, News, What, Wish, start_of};
use crate::store::{JournalKey, ReplicaRow};

/// How often what replicas report is added up, where it has changed.
const MERGE_EVERY: Duration = Duration::from_millis(200);
/// What followers have said and nobody has heard yet.
const NEWS_MAX: usize = 256;
/// How long replicas may be gone before the session is over: restarts take a while.
const GONE_MAX: Duration = Duration::from_secs(10);
/// How long after its end a session waits for what agents that are cut off have measured: they
/// dial again within 5 s.
const LATE_MAX: Duration = Duration::from_secs(8);
/// How long after its lease the last numbers are taken of agents that come back.
const LINGER_MAX: Duration = Duration::from_secs(60);
const ANSWER_MAX: Duration = Duration::from_secs(60);
/// How long the end waits for the history.
const NOTED_MAX: Duration = Duration::from_secs(2);
const NOTICES_MAX: usize = 200;

/// What is asked of a session while it runs.
pub(super) enum Command {
    Add(Vec<FunctionId>, Answer<wire::Attached>),
    Remove(Vec<FunctionId>, Answer<()>),
    SetFilter(Option<Expression>, Answer<()>),
    Extend(Duration, Answer<Duration>),
    /// Answered when no probe is left on a replica whose agent can be reached.
    End(EndReason, Answer<()>),
}

pub(super) type Answer<T> = oneshot::Sender<Result<T, Status>>;

/// What a session is made of.
pub(super) struct NewSession {
    pub(super) registry: Arc<Registry>,
    pub(super) catalog: Arc<Catalog>,
    pub(super) info: SessionInfo,
    pub(super) wish: Wish,
    /// Only these processes; all of the service where there is none.
    pub(super) chosen: Vec<wire::ReplicaRef>,
    /// Replicas of before the colony started anew.
    pub(super) known: Vec<(Target, Option<AgentSession>)>,
    /// However often it is made longer.
    pub(super) duration_max: Duration,
    /// Where it is remembered what becomes of it.
    pub(super) notes: Notes,
}

/// The task of a session.
pub(super) struct SessionTask {
    session: NewSession,
    wish: watch::Sender<Wish>,
    merger: Merger,
    parts: Vec<ReplicaPart>,
    replicas: Vec<Held>,
    followers: JoinSet<()>,
    news: mpsc::Receiver<News>,
    sender: mpsc::Sender<News>,
    notices: Vec<SessionNotice>,
    began: Instant,
    began_at: Timestamp,
    /// Since when no replica is measured.
    gone_since: Option<Instant>,
    /// Since when its lease has been seen to be over: the colony may have stood still meanwhile.
    late_since: Option<Instant>,
    /// Since when somebody wants it to be over.
    ending_since: Option<Instant>,
    end: Option<EndReason>,
    is_dirty: bool,
    snapshots: watch::Sender<Arc<Snapshot>>,
    /// Told once, when what was there at the start is attached or refused.
    started: Option<oneshot::Sender<Vec<wire::ReplicaStart>>>,
    /// Whether what it tells is its own.
    ready: watch::Sender<bool>,
}

/// What a session tells.
pub(super) struct Told {
    pub(super) snapshots: watch::Receiver<Arc<Snapshot>>,
    /// Whether the snapshots are its own: one of before the colony started anew looks for its
    /// replicas at first.
    pub(super) is_ready: watch::Receiver<bool>,
    /// What came of its start.
    pub(super) start: oneshot::Receiver<Vec<wire::ReplicaStart>>,
}

/// What is known of a replica beside its numbers.
struct Held {
    process: ReplicaProcess,
    session: Option<AgentSession>,
    /// What came of attaching, once that is known.
    start: Option<wire::ReplicaStart>,
}

impl SessionTask {
    /// A session of which nothing is attached yet, with what it tells.
    pub(super) fn new(session: NewSession) -> (Self, Told) {
        let (sender, news) = mpsc::channel(NEWS_MAX);
        let empty = Merger::new().merge(session.info.clone(), Vec::new(), &[], |_, id, _, _| id);
        let (snapshots, receiver) = watch::channel(Arc::new(empty));
        let (started, start) = oneshot::channel();
        let (ready, is_ready) = watch::channel(false);
        let task = Self {
            wish: watch::Sender::new(session.wish.clone()),
            session,
            merger: Merger::new(),
            parts: Vec::new(),
            replicas: Vec::new(),
            followers: JoinSet::new(),
            news,
            sender,
            notices: Vec::new(),
            began: Instant::now(),
            began_at: Timestamp::now(),
            gone_since: None,
            late_since: None,
            ending_since: None,
            end: None,
            is_dirty: true,
            snapshots,
            started: Some(started),
            ready,
        };
        let told = Told {
            snapshots: receiver,
            is_ready,
            start,
        };
        (task, told)
    }

    /// Runs until the session is over, and nothing of it is left on any node.
    pub(super) async fn run(mut self, mut commands: mpsc::Receiver<Command>) {
        let mut changes = self.session.registry.changes();
        let mut tick = interval(MERGE_EVERY);
        tick.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let known = std::mem::take(&mut self.session.known);
        if !known.is_empty() {
            // Functions have the numbers that they had before, if their builds are read first.
            let service = self.session.info.target.service.clone();
            let (catalog, registry) = (&self.session.catalog, &self.session.registry);
            // Without them they are known by their names.
            let _ = catalog.load(registry, &service).await;
        }
        for (target, session) in known {
            self.follow_known(target, session);
        }
        self.publish();
        self.ready.send_replace(true);
        self.look_for_replicas();
        while !self.is_over() {
            tokio::select! {
                Some(news) = self.news.recv() => self.hear(news),
                Ok(()) = changes.changed() => self.look_for_replicas(),
                Some(command) = commands.recv() => self.obey(command),
                trouble = self.session.notes.trouble() => self.notice_trouble(trouble),
                _ = tick.tick() => self.publish(),
            }
        }
        drop(commands);
        let info = self.publish_end().await;
        self.linger(info).await;
    }

    /// Takes the last numbers of agents that were cut off at the end, and ends what they measure
    /// still. Nobody waits for that.
    async fn linger(mut self, info: SessionInfo) {
        let until = self.wish.borrow().deadline + LINGER_MAX;
        while self.is_live() {
            match timeout_at(until, self.news.recv()).await {
                Ok(Some(news)) => self.hear(news),
                _ => return,
            }
            self.publish_as(info.clone());
        }
    }

    /// Whether a replica is measured, as far as is known.
    fn is_live(&self) -> bool {
        self.is_any(|state| matches!(state, ReplicaState::Measuring | ReplicaState::Silent))
    }

    fn is_any(&self, is_it: impl Fn(ReplicaState) -> bool) -> bool {
        self.parts.iter().any(|part| is_it(part.replica.state))
    }

    /// Attaches to every replica that is new.
    fn look_for_replicas(&mut self) {
        let is_late = Instant::now() >= self.wish.borrow().deadline;
        if is_late || self.end.is_some() {
            return;
        }
        let service = self.session.info.target.service.clone();
        let registry = &self.session.registry;
        let mut found = registry.replicas(&service);
        let epochs = registry.epochs();
        let mut held = HashMap::<_, Vec<_>>::new();
        for it in &self.replicas {
            let epoch = it.session.as_ref().map(|session| session.epoch);
            held.entry(key(&it.process)).or_default().push(epoch);
        }
        found.retain(|process| {
            let epoch = epochs.get(&process.agent_id).copied();
            // A process that outlives its agent is attached to anew.
            let is_same = |held: &Option<u64>| held.is_none() || epoch.is_none() || *held == epoch;
            let held = held.get(&key(process));
            !held.is_some_and(|held| held.iter().any(is_same)) && self.is_chosen(process)
        });
        for process in found {
            let target = target_of(&service, &process);
            self.follow(process, target, None);
        }
        self.tell_start();
    }

    fn is_chosen(&self, process: &ReplicaProcess) -> bool {
        let chosen = &self.session.chosen;
        let is_it = |it: &wire::ReplicaRef| {
            it.agent_id == process.agent_id && it.pid == process.process.pid
        };
        process.process.refusal.is_none() && (chosen.is_empty() || chosen.iter().any(is_it))
    }

    fn follow_known(&mut self, target: Target, session: Option<AgentSession>) {
        let process = ReplicaProcess {
            agent_id: target.agent_id.clone(),
            process: wire::Process {
                pid: target.pid,
                start_ticks: target.start_ticks,
                ..wire::Process::default()
            },
        };
        self.follow(process, target, session);
    }

    fn follow(&mut self, process: ReplicaProcess, target: Target, session: Option<AgentSession>) {
        let place = self.replicas.len();
        let epoch = self.session.registry.link(&process.agent_id);
        let epoch = epoch.map_or(0, |link| link.epoch);
        let id = &self.session.info.id;
        let follower = Follower {
            registry: Arc::clone(&self.session.registry),
            catalog: Arc::clone(&self.session.catalog),
            place,
            request_id: format!(
                "{id}/{}/{}/{epoch}",
                process.process.pid, process.process.start_ticks
            ),
            wish: self.wish.subscribe(),
            agent_session: session.clone(),
            news: self.sender.clone(),
            process: process.clone(),
        };
        let why = match &session {
            Some(_) => "the colony started anew",
            None => "it is being attached to",
        };
        self.parts.push(ReplicaPart {
            replica: Replica {
                trouble: Some(why.to_owned()),
                ..Replica::new(target, ReplicaState::Silent)
            },
            snapshot: None,
        });
        self.replicas.push(Held {
            process,
            start: None,
            session,
        });
        self.followers.spawn(follower.run());
        self.is_dirty = true;
    }

    fn hear(&mut self, news: News) {
        let (Some(part), Some(held)) = (
            self.parts.get_mut(news.place),
            self.replicas.get_mut(news.place),
        ) else {
            return;
        };
        self.is_dirty = true;
        let replica = &mut part.replica;
        let name = format!("{} on {}", replica.target.pid, replica.target.agent_id);
        let (mut notice, mut own_notices) = (None, Vec::new());
        let before = (replica.state, part.snapshot.is_some());
        match news.what {
            What::Started { session, attached } => {
                held.start = Some(start_of(&replica.target, Ok(&attached)));
                replica.session = Some(SessionId(session.id.clone()));
                held.session = Some(session);
                replica.trouble = None;
                replica.state = ReplicaState::Measuring;
            }
            What::Refused(status) => {
                held.start = Some(start_of(&replica.target, Err(&status)));
                replica.state = ReplicaState::Refused;
                replica.trouble = Some(status.message().to_owned());
                notice = Some(format!("{name} is not measured: {}", status.message()));
            }
            What::Measured(snapshot) => {
                if replica.state == ReplicaState::Silent && replica.trouble.is_some() {
                    notice = Some(format!("{name} is heard of again; its counts are whole"));
                }
                let heard = part.snapshot.as_ref().map_or(0, |it| it.notices.len());
                own_notices.extend(snapshot.notices.iter().skip(heard).cloned());
                replica.trouble = None;
                replica.session = Some(snapshot.session.id.clone());
                replica.state = match snapshot.session.state {
                    SessionState::Active => ReplicaState::Measuring,
                    SessionState::Ended(reason) => ReplicaState::Ended(reason),
                };
                replica.target = Target {
                    agent_id: replica.target.agent_id.clone(),
                    service: replica.target.service.clone(),
                    ..snapshot.session.target.clone()
                };
                part.snapshot = Some(snapshot);
            }
            What::Silent(why) => {
                if replica.state != ReplicaState::Silent {
                    notice = Some(format!("{name} is not heard of: {why}"));
                }
                replica.state = ReplicaState::Silent;
                replica.trouble = Some(why);
            }
            What::Gone(why) => {
                notice = Some(format!("{name}: {why}"));
                replica.state = ReplicaState::Ended(EndReason::Failed);
                replica.trouble = Some(why);
            }
        }
        let is_measured = part.replica.state == ReplicaState::Measuring;
        let is_ending = self.end.is_some_and(|end| end != EndReason::Expired);
        if is_ending && is_measured && before.0 != ReplicaState::Measuring {
            // It was cut off, or not attached to yet, when it was to end.
            self.end_part(news.place);
        }
        let is_back = before.0 != ReplicaState::Measuring || !before.1;
        if self.end.is_none() && is_measured && is_back {
            self.catch_up(news.place);
        }
        let (part, held) = (&self.parts[news.place], &self.replicas[news.place]);
        let is_worth_a_note = before != (part.replica.state, part.snapshot.is_some())
            || held.start.is_some() && part.snapshot.is_none();
        let is_noted = is_worth_a_note.then(|| self.note_replica(news.place));
        if let Some(text) = notice {
            self.notice(text);
        }
        for notice in own_notices {
            self.notice(format!("{name}: {}", notice.text));
        }
        if is_noted == Some(false) {
            self.notice_behind();
        }
        self.tell_start();
    }

    /// Has it remembered what a replica is now; `false` where that cannot be.
    fn note_replica(&self, place: usize) -> bool {
        let (part, held) = (&self.parts[place], &self.replicas[place]);
        let replica = &part.replica;
        let epoch = held.session.as_ref().map_or(0, |session| session.epoch);
        let agent_session = held.session.as_ref().map(|session| session.id.clone());
        let row = ReplicaRow {
            journal: JournalKey {
                session: self.session.info.id.clone(),
                agent_id: replica.target.agent_id.clone(),
                epoch,
                agent_session: SessionId(agent_session.unwrap_or_default()),
            },
            target: replica.target.clone(),
            started_at: part.snapshot.as_ref().map(|it| it.session.started_at),
            state: replica.state,
            trouble: replica.trouble.clone(),
        };
        self.session.notes.leave(Note::Replica(Box::new(row)))
    }

    fn notice(&mut self, text: String) {
        if self.notices.len() < NOTICES_MAX {
            let at = self.began.elapsed();
            self.notices.push(SessionNotice { at, text });
        }
    }

    fn notice_behind(&mut self) {
        self.notice("the history is behind, and will not hold all of this".to_owned());
    }

    fn notice_trouble(&mut self, trouble: Trouble) {
        self.notice(match trouble {
            Some(error) => format!("{error}; this session goes on, and is noted once it can be"),
            None => "the history is written to again".to_owned(),
        });
        self.is_dirty = true;
    }

    /// Says what came of the start, once all that was there then is attached or refused, and the
    /// numbers of what is attached have come.
    fn tell_start(&mut self) {
        let is_settled = |(held, part): (&Held, &ReplicaPart)| match &held.start {
            None => false,
            Some(start) => !start.error.is_empty() || part.snapshot.is_some(),
        };
        let is_done = self.replicas.iter().zip(&self.parts).all(is_settled);
        if !is_done || self.replicas.is_empty() {
            return;
        }
        if self.started.is_some() {
            self.publish();
        }
        if let Some(started) = self.started.take() {
            let starts = self.replicas.iter().filter_map(|held| held.start.clone());
            // Who asked may have gone away.
            let _ = started.send(starts.collect());
        }
    }

    fn publish(&mut self) {
        if !std::mem::take(&mut self.is_dirty) && self.end.is_none() {
            // The time passes all the same.
            let info = self.info(SessionState::Active);
            self.snapshots.send_modify(|snapshot| {
                Arc::make_mut(snapshot).session = info;
            });
            return;
        }
        let info = self.info(SessionState::Active);
        self.publish_as(info);
    }

    async fn publish_end(&mut self) -> SessionInfo {
        let reason = self.end.unwrap_or(EndReason::Expired);
        // The clock may have been set meanwhile, and nothing ends before it has begun.
        let ended_at = self.began_at.checked_add(self.began.elapsed());
        let ended_at = ended_at.unwrap_or_else(|_| Timestamp::now());
        let ended_at = ended_at.max(self.session.info.started_at);
        let info = SessionInfo {
            ended_at: Some(ended_at),
            remaining: Duration::ZERO,
            ..self.info(SessionState::Ended(reason))
        };
        self.session
            .notes
            .leave_at_last(Note::Ended(ended_at, reason));
        // Who asks the history right after the end finds it there.
        let _ = timeout(NOTED_MAX, self.session.notes.settled()).await;
        self.publish_as(info.clone());
        info
    }

    fn publish_as(&mut self, info: SessionInfo) {
        let catalog = &self.session.catalog;
        let targets: Vec<Target> = self.targets();
        let in_union =
            |place: usize, id, name: &str, nth| catalog.in_union(&targets[place], id, name, nth);
        let notices = self.notices.clone();
        let snapshot = self.merger.merge(info, notices, &self.parts, in_union);
        self.snapshots.send_replace(Arc::new(snapshot));
    }

    fn targets(&self) -> Vec<Target> {
        let parts = self.parts.iter();
        parts.map(|part| part.replica.target.clone()).collect()
    }

    /// What the session is now.
    fn info(&self, state: SessionState) -> SessionInfo {
        let snapshots = || self.parts.iter().filter_map(|part| part.snapshot.as_ref());
        let left = self.wish.borrow().deadline;
        let left = left.saturating_duration_since(Instant::now());
        // Agents have limits of their own.
        let measured = self
            .parts
            .iter()
            .filter(|it| it.replica.state == ReplicaState::Measuring);
        let snapshots_measured = measured.filter_map(|it| it.snapshot.as_ref());
        let longest = snapshots_measured.map(|it| it.session.remaining).max();
        let service = &self.session.info.target.service;
        let settings = snapshots().next().map(|it| it.session.settings.clone());
        let duration = self.session.info.settings.duration;
        let mut settings = settings.unwrap_or_else(|| self.session.info.settings.clone());
        settings.duration = duration;
        SessionInfo {
            target: self.session.catalog.target(service),
            elapsed: snapshots()
                .map(|it| it.session.elapsed)
                .max()
                .unwrap_or_else(|| self.session.info.elapsed + self.began.elapsed()),
            remaining: longest.map_or(left, |longest| longest.min(left)),
            state,
            probes: snapshots().map(|it| it.session.probes).sum(),
            settings,
            ..self.session.info.clone()
        }
    }

    /// Whether nothing more will come; then it is known why.
    fn is_over(&mut self) -> bool {
        let now = Instant::now();
        let deadline = self.wish.borrow().deadline;
        if self.is_live() {
            self.gone_since = None;
            let waits = |since| now < since + LATE_MAX;
            let is_left = |since| !waits(since) && !self.is_any(|it| it == ReplicaState::Measuring);
            if self.ending_since.is_some_and(is_left) {
                return true;
            }
            let late_since = match now < deadline {
                true => None,
                false => self.late_since.or(Some(now)),
            };
            self.late_since = late_since;
            let is_late = late_since.is_some_and(|since| !waits(since));
            if is_late {
                self.end.get_or_insert(EndReason::Expired);
            }
            return is_late;
        }
        if self.end.is_some() {
            return true;
        }
        let reasons = self
            .parts
            .iter()
            .filter_map(|part| match part.replica.state {
                ReplicaState::Ended(reason) => Some(reason),
                _ => None,
            });
        let reasons: Vec<EndReason> = reasons.collect();
        let is_final = |it: &EndReason| matches!(it, EndReason::Expired | EndReason::Budget);
        let gone_since = *self.gone_since.get_or_insert(now);
        let ended = reasons.iter().copied().find(is_final);
        let is_given_up = now >= gone_since + GONE_MAX || now >= deadline;
        if ended.is_none() && !is_given_up {
            return false;
        }
        let last = reasons.last().copied();
        self.end = ended.or(last).or(Some(EndReason::Failed));
        true
    }

    fn obey(&mut self, command: Command) {
        match command {
            Command::Add(functions, answer) => self.add(functions, self.once_noted(answer)),
            Command::Remove(functions, answer) => self.remove(functions, self.once_noted(answer)),
            Command::SetFilter(filter, answer) => {
                self.set_filter(filter.as_ref(), self.once_noted(answer));
            }
            Command::Extend(by, answer) => self.extend(by, self.once_noted(answer)),
            Command::End(reason, answer) => {
                self.end.get_or_insert(reason);
                self.ending_since.get_or_insert_with(Instant::now);
                self.ask_all(answer, |agent, session, _| asking::end(agent, session));
            }
        }
    }
}

mod asking;

/// The process of a list as a session's target, as far as it is known before attaching.
fn target_of(service: &str, process: &ReplicaProcess) -> Target {
    Target {
        service: service.to_owned(),
        pid: process.process.pid,
        exe: process.process.name.clone(),
        build_id: None,
        language: coral_model::Language::Unknown,
        start_ticks: process.process.start_ticks,
        agent_id: process.agent_id.clone(),
    }
}
