//! `coral debug attach`

use std::process::ExitCode;
use std::time::Duration;

use coral_model::filter::Expression;
use coral_model::{Capture, ExitStatus, SessionSettings, Snapshot};

use super::arguments::{AttachArguments, Format};
use super::{output, remote, saved, session};
use crate::agent::AttachRequest;
use crate::config::Config;
use crate::export::{csv, file, session_document, text};
use crate::failure::Failure;
use crate::source::{AttachWish, local};

pub(super) fn attach(arguments: &AttachArguments) -> Result<ExitCode, Failure> {
    if let Some(directory) = &arguments.output {
        file::check_directory(directory)?;
    }
    let config = arguments.session.over(arguments.connection.config()?);
    let filter = arguments.filter.as_deref().map(parsed).transpose()?;
    let wish = wish(arguments);
    // What is no pattern is refused before a process is opened.
    wish.patterns()?;
    let settings = settings(arguments, &config, filter);
    settings.check_durations()?;
    let record = arguments.record.as_deref();
    if arguments.connection.is_remote() {
        let is_colony = arguments.connection.address()?.is_colony;
        let measured = remote::measure(
            &arguments.connection,
            &arguments.target,
            wish,
            settings,
            arguments.session.wait,
            record,
        )?;
        let code = finish(arguments, &measured.snapshot)?;
        if is_colony && arguments.format == Format::Text && arguments.output.is_none() {
            saved::save(&measured.snapshot);
        }
        return measured.lost.map_or(Ok(code), Err);
    }
    let measured = session::measure(&arguments.target, record, |watched| {
        Ok(AttachRequest {
            redaction: config.redaction(),
            ..wish.request(watched, settings, local::user_name())?
        })
    })?;
    finish(arguments, &measured.snapshot)
}

fn finish(arguments: &AttachArguments, snapshot: &Snapshot) -> Result<ExitCode, Failure> {
    let bytes = document(snapshot, arguments.format)?;
    session::write(
        &bytes,
        snapshot,
        arguments.format,
        arguments.output.as_deref(),
    )?;
    session::status(snapshot)
}

/// What a session has measured.
pub(super) fn document(snapshot: &Snapshot, format: Format) -> Result<Vec<u8>, Failure> {
    match format {
        Format::Json => output::json(&session_document(snapshot)),
        Format::Csv => output::written(|out| csv::write_session(out, snapshot)),
        Format::Text => output::written(|out| text::write_session(out, snapshot, output::width())),
    }
}

fn wish(arguments: &AttachArguments) -> AttachWish {
    AttachWish {
        patterns: arguments.functions.clone(),
        libraries: arguments.target.library.clone(),
        inlined: arguments.inlined,
        show_recursion: arguments.show_recursion,
        follow_forks: arguments.follow_forks,
        follow_execs: arguments.follow_exec,
        fast_returns: arguments.fast_returns,
        ..AttachWish::default()
    }
}

fn settings(
    arguments: &AttachArguments,
    config: &Config,
    filter: Option<Expression>,
) -> SessionSettings {
    SessionSettings {
        duration: config.session.lease,
        sample_rate: arguments.sample_rate,
        min: arguments.min_duration.unwrap_or(Duration::ZERO),
        max: arguments.max_duration,
        slow: arguments.slow,
        capture: Capture {
            arguments: arguments.capture_args,
            results: arguments.capture_return,
        },
        filter,
        budget_percent: config.session.budget_percent,
    }
}

fn parsed(text: &str) -> Result<Expression, Failure> {
    Expression::parse(text).map_err(|error| {
        Failure::new(
            "bad-filter",
            format!("the filter cannot be understood:\n{}", error.render(text)),
            "write comparisons such as `amount > 100 and user == \"u_1\"`",
            ExitStatus::Usage,
        )
    })
}
