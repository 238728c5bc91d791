//! A colony and its agents, as processes, and the replicas that they find.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{Duration, Instant};

use coral_proto::agent::v1 as agent;
use coral_proto::colony::v1::debug_service_client::DebugServiceClient;
use coral_tui::access::{AuthorizedChannel, connect};
use tempfile::TempDir;

use crate::common::coral::{Coral, PROGRAM, Report};
use crate::common::target::Target;

/// How long anything may take that is waited for.
const PATIENCE: Duration = Duration::from_secs(30);

/// A colony, its agents and the replicas of the service `shop`.
pub(crate) struct World {
    pub(crate) folder: TempDir,
    pub(crate) colony: Option<Coral>,
    pub(crate) agents: Vec<Option<Coral>>,
    /// The program that is a replica on each agent's node: the nodes are folders here.
    programs: Vec<PathBuf>,
}

impl World {
    /// A colony with so many agents. Each knows the replicas that are started for it alone.
    pub(crate) fn start(agents: usize, program: &Path) -> Self {
        let mut world = Self::bare();
        world.start_colony();
        for _ in 0..agents {
            world.add_agent(program);
        }
        world
    }

    /// Nothing runs yet.
    pub(crate) fn bare() -> Self {
        Self {
            folder: tempfile::tempdir().unwrap(),
            colony: None,
            agents: Vec::new(),
            programs: Vec::new(),
        }
    }

    /// Starts another agent, on whose node that program is the service.
    pub(crate) fn add_agent(&mut self, program: &Path) {
        let number = self.agents.len();
        let copy = self.path(&format!("shop-{number}"));
        fs::copy(program, &copy).unwrap();
        self.programs.push(copy);
        self.agents.push(None);
        self.start_agent(number);
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    /// Where the colony listens.
    pub(crate) fn address(&self) -> String {
        format!("unix:{}", self.path("colony.sock").display())
    }

    pub(crate) fn start_colony(&mut self) {
        let history = self.path("history.duckdb");
        let history = history.display();
        self.start_colony_with(&format!("    debug: {{storage: {{path: '{history}'}}}}\n"));
    }

    /// Starts the colony with more keys of `colony:`, a line each.
    pub(crate) fn start_colony_with(&mut self, keys: &str) {
        let config = format!(
            "colony:\n    id: test\n    listen: ['{}']\n    audit: {{path: '{}'}}\n{keys}",
            self.address(),
            self.path("colony-audit.jsonl").display(),
        );
        let file = self.path("colony.yaml");
        fs::write(&file, config).unwrap();
        let mut colony = Coral::start(
            Command::new(PROGRAM)
                .arg("colony")
                .arg("--config")
                .arg(file),
        );
        colony.await_line("listening: unix:");
        self.colony = Some(colony);
    }

    /// Ends the colony as a machine that fails does.
    pub(crate) fn kill_colony(&mut self) {
        // Dropping it kills it.
        self.colony = None;
    }

    pub(crate) fn start_agent(&mut self, number: usize) {
        let name = format!("node-{number}");
        let path = |file: &str| self.path(&format!("{name}-{file}")).display().to_string();
        let config = format!(
            "agent:\n    id: {name}\n    listen: ['unix:{}']\n    audit: {{path: '{}'}}\n    \
             debug: {{limits: {{max_memory_mb: 4096, max_concurrent_sessions: 2}}}}\n    \
             services: [{{name: shop, executable: '{}'}}]\n    \
             colony: {{url: '{}', spool: {{path: '{}'}}}}\n",
            path("agent.sock"),
            path("audit.jsonl"),
            self.programs[number].display(),
            self.address(),
            path("spool"),
        );
        let file = path("agent.yaml");
        fs::write(&file, config).unwrap();
        let agent = Coral::start(Command::new(PROGRAM).args(["agent", "--config", &file]));
        self.agents[number] = Some(agent);
    }

    pub(crate) fn kill_agent(&mut self, number: usize) {
        self.agents[number] = None;
    }

    /// The program that is a replica on an agent's node.
    pub(crate) fn program(&self, number: usize) -> &Path {
        &self.programs[number]
    }

    /// Starts a replica on an agent's node.
    pub(crate) fn replica(&self, number: usize) -> Target {
        Target::spawn(&self.programs[number])
    }

    /// Waits until the colony knows so many replicas of the service.
    pub(crate) fn await_replicas(&self, replicas: usize) {
        let runtime = runtime();
        let known = || runtime.block_on(async { self.replicas().await });
        await_that("the replicas are known", || known() == replicas);
    }

    async fn replicas(&self) -> usize {
        let Ok(mut colony) = self.try_client().await else {
            return 0;
        };
        let listed = colony.list_services(agent::ListServicesRequest {}).await;
        let services = listed.unwrap().into_inner().services;
        let shop = services.iter().filter(|service| service.name == "shop");
        shop.map(|service| service.processes.len()).sum()
    }

    /// The colony's calls.
    pub(crate) async fn client(&self) -> DebugServiceClient<AuthorizedChannel> {
        self.try_client().await.unwrap()
    }

    async fn try_client(
        &self,
    ) -> Result<DebugServiceClient<AuthorizedChannel>, coral_tui::access::AccessError> {
        let endpoint = self.address().parse().unwrap();
        Ok(DebugServiceClient::new(
            connect(&endpoint, None, None).await?,
        ))
    }

    /// A command of `coral` at the colony.
    pub(crate) fn command(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new(PROGRAM);
        command.current_dir(self.folder.path());
        command.args(arguments).args(["--colony", &self.address()]);
        command
    }

    pub(crate) fn run(&self, arguments: &[&str]) -> Report {
        Coral::start(&mut self.command(arguments)).wait()
    }
}

/// Waits until that is so; other processes bring it about, and tell nobody.
pub(crate) fn await_that(what: &str, mut is_so: impl FnMut() -> bool) {
    let began = Instant::now();
    while !is_so() {
        assert!(began.elapsed() < PATIENCE, "it does not come about: {what}");
        std::thread::sleep(Duration::from_millis(50));
    }
}

pub(crate) fn runtime() -> tokio::runtime::Runtime {
    tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .unwrap()
}
