//! The figures that documents quote: `cargo bench --bench figures`, or one part of them behind
//! `--`. Times are compared within one run and never asserted; counts are.
#![allow(clippy::print_stdout, clippy::unwrap_used)] // it prints, and its harness is the tests'

mod adversary;
mod agent;
mod attach;
mod bpftrace;
mod calls;
#[allow(dead_code)] // the tests of the agent use all of it
#[path = "../../tests/common/certificates.rs"]
mod certificates;
#[allow(dead_code)] // the tests of the colony use all of it
#[path = "../../tests/colony/clock.rs"]
mod clock;
mod colony;
#[allow(unused_imports, unused_macros)] // the tests use all of it
#[path = "../../tests/common/mod.rs"]
mod common;
mod cost;
#[allow(dead_code)] // the tests of the agent use all of it
#[path = "../../tests/agent/daemon.rs"]
mod daemon;
mod function;
mod index;
mod matching;
#[allow(dead_code)] // the tests of the colony use all of it
#[path = "../../tests/colony/network.rs"]
mod network;
mod pairs;
mod percentiles;
mod records;
mod start;
mod storm;
mod subject;
mod table;
#[allow(dead_code)] // the tests of the console use all of it
#[path = "../../tests/console/terminal.rs"]
mod terminal;
mod used;
mod work;
mod workload;
#[allow(dead_code)] // the tests of the colony use all of it
#[path = "../../tests/colony/world.rs"]
mod world;

use std::error::Error;

use common::rights;

/// What a part ends with: its figures are printed, or something is wrong with the machine.
type Result<T> = std::result::Result<T, Box<dyn Error>>;

/// A part of the figures: its name, and what measures and prints it.
type Part = (&'static str, fn() -> Result<()>);

const PARTS: [Part; 10] = [
    ("cost", cost::run),
    ("storm", storm::run),
    ("records", records::run),
    ("percentiles", percentiles::run),
    ("pairs", pairs::run),
    ("attach", attach::run),
    ("index", index::run),
    ("start", start::run),
    ("agent", agent::run),
    ("colony", colony::run),
];

fn main() -> Result<()> {
    // Cargo adds an option of its own.
    let arguments: Vec<String> = std::env::args()
        .skip(1)
        .filter(|it| it != "--bench")
        .collect();
    if let [flag, stage, file] = &arguments[..]
        && flag == index::CHILD
    {
        return index::run_child(stage, file);
    }
    let unknown = |wanted: &&String| PARTS.iter().all(|(name, _)| name != wanted);
    if let Some(wanted) = arguments.iter().find(unknown) {
        let names = PARTS.map(|(name, _)| name).join(", ");
        return Err(format!("no part is called {wanted}: there are {names}").into());
    }
    if let Err(reason) = rights::probes() {
        println!("skipped: {reason}");
        return Ok(());
    }
    let release = std::fs::read_to_string("/proc/sys/kernel/osrelease")?;
    let processors = std::thread::available_parallelism()?;
    println!("Linux {}, {processors} processors\n", release.trim());
    for (name, run) in PARTS {
        if arguments.is_empty() || arguments.iter().any(|wanted| wanted == name) {
            run()?;
            println!();
        }
    }
    Ok(())
}
