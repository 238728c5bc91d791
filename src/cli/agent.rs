//! `coral agent`

use std::process::ExitCode;
use std::sync::Arc;

use coral_model::{Diagnostic, ExitStatus};
use tokio::runtime::Builder;

use super::arguments::AgentArguments;
use super::output::{self, say};
use super::session::out_of_resources;
use crate::config::{AGENT_YAML, AgentConfig};
use crate::doctor::Report;
use crate::failure::Failure;
use crate::node;
use crate::signals::EndSignals;

/// Threads that serve clients; what blocks has its own.
const THREADS: usize = 2;

pub(super) fn serve(arguments: &AgentArguments) -> Result<ExitCode, Failure> {
    if arguments.print_config {
        output::print(AGENT_YAML.as_bytes())?;
        return Ok(ExitCode::SUCCESS);
    }
    if arguments.print_unit {
        output::print(node::SYSTEMD_UNIT.as_bytes())?;
        return Ok(ExitCode::SUCCESS);
    }
    let config = match &arguments.config {
        Some(path) => AgentConfig::read(path)?,
        None => AgentConfig::default(),
    };
    // Where it cannot be made, opening it says why.
    let _ = node::make_spool(&config);
    node::drop_privileges(config.access.socket_group.is_some()).map_err(|error| {
        Failure::new(
            "not-permitted",
            format!("the agent cannot give up capabilities: {error}"),
            "run it as root or by `coral agent --print-unit`",
            ExitStatus::Unsupported,
        )
    })?;
    if let Err(missing) = Report::read().verdict() {
        say!("warning: no session can be started here: {missing}");
        say!("help: {}", missing.help());
    }
    let runtime = Builder::new_multi_thread()
        .worker_threads(THREADS)
        .enable_all()
        .build()
        .map_err(|error| out_of_resources(&error))?;
    runtime.block_on(async {
        let mut signals = EndSignals::new().map_err(|error| out_of_resources(&error))?;
        let ready = |places: &[crate::access::Listen]| {
            for place in places {
                say!("listening: {place}");
            }
        };
        let log: node::Say = Arc::new(|line| say!("{line}"));
        Ok::<_, Failure>(node::serve(&config, ready, log, signals.any()).await?)
    })?;
    Ok(ExitCode::SUCCESS)
}
