//! `coral`: the engine without a screen.

mod agent;
mod approvals;
mod arguments;
mod attach;
mod audit;
mod certs;
mod colony;
mod completions;
mod doctor;
mod export;
mod functions;
mod history;
mod man;
mod output;
mod progress;
mod recording;
mod remote;
mod saved;
mod services;
mod session;
mod sql;
mod trace;

use std::process::ExitCode;

use clap::Parser;

use crate::failure::{Failure, of_command_line};
use arguments::{Arguments, AuditCommand, CertsCommand, Command, DebugCommand};
pub use man::Manual;

/// Runs the program with the process's own arguments. It also writes the manual page of the
/// console, which it does not know.
pub fn run(console: Manual) -> ExitCode {
    let arguments = match Arguments::try_parse() {
        Ok(arguments) => arguments,
        Err(error) => return of_command_line(&error),
    };
    match perform(&arguments, console) {
        Ok(status) => status,
        Err(failure) => failure.report(),
    }
}

fn perform(arguments: &Arguments, console: Manual) -> Result<ExitCode, Failure> {
    match &arguments.command {
        Command::Functions(arguments) => functions::list(arguments),
        Command::Debug(DebugCommand::Attach(arguments)) => attach::attach(arguments),
        Command::Debug(DebugCommand::Trace(arguments)) => trace::trace(arguments),
        Command::Debug(DebugCommand::List(arguments)) => remote::list(arguments),
        Command::Debug(DebugCommand::Detach(arguments)) => remote::detach(arguments),
        Command::Debug(DebugCommand::Query(arguments)) => history::query(arguments),
        Command::Services(arguments) => services::list(arguments),
        Command::Approvals(command) => approvals::perform(command),
        Command::Export(arguments) => export::export(arguments),
        Command::Sql(arguments) => history::sql(arguments),
        Command::Agent(arguments) => agent::serve(arguments),
        Command::Colony(arguments) => colony::serve(arguments),
        Command::Audit(AuditCommand::Verify(arguments)) => audit::verify(arguments),
        Command::Certs(CertsCommand::Init(arguments)) => certs::init(arguments),
        Command::Doctor(arguments) => doctor::report(arguments),
        Command::SqlWorker { copy } => sql::work(copy),
        Command::Completions { shell } => completions::print(*shell),
        Command::Man { directory } => man::write(directory, console),
    }
}
