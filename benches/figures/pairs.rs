//! Whether entries are paired with their own exits, by coral and by the script that people write
//! for bpftrace, at the same time in the same adversarial Go program, which knows every call.

use std::collections::BTreeMap;
use std::ops::RangeInclusive;

use crate::adversary::{Adversary, Pair, pairs_of};
use crate::matching::matched;
use crate::storm::numbers;
use crate::table::{Table, number};
use crate::workload::Workload;
use crate::{Result, bpftrace, workload};

/// What the program does so often.
const ACTS: u64 = 1_500;

/// A call as the program knows it: its entry is within the first two moments, its exit within the
/// last two.
struct Call {
    entry_ns: RangeInclusive<u64>,
    exit_ns: RangeInclusive<u64>,
}

/// The calls that returned, by function; each function's in the order in which they began.
struct Truth(BTreeMap<String, Vec<Call>>);

/// What a tool made of a run.
#[derive(Default)]
struct Verdict {
    /// Pairs with a call of their own that they fit.
    right: usize,
    /// Pairs that fit one call and no other: those that a tool cannot get right by luck.
    certain: usize,
}

/// Measures and prints.
pub(crate) fn run() -> Result<()> {
    println!(
        "pairs: entries paired with exits in a Go program whose stacks grow, whose goroutines move\n\
         and end, which panics, recurses to 300 and collects garbage; both tools on the same run\n\
         (a pair is right if it is of one call: its two moments are within what the program knows)\n"
    );
    let binary = match workload::build_go("pairs.go") {
        Ok(binary) => binary,
        Err(reason) => {
            println!("  skipped: Go: {reason}");
            return Ok(());
        }
    };
    let mut adversary = Adversary::start(binary)?;
    let script = match bpftrace::version() {
        Ok(version) => {
            println!(
                "  {version}: a slot for each function and thread, exits at the same returns\n"
            );
            Some(adversary.start_script()?)
        }
        Err(reason) => {
            println!("  skipped: bpftrace: {reason}\n");
            None
        }
    };
    let by_coral = adversary.run(ACTS)?;
    let (calls, truth) = Truth::read(&mut adversary.workload)?;
    let returned = truth.returned();
    println!("  {calls} calls, of which {returned} returned\n");
    let mut table = Table::new(&[
        "paired by",
        "pairs",
        "right",
        "wrong",
        "fit one call only",
        "right of all that returned",
    ]);
    let mut tools = vec![("coral", by_coral)];
    if let Some(mut script) = script {
        tools.push(("bpftrace, by thread", pairs_of(&script.finish()?)?));
    }
    for (tool, pairs) in tools {
        let Verdict { right, certain } = truth.judge(&pairs);
        table.row([
            tool.to_owned(),
            pairs.len().to_string(),
            right.to_string(),
            (pairs.len() - right).to_string(),
            certain.to_string(),
            format!("{} %", number(100.0 * right as f64 / returned as f64)),
        ]);
    }
    table.print();
    Ok(())
}

impl Truth {
    /// Reads how many calls there were, and those that returned.
    fn read(workload: &mut Workload) -> Result<(u64, Self)> {
        let mut calls = 0;
        let mut functions: BTreeMap<String, Vec<Call>> = BTreeMap::new();
        loop {
            let line = workload.answer()?;
            let Some((function, moments)) = line.split_once(' ') else {
                break;
            };
            calls += 1;
            let [before, begun, ended, after] = numbers(moments)?;
            if after > 0 {
                functions
                    .entry(function.to_owned())
                    .or_default()
                    .push(Call {
                        entry_ns: before..=begun,
                        exit_ns: ended..=after,
                    });
            }
        }
        for calls in functions.values_mut() {
            calls.sort_unstable_by_key(|call| *call.entry_ns.start());
        }
        Ok((calls, Self(functions)))
    }

    fn returned(&self) -> usize {
        self.0.values().map(Vec::len).sum()
    }

    /// Compares pairs with the calls. What the program knows of two calls at the same time may fit
    /// the same pair, so as many pairs are right as can have a call of their own.
    fn judge(&self, pairs: &[Pair]) -> Verdict {
        let mut verdict = Verdict::default();
        for (function, calls) in &self.0 {
            let pairs = pairs.iter().filter(|pair| pair.function == *function);
            let fitting: Vec<Vec<usize>> = pairs.map(|pair| fitting(pair, calls)).collect();
            verdict.right += matched(&fitting);
            verdict.certain += fitting.iter().filter(|calls| calls.len() == 1).count();
        }
        verdict
    }
}

/// The places of the calls that a pair fits, in the order in which they began.
fn fitting(pair: &Pair, calls: &[Call]) -> Vec<usize> {
    let begun = calls.partition_point(|call| *call.entry_ns.start() <= pair.entry_ns);
    let places = (0..begun).filter(|&place| calls[place].fits(pair));
    places.collect()
}

impl Call {
    fn fits(&self, pair: &Pair) -> bool {
        self.entry_ns.contains(&pair.entry_ns) && self.exit_ns.contains(&pair.exit_ns)
    }
}
