//! What a probed call costs: its entry, its exit and its place in a histogram.

use std::collections::BTreeMap;

use crate::bpftrace::{self, Returns};
use crate::subject::Subject;
use crate::table::{NONE, Table, median, number};
use crate::work::Work;
use crate::{Result, workload};

/// Every variant runs once in each round, so that what disturbs the machine disturbs all of them.
const ROUNDS: usize = 41;
/// Calls in one run; a run times them in batches.
const CALLS: u64 = 4_000;
/// The same where nothing is single-stepped.
const CALLS_UNSTEPPED: u64 = 20_000;

/// What runs at the function's entries and exits.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Variant {
    Bare,
    Empty,
    Coral,
    FastReturns,
    FirstInstruction,
    Bpftrace,
    EmptyUnstepped,
    CoralUnstepped,
    Counters,
    Tree,
    CountersInTurn,
    TreeInTurn,
    Records,
    Stacks,
    Arguments,
}

use Variant::*;

const VARIANTS: [(Variant, &str); 15] = [
    (Bare, "no probes"),
    (Empty, "empty programs at coral's sites"),
    (Coral, "coral"),
    (FastReturns, "coral --fast-returns"),
    (FirstInstruction, "coral, but at the first instruction"),
    (Bpftrace, "bpftrace's latency script"),
    (EmptyUnstepped, "empty programs, exit at a call"),
    (CoralUnstepped, "coral, exit at a call"),
    (Counters, "  counters only"),
    (Tree, "  + the call tree"),
    (Records, "  + a record of every call"),
    (Stacks, "  + its stack"),
    (Arguments, "  + an argument"),
    (CountersInTurn, "  two functions in turn, counters only"),
    (TreeInTurn, "  + the call tree"),
];

/// The work of the variants with an exit at a call, which tell the parts of coral's.
const UNSTEPPED_WORK: [(Variant, Work); 8] = [
    (CoralUnstepped, Work::THROTTLED),
    (Counters, Work::COUNTERS),
    (Tree, Work::TREE),
    (CountersInTurn, Work::COUNTERS_IN_TURN),
    (TreeInTurn, Work::TREE_IN_TURN),
    (Records, Work::RECORDS),
    (Stacks, Work::STACKS),
    (Arguments, Work::ARGUMENTS),
];

/// How two variants are compared.
#[derive(Clone, Copy)]
enum How {
    Minus,
    Per,
}

use How::{Minus, Per};

/// What is compared, and the aim.
const COMPARISONS: [(&str, (Variant, How, Variant), &str); 11] = [
    (
        "coral - empty programs",
        (Coral, Minus, Empty),
        "at most 0.60 µs",
    ),
    (
        "the same, exit at a call",
        (CoralUnstepped, Minus, EmptyUnstepped),
        "at most 0.60 µs",
    ),
    (
        "  counters only - empty programs",
        (Counters, Minus, EmptyUnstepped),
        NONE,
    ),
    ("  + the call tree", (Tree, Minus, Counters), NONE),
    (
        "    of two functions in turn",
        (TreeInTurn, Minus, CountersInTurn),
        NONE,
    ),
    ("  + a record of every call", (Records, Minus, Tree), NONE),
    ("  + its stack", (Stacks, Minus, Records), NONE),
    ("  + an argument", (Arguments, Minus, Stacks), NONE),
    ("coral / bpftrace", (Coral, Per, Bpftrace), NONE),
    (
        "coral --fast-returns / bpftrace",
        (FastReturns, Per, Bpftrace),
        "at most 1.00",
    ),
    (
        "coral / coral at the first instruction",
        (Coral, Per, FirstInstruction),
        "about 0.50",
    ),
];

/// Nanoseconds per call, round by round.
type Rounds = BTreeMap<Variant, Vec<f64>>;

/// A program to measure, and the variants that it stands.
struct Case {
    language: &'static str,
    subject: Subject,
    variants: Vec<Variant>,
}

/// Measures and prints.
pub(crate) fn run() -> Result<()> {
    println!(
        "cost: a call with its entry, its exit and its place in a histogram\n\
         (ns per call; median of {ROUNDS} interleaved rounds of {CALLS} calls, {CALLS_UNSTEPPED}\n\
         where no instruction is single-stepped)\n"
    );
    println!(
        "  an exit at a call is not single-stepped, which tells coral's own part without noise"
    );
    let mut variants = vec![Bare, Empty, Coral, EmptyUnstepped];
    variants.extend(UNSTEPPED_WORK.map(|(variant, _)| variant));
    match bpftrace::version() {
        Ok(version) => {
            println!("  compared with {version}, whose entry probe is on the first instruction");
            variants.push(Bpftrace);
        }
        Err(reason) => println!("  skipped: bpftrace: {reason}"),
    }
    let c = Subject::start(
        workload::build_c(include_str!("../targets/cost.c"))?,
        "work",
        Some("other"),
    )?;
    let mut cases = vec![Case::new("C", c, &variants, FastReturns)];
    match workload::build_go("cost.go") {
        Ok(binary) => {
            let go = Subject::start(binary, "main.work", Some("main.other"))?;
            cases.push(Case::new("Go", go, &variants, FirstInstruction));
        }
        Err(reason) => println!("  skipped: Go: {reason}"),
    }
    for case in &cases {
        println!("  {}: {}", case.language, case.subject.describe());
    }
    let measured = cases.iter_mut().map(Case::measure);
    let measured: Vec<Rounds> = measured.collect::<Result<_>>()?;
    print_medians(&cases, &measured);
    print_comparisons(&cases, &measured);
    Ok(())
}

impl Case {
    fn new(language: &'static str, subject: Subject, variants: &[Variant], own: Variant) -> Self {
        Self {
            language,
            subject,
            variants: [variants, &[own]].concat(),
        }
    }

    fn measure(&mut self) -> Result<Rounds> {
        let mut rounds = Rounds::new();
        for _ in 0..ROUNDS {
            for variant in self.variants.clone() {
                let duration_ns = self.run(variant)?;
                rounds.entry(variant).or_default().push(duration_ns);
            }
        }
        Ok(rounds)
    }

    fn run(&mut self, variant: Variant) -> Result<f64> {
        let subject = &mut self.subject;
        let plan = subject.function.plan.clone();
        match variant {
            Bare => subject.workload.run(CALLS),
            Empty => subject.run_with_empty_programs(&plan, CALLS),
            Coral => subject.run_probed(&plan, false, Work::THROTTLED, CALLS),
            FastReturns => subject.run_probed(&plan, true, Work::THROTTLED, CALLS),
            FirstInstruction => {
                let plan = subject.function.plan_at_first_instruction();
                subject.run_probed(&plan, false, Work::THROTTLED, CALLS)
            }
            EmptyUnstepped => {
                let plan = subject.plan_without_single_steps()?;
                subject.run_with_empty_programs(&plan, CALLS_UNSTEPPED)
            }
            Bpftrace => {
                let returns = match self.language {
                    "Go" => Returns::Exits,
                    _ => Returns::Uretprobe,
                };
                bpftrace::run(subject, returns, CALLS)
            }
            _ => {
                let mut works = UNSTEPPED_WORK.into_iter().filter(|(it, _)| *it == variant);
                let (_, work) = works.next().ok_or("it is one of them")?;
                let plan = subject.plan_without_single_steps()?;
                subject.run_probed(&plan, false, work, CALLS_UNSTEPPED)
            }
        }
    }
}

fn print_medians(cases: &[Case], measured: &[Rounds]) {
    let languages = cases.iter().map(|case| case.language);
    let mut table = Table::new(&[&["ns per call"], &languages.collect::<Vec<_>>()[..]].concat());
    for (variant, name) in VARIANTS {
        let cells = measured.iter().map(|rounds| match rounds.get(&variant) {
            Some(durations_ns) => number(median(durations_ns.clone())),
            None => NONE.to_owned(),
        });
        table.row([name.to_owned()].into_iter().chain(cells));
    }
    println!();
    table.print();
}

/// Compares variants round by round, and prints the medians of what came out.
fn print_comparisons(cases: &[Case], measured: &[Rounds]) {
    let mut table = Table::new(&["compared", "", "aim"]);
    for (case, rounds) in cases.iter().zip(measured) {
        for (what, (left, how, right), aim) in COMPARISONS {
            let (Some(left), Some(right)) = (rounds.get(&left), rounds.get(&right)) else {
                continue;
            };
            let pairs = left.iter().zip(right);
            let value = match how {
                Minus => {
                    let differences_ns = pairs.map(|(left, right)| left - right);
                    format!("{:+.2} µs", median(differences_ns.collect()) / 1e3)
                }
                Per => format!(
                    "{:.2}",
                    median(pairs.map(|(left, right)| left / right).collect())
                ),
            };
            table.row([format!("{}: {what}", case.language), value, aim.to_owned()]);
        }
    }
    println!();
    table.print();
}
