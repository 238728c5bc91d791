//! Functions whose arguments and results are read.
#![allow(dead_code)]

use std::arch::asm;
use std::error::Error;
use std::future::Future;
use std::hint::black_box;
use std::io;
use std::pin::pin;
use std::task::{Context, Poll, Waker};

#[derive(Debug)]
enum StockError {
    Missing(u32),
    Late { days: u64 },
}

#[derive(Clone, Copy)]
enum Level {
    Low,
    High,
}

struct Order {
    id: u64,
    user: String,
}

#[derive(Clone, Copy)]
struct Point {
    x: i32,
    y: i32,
}

struct Unit;

#[inline(never)]
fn integers(a: i32, b: u8, c: i64, d: bool, e: char, f: usize, g: u16, h: i8) -> i64 {
    black_box(
        i64::from(a)
            + i64::from(b)
            + c
            + i64::from(d)
            + e as i64
            + f as i64
            + i64::from(g)
            + i64::from(h),
    )
}

#[inline(never)]
fn texts<'a>(name: &'a str, owned: String, borrowed: &String, ids: &[u32]) -> &'a str {
    black_box((&owned, borrowed, ids));
    black_box(name)
}

#[inline(never)]
fn text_result(count: usize) -> String {
    "x".repeat(black_box(count))
}

#[inline(never)]
fn references(
    order: &Order,
    level: Level,
    maybe: Option<&Order>,
    number: Option<u64>,
    _unit: Unit,
    point: Point,
) -> Option<u64> {
    black_box((
        order.id,
        level as u8,
        maybe.map(|order| order.id),
        point.x + point.y,
    ));
    black_box(number)
}

#[inline(never)]
fn floats(a: f64, b: u32, c: f32) -> f64 {
    black_box(a + f64::from(b) + f64::from(c))
}

impl Order {
    #[inline(never)]
    fn total(&self, factor: u64) -> u64 {
        black_box(self.id * factor)
    }

    #[inline(never)]
    fn close(self, id: u64) -> Order {
        black_box(Order { id, ..self })
    }
}

#[inline(never)]
fn stock_u64(fail: bool) -> Result<u64, StockError> {
    if black_box(fail) {
        Err(StockError::Missing(1))
    } else {
        Ok(7)
    }
}

#[inline(never)]
fn stock_dyn(fail: bool) -> Result<(), Box<dyn Error>> {
    if black_box(fail) {
        Err("none".into())
    } else {
        Ok(())
    }
}

#[inline(never)]
fn stock_text(fail: bool) -> Result<String, StockError> {
    if black_box(fail) {
        Err(StockError::Late { days: 3 })
    } else {
        Ok(String::from("seven"))
    }
}

#[inline(never)]
fn stock_small(fail: bool) -> Result<u32, u8> {
    if black_box(fail) { Err(9) } else { Ok(7) }
}

#[inline(never)]
fn stock_io(fail: bool) -> io::Result<()> {
    if black_box(fail) {
        Err(io::ErrorKind::NotFound.into())
    } else {
        Ok(())
    }
}

#[inline(never)]
fn stock_float(fail: bool) -> Result<f64, f64> {
    if black_box(fail) { Err(9.0) } else { Ok(7.0) }
}

#[inline(never)]
fn stock_unit(fail: bool) -> Result<(), Unit> {
    if black_box(fail) { Err(Unit) } else { Ok(()) }
}

#[inline(never)]
fn stock_reference(fail: bool) -> Result<&'static str, u16> {
    if black_box(fail) { Err(9) } else { Ok("seven") }
}

#[inline(never)]
fn stock_never(value: u64) -> Result<u64, std::convert::Infallible> {
    Ok(black_box(value))
}

#[inline(never)]
#[unsafe(no_mangle)]
extern "C" fn foreign(a: u32, b: Point, c: *const u8) -> Point {
    black_box((a, c));
    black_box(b)
}

struct Yield(bool);

impl Future for Yield {
    type Output = ();
    fn poll(mut self: std::pin::Pin<&mut Self>, _: &mut Context<'_>) -> Poll<()> {
        if std::mem::replace(&mut self.0, true) {
            Poll::Ready(())
        } else {
            Poll::Pending
        }
    }
}

async fn waits(count: u64) -> u64 {
    let kept = black_box(count);
    Yield(false).await;
    Yield(false).await;
    black_box(kept) + 1
}

async fn names(count: u64) -> Result<String, u8> {
    Yield(false).await;
    Ok(black_box("x").repeat(black_box(count as usize)))
}

/// Calls a function with `fail` and prints what it returns in RAX and RDX, and in memory if that
/// is where its result goes.
fn observe(name: &str, in_memory: bool, fail: bool) {
    let function = match name {
        "stock_u64" => stock_u64 as fn(bool) -> _ as usize,
        "stock_dyn" => stock_dyn as fn(bool) -> _ as usize,
        "stock_text" => stock_text as fn(bool) -> _ as usize,
        "stock_small" => stock_small as fn(bool) -> _ as usize,
        "stock_io" => stock_io as fn(bool) -> _ as usize,
        "stock_float" => stock_float as fn(bool) -> _ as usize,
        "stock_unit" => stock_unit as fn(bool) -> _ as usize,
        "stock_reference" => stock_reference as fn(bool) -> _ as usize,
        _ => panic!("no {name}"),
    };
    let mut memory = [0_u64; 8];
    let address = memory.as_mut_ptr() as u64;
    let arguments = if in_memory {
        [address, u64::from(fail)]
    } else {
        [u64::from(fail), 0]
    };
    let (rax, rdx): (u64, u64);
    // SAFETY: the function takes its argument from one of these registers, and writes no more
    // than its result to the memory.
    unsafe {
        asm!(
            "call {function}",
            function = in(reg) function,
            inout("rdi") arguments[0] => _,
            inout("rsi") arguments[1] => _,
            out("rax") rax,
            out("rdx") rdx,
            clobber_abi("C"),
        );
    }
    let words = if in_memory {
        assert_eq!(rax, address);
        memory
    } else {
        [0; 8]
    };
    println!("{rax} {rdx} {} {} {}", words[0], words[1], words[2]);
}

fn main() {
    let words: Vec<String> = std::env::args().collect();
    if let [_, name, place, outcome] = &words[..] {
        return observe(name, place == "memory", outcome == "err");
    }
    let fail = std::env::args().count() > 1;
    let order = Order {
        id: 3,
        user: "u".into(),
    };
    integers(-1, 2, 3, true, 'x', 5, 6, 7);
    texts("name", "owned".into(), &order.user, &[1, 2, 3]);
    text_result(3);
    references(
        &order,
        if fail { Level::High } else { Level::Low },
        Some(&order),
        Some(9),
        Unit,
        Point { x: 1, y: 2 },
    );
    floats(1.0, 2, 3.0);
    order.total(2);
    black_box(order.close(4).user);
    for fail in [false, true] {
        let _ = black_box(stock_u64(fail));
        let _ = black_box(stock_dyn(fail).is_ok());
        let _ = black_box(stock_text(fail));
        let _ = black_box(stock_small(fail));
        let _ = black_box(stock_io(fail).is_ok());
        let _ = black_box(stock_float(fail));
        let _ = black_box(stock_unit(fail).is_ok());
        let _ = black_box(stock_reference(fail));
    }
    let _ = black_box(stock_never(3));
    foreign(1, Point { x: 1, y: 2 }, std::ptr::null());
    let mut named = pin!(names(5));
    let mut future = pin!(waits(5));
    let mut context = Context::from_waker(Waker::noop());
    while future.as_mut().poll(&mut context).is_pending() {}
    while named.as_mut().poll(&mut context).is_pending() {}
}
