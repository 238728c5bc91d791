//! `coral`: the engine without a screen.

use std::process::ExitCode;

fn main() -> ExitCode {
    coral_tui::cli::run(coral_tui::console::manual)
}
