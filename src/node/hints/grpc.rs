//! Applications that link the SDK, over `coral.sdk.v1`.

use std::time::Duration;

use coral_proto::MESSAGE_BYTES_MAX;
use coral_proto::convert::duration_to_wire;
use coral_proto::sdk::v1::runtime_monitoring_client::RuntimeMonitoringClient;
use coral_proto::sdk::v1::{ListFunctionsRequest, NotifyDebugSessionRequest};
use tonic::Status;

use super::{HintError, Told};
use crate::access::{AuthorizedChannel, Endpoint, connect};

/// Functions that are asked for at a time.
const PAGE_FUNCTIONS: u32 = 5_000;
/// An application is told of so many of its functions.
const NOTIFIED_MAX: usize = 20;

/// A session, for an application's log.
#[derive(Clone, Debug)]
pub(in crate::node) struct Notice {
    pub(in crate::node) session_id: String,
    pub(in crate::node) functions: Vec<String>,
    pub(in crate::node) duration: Duration,
}

/// Reads an application's list.
pub(super) async fn ask(address: &str) -> Result<Told, HintError> {
    let mut client = client(address).await?;
    let mut told = Told::default();
    let mut page_token = String::new();
    loop {
        let request = ListFunctionsRequest {
            page_size: PAGE_FUNCTIONS,
            page_token: page_token.clone(),
            ..ListFunctionsRequest::default()
        };
        let answer = client
            .list_functions(request)
            .await
            .map_err(|status| refusal(&status))?;
        let page = answer.into_inner();
        told.build_id = page.binary.unwrap_or_default().build_id;
        // A page without functions is one that brings nothing nearer to the end.
        let brings_nothing = page.functions.is_empty();
        for function in page.functions {
            told.add(function.name, function.offset)?;
        }
        if page.next_page_token.is_empty() {
            return Ok(told);
        }
        if brings_nothing || page.next_page_token == page_token {
            return Err(HintError::Wrong("its pages lead nowhere".into()));
        }
        page_token = page.next_page_token;
    }
}

/// Tells an application of a session.
pub(super) async fn notify(address: &str, notice: Notice) -> Result<(), HintError> {
    let mut client = client(address).await?;
    for function_name in notice.functions.into_iter().take(NOTIFIED_MAX) {
        let request = NotifyDebugSessionRequest {
            session_id: notice.session_id.clone(),
            function_name,
            duration: Some(duration_to_wire(notice.duration)),
        };
        let told = client.notify_debug_session(request).await;
        told.map_err(|status| refusal(&status))?;
    }
    Ok(())
}

async fn client(address: &str) -> Result<RuntimeMonitoringClient<AuthorizedChannel>, HintError> {
    let unreachable = |error: &dyn std::error::Error| HintError::NoAnswer(error.to_string());
    let endpoint: Endpoint = address.parse().map_err(|error| unreachable(&error))?;
    if !endpoint.is_local() {
        return Err(HintError::Wrong("its address is not on this node".into()));
    }
    let channel = connect(&endpoint, None, None)
        .await
        .map_err(|error| unreachable(&error))?;
    Ok(RuntimeMonitoringClient::new(channel).max_decoding_message_size(MESSAGE_BYTES_MAX))
}

fn refusal(status: &Status) -> HintError {
    HintError::NoAnswer(format!("{:?}: {}", status.code(), status.message()))
}
