//! A colony and its agents, what happens to them, and what must hold at the end.

use std::collections::BTreeSet;
use std::path::Path;
use std::sync::atomic::Ordering;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use coral_model::SessionId;
use fastrand::Rng;
use jiff::Timestamp;
use tempfile::TempDir;
use turmoil::{Builder, Sim};

use super::faults::{COLONY, Fault};
use super::story::Story;
use crate::access::{Endpoint, Role, Services, Settings, Sha256, TokenGrant};
use crate::colony::simulated::{self, Disk, Stored};
use crate::node::simulated::{Key, Recorded, Simulated};
use crate::store::JournalKey;

/// How long messages take where nothing is wrong.
pub(super) const LATENCY_MAX: Duration = Duration::from_millis(40);
const PORT: u16 = 9000;
const TICK: Duration = Duration::from_millis(40);
/// How long things go wrong.
const FAULTY: Duration = Duration::from_secs(20);
/// Then everything has to be stored within this.
const SETTLING_MAX: Duration = Duration::from_secs(120);
/// More than any agent writes.
const ROOMY: u64 = 1 << 30;

/// The world of one seed.
pub(super) struct World {
    sim: Sim<'static>,
    random: Rng,
    agents: Vec<Arc<Simulated>>,
    disk: Arc<Mutex<Disk>>,
    /// What is wrong now, where, and until when.
    faults: Vec<(Fault, usize, Duration)>,
    story: Story,
    _folder: TempDir,
}

impl World {
    pub(super) fn new(seed: u64, story: Story) -> Self {
        let mut random = Rng::with_seed(seed);
        let folder = folder();
        let disk = {
            let story = story.clone();
            let tell = Arc::new(move |what: &str| story.tell(COLONY, what));
            Arc::new(Mutex::new(Disk::new(random.u64(..), tell)))
        };
        let agents: Vec<_> = (1..=random.u64(2..=3))
            .map(|number| {
                let name = format!("agent-{number}");
                let spool_bytes = match random.u32(..3) {
                    0 => random.u64(3_000..12_000),
                    _ => ROOMY,
                };
                let seed = random.u64(..);
                let spool = (folder.path().join(&name), spool_bytes);
                agent(name, spool, seed, &disk, &story)
            })
            .collect();
        let mut sim = Builder::new()
            .rng_seed(random.u64(..))
            .tick_duration(TICK)
            .simulation_duration(FAULTY + SETTLING_MAX + Duration::from_secs(60))
            .max_message_latency(LATENCY_MAX)
            .repair_rate(0.2)
            .tcp_capacity(1_024)
            .build();
        let settings = settings(&agents);
        let serving = Arc::clone(&disk);
        sim.host(COLONY, move || {
            simulated::serve(Arc::clone(&serving), settings.clone(), PORT)
        });
        for agent in &agents {
            let running = Arc::clone(agent);
            sim.host(agent.name.as_str(), move || Arc::clone(&running).run());
        }
        Self {
            sim,
            random,
            agents,
            disk,
            faults: Vec::new(),
            story,
            _folder: folder,
        }
    }

    /// Lets things go wrong, and right again, and looks at what is stored.
    pub(super) fn run(mut self) -> turmoil::Result {
        while self.sim.elapsed() < FAULTY {
            let pause = Duration::from_millis(self.random.u64(1..2_000));
            self.wait(self.sim.elapsed() + pause)?;
            self.begin_fault();
        }
        self.heal()?;
        let until = self.sim.elapsed() + SETTLING_MAX;
        while !self.is_settled() && self.sim.elapsed() < until {
            self.wait(self.sim.elapsed() + Duration::from_millis(500))?;
        }
        self.check();
        Ok(())
    }

    fn begin_fault(&mut self) {
        let (fault, lasts) = Fault::any(&mut self.random);
        let agent = self.random.usize(..self.agents.len());
        let is_busy = |(other, of, _): &(Fault, usize, _)| other.place(*of) == fault.place(agent);
        if self.faults.iter().any(is_busy) {
            return;
        }
        self.tell(agent, &format!("{fault:?} for {lasts:?}"));
        self.begin(fault, agent);
        if let Fault::Agent(crash) = fault
            && let Err(error) = self.agents[agent].crashed(crash)
        {
            self.story.wrong(&format!("its disk has failed: {error}"));
        }
        let until = self.sim.elapsed() + lasts;
        self.faults.push((fault, agent, until));
    }

    fn begin(&mut self, fault: Fault, agent: usize) {
        // What somebody still sends who is killed, it sends in no certain order: so nothing of it
        // may be late by chance.
        let of_agents = 0..self.agents.len();
        let touched = of_agents.filter(|at| match fault {
            Fault::Agent(_) => *at == agent,
            Fault::Colony => true,
            _ => false,
        });
        let is_whole = |at: &usize| {
            let is_cut = |(other, of, _): &(Fault, usize, _)| other.is_cut() && of == at;
            !self.faults.iter().any(is_cut)
        };
        let touched: Vec<usize> = touched.filter(is_whole).collect();
        for at in &touched {
            self.sim.hold(self.agents[*at].name.as_str(), COLONY);
        }
        fault.begin(&mut self.sim, &self.agents[agent].name);
        for at in &touched {
            self.sim.release(self.agents[*at].name.as_str(), COLONY);
        }
    }

    /// Lets time pass, and faults end whose time is over.
    fn wait(&mut self, until: Duration) -> turmoil::Result {
        while self.sim.elapsed() < until {
            self.sim.step()?;
            let now = self.sim.elapsed();
            while let Some(at) = self.faults.iter().position(|(.., until)| *until <= now) {
                self.end_fault(at);
            }
        }
        Ok(())
    }

    fn end_fault(&mut self, at: usize) {
        let (fault, agent, _) = self.faults.swap_remove(at);
        self.tell(agent, &format!("{fault:?} is over"));
        fault.end(&mut self.sim, &self.agents[agent].name);
    }

    /// Ends all faults and sessions.
    fn heal(&mut self) -> turmoil::Result {
        while !self.faults.is_empty() {
            self.end_fault(0);
        }
        self.disk.lock().unwrap().is_failing = false;
        for agent in &self.agents {
            agent.is_quiet.store(true, Ordering::Relaxed);
        }
        self.story
            .tell_at(self.sim.elapsed().as_millis(), "all", "healed");
        // One step lets everybody who was started begin.
        self.wait(self.sim.elapsed() + TICK)
    }

    /// Whether everything is stored and forgotten.
    fn is_settled(&self) -> bool {
        let disk = self.disk.lock().unwrap();
        let mut marks = disk.journals.values().map(|stored| &stored.mark);
        marks.all(|mark| mark.is_complete) && self.agents.iter().all(|agent| agent.is_empty())
    }

    fn check(&self) {
        let disk = self.disk.lock().unwrap();
        for agent in &self.agents {
            if !agent.is_empty() {
                self.story
                    .wrong(&format!("{}: journals are left", agent.name));
            }
            let recorded_all = agent.recorded();
            let of_agent = disk
                .journals
                .keys()
                .filter(|key| key.agent_id == agent.name);
            let stored: BTreeSet<Key> = of_agent
                .map(|key| (key.epoch, key.agent_session.0.clone()))
                .collect();
            for (key, recorded) in recorded_all.iter() {
                let stored = disk.journals.get(&journal(&agent.name, key));
                let known = Known {
                    is_roomy: agent.spool_bytes == ROOMY,
                    is_latest: key.0 == agent.epoch(),
                };
                if let Err(what) = check(recorded, stored, known) {
                    let name = &agent.name;
                    self.story
                        .wrong(&format!("{name} {key:?}: {what}: {recorded:?} {stored:?}"));
                }
            }
            for key in stored.iter().filter(|key| !recorded_all.contains_key(key)) {
                self.story
                    .wrong(&format!("{} {key:?}: nobody has recorded it", agent.name));
            }
        }
    }

    fn tell(&self, agent: usize, what: &str) {
        let at = self.sim.elapsed().as_millis();
        self.story.tell_at(at, &self.agents[agent].name, what);
    }
}

/// What makes sure how much of a journal may be missing.
#[derive(Clone, Copy, Debug)]
struct Known {
    /// There was always room.
    is_roomy: bool,
    /// Its agent has not started again since.
    is_latest: bool,
}

/// What is stored of a session has to be what it has recorded, or to be named.
fn check(recorded: &Recorded, stored: Option<&Stored>, known: Known) -> Result<(), &'static str> {
    let Some(stored) = stored else {
        let is_nothing = recorded.calls.is_empty() && recorded.elapsed_ms.is_none();
        return if is_nothing || recorded.is_lost {
            Ok(())
        } else {
            Err("nothing is stored")
        };
    };
    let names: BTreeSet<u64> = recorded.calls.iter().copied().collect();
    if !stored.calls.is_sorted_by(|one, next| one < next) {
        return Err("calls are stored twice, or in another order");
    }
    if !stored.calls.iter().all(|name| names.contains(name)) {
        return Err("calls are stored that nobody has recorded");
    }
    if stored.unnamed > 0 {
        return Err("entries are missing that no gap names");
    }
    let missing = recorded.calls.len() as u64 + recorded.left_out - stored.calls.len() as u64;
    let most = stored.named + stored.named_at_most + recorded.lost + recorded.torn;
    if missing < stored.named || missing > most {
        return Err("calls are missing that no gap names, or the other way round");
    }
    if known.is_latest && !stored.is_read_again && missing != stored.named {
        return Err("more calls are named than are missing");
    }
    if known.is_roomy && recorded.torn == 0 && stored.calls != recorded.calls {
        return Err("calls were forgotten before they were stored");
    }
    if recorded.is_lost {
        return Ok(());
    }
    if !stored.mark.is_complete {
        return Err("its end is not stored");
    }
    if stored.elapsed.map(|it| it.as_millis()) != recorded.elapsed_ms.map(u128::from) {
        return Err("another checkpoint is stored last");
    }
    Ok(())
}

/// In memory if there is a file system for that: each seed waits for the disk some hundred times.
fn folder() -> TempDir {
    let memory = Path::new("/dev/shm");
    tempfile::tempdir_in(memory)
        .or_else(|_| tempfile::tempdir())
        .unwrap()
}

fn agent(
    name: String,
    spool: (std::path::PathBuf, u64),
    seed: u64,
    disk: &Arc<Mutex<Disk>>,
    story: &Story,
) -> Arc<Simulated> {
    let colony = format!("http://{COLONY}:{PORT}");
    let say = {
        let (name, story) = (name.clone(), story.clone());
        Arc::new(move |what: &str| story.tell(&name, what))
    };
    let on_acknowledged = {
        let (name, story, disk) = (name.clone(), story.clone(), Arc::clone(disk));
        move |key: &Key, sequence: u64| {
            let disk = disk.lock().unwrap();
            let stored = disk.journals.get(&journal(&name, key));
            if stored.is_none_or(|stored| stored.mark.last_sequence < sequence) {
                story.wrong(&format!(
                    "{name} {key:?}: {sequence} is acknowledged, and not stored"
                ));
            }
        }
    };
    let colony: Endpoint = colony.parse().unwrap();
    let token = format!("token of {name}");
    Arc::new(Simulated::new(
        (name, token),
        colony,
        spool,
        seed,
        (say, Box::new(on_acknowledged)),
    ))
}

/// Who may come to the colony.
fn settings(agents: &[Arc<Simulated>]) -> Settings {
    let grants = agents.iter().map(|agent| TokenGrant {
        name: agent.name.clone(),
        sha256: Sha256::of(agent.token.as_bytes()),
        roles: [Role::Agent].into(),
        services: Services::all(),
        expires_at: Timestamp::MAX,
    });
    Settings {
        tokens: grants.collect(),
        ..Settings::default()
    }
}

fn journal(agent: &str, (epoch, session): &Key) -> JournalKey {
    JournalKey {
        session: SessionId("cs-1".into()),
        agent_id: agent.into(),
        epoch: *epoch,
        agent_session: SessionId(session.clone()),
    }
}
