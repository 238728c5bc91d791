//! A colony and its agents, as processes, and the replicas that they find.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{Duration, Instant};

use coral_proto::agent::v1 as agent;
use coral_proto::colony::v1::debug_service_client::DebugServiceClient;
use coral_tui::access::certs::{Plan, init};
use coral_tui::access::{AccessError, AuthorizedChannel, TlsConfig, connect};
use tempfile::TempDir;

use crate::certificates::{files, issue};
use crate::clock::Clocks;
use crate::common::coral::{Coral, PROGRAM, Report};
use crate::common::target::Target;
use crate::network::Node;

/// How long anything may take that is waited for.
const PATIENCE: Duration = Duration::from_secs(30);

/// A colony, its agents and the replicas of the service `shop`.
pub(crate) struct World {
    pub(crate) folder: TempDir,
    pub(crate) colony: Option<Coral>,
    pub(crate) agents: Vec<Option<Coral>>,
    /// The program that is a replica on each agent's node: the nodes are folders here.
    pub(crate) programs: Vec<PathBuf>,
    /// The nodes as networks of their own, where they are; each agent has one then.
    pub(crate) nodes: Vec<Node>,
    /// How agents reach the colony, as keys of theirs, where they do not by its socket.
    pub(crate) way: Option<String>,
    /// Where the colony listens beside its socket.
    pub(crate) listen: Vec<String>,
    /// The colony's history.
    pub(crate) history: PathBuf,
    /// What a shell does before it becomes the colony, among mounts of its own.
    pub(crate) before_colony: String,
    /// Clocks that jump, where the colony and its agents have such.
    pub(crate) clocks: Option<Clocks>,
}

/// Where the colony listens on a wire.
const PORT: u16 = 9_000;

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

    /// The same on nodes with networks of their own, whose agents prove by certificates who they
    /// are; if that cannot be done here, why.
    pub(crate) fn start_apart(agents: usize, program: &Path) -> Result<Self, String> {
        let mut world = Self::bare();
        let nodes: Result<_, _> = (0..agents).map(|_| Node::new()).collect();
        world.nodes = nodes?;
        let places = world.nodes.iter().map(|it| format!("{}:{PORT}", it.colony));
        world.listen = places.collect();
        let plan = Plan {
            directory: world.path("certs"),
            name: "agent".into(),
            hosts: world.nodes.iter().map(|node| node.colony.clone()).collect(),
        };
        init(&plan).unwrap();
        world.start_colony();
        for number in 0..agents {
            issue(&plan.directory, &format!("node-{number}"), 2999);
            world.add_agent(program);
        }
        Ok(world)
    }

    /// Nothing runs yet.
    pub(crate) fn bare() -> Self {
        let folder = tempfile::tempdir().unwrap();
        Self {
            history: folder.path().join("history.duckdb"),
            folder,
            colony: None,
            agents: Vec::new(),
            programs: Vec::new(),
            nodes: Vec::new(),
            way: None,
            listen: Vec::new(),
            before_colony: String::new(),
            clocks: None,
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
        let history = self.history.display();
        let access = self.access();
        self.start_colony_with(&format!(
            "    debug: {{storage: {{path: '{history}'}}}}\n{access}"
        ));
    }

    /// Who may come in over wires: the agents of the nodes at their ends.
    fn access(&self) -> String {
        if self.nodes.is_empty() {
            return String::new();
        }
        let tls = tls_keys(&files(&self.path("certs"), "colony"));
        let agent = |number| format!("{{name: node-{number}, roles: [agent], services: []}}");
        let agents: Vec<String> = (0..self.nodes.len()).map(agent).collect();
        let agents = agents.join(", ");
        format!("    access: {{tls: {{{tls}}}, certificates: [{agents}]}}\n")
    }

    /// Starts the colony with more keys of `colony:`, a line each.
    pub(crate) fn start_colony_with(&mut self, keys: &str) {
        let mut listen = vec![self.address()];
        listen.extend_from_slice(&self.listen);
        let config = format!(
            "colony:\n    id: test\n    listen: ['{}']\n    audit: {{path: '{}'}}\n{keys}",
            listen.join("', '"),
            self.path("colony-audit.jsonl").display(),
        );
        let file = self.path("colony.yaml");
        fs::write(&file, config).unwrap();
        let mut command = match self.before_colony.as_str() {
            "" => Command::new(PROGRAM),
            before => {
                let mut shell = Command::new("unshare");
                let script = format!("{before} && exec \"$0\" \"$@\"");
                shell.args(["--mount", "sh", "-c", &script, PROGRAM]);
                shell
            }
        };
        self.set_clock(&mut command, "colony");
        let mut colony = Coral::start(command.arg("colony").arg("--config").arg(file));
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
             colony: {{{}, spool: {{path: '{}'}}}}\n",
            path("agent.sock"),
            path("audit.jsonl"),
            self.programs[number].display(),
            self.way_of(number),
            path("spool"),
        );
        let file = path("agent.yaml");
        fs::write(&file, config).unwrap();
        let mut command = self.command_on(number, Path::new(PROGRAM));
        self.set_clock(&mut command, &name);
        let agent = Coral::start(command.args(["agent", "--config", &file]));
        self.agents[number] = Some(agent);
    }

    fn set_clock(&self, command: &mut Command, name: &str) {
        if let Some(clocks) = &self.clocks {
            clocks.give(command, name);
        }
    }

    /// How an agent reaches the colony, as keys of its configuration.
    fn way_of(&self, number: usize) -> String {
        let Some(node) = self.nodes.get(number) else {
            let socket = || format!("url: '{}'", self.address());
            return self.way.clone().unwrap_or_else(socket);
        };
        let tls = tls_keys(&files(&self.path("certs"), &format!("node-{number}")));
        let tls = tls.replace("certificate:", "cert:");
        format!("url: 'https://{}:{PORT}', {tls}", node.colony)
    }

    /// A command on an agent's node.
    fn command_on(&self, number: usize, program: &Path) -> Command {
        match self.nodes.get(number) {
            Some(node) => node.command(program),
            None => Command::new(program),
        }
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
        Target::start(&mut self.command_on(number, &self.programs[number]))
    }

    /// Waits until the colony knows so many replicas of the service.
    pub(crate) fn await_replicas(&self, replicas: usize) {
        let runtime = runtime();
        let known = || runtime.block_on(async { self.replicas().await });
        await_that("the replicas are known", || known() == replicas);
    }

    async fn replicas(&self) -> usize {
        let Ok(channel) = self.try_channel().await else {
            return 0;
        };
        let mut colony = DebugServiceClient::new(channel);
        let listed = colony
            .list_services(agent::ListServicesRequest::default())
            .await;
        let services = listed.unwrap().into_inner().services;
        let shop = services.iter().filter(|service| service.name == "shop");
        shop.map(|service| service.processes.len()).sum()
    }

    /// The colony's calls.
    pub(crate) async fn client(&self) -> DebugServiceClient<AuthorizedChannel> {
        DebugServiceClient::new(self.channel().await)
    }

    /// The way to the colony's socket.
    pub(crate) async fn channel(&self) -> AuthorizedChannel {
        self.try_channel().await.unwrap()
    }

    async fn try_channel(&self) -> Result<AuthorizedChannel, AccessError> {
        connect(&self.address().parse().unwrap(), None, None).await
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

/// The files of one end of a connection, as keys.
fn tls_keys(tls: &TlsConfig) -> String {
    let path = |path: &Option<PathBuf>| path.as_ref().unwrap().display().to_string();
    format!(
        "ca: '{}', certificate: '{}', key: '{}'",
        path(&tls.ca),
        path(&tls.certificate),
        path(&tls.key)
    )
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
