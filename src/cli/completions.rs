//! `coral completions`

use std::process::ExitCode;

use clap::CommandFactory;
use clap_complete::Shell;

use super::arguments::Arguments;
use super::output::of_stdout;
use crate::command_line;
use crate::failure::Failure;

pub(super) fn print(shell: Shell) -> Result<ExitCode, Failure> {
    match command_line::print_completions(shell, Arguments::command()) {
        Ok(()) => Ok(ExitCode::SUCCESS),
        Err(error) => Err(of_stdout(&error)),
    }
}
