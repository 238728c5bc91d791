//! `coral certs`

use std::process::ExitCode;

use coral_model::Escaped;

use super::arguments::CertsInitArguments;
use super::output;
use crate::access::certs::{self, Plan};
use crate::failure::Failure;

pub(super) fn init(arguments: &CertsInitArguments) -> Result<ExitCode, Failure> {
    let plan = Plan {
        directory: arguments.directory.clone(),
        name: arguments.name.clone(),
        hosts: arguments.host.clone(),
    };
    let written = certs::init(&plan)?;
    // Paths in the configuration are relative to it, and it may lie anywhere.
    let directory = std::path::absolute(&arguments.directory);
    let directory = directory.unwrap_or_else(|_| arguments.directory.clone());
    let directory = directory.display().to_string();
    let directory = Escaped(&directory);
    let text = format!(
        "{} files in {directory}, good for a year; they are for a try-out\n\
         \n\
         In the configuration of the agent, below `access:` (the colony: colony.pem,\n\
         colony-key.pem); it is for all its TCP addresses:\n\
         \x20 tls: {{ca: '{directory}/ca.pem', certificate: '{directory}/agent.pem', key: \
         '{directory}/agent-key.pem'}}\n\
         Clients use ca.pem and, by what they may do, client-read.pem, client-attach.pem,\n\
         client-detach.pem, client-capture.pem or client-admin.pem with its key.\n\
         Look into a certificate: openssl x509 -noout -text -in {directory}/client-attach.pem\n\
         Then keep ca-key.pem off the servers: who has it can make any identity.\n",
        written.len()
    );
    output::print(text.as_bytes())?;
    Ok(ExitCode::SUCCESS)
}
