//! The configuration file from outside, completions and manual pages.
#![allow(clippy::unwrap_used)] // all of this is tests

mod common;

use std::fs;
use std::path::Path;
use std::process::{Command, Output, Stdio};

use common::coral::{Coral, PROGRAM as CORAL};
use common::session::{slow_calls, values};
use common::target::Target;
use common::{compile, need, rights};
use coral_ui::COMMANDS;

const CORAL_TUI: &str = env!("CARGO_BIN_EXE_coral-tui");

#[test]
fn what_is_printed_can_be_used_and_options_win_over_it() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("config.toml");
    let print = |arguments: &[&str]| {
        let mut command = program(CORAL_TUI, folder.path());
        stdout(command.arg("--print-config").args(arguments))
    };
    let defaults = print(&[]);
    fs::write(&file, &defaults).unwrap();
    let named = ["--config", file.to_str().unwrap()];
    assert_eq!(print(&named), defaults);
    let light = print(&["--theme", "coral-light", "--no-mouse"]);
    let changed = defaults
        .replace("theme = \"auto\"", "theme = \"coral-light\"")
        .replace("mouse = true", "mouse = false");
    assert_eq!(light, changed);
    let mine = print(&["--theme", "mine.toml"]);
    let folder_here = std::env::current_dir().unwrap();
    let file_here = format!("theme = {:?}", folder_here.join("mine.toml"));
    assert_eq!(mine, defaults.replace("theme = \"auto\"", &file_here));
    // The user's own file needs no name.
    fs::create_dir(folder.path().join("coral")).unwrap();
    fs::write(folder.path().join("coral/config.toml"), &light).unwrap();
    assert_eq!(print(&[]), light);
    assert_eq!(print(&named), defaults);
}

#[test]
fn configured_keys_are_printed() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("config.toml");
    fs::write(&file, "[keys]\nhelp = ['F1', 'H']").unwrap();
    let mut command = program(CORAL_TUI, folder.path());
    let keys = stdout(command.arg("--print-keys").arg("--config").arg(&file));
    assert!(
        keys.contains("help                 F1 H             Every screen: "),
        "{keys}"
    );
}

#[test]
fn a_session_is_as_configured() {
    need!(rights::probes());
    let mut target = Target::spawn(&need!(compile::e2e_c(&["-O0"])));
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("config.toml");
    let config = "session.lease = '5s'\n[[redaction]]\nname = '^name$'\nreplace = 'hidden'";
    fs::write(&file, config).unwrap();
    let mut command = program(CORAL, folder.path());
    let attach = [
        "debug",
        "attach",
        "--function",
        "texts",
        "--capture-args",
        "--format=json",
    ];
    command.args(attach).arg("--config").arg(&file);
    let mut coral = Coral::start(command.arg("--pid").arg(target.pid().to_string()));
    assert!(coral.attached().is_some());
    target.run("values");
    let report = coral.wait();
    let document = report.document();
    assert_eq!(document["session"]["end_reason"], "expired");
    let arguments = values(&slow_calls(&document, "texts")[0]["args"]);
    assert_eq!(arguments[0], "name const char* = hidden");
    assert_eq!(arguments[1], "missing const char* = nil");
}

#[test]
fn both_programs_refuse_a_bad_file_with_its_place() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("config.toml");
    fs::write(&file, "[session]\nlease = 60").unwrap();
    let attach = ["debug", "attach", "--pid", "1", "--function", "f"];
    for (path, arguments) in [(CORAL, &attach[..]), (CORAL_TUI, &[])] {
        let refused = |file: &Path, says: &str| {
            let mut command = program(path, folder.path());
            let command = command.args(arguments).arg("--config").arg(file);
            refused(command, &format!("{}{says}", file.display()));
        };
        refused(&file, ":2:9: invalid type: integer `60`, expected a string");
        refused(&folder.path().join("missing.toml"), ": ");
    }
}

#[test]
fn completions_are_what_shells_understand() {
    let folder = tempfile::tempdir().unwrap();
    for (path, arguments, option) in [
        (CORAL, ["completions", "bash"], "--sample-rate"),
        (CORAL_TUI, ["--completions", "bash"], "--print-config"),
    ] {
        let script = stdout(program(path, folder.path()).args(arguments));
        assert!(script.contains(option), "{script}");
        let file = folder.path().join("completions.bash");
        fs::write(&file, script).unwrap();
        stdout(Command::new("bash").arg("-n").arg(&file));
    }
    for shell in ["zsh", "fish", "elvish", "powershell"] {
        let script = stdout(program(CORAL, folder.path()).args(["completions", shell]));
        assert!(script.contains("sample-rate"), "{shell}: {script}");
    }
}

#[test]
fn manual_pages_hold_every_command_and_option() {
    let folder = tempfile::tempdir().unwrap();
    stdout(program(CORAL, folder.path()).arg("man").arg(folder.path()));
    let page = fs::read_to_string(folder.path().join("coral-tui.1")).unwrap();
    let help = stdout(program(CORAL_TUI, folder.path()).arg("--help"));
    let options = help
        .split_whitespace()
        .filter(|word| word.starts_with("--"));
    for option in options {
        let in_roff = option
            .trim_end_matches(&[',', ';', '.'][..])
            .replace('-', "\\-");
        assert!(page.contains(&in_roff), "{option}: {page}");
    }
    for info in COMMANDS {
        let in_roff = format!("(\\fB{}\\fR)", info.name.replace('-', "\\-"));
        assert!(page.contains(&in_roff), "{}: {page}", info.name);
    }
}

/// A program that finds no configuration but what is in a folder.
fn program(path: &str, folder: &Path) -> Command {
    let mut command = Command::new(path);
    command.env("XDG_CONFIG_HOME", folder).stdin(Stdio::null());
    command
}

fn stdout(command: &mut Command) -> String {
    let output = command.output().unwrap();
    assert!(output.status.success(), "{command:?}: {}", stderr(&output));
    assert_eq!(stderr(&output), "", "{command:?}");
    String::from_utf8(output.stdout).unwrap()
}

fn refused(command: &mut Command, says: &str) {
    let output = command.output().unwrap();
    let said = stderr(&output);
    assert!(
        said.starts_with(&format!("error[bad-config]: {says}")),
        "{command:?}: {said}"
    );
    assert_eq!(
        (output.status.code(), output.stdout.len()),
        (Some(2), 0),
        "{command:?}"
    );
}

fn stderr(output: &Output) -> String {
    String::from_utf8_lossy(&output.stderr).into_owned()
}
