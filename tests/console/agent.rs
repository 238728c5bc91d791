//! The same screens over an agent: another program, which may stop, die and come back.

use std::fs;
use std::path::Path;
use std::process::Command;

use rustix::process::Signal;
use tempfile::TempDir;

use crate::common::coral::{Coral, PROGRAM as CORAL};
use crate::common::lines::eventually;
use crate::common::target::Target;
use crate::common::{code, compile, need, rights};
use crate::measuring::{assert_exported, probe, target_binary};
use crate::terminal::{End, LARGE, PROGRAM, Terminal, cell, spawn_target, start};

/// An agent in a folder of its own, which can be started again at the same address.
struct Agent {
    coral: Coral,
    folder: TempDir,
    /// Where it listens, in its own words.
    listening: String,
}

impl Agent {
    fn start() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let address = address(folder.path());
        Self::start_in(folder, &address)
    }

    fn start_in(folder: TempDir, listen: &str) -> Self {
        let audit = folder.path().join("audit.jsonl");
        let audit = audit.display();
        let config = format!("agent: {{listen: ['{listen}'], audit: {{path: '{audit}'}}}}\n");
        fs::write(folder.path().join("agent.yaml"), config).unwrap();
        let (coral, listening) = run(folder.path());
        Self {
            coral,
            folder,
            listening,
        }
    }

    fn start_again(&mut self) {
        (self.coral, self.listening) = run(self.folder.path());
    }

    fn address(&self) -> String {
        address(self.folder.path())
    }

    /// A console over it.
    fn console(&self, arguments: &[&str]) -> Terminal {
        start(LARGE, &[&["--agent", &self.address()], arguments].concat())
    }

    /// A console over it that shows a process.
    fn console_on(&self, target: &Target) -> Terminal {
        self.console(&["--pid", &target.pid().to_string()])
    }

    fn kill(&self) {
        self.coral.signal(Signal::KILL);
    }
}

fn address(folder: &Path) -> String {
    format!("unix:{}", folder.join("agent.sock").display())
}

/// A running agent, and where it listens.
fn run(folder: &Path) -> (Coral, String) {
    let config = folder.join("agent.yaml");
    let mut coral = Coral::start(Command::new(CORAL).arg("agent").arg("--config").arg(config));
    let listening = coral.await_line("listening: ");
    (coral, listening)
}

/// The agent of a test with a running target.
fn agent_and_target() -> Result<(Agent, Target), String> {
    let binary = target_binary()?;
    Ok((Agent::start(), spawn_target(&binary)))
}

/// The screen says that a function has so many calls.
fn wait_for_calls(terminal: &Terminal, function: &str, calls: u64) {
    let calls = calls.to_string();
    terminal.wait_for(|frame| cell(frame, function, "calls").as_deref() == Some(&calls));
}

/// Runs a scenario, and waits until the screen shows its calls.
fn run_and_wait(target: &mut Target, terminal: &Terminal, repetitions: u64) -> u64 {
    target.begin(&format!("run plain {repetitions}"));
    let calls = target.truth().functions["plain_step"].calls;
    wait_for_calls(terminal, "plain_step", calls);
    calls
}

#[test]
fn a_function_is_measured_exactly_over_an_agent_and_exported() {
    let (agent, mut target) = need!(agent_and_target());
    let mut terminal = agent.console_on(&target);
    probe(&mut terminal, "plain_step");
    terminal.wait_for_text("● LIVE");
    let calls = run_and_wait(&mut target, &terminal, 321);
    assert_eq!(calls, 642);
    terminal.press("E");
    terminal.wait_for_text("Exported to");
    assert_exported(terminal.folder(), calls);
    // The session goes on with one function more, for longer, and with a filter.
    go_and_probe(&mut terminal, "plain_outer");
    terminal.wait_for_text("● plain_outer");
    terminal.press("+");
    terminal.wait_for(|frame| frame.contains(" 01:5"));
    terminal.press("F");
    terminal.wait_for_text("Record only calls where");
    terminal.press("x > 3\r");
    terminal.wait_for_text("Calls are recorded where x > 3");
    terminal.press("q");
    assert_eq!(terminal.end(), End::in_order());
    assert_eq!(code::changed(target.pid()), Vec::<u64>::new());
    target.assert_answers_as_ever();
}

/// Goes to a function, and asks for its probe.
fn go_and_probe(terminal: &mut Terminal, function: &str) {
    terminal.press(&format!("@{function}"));
    terminal.wait_for(|frame| frame.contains("Go to function") && frame.contains(" 1 match"));
    terminal.press("\r ");
}

#[test]
fn a_process_is_picked_from_those_of_the_agent() {
    let (agent, _) = need!(agent_and_target());
    let name = format!("pick{}", std::process::id());
    let binary = agent.folder.path().join(&name);
    fs::copy(need!(target_binary()), &binary).unwrap();
    let target = spawn_target(&binary);
    let mut terminal = agent.console(&[]);
    terminal.wait_for_text("sort: services first");
    terminal.press(&format!("/'{name}"));
    terminal.wait_for_text(" 1 match");
    terminal.press("\r\r");
    let functions = terminal.wait_for_text("descend");
    let header = format!(" {name}  pid {}  c  agent unix:", target.pid());
    assert!(functions.starts_with(&header), "{functions}");
    terminal.press("a");
    let form = terminal.wait_for_text("Attach with options");
    assert!(
        form.contains("the same: coral debug attach --agent unix:"),
        "{form}"
    );
    terminal.press("\x1b");
    terminal.wait_for(|frame| !frame.contains("Attach with options"));
    terminal.press("q");
    assert_eq!(terminal.end(), End::in_order());
    // The same by its name, and the list on the command line.
    let terminal = agent.console(&["--service", &name]);
    let functions = terminal.wait_for_text("descend");
    assert!(functions.starts_with(&header), "{functions}");
    assert_listed_alike(&agent, &target, &name);
}

/// `coral functions` says the same of a process, over an agent and without one.
fn assert_listed_alike(agent: &Agent, target: &Target, name: &str) {
    let list = |arguments: &[&str]| {
        let mut command = Command::new(CORAL);
        let report = Coral::start(command.arg("functions").args(arguments)).wait();
        assert!(report.status.success(), "{report:#?}");
        report.stdout
    };
    let (pid, address) = (target.pid().to_string(), agent.address());
    for format in ["text", "json", "csv"] {
        let options = ["plain*", "--format", format];
        let local = list(&[&options[..], &["--pid", &pid]].concat());
        assert!(local.contains("plain_step"), "{local}");
        let remote = ["--agent", &address];
        let by_pid = [&options[..], &["--pid", &pid], &remote].concat();
        assert_eq!(list(&by_pid), local);
        let by_name = [&options[..], &["--service", name], &remote].concat();
        assert_eq!(list(&by_name), local);
    }
}

#[test]
fn an_agent_that_is_killed_and_comes_back_is_found_again() {
    let (mut agent, mut target) = need!(agent_and_target());
    let mut terminal = agent.console_on(&target);
    probe(&mut terminal, "plain_step");
    run_and_wait(&mut target, &terminal, 10);
    agent.kill();
    terminal.wait_for_text(": disconnected for ");
    // The screens stay, and answer keys.
    terminal.press("6");
    terminal.wait_for(|frame| frame.contains("Events") && frame.contains("cannot be reached"));
    terminal.press("2");
    terminal.wait_for(|frame| frame.contains("stale: ") && frame.contains("● plain_step"));
    agent.start_again();
    terminal.wait_for_text("is over: the agent started anew");
    terminal.wait_for(|frame| frame.contains("ENDED failed") && frame.contains("○ plain_step"));
    terminal.press(" ");
    terminal.wait_for_text("● plain_step");
    run_and_wait(&mut target, &terminal, 25);
    terminal.press("q");
    assert_eq!(terminal.end(), End::in_order());
    assert_eq!(code::changed(target.pid()), Vec::<u64>::new());
}

#[test]
fn the_time_in_which_an_agent_stood_still_is_named() {
    let (agent, mut target) = need!(agent_and_target());
    let mut terminal = agent.console_on(&target);
    probe(&mut terminal, "plain_step");
    run_and_wait(&mut target, &terminal, 10);
    agent.coral.signal(Signal::STOP);
    terminal.wait_for_text("STALE for 3 s");
    // What happens meanwhile is counted all the same.
    target.begin("run plain 10");
    target.truth();
    agent.coral.signal(Signal::CONT);
    let told = terminal.wait_for_text("No data from ");
    assert!(told.contains(": the agent sent nothing"), "{told}");
    wait_for_calls(&terminal, "plain_step", 40);
    terminal.press("q");
    assert_eq!(terminal.end(), End::in_order());
}

#[test]
fn an_agent_that_stands_still_for_longer_is_given_up_and_taken_again() {
    let (agent, mut target) = need!(agent_and_target());
    let mut terminal = agent.console_on(&target);
    probe(&mut terminal, "plain_step");
    run_and_wait(&mut target, &terminal, 10);
    agent.coral.signal(Signal::STOP);
    terminal.wait_for_text(": disconnected for ");
    // A key is never waited for, and what it asks for is refused.
    terminal.press(" ");
    terminal.wait_for_text("error[agent-unreachable]");
    agent.coral.signal(Signal::CONT);
    terminal.wait_for_text("● LIVE");
    terminal.press("6");
    let told = terminal.wait_for_text("No data from ");
    assert!(told.contains(": the link was down"), "{told}");
    terminal.press("2");
    run_and_wait_for_more(&mut target, &terminal);
    terminal.press("q");
    assert_eq!(terminal.end(), End::in_order());
    assert_eq!(code::changed(target.pid()), Vec::<u64>::new());
}

/// The session has 20 calls, and comes to have 40.
fn run_and_wait_for_more(target: &mut Target, terminal: &Terminal) {
    target.begin("run plain 10");
    target.truth();
    wait_for_calls(terminal, "plain_step", 40);
}

#[test]
fn what_is_asked_for_while_the_link_breaks_is_done_once() {
    let (agent, mut target) = need!(agent_and_target());
    let mut terminal = agent.console_on(&target);
    probe(&mut terminal, "plain_outer");
    terminal.press("D");
    terminal.wait_for_text("ENDED detached");
    agent.coral.signal(Signal::STOP);
    terminal.press(" ");
    terminal.wait_for_text("ATTACHING");
    terminal.wait_for_text(": disconnected for ");
    agent.coral.signal(Signal::CONT);
    terminal.wait_for_text("● plain_outer");
    target.begin("run plain 10");
    assert_eq!(target.truth().functions["plain_outer"].calls, 10);
    wait_for_calls(&terminal, "plain_outer", 10);
    let mut command = Command::new(CORAL);
    let list = ["debug", "list", "--agent", &agent.address()];
    let listed = Coral::start(command.args(list)).wait().stdout;
    assert_eq!(
        listed.lines().count(),
        2,
        "a head and one session: {listed}"
    );
    terminal.press("q");
    assert_eq!(terminal.end(), End::in_order());
}

#[test]
fn who_quits_is_told_that_sessions_could_not_be_ended() {
    let (agent, target) = need!(agent_and_target());
    let mut terminal = agent.console_on(&target);
    probe(&mut terminal, "plain_step");
    agent.coral.signal(Signal::STOP);
    terminal.wait_for_text(": disconnected for ");
    terminal.press("\x03");
    let End { status, said } = terminal.end();
    assert_eq!(status, 1);
    assert!(said.starts_with("error[agent-unreachable]: "), "{said}");
    assert!(said.contains("they end with their lease"), "{said}");
    agent.kill();
    assert!(eventually(|| code::changed(target.pid()).is_empty()));
}

#[test]
fn what_costs_more_than_its_budget_is_asked_about() {
    need!(rights::probes());
    let agent = Agent::start();
    let mut target = spawn_target(&need!(compile::storm()));
    target.expect("begin 1000000000", "begun");
    let mut terminal = agent.console_on(&target);
    terminal.wait_for_text("storm_empty");
    // Of a new session, and of one that lives.
    for _ in 0..2 {
        go_and_probe(&mut terminal, "storm_empty");
        terminal.wait_for_text("Over the budget");
        terminal.press("n");
        terminal.wait_for(|frame| !frame.contains("Over the budget"));
        if !terminal
            .wait_for_text("storm_slow")
            .contains("● storm_slow")
        {
            go_and_probe(&mut terminal, "storm_slow");
            terminal.wait_for_text("● storm_slow");
        }
    }
    terminal.press("q");
    assert_eq!(terminal.end(), End::in_order());
}

#[test]
fn who_is_not_let_in_is_told_before_the_first_screen() {
    let agent = Agent::start_in(tempfile::tempdir().unwrap(), "127.0.0.1:0");
    let port = agent.listening.rsplit(':').next().unwrap();
    for (arguments, code) in [
        (
            vec!["--agent", &format!("127.0.0.1:{port}")],
            "unauthenticated",
        ),
        (vec!["--agent", "nowhere"], "bad-endpoint"),
        (vec!["--agent", "https://127.0.0.1:9"], "no-ca"),
        (vec!["--agent", "unix:/agent.sock", "--local"], "usage"),
        (vec!["--pid", "1"], "usage"),
    ] {
        let mut command = Command::new(PROGRAM);
        let report = Coral::start(command.args(&arguments)).wait();
        assert_eq!(report.error_code(), code, "{arguments:?}");
    }
}
