//! `coral doctor`

use std::process::ExitCode;

use coral_model::{Diagnostic, Escaped};
use serde::Serialize;

use super::arguments::{DoctorArguments, Format};
use super::output;
use crate::doctor::{Report, ReportDocument};
use crate::failure::Failure;
use crate::source::local;

/// What there is to say of a process.
#[derive(Serialize)]
struct ProcessCheck {
    pid: u32,
    can_probe: bool,
    /// Its language and how many functions it has, or why it cannot be probed.
    found: String,
    fix: Option<String>,
}

#[derive(Serialize)]
struct Document<'a> {
    #[serde(flatten)]
    report: ReportDocument<'a>,
    #[serde(skip_serializing_if = "Option::is_none")]
    process: Option<ProcessCheck>,
}

pub(super) fn report(arguments: &DoctorArguments) -> Result<ExitCode, Failure> {
    let report = Report::read();
    let process = arguments.pid.map(check);
    let refused = process.as_ref().is_some_and(|process| !process.can_probe);
    let bytes = match arguments.format {
        Format::Json => output::json(&Document {
            report: report.document(),
            process,
        })?,
        Format::Text | Format::Csv => output::written(|out| {
            use std::io::Write;
            report.write_text(out)?;
            if let Some(process) = &process {
                let fix = process.fix.iter().map(|fix| format!("\nhelp: {fix}"));
                writeln!(
                    out,
                    "\nprocess {}: {}{}",
                    process.pid,
                    process.found,
                    fix.collect::<String>()
                )?;
            }
            Ok(())
        })?,
    };
    output::print(&bytes)?;
    if let Err(missing) = report.verdict() {
        return Ok(ExitCode::from(missing.exit_status() as u8));
    }
    Ok(if refused {
        ExitCode::FAILURE
    } else {
        ExitCode::SUCCESS
    })
}

fn check(pid: u32) -> ProcessCheck {
    match local::open(pid, &[]) {
        Ok(watched) => ProcessCheck {
            pid,
            can_probe: true,
            found: format!(
                "{}, {}, {} functions",
                Escaped(&watched.target.exe),
                watched.target.language.name(),
                watched.table().len()
            ),
            fix: None,
        },
        Err(error) => ProcessCheck {
            pid,
            can_probe: false,
            found: format!("error[{}]: {error}", error.code()),
            fix: Some(error.help()),
        },
    }
}
