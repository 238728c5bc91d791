//! Traces of whole requests: which functions take part, and the document of what was traced.

use std::io;

use coral_model::{Diagnostic, Escaped, ExitStatus, FunctionId, FunctionTable, Pattern, Snapshot};
use jiff::{SignedDuration, Timestamp};

use super::select::{SelectError, matches, select};
use crate::agent::{TraceRule, Traces, Watched};
use crate::export::{TraceReport, text, trace_document};
use crate::probe::monotonic_ns;
use crate::symbols::{Start, SymbolGraph, Why, discover};

/// Every request that Go's own HTTP server serves passes this function.
const HTTP_ROOT: &str = "net/http.serverHandler.ServeHTTP";

/// What is to be traced.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct TraceWish {
    /// The function whose calls are traced; without it, the requests of Go's own HTTP server.
    pub root: Option<String>,
    /// Only requests of that HTTP path; one that ends with `*` stands for all that begin so.
    pub path: Option<String>,
    /// How many functions on the path are probed at most.
    pub functions_max: usize,
}

/// What is attached for a trace.
#[derive(Clone, Debug)]
pub struct TraceTargets {
    /// Where traces begin.
    pub rule: TraceRule,
    /// The functions on the path.
    pub functions: Vec<FunctionId>,
    /// How many of them are of the program's own packages.
    pub own: usize,
    /// How many more there are.
    pub left_out: usize,
}

/// Why nothing can be traced.
#[derive(Debug, thiserror::Error)]
pub enum TraceError {
    /// The root cannot be found.
    #[error(transparent)]
    Select(#[from] SelectError),
    /// The root is not one function.
    #[error("`{}` means {count} functions", Escaped(root))]
    Ambiguous {
        /// What was asked for.
        root: String,
        /// What it could mean.
        count: usize,
    },
    /// Only a program that serves HTTP by Go has paths.
    #[error(
        "the program does not serve HTTP by Go's net/http, so requests have no path to choose them \
         by"
    )]
    NoHttpServer,
}

impl Diagnostic for TraceError {
    fn code(&self) -> &'static str {
        match self {
            Self::Select(error) => error.code(),
            Self::Ambiguous { .. } => "ambiguous-function",
            Self::NoHttpServer => "no-http-server",
        }
    }

    fn help(&self) -> String {
        match self {
            Self::Select(error) => error.help(),
            Self::Ambiguous { .. } => "a trace begins at one function: write its name".into(),
            Self::NoHttpServer => {
                "name the function that handles the requests: --root <function>".into()
            }
        }
    }

    fn exit_status(&self) -> ExitStatus {
        ExitStatus::Usage
    }
}

/// The functions that take part in what is to be traced.
///
/// # Errors
/// If the root is not one function of the target.
pub fn trace_targets(watched: &Watched, wish: &TraceWish) -> Result<TraceTargets, TraceError> {
    let (root, start) = match &wish.root {
        Some(name) => {
            let root = one(watched.table(), name)?;
            (root, Start::Root(root))
        }
        None => {
            let root = http_root(watched.table())?;
            (root, Start::Requests(root))
        }
    };
    let plan = discover(
        &mut SymbolGraph::new(&watched.symbols),
        start,
        wish.functions_max,
    );
    let own = plan.functions.iter().filter(|found| found.why == Why::Own);
    Ok(TraceTargets {
        rule: TraceRule {
            root,
            path: wish.path.clone(),
        },
        own: own.count(),
        functions: plan.functions.iter().map(|found| found.function).collect(),
        left_out: plan.left_out,
    })
}

/// How a trace is written down.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TraceFormat {
    /// For people, in lines of so many columns.
    Text(usize),
    /// `coral.trace.v1`.
    Json,
}

/// The document of what a session has traced.
///
/// # Errors
/// None but of memory.
pub fn write_traces(
    watched: &Watched,
    snapshot: &Snapshot,
    rule: &TraceRule,
    traces: &Traces,
    format: TraceFormat,
) -> io::Result<Vec<u8>> {
    let table = watched.table();
    let name = |id| table.get(id).map(|function| function.name);
    let now = (Timestamp::now(), monotonic_ns());
    let timestamp = |ns: u64| {
        let ago = SignedDuration::from_nanos(now.1.saturating_sub(ns) as i64);
        now.0.checked_sub(ago).unwrap_or_default()
    };
    let report = TraceReport {
        snapshot,
        root: rule.root,
        path: rule.path.as_deref(),
        summary: &traces.summary,
        losses: traces.losses,
        name: &name,
        timestamp: &timestamp,
    };
    let mut document = Vec::new();
    match format {
        TraceFormat::Text(width) => text::write_trace(&mut document, &report, width)?,
        TraceFormat::Json => {
            serde_json::to_writer_pretty(&mut document, &trace_document(&report))?;
            document.push(b'\n');
        }
    }
    Ok(document)
}

fn one(table: &FunctionTable, name: &str) -> Result<FunctionId, TraceError> {
    match select(table, &[name.to_owned()])?.as_slice() {
        [root] => Ok(*root),
        several => Err(TraceError::Ambiguous {
            root: name.to_owned(),
            count: several.len(),
        }),
    }
}

fn http_root(table: &FunctionTable) -> Result<FunctionId, TraceError> {
    let found = Pattern::parse(HTTP_ROOT).map(|pattern| matches(table, &pattern));
    match found.as_deref() {
        Ok([root, ..]) => Ok(*root),
        _ => Err(TraceError::NoHttpServer),
    }
}
