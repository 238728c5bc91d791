//! A program that knows the truth about its own calls. `tests/targets/README.md` has the protocol.

use std::hint::black_box;
use std::io::{BufRead, Write};
use std::ops::Add;
use std::panic::{catch_unwind, panic_any};
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

/// What one function knows about its calls; calls left in another way than by return were
/// unwound.
struct Count {
    name: &'static str,
    calls: AtomicU64,
    returns: AtomicU64,
}

impl Count {
    const fn new(name: &'static str) -> Self {
        Self {
            name,
            calls: AtomicU64::new(0),
            returns: AtomicU64::new(0),
        }
    }

    fn enter(&self) {
        self.calls.fetch_add(1, Relaxed);
    }

    fn leave<T>(&self, result: T) -> T {
        self.returns.fetch_add(1, Relaxed);
        result
    }

    fn reset(&self) {
        self.calls.store(0, Relaxed);
        self.returns.store(0, Relaxed);
    }
}

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
    PLAIN_STEP.enter();
    PLAIN_STEP.leave((0..8).fold(x, |sum, i| mix(sum, black_box(x) + i)))
}

static PLAIN_OUTER: Count = Count::new("target::plain_outer");
#[inline(never)]
fn plain_outer(x: u64) -> u64 {
    PLAIN_OUTER.enter();
    PLAIN_OUTER.leave(mix(plain_step(x), plain_step(x + 1)))
}

fn run_plain(n: u64) -> u64 {
    sum_of(n, plain_outer)
}

// recurse: to the depths at which tools are known to lose count.
static DESCEND: Count = Count::new("target::descend");
#[inline(never)]
fn descend(depth: u64) -> u64 {
    DESCEND.enter();
    DESCEND.leave(if depth > 1 {
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
        GUARD_DROP.enter();
        GUARDED.fetch_add(plain_step(self.0), Relaxed);
        GUARD_DROP.leave(());
    }
}

static PANIC_DOWN: Count = Count::new("target::panic_down");
#[inline(never)]
fn panic_down(level: u64, fail: bool) -> u64 {
    PANIC_DOWN.enter();
    let _guard = Guard(level);
    if level == 1 && fail {
        panic_any(level);
    }
    let sum = if level == 1 {
        7
    } else {
        mix(panic_down(level - 1, fail), level)
    };
    PANIC_DOWN.leave(sum)
}

static PANIC_OUTER: Count = Count::new("target::panic_outer");
#[inline(never)]
fn panic_outer(level: u64, fail: bool) -> u64 {
    PANIC_OUTER.enter();
    PANIC_OUTER.leave(catch_unwind(|| panic_down(level, fail)).unwrap_or(99))
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
    DOUBLED.enter();
    DOUBLED.leave(mix((x + x).into(), 5))
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
        SQUARE.enter();
        SQUARE.leave(x * x + 1)
    }
}

struct Scaled(Box<dyn Shape>);
static SCALED: Count = Count::new("<target::Scaled as target::Shape>::area");
impl Shape for Scaled {
    #[inline(never)]
    fn area(&self, x: u64) -> u64 {
        SCALED.enter();
        SCALED.leave(x * 3);
        self.0.area(x * 3)
    }
}

fn run_trait(n: u64) -> u64 {
    let shapes: [Box<dyn Shape>; 2] = [Box::new(Square), Box::new(Scaled(Box::new(Square)))];
    let shapes = black_box(shapes);
    sum_of(n, |i| shapes[(i % 2) as usize].area(i))
}

// result: errors that are returned, and passed on.
static CHECKED: Count = Count::new("target::checked");
#[inline(never)]
fn checked(x: u64) -> Result<u64, String> {
    CHECKED.enter();
    CHECKED.leave(if x % 3 == 0 {
        Err(format!("{x} is divisible"))
    } else {
        Ok(mix(x, 3))
    })
}

static PASSED_ON: Count = Count::new("target::passed_on");
#[inline(never)]
fn passed_on(x: u64) -> Result<u64, String> {
    PASSED_ON.enter();
    let Ok(first) = checked(x) else {
        return PASSED_ON.leave(Err("first".into()));
    };
    let second = checked(x + 1);
    PASSED_ON.leave(second.map(|second| mix(first, second)))
}

fn run_result(n: u64) -> u64 {
    sum_of(n, |i| {
        passed_on(i).unwrap_or_else(|error| error.len() as u64)
    })
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

struct Scenario {
    name: &'static str,
    run: fn(u64) -> u64,
    default_n: u64,
    counts: &'static [&'static Count],
}

const SCENARIOS: &[Scenario] = &[
    Scenario {
        name: "plain",
        run: run_plain,
        default_n: 2000,
        counts: &[&PLAIN_OUTER, &PLAIN_STEP],
    },
    Scenario {
        name: "recurse",
        run: run_recurse,
        default_n: 1,
        counts: &[&DESCEND],
    },
    Scenario {
        name: "panic",
        run: run_panic,
        default_n: 300,
        counts: &[&PANIC_OUTER, &PANIC_DOWN, &GUARD_DROP, &PLAIN_STEP],
    },
    Scenario {
        name: "generic",
        run: run_generic,
        default_n: 800,
        counts: &[&DOUBLED],
    },
    Scenario {
        name: "trait",
        run: run_trait,
        default_n: 1000,
        counts: &[&SQUARE, &SCALED],
    },
    Scenario {
        name: "result",
        run: run_result,
        default_n: 900,
        counts: &[&PASSED_ON, &CHECKED],
    },
    Scenario {
        name: "threads",
        run: run_threads,
        default_n: 100,
        counts: &[&PANIC_OUTER, &PANIC_DOWN, &GUARD_DROP, &PLAIN_STEP],
    },
];

fn run(scenario: &Scenario, n: u64) -> String {
    scenario.counts.iter().for_each(|count| count.reset());
    let sum = (scenario.run)(n);
    let functions: Vec<String> = scenario
        .counts
        .iter()
        .map(|count| {
            let (calls, returns) = (count.calls.load(Relaxed), count.returns.load(Relaxed));
            let unwound = calls - returns;
            let name = count.name;
            format!(r#""{name}":{{"calls":{calls},"returns":{returns},"unwound":{unwound}}}"#)
        })
        .collect();
    let (name, functions) = (scenario.name, functions.join(","));
    format!(r#"{{"scenario":"{name}","functions":{{{functions}}},"checksum":"{sum:016x}"}}"#)
}

fn answer(line: &str) -> String {
    let words: Vec<&str> = line.split_whitespace().collect();
    let scenario = |name| SCENARIOS.iter().find(|scenario| scenario.name == name);
    match words[..] {
        ["list"] => format!(
            "{:?}",
            SCENARIOS
                .iter()
                .map(|scenario| scenario.name)
                .collect::<Vec<_>>()
        ),
        ["run", name, ref n @ ..] => match scenario(name) {
            Some(scenario) => {
                let n = n.first().and_then(|n| n.parse().ok());
                run(scenario, n.unwrap_or(scenario.default_n))
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
