//! How far the histogram's percentiles are from the exact ones, of known distributions.

use std::f64::consts::TAU;

use coral_ebpf_common::{BUCKETS, bucket_of};
use coral_model::{Bucket, Histogram};

use crate::Result;
use crate::table::Table;

/// Durations of each distribution.
const SAMPLES: usize = 1_000_000;
/// Tenths of percent: p50.0, p50.1, ... p99.9.
const RANKS: std::ops::RangeInclusive<u32> = 500..=999;
/// Half of the width of a bucket, of which there are 16 for each power of two.
const ERROR_MAX: f64 = 1.0 / 32.0;

/// A distribution: its name, and what makes a duration in nanoseconds of random numbers.
type Distribution = (&'static str, fn(&mut Random) -> f64);

const DISTRIBUTIONS: [Distribution; 3] = [
    ("uniform, 1 µs to 1 ms", |random| {
        1e3 + random.uniform() * 999e3
    }),
    ("lognormal, median 50 µs, sigma 1.5", |random| {
        50e3 * (1.5 * random.normal()).exp()
    }),
    ("bimodal, 90 % near 20 µs, 10 % near 8 ms", |random| {
        let middle_ns = if random.uniform() < 0.9 { 20e3 } else { 8e6 };
        middle_ns * (1.0 + 0.1 * random.normal())
    }),
];

/// Computes and prints.
pub(crate) fn run() -> Result<()> {
    println!(
        "percentiles: the histogram's against the exact ones, p50.0 to p99.9 in steps of 0.1\n\
         ({SAMPLES} durations each, in the kernel program's buckets)\n"
    );
    let mut table = Table::new(&[
        "durations",
        "p50 exact",
        "p50",
        "p99.9 exact",
        "p99.9",
        "largest error",
    ]);
    let mut random = Random(1);
    for (name, draw) in DISTRIBUTIONS {
        let mut durations_ns: Vec<u64> = (0..SAMPLES).map(|_| draw(&mut random) as u64).collect();
        durations_ns.sort_unstable();
        let histogram = histogram(&durations_ns);
        let both = |rank| {
            let told_ns = histogram.percentile_ns(f64::from(rank) / 10.0).unwrap_or(0);
            (exact_ns(&durations_ns, rank), told_ns)
        };
        let error = |rank| {
            let (exact_ns, told_ns) = both(rank);
            told_ns.abs_diff(exact_ns) as f64 / exact_ns as f64
        };
        let error_max = RANKS.map(error).fold(0.0, f64::max);
        let cells = [500, 999]
            .map(both)
            .map(|(exact_ns, told_ns)| [exact_ns, told_ns]);
        let cells = cells
            .as_flattened()
            .iter()
            .map(|&ns| format!("{:.1} µs", ns as f64 / 1e3));
        let error = format!("{:.2} %", error_max * 100.0);
        table.row([name.to_owned()].into_iter().chain(cells).chain([error]));
        if error_max > ERROR_MAX {
            return Err(format!("{name}: off by {error_max}").into());
        }
    }
    table.print();
    println!("\n  aim: at most half a bucket, {:.3} %", ERROR_MAX * 100.0);
    Ok(())
}

/// What the kernel counts of these durations, which are sorted.
fn histogram(durations_ns: &[u64]) -> Histogram {
    let mut counts = [0; BUCKETS as usize];
    for &duration_ns in durations_ns {
        counts[bucket_of(duration_ns) as usize] += 1;
    }
    let buckets = (0..)
        .zip(counts)
        .map(|(index, count)| Bucket { index, count });
    Histogram {
        buckets: buckets.filter(|bucket| bucket.count > 0).collect(),
        total_ns: durations_ns.iter().sum(),
        min_ns: durations_ns[0],
        max_ns: durations_ns[durations_ns.len() - 1],
    }
}

/// The smallest of the sorted durations that so many tenths of percent do not exceed.
fn exact_ns(durations_ns: &[u64], rank: u32) -> u64 {
    let place = (durations_ns.len() * rank as usize).div_ceil(1000);
    durations_ns[place - 1]
}

/// The SplitMix64 generator: the same numbers in every run.
struct Random(u64);

impl Random {
    /// From 0 to 1, without 1.
    fn uniform(&mut self) -> f64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut bits = self.0;
        bits = (bits ^ (bits >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        bits = (bits ^ (bits >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        bits ^= bits >> 31;
        (bits >> 11) as f64 / (1u64 << 53) as f64
    }

    /// With mean 0 and deviation 1, by Box and Muller.
    fn normal(&mut self) -> f64 {
        let (radius, angle) = (1.0 - self.uniform(), self.uniform());
        (-2.0 * radius.ln()).sqrt() * (TAU * angle).cos()
    }
}
