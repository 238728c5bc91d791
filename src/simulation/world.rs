//! A colony and its agents, what happens to them, and what must hold at the end.

use std::collections::BTreeSet;
use std::sync::atomic::Ordering;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use fastrand::Rng;
use tempfile::TempDir;
use turmoil::{Builder, Sim};

use super::agents::{PORT, agent, folder, journal, settings};
use super::faults::{COLONY, Fault};
use super::story::Story;
use super::truth::{Known, check};
use crate::colony::simulated::{self, Disk};
use crate::node::simulated::{Key, Simulated};

/// How long messages take where nothing is wrong.
pub(super) const LATENCY_MAX: Duration = Duration::from_millis(40);
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
