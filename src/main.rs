//! `coral-tui`: the full-screen console.

use std::process::ExitCode;

fn main() -> ExitCode {
    coral_tui::console::run()
}
