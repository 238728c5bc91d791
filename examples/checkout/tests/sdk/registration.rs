//! The application makes itself known, whatever becomes of the agent.

use std::net::SocketAddr;

use tokio::io::AsyncWriteExt;
use tokio::net::TcpListener;

use crate::agent::Agent;
use crate::checkout::Checkout;
use crate::truth::Truth;

const LOOPBACK: SocketAddr =
    SocketAddr::new(std::net::IpAddr::V4(std::net::Ipv4Addr::LOCALHOST), 0);
const FREE_PORT: &str = "127.0.0.1:0";

#[tokio::test(flavor = "multi_thread")]
async fn it_registers_and_again_before_the_lease_ends_and_after_a_restart() {
    let mut agent = Agent::start(LOOPBACK).await;
    let address = agent.address;
    let checkout = Checkout::start(&address.to_string(), FREE_PORT);
    let mut request = agent.registration().await;
    while request.sdk_listen_addr.is_empty() {
        request = agent.registration().await;
    }
    assert_eq!(request.name, "checkout");
    assert_eq!(request.pid, checkout.pid());
    assert_eq!(request.port, u32::from(checkout.port));
    assert_eq!(request.health_endpoint, "/health");
    assert_eq!(request.sdk_listen_addr, checkout.sdk_addr);
    assert_eq!(request.build_id, Truth::read(&checkout.exe).build_id);
    assert_eq!(agent.registration().await, request, "before the lease ends");

    agent.stop().await;
    checkout.wait_for("WARN cannot register");
    let mut agent = Agent::start(address).await;
    assert_eq!(
        agent.registration().await,
        request,
        "with the agent that was started anew"
    );
    checkout.wait_for("INFO registered");
}

#[tokio::test(flavor = "multi_thread")]
async fn an_agent_that_hangs_or_talks_nonsense_harms_nobody() {
    let listener = TcpListener::bind(LOOPBACK).await.unwrap();
    let address = listener.local_addr().unwrap();
    let checkout = Checkout::start(&address.to_string(), FREE_PORT);

    let (hanging, _) = listener.accept().await.unwrap();
    assert_eq!(checkout.http("GET /health"), "well\n");
    assert_eq!(
        checkout
            .wait_for("WARN cannot register")
            .split_once(": ")
            .unwrap()
            .1,
        "no answer within 5 s; trying again"
    );
    drop(hanging);

    let (mut nonsense, _) = listener.accept().await.unwrap();
    // What it does with this is its own affair; it may have closed the connection already.
    let _ = nonsense
        .write_all(&b"HTTP/1.0 200 \x1b[2J\r\n\r\n".repeat(1000))
        .await;
    drop(nonsense);
    drop(listener.accept().await.unwrap());
    assert_eq!(checkout.http("GET /health"), "well\n");

    drop(listener);
    let mut agent = Agent::start(address).await;
    assert_eq!(agent.registration().await.pid, checkout.pid());
}
