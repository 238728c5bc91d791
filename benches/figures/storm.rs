//! How many hits a second one core sustains, every one of them counted.

use coral_tui::symbols::planner::Plan;

use crate::subject::{SLOT, Subject};
use crate::table::{Table, median};
use crate::work::Work;
use crate::{Result, workload};

/// Every storm blows once in each round.
const ROUNDS: usize = 7;
/// Calls that each thread makes in one storm.
const CALLS: u64 = 1_000_000;

/// What is attached, and the work of it.
const STORMS: [(&str, bool, Work); 3] = [
    ("an entry, counted", false, Work::ENTRIES),
    ("an entry and an exit, in a histogram", true, Work::COUNTERS),
    ("the same, as in a session", true, Work::SESSION),
];

/// What a program says of its own storm, and what coral says of it.
struct Storm {
    hits: u64,
    /// Of all threads together.
    processor_s: f64,
    wall_s: f64,
}

/// Measures and prints.
pub(crate) fn run() -> Result<()> {
    println!(
        "storm: threads of a C program that call an empty function as fast as they can\n\
         (median of {ROUNDS} interleaved rounds of {CALLS} calls a thread; a second of a core is one\n\
         of processor time; in every storm coral's counts equal the program's own, or this fails)\n"
    );
    let binary = workload::build_c(include_str!("../targets/storm.c"))?;
    let mut subject = Subject::start(binary, "empty", None)?;
    println!("  {}\n", subject.describe());
    let cases = STORMS.iter().flat_map(|storm| [(storm, 1), (storm, 2)]);
    let mut cases: Vec<_> = cases
        .map(|(storm, threads)| (storm, threads, Vec::new()))
        .collect();
    for _ in 0..ROUNDS {
        for ((_, has_exit, work), threads, storms) in &mut cases {
            storms.push(blow(&mut subject, *has_exit, *work, *threads)?);
        }
    }
    let columns = [
        "threads",
        "hits",
        "hits/s of a core",
        "the best",
        "hits/s of all",
        "counts",
    ];
    let mut table = Table::new(&[&["attached"], &columns[..]].concat());
    for ((name, ..), threads, storms) in &cases {
        let rates = |rate: fn(&Storm) -> f64| storms.iter().map(rate).collect::<Vec<_>>();
        let of_a_core = rates(|storm| storm.hits as f64 / storm.processor_s);
        let best = of_a_core.iter().copied().fold(0.0, f64::max);
        let of_all = rates(|storm| storm.hits as f64 / storm.wall_s);
        table.row([
            (*name).to_owned(),
            threads.to_string(),
            storms
                .iter()
                .map(|storm| storm.hits)
                .sum::<u64>()
                .to_string(),
            format!("{:.0}", median(of_a_core)),
            format!("{best:.0}"),
            format!("{:.0}", median(of_all)),
            "equal".to_owned(),
        ]);
    }
    table.print();
    Ok(())
}

fn blow(subject: &mut Subject, has_exit: bool, work: Work, threads: u64) -> Result<Storm> {
    let mut plan: Plan = subject.function.plan.clone();
    if !has_exit {
        plan.exits.clear();
    }
    let (mut engine, attachment) = subject.attach(&plan, false, work)?;
    subject
        .workload
        .say(&format!("run {} {threads} 0", CALLS * threads))?;
    let [made, processor_ns, wall_ns] = workload::numbers(&subject.workload.answer()?)?;
    let counted = engine.function(SLOT);
    let hits = engine.hits().hits;
    engine.detach(attachment);
    let exits = if has_exit { made } else { 0 };
    if (counted.calls, counted.returns, hits) != (made, exits, made + exits) {
        return Err(format!("of {made} calls, {counted:?}, and {hits} hits").into());
    }
    Ok(Storm {
        hits,
        processor_s: processor_ns as f64 / 1e9,
        wall_s: wall_ns as f64 / 1e9,
    })
}
