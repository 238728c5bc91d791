//! `coral approvals`: the word of a second person.

use std::process::ExitCode;

use coral_model::escape;
use coral_proto::colony::v1::{Approval, DecideApprovalRequest, ListApprovalsRequest};

use super::arguments::{ApprovalsCommand, DecideArguments};
use super::history::connect;
use super::output::{self, say};
use super::remote::runtime;
use crate::connection::ConnectionArguments;
use crate::failure::Failure;
use crate::source::remote::RemoteError;

pub(super) fn perform(command: &ApprovalsCommand) -> Result<ExitCode, Failure> {
    match command {
        ApprovalsCommand::List { connection } => list(connection),
        ApprovalsCommand::Grant(arguments) => decide(arguments, true),
        ApprovalsCommand::Refuse(arguments) => decide(arguments, false),
    }
}

fn list(connection: &ConnectionArguments) -> Result<ExitCode, Failure> {
    let approvals = runtime()?.block_on(async {
        let mut colony = connect(connection).await?;
        let answer = colony.list_approvals(ListApprovalsRequest {}).await;
        Ok::<_, Failure>(answer.map_err(RemoteError::from)?.into_inner().approvals)
    })?;
    output::print(table(&approvals).as_bytes())?;
    Ok(ExitCode::SUCCESS)
}

fn decide(arguments: &DecideArguments, is_granted: bool) -> Result<ExitCode, Failure> {
    let request = DecideApprovalRequest {
        approval_id: arguments.id.clone(),
        is_granted,
    };
    let decided = runtime()?.block_on(async {
        let mut colony = connect(&arguments.connection).await?;
        let answer = colony.decide_approval(request).await;
        Ok::<_, Failure>(answer.map_err(RemoteError::from)?.into_inner().approval)
    })?;
    let decided = decided.unwrap_or_default();
    say!("{}: {}", escape(&decided.status), line(&decided));
    Ok(ExitCode::SUCCESS)
}

fn table(approvals: &[Approval]) -> String {
    if approvals.is_empty() {
        return "Nothing waits.\n".to_owned();
    }
    let lines = approvals.iter();
    lines
        .map(|it| format!("{:<9} {}\n", escape(&it.status), line(it)))
        .collect()
}

fn line(approval: &Approval) -> String {
    let functions = approval.functions.join(", ");
    let seconds = approval.duration.as_ref().map_or(0, |it| it.seconds);
    let values = match approval.capture {
        true => ", with values",
        false => "",
    };
    let filter = match &*approval.filter {
        "" => String::new(),
        filter => format!(", filter {}", escape(filter)),
    };
    format!(
        "{} {} asks for {} of {} for {seconds}s{values}{filter}",
        escape(&approval.approval_id),
        escape(&approval.requested_by),
        escape(&functions),
        escape(&approval.service_name),
    )
}
