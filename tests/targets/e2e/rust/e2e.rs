//! A program that calls functions with known values and polls futures with its own executor.
//! `../../README.md` has the protocol; the scenarios know their own counts.

use std::future::Future;
use std::hint::black_box;
use std::pin::Pin;
use std::task::{Context, Poll, Waker};

pub enum StockError {
    Missing(u32),
    Late { days: u64 },
}

#[inline(never)]
pub fn scalars(debt: i64, level: u8, paid: bool, letter: char) -> i64 {
    black_box((level, paid, letter));
    black_box(debt) - 1
}

#[inline(never)]
pub fn texts(name: &str, owned: String, codes: &[u32]) -> String {
    black_box((name, codes));
    black_box(owned)
}

#[inline(never)]
pub fn stock(amount: u64) -> Result<u64, StockError> {
    match black_box(amount) % 4 {
        0 => Err(StockError::Missing(7)),
        1 => Err(StockError::Late { days: amount }),
        _ => Ok(amount),
    }
}

#[inline(never)]
pub fn boxed(amount: u64) -> Result<(), Box<dyn std::error::Error>> {
    if black_box(amount) % 5 == 0 {
        Err("none".into())
    } else {
        Ok(())
    }
}

#[inline(never)]
pub fn named(amount: u64) -> Result<String, u8> {
    if black_box(amount) % 2 == 0 {
        Err(9)
    } else {
        Ok("x".repeat(black_box(3)))
    }
}

#[inline(never)]
pub fn pay(amount: i64, user: &str) -> i64 {
    black_box(user);
    black_box(amount)
}

/// Is pending as often as it says.
struct Pending(u32);

impl Future for Pending {
    type Output = ();

    fn poll(mut self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<()> {
        match self.0.checked_sub(1) {
            Some(left) => {
                self.0 = left;
                Poll::Pending
            }
            None => Poll::Ready(()),
        }
    }
}

pub async fn waits(times: u32) -> u32 {
    let kept = black_box(times);
    Pending(times).await;
    black_box(kept) + 1
}

/// Polls a future to its end or so many times; how often it was polled.
fn drive(mut future: Pin<Box<dyn Future<Output = u32>>>, polls_max: u32) -> u32 {
    let mut context = Context::from_waker(Waker::noop());
    let mut polls = 0;
    while polls < polls_max {
        polls += 1;
        if future.as_mut().poll(&mut context).is_ready() {
            break;
        }
    }
    polls
}

fn run(name: &str) -> Vec<(&'static str, u32)> {
    match name {
        "values" => {
            scalars(black_box(-5), black_box(250), black_box(true), black_box('x'));
            black_box(texts("ann", "bob".to_owned(), &[3, 5]));
            vec![("scalars", 1), ("texts", 1)]
        }
        "errors" => {
            for amount in 0..20 {
                let _ = black_box(stock(amount));
                let _ = black_box(boxed(amount));
                let _ = black_box(named(amount));
            }
            vec![("stock", 20), ("boxed", 20), ("named", 20)]
        }
        "pay" => {
            for i in 0..60 {
                pay(185 + i % 10, ["u_0", "u_1", "u_2"][i as usize % 3]);
            }
            vec![("pay", 60)]
        }
        // Completed after 1, 2, 3, ... polls; two that are dropped before their end, each
        // followed by one at the same place.
        "futures" => {
            let mut polls = 0;
            for times in 0..6 {
                polls += drive(Box::pin(waits(times)), u32::MAX);
            }
            for _ in 0..2 {
                polls += drive(Box::pin(waits(9)), 3);
                polls += drive(Box::pin(waits(1)), u32::MAX);
            }
            vec![("polls", polls)]
        }
        _ => panic!("no scenario is called {name}"),
    }
}

fn main() {
    println!("ready");
    for line in std::io::stdin().lines().map_while(Result::ok) {
        let Some(name) = line.strip_prefix("run ") else {
            return;
        };
        let functions: Vec<String> = run(name)
            .iter()
            .map(|(name, n)| format!(r#""{name}":{{"calls":{n},"returns":{n},"unwound":0}}"#))
            .collect();
        let functions = functions.join(",");
        println!(r#"{{"scenario":"{name}","functions":{{{functions}}},"checksum":""}}"#);
    }
}
