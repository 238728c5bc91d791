//! A running agent.

use std::fs;
use std::path::PathBuf;
use std::process::Command;

use coral_proto::agent::v1::agent_client::AgentClient;
use coral_tui::access::{AuthorizedChannel, connect};
use tempfile::TempDir;

use crate::common::coral::{Coral, PROGRAM, Report};

/// An agent that lets root do all by its socket, and anybody on this machine read by the loopback.
pub(crate) struct Daemon {
    pub(crate) coral: Coral,
    pub(crate) folder: TempDir,
    pub(crate) loopback: String,
}

/// What is different from [`Daemon`]'s usual configuration.
#[derive(Default)]
pub(crate) struct Setup<'a> {
    /// More keys of `agent:`, as YAML in one line each.
    pub(crate) keys: &'a [&'a str],
    /// What the agent is run by: a program and its arguments.
    pub(crate) by: &'a [&'a str],
}

impl Daemon {
    pub(crate) fn start() -> Self {
        Self::start_with(&Setup::default())
    }

    pub(crate) fn start_with(setup: &Setup<'_>) -> Self {
        let folder = tempfile::tempdir().unwrap();
        Self::start_in(folder, "127.0.0.1:0", setup)
    }

    /// An agent in a folder where one may have been before.
    pub(crate) fn start_in(folder: TempDir, loopback: &str, setup: &Setup<'_>) -> Self {
        let path = |name: &str| folder.path().join(name).display().to_string();
        let mut config = format!(
            "agent:\n    listen: ['unix:{}', '{loopback}']\n    access: {{allow_loopback: ['debug:read']}}\n    audit: {{path: '{}'}}\n",
            path("agent.sock"),
            path("audit.jsonl")
        );
        for key in setup.keys {
            config += &format!("    {key}\n");
        }
        fs::write(path("agent.yaml"), config).unwrap();
        let program = [setup.by, &[PROGRAM, "agent", "--config"]].concat();
        let mut coral = Coral::start(
            Command::new(program[0])
                .args(&program[1..])
                .arg(path("agent.yaml")),
        );
        coral.await_line("listening: unix:");
        let loopback = coral.await_line("listening: 127.0.0.1");
        let loopback = loopback.trim_start_matches("listening: ").to_owned();
        Self {
            coral,
            folder,
            loopback,
        }
    }

    /// Ends it as a service manager does, and starts it again at the same places.
    pub(crate) fn restart(self, setup: &Setup<'_>) -> Self {
        let Self {
            coral,
            folder,
            loopback,
        } = self;
        coral.signal(rustix::process::Signal::TERM);
        let report = coral.wait();
        assert!(report.status.success(), "{report:#?}");
        Self::start_in(folder, &loopback, setup)
    }

    pub(crate) fn socket(&self) -> String {
        format!("unix:{}", self.folder.path().join("agent.sock").display())
    }

    pub(crate) fn audit(&self) -> PathBuf {
        self.folder.path().join("audit.jsonl")
    }

    /// What has been written down so far.
    pub(crate) fn audit_text(&self) -> String {
        fs::read_to_string(self.audit()).unwrap_or_default()
    }

    pub(crate) fn run(&self, arguments: &[&str]) -> Report {
        Coral::start(Command::new(PROGRAM).args(arguments)).wait()
    }

    /// A client that may do all.
    pub(crate) async fn client(&self) -> AgentClient<AuthorizedChannel> {
        let endpoint = self.socket().parse().unwrap();
        AgentClient::new(connect(&endpoint, None, None).await.unwrap())
    }
}
