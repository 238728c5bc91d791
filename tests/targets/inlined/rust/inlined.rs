//! The same as inlined.c in Rust; tests/inlined.rs knows how often each function is called.

use std::hint::black_box;
use std::sync::atomic::{AtomicU64, Ordering};

static SINK: AtomicU64 = AtomicU64::new(0);

fn sink() -> u64 {
    SINK.load(Ordering::Relaxed)
}

#[inline(always)]
fn mix(mut x: u64) -> u64 {
    x ^= x >> 31;
    x = x.wrapping_mul(0x9e3779b97f4a7c15);
    if x & 1 == 1 {
        x = x.wrapping_add(sink())
    }
    x ^ (x >> 17)
}

#[inline(always)]
fn tiny(x: u64) -> u64 {
    x.wrapping_mul(3) + 1
}

#[inline(never)]
fn straight(x: u64) -> u64 {
    mix(x).wrapping_add(5)
}

#[inline(never)]
fn in_loop(n: u64) -> u64 {
    let mut s = 0u64;
    for i in 0..n {
        s = s.wrapping_add(mix(i))
    }
    s
}

#[inline(never)]
fn twice(x: u64) -> u64 {
    let a = mix(x);
    a.wrapping_add(mix(a.wrapping_add(3)))
}

#[inline(never)]
fn branch(x: u64) -> u64 {
    if x % 3 == 0 { mix(x) } else { x }
}

#[inline(never)]
fn tiny_loop(p: &[u64]) -> u64 {
    let mut s = 0u64;
    for x in p {
        s = s.wrapping_add(tiny(*x))
    }
    s
}

#[inline(never)]
fn unrolled(p: &[u64; 4]) -> u64 {
    let mut s = 0u64;
    for x in p {
        s = s.wrapping_add(mix(*x))
    }
    s
}

fn main() {
    let n: u64 = std::env::args().nth(1).unwrap().parse().unwrap();
    let arr = [n; 10];
    let mut s = 0u64;
    for i in 0..n {
        for v in [
            straight(black_box(i)),
            in_loop(black_box(10)),
            twice(black_box(i)),
            branch(black_box(i)),
            tiny_loop(black_box(&arr)),
            unrolled(black_box(&[i; 4])),
        ] {
            s = s.wrapping_add(black_box(v));
        }
    }
    println!("{s}");
}
