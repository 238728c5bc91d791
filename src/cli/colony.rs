//! `coral colony`

use std::process::ExitCode;

use tokio::runtime::Builder;

use super::arguments::ColonyArguments;
use super::output::{self, say};
use super::session::out_of_resources;
use crate::access::Listen;
use crate::colony;
use crate::config::{COLONY_YAML, ColonyConfig};
use crate::failure::Failure;
use crate::signals::EndSignals;

pub(super) fn serve(arguments: &ColonyArguments) -> Result<ExitCode, Failure> {
    if arguments.print_config {
        output::print(COLONY_YAML.as_bytes())?;
        return Ok(ExitCode::SUCCESS);
    }
    let config = match &arguments.config {
        Some(path) => ColonyConfig::read(path)?,
        None => ColonyConfig::default(),
    };
    let runtime = Builder::new_multi_thread()
        .enable_all()
        .build()
        .map_err(|error| out_of_resources(&error))?;
    runtime.block_on(async {
        let mut signals = EndSignals::new().map_err(|error| out_of_resources(&error))?;
        let ready = |places: &[Listen]| {
            for place in places {
                say!("listening: {place}");
            }
        };
        Ok::<_, Failure>(
            colony::serve(
                &config,
                ready,
                |text| say!("warning: {text}"),
                signals.any(),
            )
            .await?,
        )
    })?;
    Ok(ExitCode::SUCCESS)
}
