//! `coral debug attach`

use std::process::ExitCode;
use std::time::Duration;

use coral_model::filter::Expression;
use coral_model::{Capture, ExitStatus, Pattern, SessionSettings, Snapshot, format_duration};

use super::arguments::{AttachArguments, Format};
use super::{output, remote, session};
use crate::agent::{AttachRequest, GrowthRule, Watched};
use crate::config::Config;
use crate::export::{csv, file, session_document, text};
use crate::failure::Failure;
use crate::source::{SelectError, local, select};
use crate::symbols::InlinedFunction;

pub(super) fn attach(arguments: &AttachArguments) -> Result<ExitCode, Failure> {
    if let Some(directory) = &arguments.output {
        file::check_directory(directory)?;
    }
    let config = arguments.session.config()?;
    let filter = arguments.filter.as_deref().map(parsed).transpose()?;
    check_durations(arguments)?;
    let patterns = patterns(&arguments.functions)?;
    if arguments.connection.agent.is_some() {
        let settings = settings(arguments, &config, filter);
        let snapshot = remote::measure(
            &arguments.connection,
            &arguments.target,
            &arguments.functions,
            settings,
        )?;
        return finish(arguments, &snapshot);
    }
    let record = arguments.record.as_deref();
    let measured = session::measure(&arguments.target, record, |watched| {
        request(arguments, &config, watched, filter, patterns)
    })?;
    finish(arguments, &measured.snapshot)
}

fn finish(arguments: &AttachArguments, snapshot: &Snapshot) -> Result<ExitCode, Failure> {
    let bytes = match arguments.format {
        Format::Json => output::json(&session_document(snapshot))?,
        Format::Csv => output::written(|out| csv::write_session(out, snapshot))?,
        Format::Text => output::written(|out| text::write_session(out, snapshot, output::width()))?,
    };
    session::write(
        &bytes,
        snapshot,
        arguments.format,
        arguments.output.as_deref(),
    )?;
    session::status(snapshot)
}

/// How many places are counted where functions were inlined.
const INSTANCES_MAX: usize = 1_000;
/// How many functions a session may gain by libraries and programs that come later.
const ROOM_TO_GROW: usize = 500;

fn may_grow(arguments: &AttachArguments) -> bool {
    arguments.follow_exec || !arguments.target.library.is_empty()
}

fn patterns(texts: &[String]) -> Result<Vec<Pattern>, Failure> {
    let patterns = texts.iter().map(|text| Pattern::parse(text));
    patterns
        .collect::<Result<_, _>>()
        .map_err(|error| SelectError::from(error).into())
}

fn request(
    arguments: &AttachArguments,
    config: &Config,
    watched: &Watched,
    filter: Option<Expression>,
    patterns: Vec<Pattern>,
) -> Result<AttachRequest, Failure> {
    let inlined = if arguments.inlined {
        inlined(watched, &patterns)
    } else {
        Vec::new()
    };
    let mut functions = Vec::new();
    for pattern in &arguments.functions {
        match select(watched.table(), std::slice::from_ref(pattern)) {
            // It may be inlined everywhere.
            Err(SelectError::None { .. }) if !inlined.is_empty() => {}
            selected => functions.extend(selected?),
        }
    }
    functions.sort_unstable();
    functions.dedup();
    Ok(AttachRequest {
        settings: settings(arguments, config, filter),
        growth: GrowthRule {
            forks: arguments.follow_forks,
            execs: arguments.follow_exec,
            libraries: arguments.target.library.clone(),
            patterns,
        },
        room: functions.len() + if may_grow(arguments) { ROOM_TO_GROW } else { 0 },
        inlined,
        redaction: config.redaction(),
        fold_recursion: !arguments.show_recursion,
        fast_returns: arguments.fast_returns,
        ..AttachRequest::new(functions, local::user_name())
    })
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

/// No call takes at least more than it takes at most.
fn check_durations(arguments: &AttachArguments) -> Result<(), Failure> {
    match (arguments.min_duration, arguments.max_duration) {
        (Some(min), Some(max)) if min > max => Err(Failure::new(
            "bad-durations",
            format!(
                "no call takes at least {} and at most {}",
                format_duration(min),
                format_duration(max)
            ),
            "swap --min-duration and --max-duration",
            ExitStatus::Usage,
        )),
        _ => Ok(()),
    }
}

/// The functions that were inlined somewhere, where that can be counted.
fn inlined(watched: &Watched, patterns: &[Pattern]) -> Vec<InlinedFunction> {
    let found = patterns
        .iter()
        .flat_map(|pattern| watched.symbols.inlined(pattern, INSTANCES_MAX));
    found
        .filter(|function| !function.instances.is_empty())
        .collect()
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
