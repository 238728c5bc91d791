//! `coral`: the engine without a screen.

mod arguments;
mod attach;
mod doctor;
mod functions;
mod output;
mod recording;
mod session;
mod trace;

use std::process::ExitCode;

use clap::Parser;

use crate::failure::of_command_line;
use arguments::{Arguments, Command, DebugCommand};

/// Runs the program with the process's own arguments.
pub fn run() -> ExitCode {
    let arguments = match Arguments::try_parse() {
        Ok(arguments) => arguments,
        Err(error) => return of_command_line(&error),
    };
    let result = match &arguments.command {
        Command::Functions(arguments) => functions::list(arguments),
        Command::Debug(DebugCommand::Attach(arguments)) => attach::attach(arguments),
        Command::Debug(DebugCommand::Trace(arguments)) => trace::trace(arguments),
        Command::Doctor(arguments) => doctor::report(arguments),
    };
    match result {
        Ok(status) => status,
        Err(failure) => failure.report(),
    }
}
