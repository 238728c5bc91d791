//! `coral agent` as a daemon, and its clients: other processes, over its socket and the loopback.
#![allow(clippy::unwrap_used)] // all of this is tests

mod common;

use std::fs;
use std::path::PathBuf;
use std::process::Command;

use common::coral::{Coral, PROGRAM, attach_command};
use common::session::{assert_records_balance, function, number};
use common::target::Target;
use common::{compile, need, rights};
use rustix::process::Signal;
use tempfile::TempDir;

/// A running agent that lets anybody on this machine read, and root do all by its socket.
struct Daemon {
    coral: Coral,
    folder: TempDir,
    loopback: String,
}

impl Daemon {
    fn start() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let path = |name: &str| folder.path().join(name).display().to_string();
        let config = format!(
            "agent:\n    listen: ['unix:{}', '127.0.0.1:0']\n    access: {{allow_loopback: ['debug:read']}}\n    audit: {{path: '{}'}}\n",
            path("agent.sock"),
            path("audit.jsonl")
        );
        fs::write(path("agent.yaml"), config).unwrap();
        let mut coral =
            Coral::start(Command::new(PROGRAM).args(["agent", "--config", &path("agent.yaml")]));
        coral.await_line("listening: unix:");
        let loopback = coral.await_line("listening: 127.0.0.1");
        let loopback = loopback.trim_start_matches("listening: ").to_owned();
        Self {
            coral,
            folder,
            loopback,
        }
    }

    fn socket(&self) -> String {
        format!("unix:{}", self.folder.path().join("agent.sock").display())
    }

    fn audit(&self) -> PathBuf {
        self.folder.path().join("audit.jsonl")
    }

    fn run(&self, arguments: &[&str]) -> common::coral::Report {
        Coral::start(Command::new(PROGRAM).args(arguments)).wait()
    }
}

#[test]
fn a_session_of_an_agent_counts_as_exactly_as_an_own_one() {
    need!(rights::probes());
    let binary = need!(compile::e2e_c(&["-O2"]));
    let daemon = Daemon::start();
    let mut target = Target::spawn(&binary);
    let socket = daemon.socket();
    let options = ["--agent", &socket, "--format", "json"];
    let mut coral = Coral::start(&mut attach_command(target.pid(), &["pay", "hot"], &options));
    assert_eq!(coral.attached().unwrap().functions, 2);
    let truth = target.run("pay");
    let listed = daemon.run(&["debug", "list", "--agent", &daemon.loopback]);
    assert!(
        listed.stdout.contains(&target.pid().to_string()),
        "{listed:#?}"
    );
    let document = coral.finish().document();
    for (name, calls) in &truth.functions {
        if name == "pay" {
            let measured = function(&document, name);
            assert_eq!(number(&measured["calls"]), calls.calls, "{name}");
            assert_eq!(number(&measured["returns"]), calls.returns, "{name}");
        }
    }
    assert_records_balance(&document);
    assert_eq!(document["session"]["end_reason"], "detached");
}

#[test]
fn who_may_only_read_is_refused_and_written_down() {
    need!(rights::probes());
    let binary = need!(compile::e2e_c(&["-O2"]));
    let daemon = Daemon::start();
    let target = Target::spawn(&binary);
    let options = ["--agent", &daemon.loopback];
    let refused = Coral::start(&mut attach_command(target.pid(), &["hot"], &options)).wait();
    assert_eq!(refused.status.code(), Some(3), "{refused:#?}");
    assert_eq!(refused.error_code(), "permission-denied");
    let log = fs::read_to_string(daemon.audit()).unwrap();
    assert!(log.contains("\"outcome\":\"refused\""), "{log}");
    let verified = daemon.run(&["audit", "verify", &daemon.audit().display().to_string()]);
    assert_eq!(verified.status.code(), Some(0), "{verified:#?}");
}

#[test]
fn an_agent_that_is_killed_leaves_no_probe() {
    need!(rights::probes());
    let binary = need!(compile::e2e_c(&["-O2"]));
    let daemon = Daemon::start();
    let mut target = Target::spawn(&binary);
    let socket = daemon.socket();
    let options = ["--agent", &socket];
    let mut coral = Coral::start(&mut attach_command(target.pid(), &["hot"], &options));
    assert!(coral.attached().is_some());
    daemon.coral.signal(Signal::KILL);
    let report = coral.wait();
    assert_eq!(report.status.code(), Some(1), "{report:#?}");
    assert_eq!(report.error_code(), "agent-unreachable");
    target.run("pay");
    assert_eq!(target.quit().code(), Some(0));
}
