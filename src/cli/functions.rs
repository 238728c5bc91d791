//! `coral functions`

use std::process::ExitCode;

use coral_model::Function;

use super::arguments::{Format, FunctionsArguments};
use super::output;
use crate::export::{csv, functions_document, text};
use crate::failure::Failure;
use crate::source::{SelectError, local, matches};

pub(super) fn list(arguments: &FunctionsArguments) -> Result<ExitCode, Failure> {
    let watched = local::open(arguments.pid, &arguments.library)?;
    let symbols = watched.symbols.completed();
    let table = symbols.table();
    let functions: Vec<Function<'_>> = match &arguments.pattern {
        None => table.iter().collect(),
        Some(text) => {
            let pattern = coral_model::Pattern::parse(text).map_err(SelectError::from)?;
            let ids = matches(table, &pattern);
            if ids.is_empty() {
                return Err(SelectError::none(table, text).into());
            }
            ids.into_iter().filter_map(|id| table.get(id)).collect()
        }
    };
    let target = &watched.target;
    let bytes = match arguments.format {
        Format::Json => output::json(&functions_document(target, &functions))?,
        Format::Csv => output::written(|out| csv::write_functions(out, &functions))?,
        Format::Text => {
            output::written(|out| text::write_functions(out, target, &functions, output::width()))?
        }
    };
    output::print(&bytes)?;
    Ok(ExitCode::SUCCESS)
}
