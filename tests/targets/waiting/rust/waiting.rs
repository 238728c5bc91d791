//! A program whose thread waits where tests/stacks.rs knows.

use std::hint::black_box;
use std::io::Read;

#[inline(always)]
fn take(byte: &mut [u8]) -> usize {
    std::io::stdin().lock().read(byte).unwrap() + 1 // take
}

#[inline(never)]
fn wait_for_input(depth: u32) -> usize {
    if depth == 0 {
        println!("main {}", std::process::id());
        return take(&mut [0]) + 2; // bottom
    }
    black_box(wait_for_input(depth - 1)) + 3 // recurse
}

#[inline(never)]
fn serve(depth: u32) -> usize {
    black_box(wait_for_input(depth)) + 4 // serve
}

fn main() {
    println!("{}", serve(black_box(2))); // main
}
