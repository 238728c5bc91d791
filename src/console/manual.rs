//! The manual page coral-tui(1).

use std::io;

use clap::CommandFactory;
use coral_ui::{COMMANDS, CommandInfo};

use super::arguments::Arguments;
use crate::command_line::{self, CONFIG_FILE, Section};

const ENVIRONMENT: [(&str, &str); 12] = [
    (
        "CORAL_PROFILE",
        "The profile of the configuration to use, where nothing else is named.",
    ),
    (
        "CORAL_COLONY",
        "The colony to ask, where nothing else is named.",
    ),
    (
        "CORAL_AGENT",
        "The agent to ask, where nothing else is named.",
    ),
    (
        "CORAL_TOKEN",
        "A token for it, which no list of processes shows.",
    ),
    (
        "NO_COLOR",
        "If it is set and not empty, nothing has a colour.",
    ),
    ("TERM, COLORTERM", "How many colours the terminal has."),
    (
        "COLORFGBG",
        "Whether its background is light, where the terminal does not say it.",
    ),
    (
        "LC_ALL, LC_CTYPE, LANG",
        "Whether there are characters beyond ASCII.",
    ),
    ("VISUAL, EDITOR", "The editor that source is opened in."),
    (
        "XDG_CONFIG_HOME",
        "Where the configuration is, ~/.config by default.",
    ),
    (
        "XDG_STATE_HOME",
        "Where the log is, ~/.local/state by default.",
    ),
    ("HOME", "What ~ is."),
];

const LOG_FILE: (&str, &str) = (
    "$XDG_STATE_HOME/coral/coral-tui.log",
    "What coral-tui had to say when it failed.",
);

/// The page, in roff.
pub fn manual() -> io::Result<Vec<u8>> {
    let sections = [
        Section {
            title: "KEYS",
            entries: COMMANDS.iter().map(key).collect(),
        },
        Section::of("ENVIRONMENT", &ENVIRONMENT),
        Section::of("FILES", &[CONFIG_FILE, LOG_FILE]),
        command_line::exit_status(),
        Section::of(
            "SEE ALSO",
            &[("coral(1)", "The same engine without a screen.")],
        ),
    ];
    command_line::manual_page(Arguments::command(), &sections)
}

/// A command's keys, and what they do where. The name is the one that a configuration uses.
fn key(info: &CommandInfo) -> (String, String) {
    let places: Vec<&str> = info.scopes.iter().map(|scope| scope.title()).collect();
    (
        info.keys.join(", "),
        format!("{}: {} (`{}`)", places.join(", "), info.help, info.name),
    )
}
