//! `coral sql-worker`: the process of one query over a colony's history.

use std::io::{self, BufWriter};
use std::path::Path;
use std::process::ExitCode;

use crate::failure::Failure;
use crate::store::sql::run_worker;

/// Reads the query from stdin, and writes its rows to stdout.
pub(super) fn work(copy: &Path) -> Result<ExitCode, Failure> {
    run_worker(copy, io::stdin(), BufWriter::new(io::stdout().lock()))?;
    Ok(ExitCode::SUCCESS)
}
