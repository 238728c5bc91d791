//! Services: applications that make themselves known, rules of the configuration, and lists of
//! functions that are true or not.

use std::fs::File;
use std::io::{BufRead, BufReader};
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::{Child, Command, Stdio};

use coral_proto::agent::v1 as wire;
use coral_proto::agent::v1::agent_client::AgentClient;
use coral_tui::access::connect;
use rustix::process::{Pid, Signal, kill_process};
use serde_json::{Value, json};

use crate::common::coral::{Coral, PROGRAM};
use crate::common::http::Service;
use crate::common::lines::{Lines, eventually};
use crate::common::session::{assert_records_balance, function, number};
use crate::common::target::Target;
use crate::common::{compile, http, need, rights};
use crate::daemon::{Daemon, Setup, copy_for_all, runtime};

/// The user that applications and clients run as: nobody in particular.
const NOBODY: u32 = 65_534;

/// The example application that links the SDK. Dropping it ends it.
struct Shop {
    child: Child,
    says: Lines,
    port: u16,
}

impl Shop {
    fn start(binary: &Path, agent: &str) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let mut child = Command::new(copy_for_all(binary, folder.path()))
            .args(["0", agent, "127.0.0.1:0"])
            .uid(NOBODY)
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        let mut serving = Lines::of(child.stdout.take().unwrap());
        let line = serving.next().unwrap().unwrap();
        let port = line
            .split("port ")
            .nth(1)
            .unwrap()
            .split(',')
            .next()
            .unwrap();
        Self {
            port: port.parse().unwrap(),
            says: Lines::of(child.stderr.take().unwrap()),
            child,
        }
    }

    fn await_line(&mut self, text: &str) {
        loop {
            let line = self.says.next();
            let line = line.unwrap_or_else(|_| panic!("{text}: {:#?}", self.says.seen));
            if line.expect("the shop goes on").contains(text) {
                return;
            }
        }
    }

    fn checkout(&self) {
        let (status, _) = http::request(self.port, "POST /checkout");
        assert_eq!(status, 200);
    }

    fn counts(&self) -> Value {
        serde_json::from_str(&http::request(self.port, "GET /counts").1).unwrap()
    }
}

impl Drop for Shop {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// `coral debug attach SERVICE` by a user.
fn attach_service(user: u32, service: &str, function: &str, agent: &str) -> Coral {
    let folder = tempfile::tempdir().unwrap();
    let mut command = Command::new(copy_for_all(Path::new(PROGRAM), folder.path()));
    command.args(["debug", "attach", service, "--function", function]);
    command.args(["--agent", agent, "--format", "json", "--duration", "60s"]);
    Coral::start(command.uid(user))
}

#[test]
fn an_application_with_the_sdk_is_known_by_its_name_and_measured_by_anybody_who_may() {
    need!(rights::probes());
    let binary = need!(compile::example_checkout());
    let setup = Setup {
        keys: &["id: node-7"],
        loopback_roles: "'debug:read', 'debug:attach', 'debug:detach'",
        is_user: true,
        ..Setup::default()
    };
    let daemon = Daemon::start_with(&setup);
    let mut shop = Shop::start(&binary, &daemon.loopback);
    shop.await_line("registered with the agent");
    // After a restart nobody is known, until the application says again who it is; it does so
    // within half a minute, or when it is told to.
    let daemon = daemon.restart(&setup);
    kill_process(Pid::from_child(&shop.child), Signal::HUP).unwrap();
    shop.await_line("refreshed");
    assert!(eventually(|| services(&daemon)
        .iter()
        .any(|it| it.name == "checkout")));
    let mut coral = attach_service(NOBODY, "checkout", "handleCheckout", &daemon.loopback);
    assert!(coral.attached().is_some());
    shop.await_line("measures");
    for _ in 0..7 {
        shop.checkout();
    }
    let document = coral.finish().document();
    let handled = function(&document, "handleCheckout");
    assert_eq!(
        number(&handled["calls"]),
        number(&shop.counts()["handleCheckout"])
    );
    assert_eq!(number(&handled["calls"]), 7);
    let measured = &document["targets"][0];
    assert_eq!(
        (&measured["service"], &measured["agent_id"]),
        (&json!("checkout"), &json!("node-7"))
    );
    assert_records_balance(&document);
    let service = service_of(&daemon, "checkout");
    assert_eq!(
        (service.source.as_str(), service.port),
        ("sdk", u32::from(shop.port))
    );
    let verdict = service.processes[0].sdk.clone().unwrap_or_default();
    assert!(verdict.starts_with("agrees on "), "{verdict}");
}

#[test]
fn the_agent_keeps_no_other_capability_than_it_needs() {
    need!(rights::probes());
    const KEPT: u64 = 1 << 2 | 1 << 19 | 1 << 38 | 1 << 39;
    for is_user in [false, true] {
        let daemon = Daemon::start_with(&Setup {
            is_user,
            ..Setup::default()
        });
        let tasks = format!("/proc/{}/task", daemon.coral.pid());
        let (mut threads, mut sets) = (0, 0);
        for task in std::fs::read_dir(tasks).unwrap() {
            threads += 1;
            let status = File::open(task.unwrap().path().join("status")).unwrap();
            for line in BufReader::new(status).lines().map_while(Result::ok) {
                let Some((key, value)) = line.split_once(":\t") else {
                    continue;
                };
                let expected = match key {
                    "CapPrm" | "CapEff" => KEPT,
                    "CapInh" | "CapAmb" => 0,
                    _ => continue,
                };
                assert_eq!(u64::from_str_radix(value, 16), Ok(expected), "{line}");
                sets += 1;
            }
        }
        assert!(threads > 1 && sets == 4 * threads, "{threads}, {sets}");
    }
}

#[test]
fn nobody_registers_another_process() {
    need!(rights::probes());
    let binary = need!(compile::e2e_c(&["-O2"]));
    let daemon = Daemon::start();
    let target = Target::spawn(&binary);
    let request = wire::RegisterServiceRequest {
        name: "bank".into(),
        pid: target.pid(),
        ..wire::RegisterServiceRequest::default()
    };
    let loopback = daemon.loopback.parse().unwrap();
    runtime().block_on(async {
        let mut client = AgentClient::new(connect(&loopback, None, None).await.unwrap());
        let refused = client.register_service(request.clone()).await.unwrap_err();
        assert_eq!(refused.code(), tonic::Code::PermissionDenied);
        let itself = wire::RegisterServiceRequest {
            pid: std::process::id(),
            ..request
        };
        client.register_service(itself.clone()).await.unwrap();
        for (name, pid) in [
            ("", itself.pid),
            ("a\nb", itself.pid),
            (&"x".repeat(300), itself.pid),
        ] {
            let bad = wire::RegisterServiceRequest {
                name: name.to_owned(),
                pid,
                ..itself.clone()
            };
            let refused = client.register_service(bad).await.unwrap_err();
            assert_eq!(refused.code(), tonic::Code::InvalidArgument, "{name:?}");
        }
    });
    assert_eq!(
        service_of(&daemon, "bank").processes[0].pid,
        std::process::id()
    );
}

#[test]
fn rules_of_the_configuration_name_services() {
    need!(rights::probes());
    let binary = need!(compile::e2e_c(&["-O2"]));
    let rule = format!(
        "services: [{{name: ledger, executable: '{}'}}]",
        binary.display()
    );
    let daemon = Daemon::start_with(&Setup {
        keys: &[&rule],
        ..Setup::default()
    });
    let mut target = Target::spawn(&binary);
    let socket = daemon.socket();
    let mut coral = attach_service(0, "ledger", "pay", &socket);
    assert!(coral.attached().is_some());
    let truth = target.run("pay");
    let listed = daemon.run(&["debug", "list", "ledger", "--agent", &socket]);
    assert!(listed.stdout.contains("ledger"), "{listed:#?}");
    let document = coral.finish().document();
    assert_eq!(
        number(&function(&document, "pay")["calls"]),
        truth.functions["pay"].calls
    );
    assert_eq!(service_of(&daemon, "ledger").source, "configuration");
}

/// Lets a program that speaks Coral's HTTP dialect pay so often; how often it has by then.
fn pay(target: &mut Service, times: u32) -> u64 {
    let paid = target.ask(&times.to_string());
    paid.split(' ').nth(1).unwrap().parse().unwrap()
}

/// Whatever an application says of its functions, they are measured where they are.
#[test]
fn lists_over_http_are_held_against_the_executable() {
    need!(rights::probes());
    for go in need!(compile::gos()) {
        let binary = need!(compile::go_module("dialect", &go, &[]));
        for (mode, verdict) in [
            ("honest", "agrees on "),
            ("long", "agrees on "),
            ("low_pc", "refused: it says that "),
            ("one", "refused: it says that main.pay begins at "),
            ("endless", "refused: its list does not end"),
            ("other", "no answer: process 1 answers there"),
            ("slow", "no answer: it does not answer in time"),
        ] {
            measure_dialect(&binary, mode, verdict);
        }
    }
}

fn measure_dialect(binary: &Path, mode: &str, verdict: &str) {
    let mut target = Service::start(Command::new(binary).arg(mode));
    let port = target.port;
    // A list that does not end takes a while until it is too long.
    let timeout = if mode == "endless" { "60s" } else { "2s" };
    let api = format!("debug: {{sdk_api: {{http_addr: '127.0.0.1:{port}', timeout: {timeout}}}}}");
    let daemon = Daemon::start_with(&Setup {
        keys: &[&api],
        ..Setup::default()
    });
    let socket = daemon.socket();
    let options = ["--agent", &socket];
    let (coral, _) = Coral::attach(target.pid(), &["main.pay"], &options);
    let paid = pay(&mut target, 1_000);
    let document = coral.finish().document();
    let measured = function(&document, "main.pay");
    assert_eq!(number(&measured["calls"]), paid, "{mode}");
    assert_eq!(number(&measured["returns"]), paid, "{mode}");
    let services = services(&daemon);
    let mut processes = services.iter().flat_map(|service| &service.processes);
    let process = processes
        .find(|process| process.pid == target.pid())
        .unwrap();
    let said = process.sdk.clone().unwrap_or_default();
    assert!(said.starts_with(verdict), "{mode}: {said}");
    let is_distrusted = daemon.audit_text().contains("\"action\":\"sdk.distrust\"");
    assert_eq!(is_distrusted, verdict.starts_with("refused"), "{mode}");
}

/// The service of that name, as the agent lists it.
fn service_of(daemon: &Daemon, name: &str) -> wire::Service {
    let services = services(daemon);
    let found = services.iter().find(|service| service.name == name);
    found
        .unwrap_or_else(|| panic!("no {name}: {services:#?}"))
        .clone()
}

fn services(daemon: &Daemon) -> Vec<wire::Service> {
    let listed = runtime().block_on(async {
        let mut client = daemon.client().await;
        client
            .list_services(wire::ListServicesRequest::default())
            .await
            .unwrap()
    });
    listed.into_inner().services
}
