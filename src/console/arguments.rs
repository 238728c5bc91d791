//! The command line of `coral-tui`, as contract.md fixes it.

use std::path::PathBuf;

use clap::Parser;

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
    /// How it looks: coral-dark, coral-light, high-contrast, colour-blind, ansi16,
    /// catppuccin-mocha, gruvbox-dark, or a file
    #[arg(long, value_name = "NAME|FILE", default_value = "coral-dark")]
    pub(super) theme: String,
    /// Say whether a theme's file can be used, and end
    #[arg(long, value_name = "FILE")]
    pub(super) check_theme: Option<PathBuf>,
    /// Print all commands with their keys, and end
    #[arg(long)]
    pub(super) print_keys: bool,
}

impl Arguments {
    /// The process to open at once.
    pub(super) fn pid(&self) -> Option<u32> {
        self.local.flatten()
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
