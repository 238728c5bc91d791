//! The command line of `coral-tui`, as contract.md fixes it.

use std::path::PathBuf;

use clap::error::ErrorKind;
use clap::{CommandFactory, Parser};
use clap_complete::Shell;

use crate::config::{Config, ConfigError};
use crate::connection::{AgentAddress, ConnectionArguments};
use crate::failure::Failure;

/// A debugger console in the terminal: live latency of the functions of a running process.
///
/// Without options it lists the processes of this node to pick one.
#[derive(Debug, Parser)]
#[command(name = "coral-tui", version)]
pub(super) struct Arguments {
    /// Watch a process on this node; without a process id, pick one from a list
    #[arg(long, value_name = "PID", num_args = 0..=1, conflicts_with_all = ["demo", "replay"])]
    local: Option<Option<u32>>,
    #[command(flatten)]
    connection: ConnectionArguments,
    /// The process on the agent's node to watch; without it, pick one from a list
    #[arg(long, conflicts_with = "colony")]
    pid: Option<u32>,
    /// Watch all processes of a program of that name on the agent's node, or all replicas of a
    /// service of the colony
    #[arg(long, value_name = "NAME", conflicts_with_all = ["pid", "local", "demo", "replay"])]
    service: Option<String>,
    /// Watch the bundled sample service under real probes; without the rights for probes, play
    /// the shipped recording of it
    #[arg(long, conflicts_with = "replay")]
    pub(super) demo: bool,
    /// Play a recording
    #[arg(long, value_name = "FILE")]
    pub(super) replay: Option<PathBuf>,
    /// How it looks: auto (dark or light, as the terminal is), coral-dark, coral-light,
    /// high-contrast, colour-blind, ansi16, catppuccin-mocha, gruvbox-dark, or a file
    /// [default: auto, or what is configured]
    #[arg(long, value_name = "NAME|FILE")]
    theme: Option<String>,
    /// Leave the mouse to the terminal, which selects text with it
    #[arg(long)]
    no_mouse: bool,
    /// Say whether a theme's file can be used, and end
    #[arg(long, value_name = "FILE")]
    pub(super) check_theme: Option<PathBuf>,
    /// Print all commands with their keys, and end
    #[arg(long)]
    pub(super) print_keys: bool,
    /// Print the configuration as it is in effect, with what every key means, and end
    #[arg(long)]
    pub(super) print_config: bool,
    /// Print what a shell needs to complete the command line, and end
    #[arg(long, value_name = "SHELL")]
    pub(super) completions: Option<Shell>,
}

impl Arguments {
    /// The process to open at once.
    pub(super) fn pid(&self) -> Option<u32> {
        self.local.flatten().or(self.pid)
    }

    /// The service to open at once.
    pub(super) fn service(&self) -> Option<&str> {
        self.service.as_deref()
    }

    /// The process's own arguments.
    pub(super) fn of_process() -> Result<Self, clap::Error> {
        let mut arguments = Self::try_parse()?;
        let refuse = |kind, message: String| Err(Self::command().error(kind, message));
        let is_without = arguments.local.is_some() || arguments.demo || arguments.replay.is_some();
        if is_without {
            // What the environment names is only for those who name nothing else.
            arguments.connection.forget_environment();
        }
        let connection = &arguments.connection;
        if let Some(option) = connection.option().filter(|_| is_without) {
            let kind = ErrorKind::ArgumentConflict;
            let message =
                format!("the argument '{option}' cannot be used with --local, --demo or --replay");
            return refuse(kind, message);
        }
        let kind = ErrorKind::MissingRequiredArgument;
        if arguments.service.is_some() && !connection.is_remote() {
            let message = "--service takes an agent or a colony: --agent, --colony or --profile";
            return refuse(kind, message.into());
        }
        if arguments.pid.is_some() && !connection.is_remote() {
            return refuse(kind, "--pid takes an agent: --agent".into());
        }
        Ok(arguments)
    }

    /// The agent or the colony that is to be asked.
    pub(super) fn agent(&self) -> Result<Option<AgentAddress>, Failure> {
        let is_asked = self.connection.is_remote();
        is_asked.then(|| self.connection.address()).transpose()
    }

    /// What is configured, or said here instead.
    pub(super) fn config(&self) -> Result<Config, ConfigError> {
        let mut config = self.connection.config()?;
        if let Some(theme) = &self.theme {
            let folder = std::env::current_dir().unwrap_or_default();
            config.console.set_theme(theme, &folder);
        }
        config.console.mouse &= !self.no_mouse;
        Ok(config)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_command_line_is_consistent() {
        Arguments::command().debug_assert();
    }
}
