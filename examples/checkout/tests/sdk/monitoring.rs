//! What the agent may ask, and that the answers are true.

use std::collections::BTreeSet;
use std::fs;
use std::process::Command;

use coral_proto::sdk::v1::runtime_monitoring_client::RuntimeMonitoringClient;
use coral_proto::sdk::v1::{
    FunctionInfo, GetFunctionOffsetRequest, ListFunctionsRequest, ListFunctionsResponse,
    NotifyDebugSessionRequest,
};
use tonic::transport::Channel;
use tonic::{Code, Status};

use crate::checkout::{Checkout, NO_AGENT};
use crate::truth::Truth;

const FREE_PORT: &str = "127.0.0.1:0";
const FUNCTIONS: [&str; 7] = [
    "handleCheckout",
    "validateCart",
    "checkInventory",
    "processPayment",
    "validateCard",
    "callExternalAPI",
    "sendConfirmation",
];

#[tokio::test]
async fn offsets_are_those_of_the_file_and_lines_those_of_the_source() {
    let checkout = Checkout::start(NO_AGENT, FREE_PORT);
    let truth = Truth::read(&checkout.exe);
    let source = include_str!("../../src/main.rs");
    let mut client = checkout.client().await;
    for function in FUNCTIONS {
        let name = format!("coral_example_checkout::{function}");
        let answer = offset(&mut client, &name).await.unwrap();
        assert_eq!(
            answer,
            Some(truth.offset_of(&format!("{}{function}", function.len()))),
            "{name}"
        );
        let found = list(&mut client, &format!("::{function}$"), 0, "")
            .await
            .unwrap()
            .functions;
        let [found] = &found[..] else {
            panic!("{function}: {found:?}")
        };
        assert_eq!(found.name, name);
        assert_eq!(Some(found.offset), answer);
        assert!(found.size_bytes > 0);
        assert!(
            found.file.ends_with("examples/checkout/src/main.rs"),
            "{}",
            found.file
        );
        let start = format!("fn {function}(");
        let line = source
            .lines()
            .position(|line| line.starts_with(&start))
            .unwrap()
            + 1;
        assert_eq!(found.line as usize, line, "{function}");
    }
    assert_eq!(
        offset(&mut client, "handleCheckout").await.unwrap(),
        None,
        "a part of a name"
    );
    let binary = list(&mut client, "", 1, "").await.unwrap().binary.unwrap();
    assert_eq!(
        (binary.pid, binary.build_id),
        (checkout.pid(), truth.build_id)
    );
    assert_eq!(binary.path, checkout.exe.to_str().unwrap());
}

#[tokio::test]
async fn pages_add_up_to_all_functions_without_doubles() {
    let checkout = Checkout::start(NO_AGENT, FREE_PORT);
    let mut client = checkout.client().await;
    for page_size in [37, 0, u32::MAX] {
        let all = list_all(&mut client, page_size).await;
        let distinct: BTreeSet<(&str, u64)> =
            all.iter().map(|info| (&*info.name, info.offset)).collect();
        assert_eq!(distinct.len(), all.len());
        let offsets: BTreeSet<u64> = all.iter().map(|info| info.offset).collect();
        let truth: BTreeSet<u64> = Truth::read(&checkout.exe).names.into_keys().collect();
        assert_eq!(offsets, truth);
    }
}

#[tokio::test]
async fn hostile_questions_are_refused() {
    let checkout = Checkout::start(NO_AGENT, FREE_PORT);
    let mut client = checkout.client().await;
    let long = "a".repeat(5_000);
    let deep = "(".repeat(1_000) + &")".repeat(1_000);
    for pattern in [
        "(",
        r"(\w{1000}){1000}",
        "a{4294967295}",
        &long,
        &deep,
        "\u{1b}[",
        r"(?=look)",
    ] {
        let refused = list(&mut client, pattern, 0, "").await.unwrap_err();
        assert_eq!(
            refused.code(),
            Code::InvalidArgument,
            "{pattern:.20}: {refused}"
        );
        assert!(
            !refused.message().contains(char::is_control),
            "{:?}",
            refused.message()
        );
    }
    for token in ["x", "-1", "999999999999", "1e3"] {
        let refused = list(&mut client, "", 0, token).await.unwrap_err();
        assert_eq!(refused.code(), Code::InvalidArgument, "{token}");
    }
    let refused = offset(&mut client, &"a".repeat(1 << 20)).await.unwrap_err();
    assert_eq!(refused.code(), Code::OutOfRange, "{refused}");
    // Linear in the length of what is searched, whatever the pattern.
    assert!(list(&mut client, "(a*)*(a*)*b$", 10, "").await.is_ok());
}

#[tokio::test]
async fn a_unix_socket_answers_too() {
    let folder = tempfile::tempdir().unwrap();
    let address = format!("unix:{}", folder.path().join("sdk.sock").display());
    let checkout = Checkout::start(NO_AGENT, &address);
    assert_eq!(checkout.sdk_addr, address);
    let mut client = checkout.client().await;
    assert!(
        offset(&mut client, "coral_example_checkout::handleCheckout")
            .await
            .unwrap()
            .is_some()
    );
}

#[tokio::test]
async fn a_refresh_after_the_file_was_replaced_still_tells_of_the_program_that_runs() {
    let folder = tempfile::tempdir().unwrap();
    let [exe, next] = ["checkout", "next"].map(|name| folder.path().join(name));
    fs::copy(env!("CARGO_BIN_EXE_coral-example-checkout"), &exe).unwrap();
    let checkout = Checkout::start_from(&exe, NO_AGENT, FREE_PORT);
    let mut client = checkout.client().await;
    let before = list(&mut client, "", 0, "").await.unwrap();
    fs::write(&next, "not a program at all").unwrap();
    fs::rename(&next, &exe).unwrap();
    let pid = checkout.pid().to_string();
    assert!(
        Command::new("kill")
            .args(["-HUP", &pid])
            .status()
            .unwrap()
            .success()
    );
    checkout.wait_for("INFO refreshed");
    assert_eq!(list(&mut client, "", 0, "").await.unwrap(), before);
    checkout.wait_for("INFO found");
}

#[tokio::test]
async fn a_session_is_logged_on_one_line() {
    let checkout = Checkout::start(NO_AGENT, FREE_PORT);
    let request = NotifyDebugSessionRequest {
        session_id: "dbg-1".to_owned(),
        function_name: "a\u{1b}[2J\nb".to_owned(),
        duration: Some(prost_types::Duration {
            seconds: 60,
            nanos: 0,
        }),
    };
    checkout
        .client()
        .await
        .notify_debug_session(request)
        .await
        .unwrap();
    let line = checkout.wait_for("INFO session ");
    assert_eq!(line, r#""dbg-1" measures "a\u{1b}[2J\nb" for 60 s"#);
}

#[tokio::test]
async fn the_example_tells_what_it_called() {
    let checkout = Checkout::start(NO_AGENT, FREE_PORT);
    for _ in 0..3 {
        assert_eq!(checkout.http("POST /checkout"), "{\"receipt\":4200}\n");
    }
    let counts = FUNCTIONS
        .map(|function| format!("\"{function}\":3"))
        .join(",");
    assert_eq!(checkout.http("GET /counts"), format!("{{{counts}}}\n"));
}

async fn list(
    client: &mut RuntimeMonitoringClient<Channel>,
    pattern: &str,
    page_size: u32,
    page_token: &str,
) -> Result<ListFunctionsResponse, Status> {
    let request = ListFunctionsRequest {
        pattern: pattern.to_owned(),
        page_size,
        page_token: page_token.to_owned(),
    };
    client
        .list_functions(request)
        .await
        .map(tonic::Response::into_inner)
}

async fn list_all(
    client: &mut RuntimeMonitoringClient<Channel>,
    page_size: u32,
) -> Vec<FunctionInfo> {
    let mut all = Vec::new();
    let mut token = String::new();
    loop {
        let page = list(client, "", page_size, &token).await.unwrap();
        let len_max = match page_size {
            0 => 1_000,
            page_size => page_size.min(10_000),
        };
        assert!(page.functions.len() <= len_max as usize);
        all.extend(page.functions);
        token = page.next_page_token;
        if token.is_empty() {
            return all;
        }
    }
}

async fn offset(
    client: &mut RuntimeMonitoringClient<Channel>,
    name: &str,
) -> Result<Option<u64>, Status> {
    let request = GetFunctionOffsetRequest {
        function_name: name.to_owned(),
    };
    let answer = client.get_function_offset(request).await?.into_inner();
    Ok(answer.found.then_some(answer.offset))
}
