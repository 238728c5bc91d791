//! A program that calls functions with known values.
//! `../../README.md` has the protocol; the scenarios know their own counts.

use std::hint::black_box;

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

fn run(name: &str) -> Vec<(&'static str, u32)> {
    match name {
        "values" => {
            black_box(scalars(
                black_box(-5),
                black_box(250),
                black_box(true),
                black_box('x'),
            ));
            black_box(texts(
                black_box("ann"),
                "bob".to_owned(),
                black_box(&[3, 5]),
            ));
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
