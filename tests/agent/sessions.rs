//! Sessions over an agent measure what own ones do, and end as they do.

use std::fs;
use std::process::Command;

use coral_tui::access::Sha256;
use coral_tui::recording::Recording;
use coral_tui::source::remote::RemoteAgent;
use rustix::process::Signal;
use serde_json::Value;

use crate::common::coral::{Coral, PROGRAM, attach_command};
use crate::common::http::Service;
use crate::common::session::{assert_records_balance, function, number, slow_calls};
use crate::common::target::Target;
use crate::common::{compile, need, rights};
use crate::daemon::{Daemon, Setup, runtime};
use crate::proxy::Proxy;

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
fn an_agent_that_is_told_to_end_gives_its_clients_their_numbers() {
    need!(rights::probes());
    let binary = need!(compile::e2e_c(&["-O2"]));
    let daemon = Daemon::start();
    let mut target = Target::spawn(&binary);
    let (coral, _) = Coral::attach(target.pid(), &["pay"], &["--agent", &daemon.socket()]);
    let calls = target.run("pay").functions["pay"].calls;
    daemon.coral.signal(Signal::TERM);
    let document = coral.wait().document();
    assert_eq!(number(&function(&document, "pay")["calls"]), calls);
    assert_eq!(document["session"]["end_reason"], "detached");
    assert!(daemon.coral.wait().status.success());
}

/// A link that is down for a while costs the client nothing: the agent counts on.
#[test]
fn a_client_finds_its_session_again() {
    need!(rights::probes());
    let binary = need!(compile::e2e_c(&["-O2"]));
    let daemon = Daemon::start_with(&Setup {
        loopback_roles: "'debug:read', 'debug:attach', 'debug:detach'",
        ..Setup::default()
    });
    let proxy = Proxy::to(&daemon.loopback);
    let mut target = Target::spawn(&binary);
    let (mut coral, _) = Coral::attach(target.pid(), &["pay"], &["--agent", &proxy.address]);
    let first = target.run("pay").functions["pay"].calls;
    proxy.cut();
    coral.await_line("note: the link is down");
    let second = target.run("pay").functions["pay"].calls;
    proxy.heal();
    coral.await_line("note: the link was down for");
    let document = coral.finish().document();
    assert_eq!(number(&function(&document, "pay")["calls"]), first + second);
    assert_eq!(document["session"]["end_reason"], "detached");
}

/// Who has started a session may end it, if it is certain that it is the same one; and what is not
/// there cannot be ended.
#[test]
fn one_ends_ones_own_sessions() {
    need!(rights::probes());
    let binary = need!(compile::e2e_c(&["-O2"]));
    let roles = "'debug:read', 'debug:attach'";
    let token = format!(
        ", tokens: [{{name: ann, sha256: '{}', roles: [{roles}], services: ['*'], \
         expires_at: '2999-01-01T00:00:00Z'}}]",
        Sha256::of(b"of ann")
    );
    let daemon = Daemon::start_with(&Setup {
        loopback_roles: roles,
        access: &token,
        ..Setup::default()
    });
    let mut target = Target::spawn(&binary);
    let of_ann = ["--agent", &daemon.loopback, "--token", "of ann"];
    let (coral, _) = Coral::attach(target.pid(), &["pay"], &of_ann);
    let calls = target.run("pay").functions["pay"].calls;
    let document = coral.finish().document();
    assert_eq!(number(&function(&document, "pay")["calls"]), calls);
    // All who come over the loopback have one name.
    let of_anybody = ["--agent", &daemon.loopback];
    for (whose, by) in [
        (&of_anybody[..], &of_anybody[..]),
        (&of_anybody, &of_ann),
        (&of_ann, &of_anybody),
    ] {
        let (_coral, attached) = Coral::attach(target.pid(), &["pay"], whose);
        let detach = [
            &["debug", "detach"][..],
            by,
            &["--session-id", &attached.session],
        ]
        .concat();
        assert_eq!(
            daemon.run(&detach).error_code(),
            "permission-denied",
            "{whose:?} {by:?}"
        );
    }
    let detach = [
        &["debug", "detach"][..],
        &of_ann,
        &["--session-id", "dbg-0"],
    ]
    .concat();
    assert_eq!(daemon.run(&detach).error_code(), "no-such-session");
}

/// Values are for who may capture them, to see and to filter by.
#[test]
fn who_may_only_attach_sees_no_values() {
    need!(rights::probes());
    let binary = need!(compile::e2e_c(&["-O2"]));
    let daemon = Daemon::start_with(&Setup {
        loopback_roles: "'debug:read', 'debug:attach', 'debug:detach'",
        ..Setup::default()
    });
    let mut target = Target::spawn(&binary);
    for options in [
        &["--capture-args"][..],
        &["--capture-return"],
        &["--filter", "#1 > 1"],
    ] {
        let options = [&["--agent", &daemon.loopback], options].concat();
        let refused = Coral::start(&mut attach_command(target.pid(), &["pay"], &options)).wait();
        assert_eq!(refused.error_code(), "permission-denied", "{options:?}");
    }
    // Of a session that root has, it sees the numbers and no values.
    let socket = daemon.socket();
    let options = ["--agent", &socket, "--capture-args", "--capture-return"];
    let (coral, attached) = Coral::attach(target.pid(), &["pay"], &options);
    let seen = runtime().block_on(async {
        let endpoint = daemon.loopback.parse().unwrap();
        let mut agent = RemoteAgent::connect(&endpoint, None, None).await.unwrap();
        let mut watching = agent.watch(&attached.session).await.unwrap();
        watching.next().await.unwrap();
        let calls = target.run("pay").functions["pay"].calls;
        loop {
            let snapshot = watching.next().await.unwrap().unwrap();
            if snapshot.functions[0].returns == calls && !snapshot.slow_calls.is_empty() {
                return snapshot;
            }
        }
    });
    let hidden = seen.slow_calls.iter();
    assert!(
        hidden
            .clone()
            .all(|call| call.arguments.is_empty() && call.results.is_empty())
    );
    let document = coral.finish().document();
    let calls = slow_calls(&document, "pay");
    assert!(
        calls
            .iter()
            .any(|call| call["args"][0]["value"] != Value::Null),
        "{document:#}"
    );
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
    // The client waits for it to come back, until it is told to end.
    coral.await_line("note: the link is down");
    let report = coral.finish();
    assert_eq!(report.status.code(), Some(1), "{report:#?}");
    assert_eq!(report.error_code(), "agent-unreachable");
    assert!(
        report.stdout.contains("\"schema\""),
        "the numbers so far: {report:#?}"
    );
    target.run("pay");
    assert_eq!(target.quit().code(), Some(0));
}

/// What was measured cannot be measured again.
#[test]
fn numbers_are_printed_whatever_fails_behind_them() {
    need!(rights::probes());
    let binary = need!(compile::e2e_c(&["-O2"]));
    let daemon = Daemon::start();
    let target = Target::spawn(&binary);
    let (socket, folder) = (daemon.socket(), tempfile::tempdir().unwrap());
    let record = folder.path().join("session.coralrec").display().to_string();
    let attach = |more: &[&str]| {
        let options = [&["--agent", &socket], more].concat();
        let mut coral = Coral::start(&mut attach_command(target.pid(), &["hot"], &options));
        assert!(coral.attached().is_some());
        coral
    };
    let recorded = attach(&["--record", &record]);
    folder.close().unwrap();
    let recorded = recorded.finish();
    assert_eq!(recorded.error_code(), "recording-not-written");
    // An agent that hangs does not end the session, and is not waited for any more.
    let asked = attach(&[]);
    daemon.coral.signal(Signal::STOP);
    asked.signal(Signal::TERM);
    let asked = asked.finish();
    daemon.coral.signal(Signal::CONT);
    assert_eq!(asked.error_code(), "interrupted");
    for report in [recorded, asked] {
        assert_eq!(report.status.code(), Some(1), "{report:#?}");
        assert!(report.stdout.contains("\"schema\""), "{report:#?}");
    }
}

/// The console and the command line show the same, wherever the agent is.
#[test]
fn requests_are_traced_over_an_agent_as_here() {
    need!(rights::probes());
    for go in need!(compile::gos()) {
        let binary = need!(compile::go_http(&go, &[]));
        let daemon = Daemon::start();
        let mut service = Service::spawn(&binary);
        let (pid, socket) = (service.pid().to_string(), daemon.socket());
        let recording = daemon.folder.path().join("traced.coralrec");
        let arguments = ["debug", "trace", "--pid", &pid, "--path", "/api/checkout"];
        let options = ["--agent", &socket, "--duration", "60s", "--budget", "none"];
        for format in ["json", "text"] {
            let mut command = Command::new(PROGRAM);
            command
                .args(arguments)
                .args(options)
                .args(["--format", format]);
            let before = service.truth();
            let mut coral = Coral::start(&mut command);
            assert!(coral.attached().is_some());
            for _ in 0..5 {
                assert_eq!(service.get("/api/checkout").0, 200);
            }
            service.get("/api/list");
            let report = coral.finish();
            let after = service.truth();
            let requests =
                after.paths["/api/checkout"] - before.paths.get("/api/checkout").unwrap_or(&0);
            assert_eq!(requests, 5);
            if format == "json" {
                let document = report.document();
                assert_eq!(number(&document["requests"]), requests, "{document:#}");
            } else {
                assert!(
                    report.stdout.contains("main.callExternalAPI"),
                    "{report:#?}"
                );
            }
        }
        // What is recorded over an agent is played here.
        let recorded = recording.display().to_string();
        let options = ["--agent", &socket, "--record", &recorded];
        let (coral, _) = Coral::attach(service.pid(), &["main.validateCart"], &options);
        service.get("/api/checkout");
        let document = coral.finish().document();
        let played = Recording::read(fs::File::open(&recording).unwrap()).unwrap();
        let (_, last) = played.frames().last().unwrap();
        assert_eq!(
            last.functions[0].calls,
            number(&document["functions"][0]["calls"])
        );
        assert_eq!((last.functions[0].calls, played.is_truncated()), (1, false));
    }
}
