//! `coral services`: what runs on the nodes of a colony, or on the node of an agent.

use std::process::ExitCode;

use coral_model::{Escaped, escape};
use coral_proto::agent::v1::{Process, Service};
use serde_json::{Value, json};

use super::arguments::{Format, ServicesArguments};
use super::output;
use super::remote::runtime;
use crate::export::csv;
use crate::failure::Failure;
use crate::source::remote::{Listed, RemoteAgent, RemoteError};

const COLUMNS: [&str; 6] = ["name", "source", "agent_id", "pid", "command", "refusal"];

const NO_AGENT: &str =
    "No service is known: no agent is connected. One that has just started comes in a moment.\n";

pub(super) fn list(arguments: &ServicesArguments) -> Result<ExitCode, Failure> {
    let address = arguments.connection.address()?;
    let (services, has_agents) = runtime()?.block_on(async {
        let mut agent = address.connect().await?;
        let services = agent.services().await?;
        let is_asked = address.is_colony && services.is_empty();
        let has_agents = !is_asked || has_agents(&mut agent).await?;
        Ok::<_, Failure>((services, has_agents))
    })?;
    let bytes = match arguments.format {
        Format::Json => output::json(&json!({
            "schema": "coral.services.v1",
            "services": services.iter().map(entry).collect::<Vec<_>>(),
        }))?,
        Format::Csv => output::written(|out| csv::write_table(out, &COLUMNS, &rows(&services)))?,
        Format::Text if !has_agents => NO_AGENT.into(),
        Format::Text => table(&services).into_bytes(),
    };
    output::print(&bytes)?;
    Ok(ExitCode::SUCCESS)
}

/// Whether any agent of a colony is connected.
async fn has_agents(colony: &mut RemoteAgent) -> Result<bool, RemoteError> {
    Ok(match colony.listed().await? {
        Listed::Services(_, agents) => agents.iter().any(|agent| agent.is_connected),
        Listed::Processes(_) => true,
    })
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

/// A row for each process, as in the JSON document.
fn rows(services: &[Service]) -> Vec<Vec<String>> {
    let mut rows = Vec::new();
    for service in services {
        rows.extend(service.processes.iter().map(|process| {
            vec![
                service.name.clone(),
                service.source.clone(),
                process.agent_id.clone(),
                process.pid.to_string(),
                process.command.clone(),
                process.refusal.clone().unwrap_or_default(),
            ]
        }));
    }
    rows
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_process_is_a_row_and_nothing_acts() {
        let service = Service {
            name: "checkout, \"new\"".into(),
            source: "name".into(),
            processes: vec![Process {
                pid: 42,
                agent_id: "node-7".into(),
                command: "\u{1b}[2J".into(),
                refusal: Some("=cmd".into()),
                ..Process::default()
            }],
            ..Service::default()
        };
        let mut bytes = Vec::new();
        csv::write_table(&mut bytes, &COLUMNS, &rows(&[service])).unwrap();
        let expected = "name,source,agent_id,pid,command,refusal\n\
                        \"checkout, \"\"new\"\"\",name,node-7,42,\\u{1b}[2J,'=cmd\n";
        assert_eq!(String::from_utf8(bytes).unwrap(), expected);
    }
}
