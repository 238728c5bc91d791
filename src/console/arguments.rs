//! The command line of `coral-tui`, as contract.md fixes it.

use std::path::PathBuf;

use clap::Parser;
use clap_complete::Shell;

use crate::config::{Config, ConfigError};

/// A debugger console in the terminal: live latency of the functions of a running process.
///
/// Without options it lists the processes of this node to pick one.
#[derive(Debug, Parser)]
#[command(name = "coral-tui", version)]
pub(super) struct Arguments {
    /// Watch a process on this node; without a process id, pick one from a list
    #[arg(long, value_name = "PID", num_args = 0..=1, conflicts_with_all = ["demo", "replay"])]
    local: Option<Option<u32>>,
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
        self.local.flatten()
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
    use clap::CommandFactory;

    use super::*;

    #[test]
    fn the_command_line_is_consistent() {
        Arguments::command().debug_assert();
    }
}
