//! A running agent.

use std::fs;
use std::os::unix::fs::{PermissionsExt, chown};
use std::path::{Path, PathBuf};
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
pub(crate) struct Setup<'a> {
    /// What anybody may do by the loopback.
    pub(crate) loopback_roles: &'a str,
    /// More keys of `agent.access`, as YAML: `, tls: {...}`.
    pub(crate) access: &'a str,
    /// More keys of `agent:`, as YAML in one line each.
    pub(crate) keys: &'a [&'a str],
    /// Whether it runs as a user that has only the capabilities of its unit.
    pub(crate) is_user: bool,
}

/// A key of `agent:` that gives several sessions room at the same time: each may take 170 MB of the
/// kernel's memory.
pub(crate) const ROOMY: &str =
    "debug: {limits: {max_memory_mb: 4096, max_concurrent_sessions: 10}}";

impl Default for Setup<'_> {
    fn default() -> Self {
        Self {
            loopback_roles: "'debug:read'",
            access: "",
            keys: &[],
            is_user: false,
        }
    }
}

/// The user that agents run as that do not run as root.
const USER: u32 = 65_533;
const CAPABILITIES: &str = "+bpf,+perfmon,+sys_ptrace,+dac_read_search";

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
            "agent:\n    listen: ['unix:{}', '{loopback}']\n    access: {{allow_loopback: [{}]{}}}\n    audit: {{path: '{}'}}\n",
            path("agent.sock"),
            setup.loopback_roles,
            setup.access,
            path("audit.jsonl")
        );
        for key in setup.keys {
            config += &format!("    {key}\n");
        }
        fs::write(path("agent.yaml"), config).unwrap();
        let mut command = if setup.is_user {
            as_user(folder.path())
        } else {
            Command::new(PROGRAM)
        };
        let mut coral = Coral::start(command.args(["agent", "--config", &path("agent.yaml")]));
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

/// The program, run as a user that owns a folder.
fn as_user(folder: &Path) -> Command {
    chown(folder, Some(USER), Some(USER)).unwrap();
    let mut command = Command::new("setpriv");
    command.args([format!("--reuid={USER}"), format!("--regid={USER}")]);
    command.arg("--clear-groups");
    command.args([
        format!("--inh-caps={CAPABILITIES}"),
        format!("--ambient-caps={CAPABILITIES}"),
    ]);
    command.arg(copy_for_all(Path::new(PROGRAM), folder));
    command
}

/// A program where every user can run it.
pub(crate) fn copy_for_all(program: &Path, folder: &Path) -> PathBuf {
    fs::set_permissions(folder, fs::Permissions::from_mode(0o755)).unwrap();
    let copy = folder.join(program.file_name().unwrap());
    if !copy.exists() {
        fs::copy(program, &copy).unwrap();
    }
    copy
}

/// For tests that are not asynchronous as a whole.
pub(crate) fn runtime() -> tokio::runtime::Runtime {
    tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .unwrap()
}
