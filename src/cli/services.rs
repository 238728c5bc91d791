//! `coral services`: what runs on the nodes of a colony, or on the node of an agent.

use std::process::ExitCode;

use coral_model::{Escaped, escape};
use coral_proto::agent::v1::{Process, Service};
use serde_json::{Value, json};

use super::arguments::{Format, ServicesArguments};
use super::output;
use super::remote::runtime;
use crate::failure::Failure;

pub(super) fn list(arguments: &ServicesArguments) -> Result<ExitCode, Failure> {
    let services = runtime()?.block_on(async {
        let mut agent = arguments.connection.connect().await?;
        Ok::<_, Failure>(agent.services().await?)
    })?;
    let bytes = match arguments.format {
        Format::Json => output::json(&json!({
            "schema": "coral.services.v1",
            "services": services.iter().map(entry).collect::<Vec<_>>(),
        }))?,
        Format::Text | Format::Csv => table(&services).into_bytes(),
    };
    output::print(&bytes)?;
    Ok(ExitCode::SUCCESS)
}

fn entry(service: &Service) -> Value {
    let replica = |process: &Process| {
        json!({
            "agent_id": Escaped(&process.agent_id).to_string(),
            "pid": process.pid,
            "command": Escaped(&process.command).to_string(),
            "refusal": process.refusal.as_deref().map(escape),
        })
    };
    json!({
        "name": Escaped(&service.name).to_string(),
        "source": Escaped(&service.source).to_string(),
        "replicas": service.processes.iter().map(replica).collect::<Vec<_>>(),
    })
}

fn table(services: &[Service]) -> String {
    if services.is_empty() {
        return "No service is known.\n".to_owned();
    }
    let mut text = format!(
        "{:<24} {:<14} {:<24} {:>8}  {}\n",
        "SERVICE", "KNOWN BY", "AGENT", "PID", "CANNOT BE PROBED BECAUSE"
    );
    for service in services {
        for process in &service.processes {
            let line = format!(
                "{:<24} {:<14} {:<24} {:>8}  {}",
                escape(&service.name),
                escape(&service.source),
                escape(&process.agent_id),
                process.pid,
                escape(process.refusal.as_deref().unwrap_or_default()),
            );
            text += line.trim_end();
            text.push('\n');
        }
    }
    text
}
