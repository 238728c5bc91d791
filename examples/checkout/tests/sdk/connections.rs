//! Clients that connect and are silent.

use std::io::{ErrorKind, Read};
use std::net::TcpStream;
use std::time::Duration;

use coral_proto::sdk::v1::ListFunctionsRequest;

use crate::checkout::{Checkout, NO_AGENT};

const CONNECTIONS_MAX: usize = 16;

#[tokio::test]
async fn silent_clients_take_neither_the_service_nor_the_application() {
    let checkout = Checkout::start(NO_AGENT, "127.0.0.1:0");
    let mut client = checkout.client().await;
    let silent: Vec<_> = (0..100)
        .map(|_| TcpStream::connect(&checkout.sdk_addr).unwrap())
        .collect();
    // Those within the limit are kept, the others are closed at once.
    for mut refused in silent.iter().skip(CONNECTIONS_MAX - 1) {
        refused
            .set_read_timeout(Some(Duration::from_secs(20)))
            .unwrap();
        match refused.read(&mut [0; 64]) {
            Ok(len) => assert_eq!(len, 0),
            Err(error) => assert_eq!(error.kind(), ErrorKind::ConnectionReset),
        }
    }
    let answer = client
        .list_functions(ListFunctionsRequest::default())
        .await
        .unwrap();
    assert_eq!(answer.into_inner().functions.len(), 1_000);
    assert_eq!(checkout.http("GET /health"), "well\n");

    // The first ones are closed too, after 30 s of silence; then there is room again.
    let mut first = &silent[0];
    first
        .set_read_timeout(Some(Duration::from_secs(60)))
        .unwrap();
    while first.read(&mut [0; 64]).is_ok_and(|len| len > 0) {}
    checkout
        .client()
        .await
        .list_functions(ListFunctionsRequest::default())
        .await
        .unwrap();
}
