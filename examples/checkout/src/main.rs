//! A small checkout service that makes itself known to coral: `POST /checkout` checks out a cart,
//! `GET /health` says that it is well, `GET /counts` how often each function was really called.
//!
//! ```text
//! coral-example-checkout [PORT] [AGENT_ADDR] [SDK_LISTEN_ADDR]
//! ```

// The functions carry the names that the documents about coral use, whatever Rust prefers.
#![allow(non_snake_case)]

mod counts;

use std::error::Error;
use std::hint;
use std::io::{self, BufRead, BufReader, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::Arc;
use std::thread;
use std::time::{Duration, Instant};

use coral_sdk::{LogLevel, Options};
use counts::{
    CALL_EXTERNAL_API, CHECK_INVENTORY, HANDLE_CHECKOUT, PROCESS_PAYMENT, SEND_CONFIRMATION,
    VALIDATE_CARD, VALIDATE_CART,
};

const HEAD_BYTES_MAX: u64 = 8 << 10;
const READ_TIME_MAX: Duration = Duration::from_secs(10);

fn main() -> Result<(), Box<dyn Error>> {
    let mut arguments = std::env::args().skip(1);
    let port: u16 = arguments.next().map_or(Ok(8080), |port| port.parse())?;
    let listener = TcpListener::bind(("127.0.0.1", port))?;
    let port = listener.local_addr()?.port();
    make_known(port, arguments)?;
    writeln!(
        io::stdout(),
        "checkout: serving on port {port}, pid {}",
        std::process::id()
    )?;
    let listener = Arc::new(listener);
    let workers = (0..8).map(|_| {
        let listener = Arc::clone(&listener);
        thread::spawn(move || {
            loop {
                // A client that goes away costs its request, never the worker.
                let _ = listener.accept().and_then(|(stream, _)| answer(&stream));
            }
        })
    });
    for worker in workers.collect::<Vec<_>>() {
        let _never_ends = worker.join();
    }
    Ok(())
}

/// All that coral needs from an application.
fn make_known(
    port: u16,
    mut addresses: impl Iterator<Item = String>,
) -> Result<(), coral_sdk::Error> {
    let defaults = Options::default();
    coral_sdk::register_service(
        "checkout",
        Options {
            port,
            health_endpoint: "/health".to_owned(),
            agent_addr: addresses.next().unwrap_or(defaults.agent_addr),
            sdk_listen_addr: addresses.next().unwrap_or(defaults.sdk_listen_addr),
            log_level: LogLevel::Info,
            ..Options::default()
        },
    )?;
    coral_sdk::enable_runtime_monitoring()
}

/// Answers one request; the connection is closed behind it.
fn answer(mut stream: &TcpStream) -> io::Result<()> {
    stream.set_read_timeout(Some(READ_TIME_MAX))?;
    let mut head = BufReader::new(stream).take(HEAD_BYTES_MAX);
    let mut request_line = String::new();
    head.read_line(&mut request_line)?;
    let mut line = String::new();
    while head.read_line(&mut line)? > 2 {
        line.clear();
    }
    let (status, body) = respond(&request_line);
    let len = body.len();
    write!(
        stream,
        "HTTP/1.1 {status}\r\ncontent-length: {len}\r\nconnection: close\r\n\r\n{body}"
    )
}

fn respond(request_line: &str) -> (&'static str, String) {
    let mut words = request_line.split_whitespace();
    match (words.next(), words.next()) {
        (Some("POST"), Some("/checkout")) => match handleCheckout(&Request::default()) {
            Ok(receipt) => ("200 OK", format!("{{\"receipt\":{receipt}}}\n")),
            Err(Declined) => ("402 Payment Required", "declined\n".to_owned()),
        },
        (Some("GET"), Some("/health")) => ("200 OK", "well\n".to_owned()),
        (Some("GET"), Some("/counts")) => ("200 OK", counts::json()),
        _ => (
            "404 Not Found",
            "POST /checkout, GET /health or GET /counts\n".to_owned(),
        ),
    }
}

/// What a customer wants.
struct Request {
    item: u64,
    brand: &'static str,
}

impl Default for Request {
    fn default() -> Self {
        Self {
            item: 42,
            brand: "visa",
        }
    }
}

/// The payment was not accepted.
struct Declined;

#[inline(never)]
fn handleCheckout(request: &Request) -> Result<u64, Declined> {
    HANDLE_CHECKOUT.add();
    let total_cents = validateCart(request);
    let receipt = processPayment(request, total_cents)?;
    sendConfirmation(receipt);
    Ok(receipt)
}

#[inline(never)]
fn validateCart(request: &Request) -> u64 {
    VALIDATE_CART.add();
    spin(Duration::from_micros(30));
    checkInventory(request.item) * 100
}

#[inline(never)]
fn checkInventory(item: u64) -> u64 {
    CHECK_INVENTORY.add();
    spin(Duration::from_micros(80));
    hint::black_box(item)
}

#[inline(never)]
fn processPayment(request: &Request, total_cents: u64) -> Result<u64, Declined> {
    PROCESS_PAYMENT.add();
    if validateCard(request.brand) && callExternalAPI(request.brand) {
        Ok(total_cents)
    } else {
        Err(Declined)
    }
}

#[inline(never)]
fn validateCard(brand: &str) -> bool {
    VALIDATE_CARD.add();
    spin(Duration::from_micros(5));
    hint::black_box(brand).len() > 3
}

#[inline(never)]
fn callExternalAPI(brand: &str) -> bool {
    CALL_EXTERNAL_API.add();
    thread::sleep(Duration::from_millis(5));
    hint::black_box(brand).len() > 3
}

#[inline(never)]
fn sendConfirmation(receipt: u64) -> u64 {
    SEND_CONFIRMATION.add();
    thread::sleep(Duration::from_micros(300));
    hint::black_box(receipt)
}

/// Computes for that long, which sleeping would not do.
fn spin(duration: Duration) {
    let begin = Instant::now();
    while begin.elapsed() < duration {
        hint::spin_loop();
    }
}
