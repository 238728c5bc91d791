//! `coral audit`

use std::process::ExitCode;

use super::arguments::AuditVerifyArguments;
use super::output;
use crate::access::audit;
use crate::failure::Failure;

pub(super) fn verify(arguments: &AuditVerifyArguments) -> Result<ExitCode, Failure> {
    let verified = audit::verify(&arguments.file, arguments.anchor.as_deref())?;
    let anchored = match verified.anchored_records {
        Some(count) => format!("the anchor vouches for the first {count}"),
        None => "without an anchor, records missing at the end would not be noticed".to_owned(),
    };
    let text = format!(
        "{} records, each follows from the one before it; {anchored}\nlast: {}\n",
        verified.records, verified.sha256
    );
    output::print(text.as_bytes())?;
    Ok(ExitCode::SUCCESS)
}
