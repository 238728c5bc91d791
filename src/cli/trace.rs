//! `coral debug trace`: whole call trees of single requests.

use std::process::ExitCode;
use std::sync::Arc;

use coral_model::{SessionSettings, Snapshot};

use super::arguments::{DocumentFormat, TraceArguments};
use super::output::{self, say};
use super::{remote, session};
use crate::agent::{AttachRequest, Watched};
use crate::config::Config;
use crate::export::file;
use crate::failure::Failure;
use crate::source::{TraceFormat, TraceWish, local, trace_targets, write_traces};

pub(super) fn trace(arguments: &TraceArguments) -> Result<ExitCode, Failure> {
    if let Some(directory) = &arguments.output {
        file::check_directory(directory)?;
    }
    let format = format(arguments.format);
    let config = arguments.session.over(arguments.connection.config()?);
    let (snapshot, document) = if arguments.connection.is_remote() {
        let settings = settings(&config);
        remote::trace(
            &arguments.connection,
            &arguments.target,
            &wish(arguments),
            settings,
            arguments.session.wait,
            format,
        )?
    } else {
        here(arguments, &config, format)?
    };
    session::write(
        &document,
        &snapshot,
        arguments.format.into(),
        arguments.output.as_deref(),
    )?;
    session::status(&snapshot)
}

/// Traces by an agent of this program's own.
fn here(
    arguments: &TraceArguments,
    config: &Config,
    format: TraceFormat,
) -> Result<(Arc<Snapshot>, Vec<u8>), Failure> {
    let mut rule = None;
    let measured = session::measure(&arguments.target, None, |watched| {
        let request = request(arguments, config, watched)?;
        rule.clone_from(&request.trace);
        Ok(request)
    })?;
    let (watched, traces) = (&measured.watched, measured.traces.get());
    let document =
        rule.map(|rule| write_traces(watched, &measured.snapshot, &rule, &traces, format));
    let document = document
        .transpose()
        .map_err(|error| session::out_of_resources(&error))?;
    Ok((measured.snapshot, document.unwrap_or_default()))
}

fn request(
    arguments: &TraceArguments,
    config: &Config,
    watched: &Watched,
) -> Result<AttachRequest, Failure> {
    let targets = trace_targets(watched, &wish(arguments))?;
    say!(
        "found: {} functions on the path ({} of the program's own packages)",
        targets.functions.len(),
        targets.own
    );
    if targets.left_out > 0 {
        say!(
            "note: {} more are left out: --max-functions is {}",
            targets.left_out,
            arguments.max_functions
        );
    }
    Ok(AttachRequest {
        settings: settings(config),
        redaction: config.redaction(),
        trace: Some(targets.rule),
        ..AttachRequest::new(targets.functions, local::user_name())
    })
}

fn wish(arguments: &TraceArguments) -> TraceWish {
    TraceWish {
        root: arguments.root.clone(),
        path: arguments.path.clone(),
        functions_max: arguments.max_functions,
    }
}

fn settings(config: &Config) -> SessionSettings {
    SessionSettings {
        duration: config.session.lease,
        budget_percent: config.session.budget_percent,
        ..SessionSettings::default()
    }
}

fn format(format: DocumentFormat) -> TraceFormat {
    match format {
        DocumentFormat::Json => TraceFormat::Json,
        DocumentFormat::Text => TraceFormat::Text(output::width()),
    }
}
