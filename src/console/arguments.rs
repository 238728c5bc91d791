//! The command line of `coral-tui`, as contract.md fixes it.

use std::path::PathBuf;

use clap::error::ErrorKind;
use clap::parser::ValueSource;
use clap::{CommandFactory, FromArgMatches, Parser};
use clap_complete::Shell;

use crate::access::AccessError;
use crate::config::{Config, ConfigError};
use crate::connection::{AgentAddress, ConnectionArguments};

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
    #[arg(long, requires = "agent", conflicts_with = "colony")]
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
    /// Read this configuration instead of $XDG_CONFIG_HOME/coral/config.toml
    #[arg(long, value_name = "FILE")]
    config: Option<PathBuf>,
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
        let matches = Self::command().try_get_matches()?;
        let mut arguments = Self::from_arg_matches(&matches)?;
        let is_without = arguments.local.is_some() || arguments.demo || arguments.replay.is_some();
        if arguments.service.is_some() && !arguments.connection.is_remote() {
            let message = "--service takes an agent or a colony: --agent or --colony";
            return Err(Self::command().error(ErrorKind::MissingRequiredArgument, message));
        }
        if !is_without || !arguments.connection.is_remote() {
            return Ok(arguments);
        }
        // What the environment names is only for those who name nothing else.
        for name in ["agent", "colony"] {
            if matches.value_source(name) == Some(ValueSource::CommandLine) {
                let message = format!(
                    "the argument '--{name}' cannot be used with --local, --demo or --replay"
                );
                return Err(Self::command().error(ErrorKind::ArgumentConflict, message));
            }
        }
        arguments.connection.forget();
        Ok(arguments)
    }

    /// The agent that is to be asked.
    pub(super) fn agent(&self) -> Result<Option<AgentAddress>, AccessError> {
        let is_asked = self.connection.is_remote();
        is_asked.then(|| self.connection.address()).transpose()
    }

    /// What is configured, or said here instead.
    pub(super) fn config(&self) -> Result<Config, ConfigError> {
        let mut config = Config::load(self.config.as_deref())?;
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
