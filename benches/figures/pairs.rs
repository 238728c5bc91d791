//! Whether entries are paired with their own exits, by coral and by the script that people write
//! for bpftrace, at the same time in the same adversarial Go program, which knows every call.

use crate::adversary::{Adversary, FUNCTIONS, Pair, pairs_of};
use crate::calls::{Calls, Verdict};
use crate::table::{NONE, Table};
use crate::{Result, bpftrace, workload};

/// What the program does so often.
const ACTS: u64 = 1_500;

/// Measures and prints.
pub(crate) fn run() -> Result<()> {
    println!(
        "pairs: entries paired with exits in a Go program whose stacks grow, whose goroutines move\n\
         and end, which panics, recurses to 300 and collects garbage; both tools on the same run\n\
         (a pair is right if it is of one call: its two moments are within what the program knows;\n\
         of a wrong pair the duration is wrong)\n"
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
            println!("  {version}: a slot for each function and thread, exits at the same returns");
            Some(adversary.start_script()?)
        }
        Err(reason) => {
            println!("  skipped: bpftrace: {reason}");
            None
        }
    };
    let (entries, by_coral) = adversary.run(ACTS)?;
    let by_script = script.map(|mut script| pairs_of(&script.finish()?));
    let calls = Calls::read(&mut adversary.workload)?;
    if entries != calls.begun {
        return Err(format!("{entries} entries of {} calls", calls.begun).into());
    }
    println!(
        "  {entries} calls, of which {} returned; coral has counted as many of both\n",
        calls.returned().count()
    );
    print(&calls, &by_coral, by_script.transpose()?.as_deref());
    Ok(())
}

fn print(calls: &Calls, by_coral: &[Pair], by_script: Option<&[Pair]>) {
    let columns = ["coral: right", "wrong", "bpftrace: right", "wrong"];
    let mut table = Table::new(&[&["function", "returned"], &columns[..]].concat());
    let mut all = (0, Verdict::default(), Verdict::default());
    for function in FUNCTIONS {
        let returned = calls.of(function).len();
        let by_coral = calls.judge(function, by_coral);
        let by_script = by_script.map(|pairs| calls.judge(function, pairs));
        all.0 += returned;
        all.1.add(by_coral);
        all.2.add(by_script.unwrap_or_default());
        table.row(cells(function, returned, by_coral, by_script));
    }
    let (returned, coral, script) = all;
    table.row(cells("all", returned, coral, by_script.map(|_| script)));
    table.print();
    println!();
    for (tool, verdict) in [
        ("coral", Some(coral)),
        ("bpftrace", by_script.map(|_| script)),
    ] {
        if let Some(verdict) = verdict {
            println!("  {tool}: {}", verdict.describe(returned));
        }
    }
}

fn cells(name: &str, returned: usize, coral: Verdict, script: Option<Verdict>) -> [String; 6] {
    let cell = |verdict: Option<Verdict>, count: fn(Verdict) -> usize| {
        verdict.map_or(NONE.to_owned(), |verdict| count(verdict).to_string())
    };
    [
        name.to_owned(),
        returned.to_string(),
        cell(Some(coral), |it| it.right),
        cell(Some(coral), |it| it.wrong),
        cell(script, |it| it.right),
        cell(script, |it| it.wrong),
    ]
}
