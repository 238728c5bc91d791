//! The sample service that `coral-tui --demo` watches: a checkout whose latencies are worth a look.
//!
//! It drives itself with about 200 requests a second. Planted in it: a card brand that is slow, an
//! inventory with a cache, payments that are declined, and carts that make it panic. It ends when
//! its standard input is closed, and then prints how often each function was really called.

// The functions carry the names that the documents about coral use, whatever Rust prefers.
#![allow(non_snake_case)]

use std::io::{Read, Write};
use std::panic::{catch_unwind, set_hook};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering::Relaxed};
use std::thread::{self, Scope};
use std::time::{Duration, Instant};
use std::{fs, hint, io, process};

const WORKERS: u32 = 16;
const REQUESTS_PER_S: u32 = 200;

fn main() -> io::Result<()> {
    // Run from a file without a name, the process would be called by a number.
    fs::write("/proc/self/comm", "checkout")?;
    // The panics are planted: one on the screen each half second helps nobody.
    set_hook(Box::new(|_| {}));
    let is_over = AtomicBool::new(false);
    thread::scope(|scope| {
        let ended = serve_until_closed(scope, &is_over);
        is_over.store(true, Relaxed);
        ended
    })?;
    writeln!(io::stdout(), "{}", truth())
}

fn serve_until_closed<'s>(scope: &'s Scope<'s, '_>, is_over: &'s AtomicBool) -> io::Result<()> {
    for worker in 0..WORKERS {
        thread::Builder::new()
            .name(format!("worker-{worker}"))
            .spawn_scoped(scope, move || work(worker, is_over))?;
    }
    writeln!(io::stdout(), "checkout: serving, pid {}", process::id())?;
    io::stdin().read_to_end(&mut Vec::new()).map(drop)
}

/// One of the workers: a request at a time, at its share of the rate.
fn work(worker: u32, is_over: &AtomicBool) {
    let mut random = Random(worker.into());
    let mut next = Instant::now();
    while !is_over.load(Relaxed) {
        // Between nothing and twice the mean, so that workers do not march in step.
        next += Duration::from_secs(2).mul_f64(random.share()) * WORKERS / REQUESTS_PER_S;
        thread::sleep(next.saturating_duration_since(Instant::now()));
        let request = Request::new(&mut random);
        // A panic costs its request, never its worker.
        let _ = hint::black_box(catch_unwind(|| handleCheckout(&request)));
    }
}

#[inline(never)]
fn handleCheckout(request: &Request) -> Result<u64, Declined> {
    let call = HANDLE_CHECKOUT.enter();
    let total_cents = validateCart(request);
    let receipt = processPayment(request, total_cents).map_err(|declined| call.failed(declined))?;
    sendConfirmation(receipt);
    Ok(receipt)
}

#[inline(never)]
fn validateCart(request: &Request) -> u64 {
    let _call = VALIDATE_CART.enter();
    spin(Duration::from_micros(30));
    checkInventory(request.item, request.is_cached);
    assert!(
        !request.is_cart_broken,
        "the cart holds a negative quantity"
    );
    request.item * 100
}

#[inline(never)]
fn checkInventory(item: u64, is_cached: bool) -> u64 {
    let _call = CHECK_INVENTORY.enter();
    if is_cached {
        spin(Duration::from_micros(80));
    } else {
        thread::sleep(Duration::from_millis(2));
    }
    hint::black_box(item)
}

#[inline(never)]
fn processPayment(request: &Request, total_cents: u64) -> Result<u64, Declined> {
    let call = PROCESS_PAYMENT.enter();
    validateCard(request.brand);
    if callExternalAPI(request.brand, request.api_duration) && !request.is_declined {
        Ok(total_cents)
    } else {
        Err(call.failed(Declined))
    }
}

#[inline(never)]
fn validateCard(brand: &str) -> bool {
    let _call = VALIDATE_CARD.enter();
    spin(Duration::from_micros(5));
    hint::black_box(brand).len() > 3
}

#[inline(never)]
fn callExternalAPI(brand: &str, duration: Duration) -> bool {
    let _call = CALL_EXTERNAL_API.enter();
    thread::sleep(duration);
    hint::black_box(brand).len() > 3
}

#[inline(never)]
fn sendConfirmation(receipt: u64) -> u64 {
    let _call = SEND_CONFIRMATION.enter();
    thread::sleep(Duration::from_micros(300));
    hint::black_box(receipt)
}

/// The payment was not accepted.
struct Declined;

/// What a customer wants, and what will come of it.
struct Request {
    item: u64,
    brand: &'static str,
    is_cached: bool,
    is_cart_broken: bool,
    is_declined: bool,
    api_duration: Duration,
}

impl Request {
    fn new(random: &mut Random) -> Self {
        let brand = match random.share() {
            0.0..0.5 => "visa",
            0.5..0.85 => "mastercard",
            0.85..0.94 => "maestro",
            _ => "amex",
        };
        let api_duration = if brand == "amex" {
            Duration::from_millis(180).mul_f64(1.0 + random.share() * 1.22)
        } else {
            Duration::from_millis(12).mul_f64((random.normal() * 0.25).exp())
        };
        Self {
            item: random.next() % 1_000,
            brand,
            is_cached: random.share() < 0.7,
            is_cart_broken: random.share() < 0.01,
            is_declined: random.share() < 0.03,
            api_duration,
        }
    }
}

/// Pseudo-random numbers, the same in every run (the generator is SplitMix64).
struct Random(u64);

impl Random {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mixed = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }

    /// From 0 up to 1, without 1.
    fn share(&mut self) -> f64 {
        (self.next() >> 11) as f64 / (1u64 << 53) as f64
    }

    /// Around 0 with a standard deviation of 1: twelve shares are normal enough.
    fn normal(&mut self) -> f64 {
        (0..12).map(|_| self.share()).sum::<f64>() - 6.0
    }
}

/// Computes for that long, which sleeping would not do.
fn spin(duration: Duration) {
    let begin = Instant::now();
    while begin.elapsed() < duration {
        hint::spin_loop();
    }
}

static HANDLE_CHECKOUT: Count = Count::new();
static VALIDATE_CART: Count = Count::new();
static CHECK_INVENTORY: Count = Count::new();
static PROCESS_PAYMENT: Count = Count::new();
static VALIDATE_CARD: Count = Count::new();
static CALL_EXTERNAL_API: Count = Count::new();
static SEND_CONFIRMATION: Count = Count::new();

/// How often each function was called, as JSON: what a measurement must find.
fn truth() -> String {
    let counts = [
        ("handleCheckout", &HANDLE_CHECKOUT),
        ("validateCart", &VALIDATE_CART),
        ("checkInventory", &CHECK_INVENTORY),
        ("processPayment", &PROCESS_PAYMENT),
        ("validateCard", &VALIDATE_CARD),
        ("callExternalAPI", &CALL_EXTERNAL_API),
        ("sendConfirmation", &SEND_CONFIRMATION),
    ];
    let fields: Vec<String> = counts
        .iter()
        .map(|(name, count)| format!("\"{name}\":{}", count.json()))
        .collect();
    format!("{{{}}}", fields.join(","))
}

/// What became of the calls of one function.
struct Count {
    calls: AtomicU64,
    returns: AtomicU64,
    unwound: AtomicU64,
    errors: AtomicU64,
}

impl Count {
    const fn new() -> Self {
        Self {
            calls: AtomicU64::new(0),
            returns: AtomicU64::new(0),
            unwound: AtomicU64::new(0),
            errors: AtomicU64::new(0),
        }
    }

    fn enter(&self) -> Call<'_> {
        self.calls.fetch_add(1, Relaxed);
        Call(self)
    }

    fn json(&self) -> String {
        format!(
            "{{\"calls\":{},\"returns\":{},\"unwound\":{},\"errors\":{}}}",
            self.calls.load(Relaxed),
            self.returns.load(Relaxed),
            self.unwound.load(Relaxed),
            self.errors.load(Relaxed),
        )
    }
}

/// A call that is running.
struct Call<'a>(&'a Count);

impl Call<'_> {
    fn failed(&self, declined: Declined) -> Declined {
        self.0.errors.fetch_add(1, Relaxed);
        declined
    }
}

impl Drop for Call<'_> {
    fn drop(&mut self) {
        let way = if thread::panicking() {
            &self.0.unwound
        } else {
            &self.0.returns
        };
        way.fetch_add(1, Relaxed);
    }
}
