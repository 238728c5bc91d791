//! How many single-call records a second are read without losing one.

use crate::subject::Subject;
use crate::table::Table;
use crate::work::Work;
use crate::workload::numbers;
use crate::{Result, workload};

/// Calls a second, rising; the last is as many as there can be.
const RATES_PER_S: [Option<u64>; 9] = [
    Some(25_000),
    Some(50_000),
    Some(75_000),
    Some(100_000),
    Some(200_000),
    Some(300_000),
    Some(400_000),
    Some(500_000),
    None,
];
/// How long a rate is kept up.
const DURATION_S: u64 = 3;
/// Calls where there is no rate.
const CALLS: u64 = 1_000_000;

/// What is in each record.
const CONTENTS: [(&str, Work); 2] = [
    ("the call", Work::RECORDS),
    ("the call, an argument, its stack", Work::ARGUMENTS),
];

/// What became of the records of a program's calls.
struct Run {
    calls: u64,
    wall_ns: u64,
    read: u64,
    ring_full: u64,
    throttled: u64,
}

/// Measures and prints.
pub(crate) fn run() -> Result<()> {
    println!(
        "records: a record of every call, at rising rates until the first are lost\n\
         ({DURATION_S} s each; no rate limit; the reader comes as often as a session's)\n"
    );
    let binary = workload::build_c(include_str!("../targets/storm.c"))?;
    let mut subject = Subject::start(binary, "empty", None)?;
    let columns = [
        "calls/s wanted",
        "reached",
        "records",
        "read",
        "ring full",
        "throttled",
    ];
    let mut table = Table::new(&[&["in a record"], &columns[..]].concat());
    let mut best = Vec::new();
    for (name, work) in CONTENTS {
        let mut lossless_per_s = 0.0;
        for rate_per_s in RATES_PER_S {
            let run = Run::of(&mut subject, work, rate_per_s)?;
            let reached_per_s = run.calls as f64 / (run.wall_ns as f64 / 1e9);
            table.row([
                name.to_owned(),
                rate_per_s.map_or("all it can".to_owned(), |rate| rate.to_string()),
                format!("{reached_per_s:.0}"),
                run.calls.to_string(),
                run.read.to_string(),
                run.ring_full.to_string(),
                run.throttled.to_string(),
            ]);
            if run.read < run.calls {
                break;
            }
            lossless_per_s = f64::max(lossless_per_s, reached_per_s);
        }
        best.push(format!(
            "  {name}: {lossless_per_s:.0} records a second without loss"
        ));
    }
    table.print();
    println!("\n{}", best.join("\n"));
    Ok(())
}

impl Run {
    /// One record for each call is either read, or known to be lost.
    fn of(subject: &mut Subject, work: Work, rate_per_s: Option<u64>) -> Result<Self> {
        let (calls, interval_ns) = match rate_per_s {
            Some(rate) => (rate * DURATION_S, 1_000_000_000 / rate),
            None => (CALLS, 0),
        };
        let (mut engine, attachment) = subject.attach(&subject.function.plan, false, work)?;
        let mut read = 0;
        subject
            .workload
            .say(&format!("run {calls} 1 {interval_ns}"))?;
        let answer = subject
            .workload
            .answer_while_reading(&mut engine, |_| read += 1)?;
        let [calls, _, wall_ns] = numbers(&answer)?;
        let hits = engine.hits();
        engine.detach(attachment);
        if calls != hits.records + hits.ring_full + hits.throttled || read != hits.records {
            return Err(format!("of {calls} calls, {read} are read: {hits:?}").into());
        }
        Ok(Self {
            calls,
            wall_ns,
            read,
            ring_full: hits.ring_full,
            throttled: hits.throttled,
        })
    }
}
