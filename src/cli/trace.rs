//! `coral debug trace`: whole call trees of single requests.

use std::process::ExitCode;

use coral_model::{Escaped, ExitStatus, FunctionId, Pattern, SessionSettings, Snapshot};
use jiff::{SignedDuration, Timestamp};

use super::arguments::{Format, TraceArguments};
use super::output::{self, say};
use super::session::{self, Measured};
use crate::agent::{AttachRequest, TraceRule, Watched};
use crate::config::Config;
use crate::export::{TraceReport, file, text, trace_document};
use crate::failure::Failure;
use crate::probe::monotonic_ns;
use crate::source::{local, matches, select};
use crate::symbols::{Start, SymbolGraph, Why, discover};

/// Every request that Go's own HTTP server serves passes this function.
const HTTP_ROOT: &str = "net/http.serverHandler.ServeHTTP";

pub(super) fn trace(arguments: &TraceArguments) -> Result<ExitCode, Failure> {
    if let Some(directory) = &arguments.output {
        file::check_directory(directory)?;
    }
    let config = arguments.session.config()?;
    let mut root = None;
    let measured = session::measure(&arguments.target, None, |watched| {
        let request = request(arguments, &config, watched)?;
        root = request.trace.as_ref().map(|trace| trace.root);
        Ok(request)
    })?;
    let bytes = match root {
        Some(root) => document(arguments, &measured, root)?,
        None => Vec::new(),
    };
    session::write(
        &bytes,
        &measured.snapshot,
        arguments.format,
        arguments.output.as_deref(),
    )?;
    session::status(&measured.snapshot)
}

fn request(
    arguments: &TraceArguments,
    config: &Config,
    watched: &Watched,
) -> Result<AttachRequest, Failure> {
    let (root, start) = match &arguments.root {
        Some(name) => {
            let root = one(watched, name)?;
            (root, Start::Root(root))
        }
        None => {
            let root = http_root(watched)?;
            (root, Start::Requests(root))
        }
    };
    let limit = arguments.max_functions;
    let plan = discover(&mut SymbolGraph::new(&watched.symbols), start, limit);
    let own = plan.functions.iter().filter(|found| found.why == Why::Own);
    say!(
        "found: {} functions on the path ({} of the program's own packages)",
        plan.functions.len(),
        own.count()
    );
    if plan.left_out > 0 {
        say!(
            "note: {} more are left out: --max-functions is {limit}",
            plan.left_out
        );
    }
    let functions = plan.functions.iter().map(|found| found.function).collect();
    Ok(AttachRequest {
        settings: SessionSettings {
            duration: config.session.lease,
            budget_percent: config.session.budget_percent,
            ..SessionSettings::default()
        },
        redaction: config.redaction(),
        trace: Some(TraceRule {
            root,
            path: arguments.path.clone(),
        }),
        ..AttachRequest::new(functions, local::user_name())
    })
}

fn one(watched: &Watched, name: &str) -> Result<FunctionId, Failure> {
    let functions = select(watched.table(), &[name.to_owned()])?;
    match functions.as_slice() {
        [root] => Ok(*root),
        _ => Err(Failure::new(
            "ambiguous-function",
            format!("`{}` means {} functions", Escaped(name), functions.len()),
            "a trace begins at one function: write its name",
            ExitStatus::Usage,
        )),
    }
}

fn http_root(watched: &Watched) -> Result<FunctionId, Failure> {
    let found = Pattern::parse(HTTP_ROOT).map(|pattern| matches(watched.table(), &pattern));
    match found.as_deref() {
        Ok([root, ..]) => Ok(*root),
        _ => Err(Failure::new(
            "no-http-server",
            "the program does not serve HTTP by Go's net/http, so requests have no path to choose \
             them by",
            "name the function that handles the requests: --root <function>",
            ExitStatus::Usage,
        )),
    }
}

fn document(
    arguments: &TraceArguments,
    measured: &Measured,
    root: FunctionId,
) -> Result<Vec<u8>, Failure> {
    let table = measured.watched.table();
    let name = |id| table.get(id).map(|function| function.name);
    let snapshot: &Snapshot = &measured.snapshot;
    let now = (Timestamp::now(), monotonic_ns());
    let timestamp = |ns: u64| {
        let ago = SignedDuration::from_nanos(now.1.saturating_sub(ns) as i64);
        now.0.checked_sub(ago).unwrap_or_default()
    };
    let traces = measured.traces.get();
    let report = TraceReport {
        snapshot,
        root,
        path: arguments.path.as_deref(),
        summary: &traces.summary,
        losses: traces.losses,
        name: &name,
        timestamp: &timestamp,
    };
    match arguments.format {
        Format::Json => output::json(&trace_document(&report)),
        Format::Csv => Err(Failure::new(
            "no-such-format",
            "a trace cannot be written as a table",
            "choose --format text or json",
            ExitStatus::Usage,
        )),
        Format::Text => output::written(|out| text::write_trace(out, &report, output::width())),
    }
}
