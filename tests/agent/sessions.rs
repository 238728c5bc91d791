//! Sessions over an agent measure what own ones do, and end as they do.

use std::fs;

use rustix::process::Signal;

use crate::common::coral::{Coral, attach_command};
use crate::common::session::{assert_records_balance, function, number};
use crate::common::target::Target;
use crate::common::{compile, need, rights};
use crate::daemon::Daemon;

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
    let (measured, true_calls) = (function(&document, "pay"), truth.functions["pay"]);
    assert_eq!(number(&measured["calls"]), true_calls.calls);
    assert_eq!(number(&measured["returns"]), true_calls.returns);
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
