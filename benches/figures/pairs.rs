//! Whether entries are paired with their own exits, by coral and by the script that people write
//! for bpftrace, at the same time in the same adversarial Go program, which knows every call.

use std::collections::BTreeMap;

use crate::adversary::{Adversary, Pair, pairs_of};
use crate::storm::numbers;
use crate::table::{Table, number};
use crate::workload::Workload;
use crate::{Result, bpftrace, workload};

/// What the program does so often.
const ACTS: u64 = 1_500;

/// A call as the program knows it: its entry is within the first two moments, its exit within the
/// last two.
#[derive(Clone)]
struct Call {
    entry_ns: (u64, u64),
    exit_ns: (u64, u64),
    is_taken: bool,
}

/// The calls that returned, by function; each function's in the order in which they began.
#[derive(Clone)]
struct Truth(BTreeMap<String, Vec<Call>>);

/// What a tool made of a run.
#[derive(Default)]
struct Verdict {
    right: u64,
    wrong: u64,
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
        "right of all that returned",
    ]);
    let mut tools = vec![("coral", by_coral)];
    if let Some(mut script) = script {
        tools.push(("bpftrace, by thread", pairs_of(&script.finish()?)?));
    }
    for (tool, pairs) in tools {
        let Verdict { right, wrong } = truth.clone().judge(&pairs);
        table.row([
            tool.to_owned(),
            pairs.len().to_string(),
            right.to_string(),
            wrong.to_string(),
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
                        entry_ns: (before, begun),
                        exit_ns: (ended, after),
                        is_taken: false,
                    });
            }
        }
        for calls in functions.values_mut() {
            calls.sort_unstable_by_key(|call| call.entry_ns);
        }
        Ok((calls, Self(functions)))
    }

    fn returned(&self) -> usize {
        self.0.values().map(Vec::len).sum()
    }

    /// Compares pairs with the calls; each call is taken once.
    fn judge(mut self, pairs: &[Pair]) -> Verdict {
        let mut verdict = Verdict::default();
        for pair in pairs {
            let calls = self.0.get_mut(&pair.function).into_iter().flatten();
            let begun = calls.take_while(|call| call.entry_ns.0 <= pair.entry_ns);
            let mut fitting = begun.filter(|call| call.fits(pair) && !call.is_taken);
            match fitting.next() {
                Some(call) => {
                    call.is_taken = true;
                    verdict.right += 1;
                }
                None => verdict.wrong += 1,
            }
        }
        verdict
    }
}

impl Call {
    fn fits(&self, pair: &Pair) -> bool {
        let is_within = |(first, last), moment| first <= moment && moment <= last;
        is_within(self.entry_ns, pair.entry_ns) && is_within(self.exit_ns, pair.exit_ns)
    }
}
