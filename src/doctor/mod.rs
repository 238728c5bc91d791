//! Whether this node can be probed, and if not, what to do: `coral doctor`.

mod checks;
mod features;
mod system;

use std::io;

use coral_model::Diagnostic;
use serde::Serialize;

use crate::probe::MissingRight;
use system::System;

/// How one thing stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Status {
    /// As it should be.
    Ok,
    /// Something will not work, and probes will.
    Warn,
    /// Probes cannot be placed because of it.
    Fail,
    /// It could not be found out.
    Unknown,
}

impl Status {
    /// The name in documents and on screens.
    pub fn name(self) -> &'static str {
        match self {
            Self::Ok => "ok",
            Self::Warn => "warn",
            Self::Fail => "fail",
            Self::Unknown => "unknown",
        }
    }
}

/// One thing that was looked at.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Check {
    /// Its stable name, such as `cap_bpf`.
    pub name: &'static str,
    /// How it stands.
    pub status: Status,
    /// What was found.
    pub found: String,
    /// What there should be.
    pub needed: &'static str,
    /// What to do about it; none where it is as it should be.
    pub fix: Option<String>,
}

/// Everything that was looked at on this node.
#[derive(Clone, Debug)]
pub struct Report {
    verdict: Result<(), MissingRight>,
    checks: Vec<Check>,
}

/// The report as the JSON document `coral.doctor.v1`.
#[derive(Clone, Debug, Serialize)]
pub struct ReportDocument<'a> {
    schema: &'static str,
    can_probe: bool,
    checks: &'a [Check],
}

impl Report {
    /// Looks at this node. Changes nothing.
    ///
    /// The environment variable `CORAL_TEST_KERNEL` simulates an older kernel; see
    /// [`KernelFacts::read`](crate::probe::KernelFacts::read).
    pub fn read() -> Self {
        Self::of(&System::read())
    }

    fn of(system: &System) -> Self {
        Self {
            verdict: system.kernel.check(),
            checks: checks::all(system),
        }
    }

    /// Whether probes can be placed.
    ///
    /// # Errors
    /// What is missing, if they cannot.
    pub fn verdict(&self) -> Result<(), &MissingRight> {
        self.verdict.as_ref().copied()
    }

    /// What was looked at, in a fixed order.
    pub fn checks(&self) -> &[Check] {
        &self.checks
    }

    /// The report, ready to be serialised.
    pub fn document(&self) -> ReportDocument<'_> {
        ReportDocument {
            schema: "coral.doctor.v1",
            can_probe: self.verdict.is_ok(),
            checks: &self.checks,
        }
    }

    /// Writes the report for a person: a line for each check, and the fix where there is one.
    ///
    /// # Errors
    /// Those of `out`.
    pub fn write_text(&self, out: &mut impl io::Write) -> io::Result<()> {
        for check in &self.checks {
            writeln!(
                out,
                "{:<7}  {:<25}  {}",
                check.status.name(),
                check.name,
                check.found
            )?;
            if let Some(fix) = &check.fix {
                writeln!(out, "         needed: {}", check.needed)?;
                writeln!(out, "         fix:    {fix}")?;
            }
        }
        match &self.verdict {
            Ok(()) => writeln!(out, "\nprobes can be placed"),
            Err(missing) => writeln!(
                out,
                "\nprobes cannot be placed: {missing}\nhelp: {}",
                missing.help()
            ),
        }
    }
}

#[cfg(test)]
mod tests;
