//! `coral functions`

use std::process::ExitCode;

use coral_model::{ExitStatus, Function, FunctionTable, Pattern, Target};

use super::arguments::{Format, FunctionsArguments};
use super::{output, remote};
use crate::export::{InlinedCall, InlinedCalls, csv, functions_document, text};
use crate::failure::Failure;
use crate::source::{SelectError, local, matches};
use crate::symbols::InlinedFunction;

/// How many inlined calls are listed.
const INLINED_MAX: usize = 10_000;

pub(super) fn list(arguments: &FunctionsArguments) -> Result<ExitCode, Failure> {
    let pattern = arguments.pattern.as_deref().map(Pattern::parse);
    let pattern = pattern.transpose().map_err(SelectError::from)?;
    if arguments.connection.is_remote() {
        refuse_what_needs_the_file(arguments)?;
        let (target, table) = remote::functions(arguments)?;
        return write(arguments, pattern.as_ref(), &target, &table, &[]);
    }
    let pid = match (arguments.pid, &arguments.service) {
        (None, Some(service)) => local::processes_of(service)?.first().copied(),
        (pid, _) => pid,
    };
    let watched = local::open(pid.unwrap_or_default(), &arguments.library)?;
    let symbols = watched.symbols.completed();
    let found = match &pattern {
        Some(pattern) if arguments.inlined => symbols.inlined(pattern, INLINED_MAX),
        _ => Vec::new(),
    };
    let pattern = pattern.as_ref();
    write(arguments, pattern, &watched.target, symbols.table(), &found)
}

/// Agents tell nothing that was inlined.
fn refuse_what_needs_the_file(arguments: &FunctionsArguments) -> Result<(), Failure> {
    if !arguments.inlined {
        return Ok(());
    }
    Err(Failure::new(
        "usage",
        "--inlined is nothing that an agent can be asked for",
        "leave --inlined out, or run it on the process's node, without --agent",
        ExitStatus::Usage,
    ))
}

fn write(
    arguments: &FunctionsArguments,
    pattern: Option<&Pattern>,
    target: &Target,
    table: &FunctionTable,
    found: &[InlinedFunction],
) -> Result<ExitCode, Failure> {
    let functions: Vec<Function<'_>> = match pattern {
        None => table.iter().collect(),
        Some(pattern) => {
            let ids = matches(table, pattern);
            if ids.is_empty() && found.is_empty() {
                let text = arguments.pattern.as_deref().unwrap_or_default();
                return Err(SelectError::none(table, text).into());
            }
            ids.into_iter().filter_map(|id| table.get(id)).collect()
        }
    };
    let places: Vec<InlinedCalls<'_>> = found.iter().map(|found| calls(table, found)).collect();
    let places = arguments.inlined.then_some(&places[..]);
    let width = output::width();
    let bytes = match (arguments.format, places) {
        (Format::Json, _) => output::json(&functions_document(target, &functions, places))?,
        (Format::Csv, Some(places)) => output::written(|out| csv::write_inlined(out, places))?,
        (Format::Csv, None) => output::written(|out| csv::write_functions(out, &functions))?,
        (Format::Text, _) => output::written(|out| {
            text::write_functions(out, target, &functions, width)?;
            places.map_or(Ok(()), |places| text::write_inlined(out, places, width))
        })?,
    };
    output::print(&bytes)?;
    Ok(ExitCode::SUCCESS)
}

fn calls<'a>(table: &'a FunctionTable, found: &'a InlinedFunction) -> InlinedCalls<'a> {
    let call = |place: &'a crate::symbols::InlinedInstance| InlinedCall {
        into: table.get(place.host).map_or("", |host| host.name),
        file: place.call_file.as_deref(),
        line: place.call_line,
        is_exact: place.is_exact,
    };
    InlinedCalls {
        name: &found.name,
        file: found.file.as_deref(),
        line: found.line,
        calls: found.instances.iter().map(call).collect(),
        uncountable: found.uncountable,
    }
}
