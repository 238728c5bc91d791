//! A program that knows the truth about its own calls. `tests/targets/README.md` has the protocol.

mod results;
mod truth;
mod waiting;

use std::hint::black_box;
use std::io::{BufRead, Write};
use std::ops::Add;
use std::panic::{catch_unwind, panic_any};
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

use truth::{Count, Scenario};

fn mix(sum: u64, value: u64) -> u64 {
    (sum ^ value)
        .wrapping_mul(0x9e37_79b9_7f4a_7c15)
        .wrapping_add(1)
}

fn sum_of(n: u64, step: impl Fn(u64) -> u64) -> u64 {
    (0..n).fold(0, |sum, i| mix(sum, step(i)))
}

// plain: a function that calls another.
static PLAIN_STEP: Count = Count::new("target::plain_step");
#[inline(never)]
fn plain_step(x: u64) -> u64 {
    let call = PLAIN_STEP.enter();
    call.leave((0..8).fold(x, |sum, i| mix(sum, black_box(x) + i)))
}

static PLAIN_OUTER: Count = Count::new("target::plain_outer");
#[inline(never)]
fn plain_outer(x: u64) -> u64 {
    let call = PLAIN_OUTER.enter();
    call.leave(mix(plain_step(x), plain_step(x + 1)))
}

fn run_plain(n: u64) -> u64 {
    sum_of(n, plain_outer)
}

// recurse: to the depths at which tools are known to lose count.
static DESCEND: Count = Count::new("target::descend");
#[inline(never)]
fn descend(depth: u64) -> u64 {
    let call = DESCEND.enter();
    call.leave(if depth > 1 {
        mix(descend(black_box(depth - 1)), depth)
    } else {
        1
    })
}

fn run_recurse(n: u64) -> u64 {
    let sum = sum_of(65, |i| descend(i + 1));
    mix(sum, mix(descend(1000), sum_of(n, |_| descend(10_000))))
}

// panic: over one to five levels, with values that are dropped on the way, and returns over the
// same levels.
struct Guard(u64);

static GUARDED: AtomicU64 = AtomicU64::new(0);
static GUARD_DROP: Count = Count::new("<target::Guard as core::ops::drop::Drop>::drop");

impl Drop for Guard {
    #[inline(never)]
    fn drop(&mut self) {
        let call = GUARD_DROP.enter();
        GUARDED.fetch_add(plain_step(self.0), Relaxed);
        call.leave(());
    }
}

static PANIC_DOWN: Count = Count::new("target::panic_down");
#[inline(never)]
fn panic_down(level: u64, fail: bool) -> u64 {
    let call = PANIC_DOWN.enter();
    let sum = {
        let _guard = Guard(level);
        if level == 1 && fail {
            panic_any(level);
        }
        if level == 1 {
            7
        } else {
            mix(panic_down(level - 1, fail), level)
        }
    };
    call.leave(sum)
}

static PANIC_OUTER: Count = Count::new("target::panic_outer");
#[inline(never)]
fn panic_outer(level: u64, fail: bool) -> u64 {
    let call = PANIC_OUTER.enter();
    call.leave(catch_unwind(|| panic_down(level, fail)).unwrap_or(99))
}

fn run_panic(n: u64) -> u64 {
    GUARDED.store(0, Relaxed);
    let sum = sum_of(n, |i| panic_outer(1 + i % 5, i % 3 != 0));
    mix(sum, GUARDED.load(Relaxed))
}

// generic: an instance.
static DOUBLED: Count = Count::new("target::doubled::<u64>");
#[inline(never)]
fn doubled<T: Add<Output = T> + Copy + Into<u64>>(x: T) -> u64 {
    let call = DOUBLED.enter();
    call.leave(mix((x + x).into(), 5))
}

fn run_generic(n: u64) -> u64 {
    sum_of(n, |i| doubled(black_box(i)))
}

// trait: calls through a table.
trait Shape {
    fn area(&self, x: u64) -> u64;
}

struct Square;
static SQUARE: Count = Count::new("<target::Square as target::Shape>::area");
impl Shape for Square {
    #[inline(never)]
    fn area(&self, x: u64) -> u64 {
        let call = SQUARE.enter();
        call.leave(x * x + 1)
    }
}

struct Scaled(Box<dyn Shape>);
static SCALED: Count = Count::new("<target::Scaled as target::Shape>::area");
impl Shape for Scaled {
    #[inline(never)]
    fn area(&self, x: u64) -> u64 {
        let call = SCALED.enter();
        call.leave(x * 3);
        self.0.area(x * 3)
    }
}

fn run_trait(n: u64) -> u64 {
    let shapes: [Box<dyn Shape>; 2] = [Box::new(Square), Box::new(Scaled(Box::new(Square)))];
    let shapes = black_box(shapes);
    sum_of(n, |i| shapes[(i % 2) as usize].area(i))
}

// threads: several at once in the same functions, panics among them.
fn run_threads(n: u64) -> u64 {
    let threads: Vec<_> = (0..6)
        .map(|i| std::thread::spawn(move || run_on_thread(n + i)))
        .collect();
    threads
        .into_iter()
        .fold(0, |sum, thread| mix(sum, thread.join().unwrap_or(0)))
}

fn run_on_thread(n: u64) -> u64 {
    sum_of(n, |i| panic_outer(1 + i % 5, i % 3 != 0))
}

const SCENARIOS: &[Scenario] = &[
    Scenario::new(
        "plain",
        run_plain,
        2000,
        const { &[&PLAIN_OUTER, &PLAIN_STEP] },
    ),
    Scenario::new("recurse", run_recurse, 1, const { &[&DESCEND] }),
    Scenario::new(
        "panic",
        run_panic,
        300,
        const { &[&PANIC_OUTER, &PANIC_DOWN, &GUARD_DROP, &PLAIN_STEP] },
    ),
    Scenario::new("generic", run_generic, 800, const { &[&DOUBLED] }),
    Scenario::new("trait", run_trait, 1000, const { &[&SQUARE, &SCALED] }).without_tree(),
    Scenario::new(
        "threads",
        run_threads,
        100,
        const { &[&PANIC_OUTER, &PANIC_DOWN, &GUARD_DROP, &PLAIN_STEP] },
    ),
];

fn all() -> impl Iterator<Item = &'static Scenario> {
    [SCENARIOS, results::SCENARIOS, waiting::SCENARIOS]
        .into_iter()
        .flatten()
}

fn answer(line: &str) -> String {
    let words: Vec<&str> = line.split_whitespace().collect();
    let scenario = |name| all().find(|scenario| scenario.name == name);
    match words[..] {
        ["list"] => format!(
            "{:?}",
            all().map(|scenario| scenario.name).collect::<Vec<_>>()
        ),
        ["run", name, ref n @ ..] => match scenario(name) {
            Some(scenario) => {
                let n = n.first().and_then(|n| n.parse().ok());
                scenario.run(n)
            }
            None => r#"{"error":"no such scenario"}"#.into(),
        },
        _ => r#"{"error":"not understood"}"#.into(),
    }
}

fn main() -> std::io::Result<()> {
    std::panic::set_hook(Box::new(|_| {}));
    let mut output = std::io::stdout().lock();
    writeln!(output, "ready")?;
    output.flush()?;
    for line in std::io::stdin().lock().lines() {
        let line = line?;
        if line == "quit" {
            break;
        }
        writeln!(output, "{}", answer(&line))?;
        output.flush()?;
    }
    Ok(())
}
