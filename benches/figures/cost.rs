//! What a probed call costs: its entry, its exit and its place in a histogram.

use std::collections::BTreeMap;

use crate::bpftrace::{self, Returns};
use crate::subject::Subject;
use crate::table::{NONE, Table, median, number};
use crate::{Result, workload};

/// Every variant runs once in each round, so that what disturbs the machine disturbs all of them.
const ROUNDS: usize = 9;
/// Calls in one run; a run times them in batches.
const CALLS: u64 = 20_000;

/// What runs at the function's entries and exits.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Variant {
    Bare,
    Empty,
    Coral,
    FastReturns,
    FirstInstruction,
    Bpftrace,
}

use Variant::{Bare, Bpftrace, Coral, Empty, FastReturns, FirstInstruction};

const VARIANTS: [(Variant, &str); 6] = [
    (Bare, "no probes"),
    (Empty, "empty programs at coral's sites"),
    (Coral, "coral"),
    (FastReturns, "coral --fast-returns"),
    (
        FirstInstruction,
        "coral, if its entry were the first instruction",
    ),
    (Bpftrace, "bpftrace's latency script"),
];

/// Medians in nanoseconds per call.
type Medians = BTreeMap<Variant, f64>;

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
         (ns per call; median of {ROUNDS} interleaved rounds of {CALLS} calls)\n"
    );
    let mut variants = vec![Bare, Empty, Coral];
    match bpftrace::version() {
        Ok(version) => {
            println!("  bpftrace is {version}");
            variants.push(Bpftrace);
        }
        Err(reason) => println!("  skipped: bpftrace: {reason}"),
    }
    let c = Subject::start(workload::build_c()?, "work")?;
    let mut cases = vec![Case::new("C", c, &variants, FastReturns)];
    match workload::build_go() {
        Ok(binary) => {
            let go = Subject::start(binary, "main.work")?;
            cases.push(Case::new("Go", go, &variants, FirstInstruction));
        }
        Err(reason) => println!("  skipped: Go: {reason}"),
    }
    for case in &cases {
        case.print_sites();
    }
    let medians: Vec<Medians> = cases.iter_mut().map(Case::measure).collect::<Result<_>>()?;
    print_medians(&cases, &medians);
    print_ratios(&cases, &medians);
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

    fn print_sites(&self) {
        let Self {
            language, subject, ..
        } = self;
        println!("  {language}: {}", subject.describe(&subject.plan));
        println!(
            "  {language}: the function's first instruction is {}",
            subject.instruction(subject.address)
        );
    }

    fn measure(&mut self) -> Result<Medians> {
        let mut rounds: BTreeMap<Variant, Vec<f64>> = BTreeMap::new();
        for _ in 0..ROUNDS {
            for variant in self.variants.clone() {
                let duration_ns = self.run(variant)?;
                rounds.entry(variant).or_default().push(duration_ns);
            }
        }
        let medians = rounds.into_iter();
        Ok(medians.map(|(variant, it)| (variant, median(it))).collect())
    }

    fn run(&mut self, variant: Variant) -> Result<f64> {
        let subject = &mut self.subject;
        let plan = subject.plan.clone();
        match variant {
            Bare => subject.workload.run(CALLS),
            Empty => subject.run_with_empty_programs(CALLS),
            Coral => subject.run_probed(&plan, false, CALLS),
            FastReturns => subject.run_probed(&plan, true, CALLS),
            FirstInstruction => {
                let plan = subject.plan_at_first_instruction();
                subject.run_probed(&plan, false, CALLS)
            }
            Bpftrace => {
                let returns = match self.language {
                    "Go" => Returns::Exits,
                    _ => Returns::Uretprobe,
                };
                bpftrace::run(subject, returns, CALLS)
            }
        }
    }
}

fn print_medians(cases: &[Case], medians: &[Medians]) {
    let languages = cases.iter().map(|case| case.language);
    let mut table = Table::new(&[&["ns per call"], &languages.collect::<Vec<_>>()[..]].concat());
    for (variant, name) in VARIANTS {
        let cells = medians.iter().map(|of| match of.get(&variant) {
            Some(&value) => number(value),
            None => NONE.to_owned(),
        });
        table.row([name.to_owned()].into_iter().chain(cells));
    }
    println!();
    table.print();
}

fn print_ratios(cases: &[Case], medians: &[Medians]) {
    let mut table = Table::new(&["compared", "", "aim"]);
    for (case, of) in cases.iter().zip(medians) {
        let language = case.language;
        let mut row = |what: &str, value: Option<String>, aim: &str| {
            if let Some(value) = value {
                table.row([format!("{language}: {what}"), value, aim.to_owned()]);
            }
        };
        let added = |from, to| Some(format!("{:+.2} µs", (of.get(&to)? - of.get(&from)?) / 1e3));
        let ratio = |part, whole| Some(format!("{:.2}", of.get(&part)? / of.get(&whole)?));
        row("coral - empty programs", added(Empty, Coral), "+0.60 µs");
        row("coral / bpftrace", ratio(Coral, Bpftrace), "");
        row(
            "coral --fast-returns / bpftrace",
            ratio(FastReturns, Bpftrace),
            "1.00",
        );
        row(
            "coral / its entry at the first instruction",
            ratio(Coral, FirstInstruction),
            "0.50",
        );
    }
    println!();
    table.print();
}
