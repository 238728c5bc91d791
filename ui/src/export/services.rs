//! The services of a colony as a table for a file: a row for each replica.

use super::table;
use crate::event::ViewExport;
use crate::state::State;

const COLUMNS: [&str; 15] = [
    "service",
    "source",
    "agent_id",
    "host",
    "agent_connected",
    "pid",
    "language",
    "build_id",
    "ports",
    "container",
    "resident_bytes",
    "user",
    "command",
    "can_be_probed",
    "trouble",
];

pub(super) fn view(state: &State) -> ViewExport {
    let list = &state.services;
    let mut rows = Vec::new();
    for service in list.services() {
        for replica in &service.replicas {
            let (process, agent) = (&replica.process, list.agent_of(replica));
            let trouble = list.trouble(replica);
            let ports: Vec<String> = process.ports.iter().map(u16::to_string).collect();
            rows.push(vec![
                service.name.clone(),
                service.source.clone(),
                replica.agent_id.clone(),
                agent.map_or_else(String::new, |agent| agent.host.clone()),
                agent.is_some_and(|agent| agent.is_connected).to_string(),
                process.pid.to_string(),
                process
                    .language
                    .map_or("", |language| language.name())
                    .into(),
                replica.build_id.clone().unwrap_or_default(),
                ports.join(" "),
                process.container.clone().unwrap_or_default(),
                process.resident_bytes.to_string(),
                process.user.clone(),
                process.command.clone(),
                trouble.is_none().to_string(),
                trouble.unwrap_or_default(),
            ]);
        }
    }
    table("services", None, &COLUMNS, rows)
}
