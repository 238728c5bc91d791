//! Who may come in as which agent, and whose word a session on production needs.

use std::fs::{self, Permissions};
use std::os::unix::fs::PermissionsExt;
use std::process::Command;

use coral_tui::access::Sha256;

use crate::common::coral::{Coral, PROGRAM, Report};
use crate::common::{compile, need, rights};
use crate::world::{World, await_that};

const TOKEN: &str = "secret-of-node-0";

#[test]
fn an_agent_is_who_its_token_says_and_nobody_else() {
    let mut world = World::bare();
    let sha256 = Sha256::of(TOKEN.as_bytes());
    world.start_colony_with(&format!(
        "    access: {{tokens: [{{name: node-0, sha256: {sha256}, roles: [agent], services: [], \
         expires_at: 2099-01-01T00:00:00Z}}]}}\n    debug: {{storage: {{path: null}}}}\n"
    ));
    let token = world.path("token");
    fs::write(&token, TOKEN).unwrap();
    fs::set_permissions(&token, Permissions::from_mode(0o600)).unwrap();
    let agent = |id: &str| {
        let path = |file: &str| world.path(&format!("{id}-{file}")).display().to_string();
        let config = format!(
            "agent:\n    id: {id}\n    listen: ['unix:{}']\n    audit: null\n    \
             colony: {{url: '{}', token_file: '{}', spool: {{path: '{}'}}}}\n",
            path("agent.sock"),
            world.address(),
            token.display(),
            path("spool"),
        );
        fs::write(path("agent.yaml"), config).unwrap();
        Coral::start(Command::new(PROGRAM).args(["agent", "--config", &path("agent.yaml")]))
    };
    let mut claims = agent("node-1");
    let refusal = claims.await_line("colony: ");
    assert!(
        refusal.contains("permission-denied") || refusal.contains("role agent"),
        "{refusal}"
    );
    let mut itself = agent("node-0");
    itself.await_line("colony: connected to");
    let log = fs::read_to_string(world.path("colony-audit.jsonl")).unwrap();
    let refused = log
        .lines()
        .find(|line| line.contains("\"refused\""))
        .unwrap();
    assert!(refused.contains("\"agent_id\":\"node-1\""), "{refused}");
    assert!(refused.contains("\"name\":\"node-0\""), "{refused}");
}

#[test]
fn a_session_on_production_waits_for_a_second_person() {
    need!(rights::probes());
    let binary = need!(compile::e2e_c(&["-O2"]));
    let mut world = World::bare();
    let token = |name: &str| {
        let sha256 = Sha256::of(name.as_bytes());
        format!(
            "{{name: {name}, sha256: {sha256}, roles: ['debug:read', 'debug:attach', \
             'debug:detach'], services: ['*'], expires_at: 2099-01-01T00:00:00Z}}"
        )
    };
    world.start_colony_with(&format!(
        "    access: {{tokens: [{}, {}]}}\n    debug: {{production: [shop], storage: {{path: null}}}}\n",
        token("ann"),
        token("bob"),
    ));
    world.add_agent(&binary);
    let replica = world.replica(0);
    world.await_replicas(1);
    let run = |who: &str, arguments: &[&str]| -> Report {
        Coral::start(world.command(arguments).args(["--token", who])).wait()
    };
    let attach = [
        "debug",
        "attach",
        "shop",
        "--function",
        "pay",
        "--duration",
        "1s",
        "--format",
        "json",
    ];
    let refused = run("ann", &attach);
    assert_eq!(refused.error_code(), "approval-needed");
    let listed = run("bob", &["approvals", "list"]).stdout;
    let id = listed.split_whitespace().nth(1).unwrap().to_owned();
    assert!(listed.starts_with("waiting"), "{listed}");
    assert_eq!(
        run("ann", &["approvals", "grant", &id]).error_code(),
        "not-approvable"
    );
    assert!(run("bob", &["approvals", "grant", &id]).status.success());
    let measured = run("ann", &attach).document();
    assert_eq!(measured["session"]["requested_by"], "ann");
    assert_eq!(run("ann", &attach).error_code(), "approval-needed");
    // Who wants to can wait for the word; the second request is another one.
    let waiting = [&attach[..], &["--wait", "--sample-rate", "2"]].concat();
    let mut waiting = Coral::start(world.command(&waiting).args(["--token", "ann"]));
    let said = waiting.await_line("waits for somebody else's word, as ");
    let id = said.rsplit(' ').next().unwrap();
    assert!(run("bob", &["approvals", "grant", id]).status.success());
    assert_eq!(waiting.wait().document()["session"]["requested_by"], "ann");
    await_that("the word is in the audit log", || {
        let log = fs::read_to_string(world.path("colony-audit.jsonl")).unwrap();
        log.contains("\"action\":\"approval.grant\"") && log.contains("\"name\":\"bob\"")
    });
    drop(replica);
}

#[test]
fn a_colony_has_a_name_in_the_configuration_and_the_command_line_wins() {
    let mut world = World::bare();
    let sha256 = Sha256::of(b"a-token");
    world.start_colony_with(&format!(
        "    access: {{tokens: [{{name: ann, sha256: {sha256}, roles: ['debug:read'], services: \
         ['*'], expires_at: 2099-01-01T00:00:00Z}}]}}\n    debug: {{storage: {{path: null}}}}\n"
    ));
    let config = world.path("config.toml");
    let token = world.path("token");
    fs::write(&token, "  a-token\n").unwrap();
    fs::set_permissions(&token, Permissions::from_mode(0o600)).unwrap();
    let profile = |name: &str, address: &str| {
        format!("[profiles.{name}]\ncolony = '{address}'\ntoken_file = 'token'\n")
    };
    let here = profile("here", &world.address());
    let text = here + &profile("nowhere", "unix:/nowhere/colony.sock");
    fs::write(&config, text).unwrap();
    let run = |arguments: &[&str], environment: &[(&str, &str)]| -> Report {
        let mut command = Command::new(PROGRAM);
        command.arg("services").args(arguments);
        command.arg("--config").arg(&config);
        command.envs(environment.iter().copied());
        Coral::start(&mut command).wait()
    };
    let reached = run(&["--profile", "here"], &[]);
    assert!(reached.status.success(), "{reached:#?}");
    let named = [("CORAL_PROFILE", "here"), ("CORAL_AGENT", "unix:/nowhere")];
    assert!(run(&[], &named).status.success());
    let nowhere = [("CORAL_PROFILE", "nowhere")];
    assert_eq!(run(&[], &nowhere).error_code(), "unreachable");
    assert!(
        run(&["--colony", &world.address()], &nowhere)
            .status
            .success()
    );
    let unknown = run(&["--profile", "test"], &[]);
    assert_eq!(unknown.error_code(), "no-such-profile");
    assert!(
        unknown.stderr.concat().contains("`here`, `nowhere`"),
        "{unknown:#?}"
    );
    let two = run(&["--profile", "here", "--colony", "unix:/x"], &[]);
    assert_eq!(two.status.code(), Some(2));
}
