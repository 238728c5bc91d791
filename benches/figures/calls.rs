//! What the adversarial Go program knows of its own calls, and what it says of a tool's pairs.

use std::collections::BTreeMap;
use std::ops::RangeInclusive;

use crate::Result;
use crate::adversary::Pair;
use crate::matching::matched;
use crate::workload::Workload;
use crate::workload::numbers;

/// The calls of a run.
pub(crate) struct Calls {
    /// How many began.
    pub(crate) begun: u64,
    /// Those that returned, by function; each function's in the order in which they began.
    returned: BTreeMap<String, Vec<Call>>,
}

/// A call as the program knows it: between which moments it was entered, and left.
pub(crate) struct Call {
    entry_ns: RangeInclusive<u64>,
    exit_ns: RangeInclusive<u64>,
}

/// What pairs are worth.
#[derive(Clone, Copy, Default)]
pub(crate) struct Verdict {
    /// Those with a call of their own.
    pub(crate) right: usize,
    /// The others.
    pub(crate) wrong: usize,
    /// Those that fit one call and no other, so that nothing was left to choose.
    certain: usize,
}

impl Calls {
    /// Reads them from the program that has run.
    pub(crate) fn read(workload: &mut Workload) -> Result<Self> {
        let mut begun = 0;
        let mut returned: BTreeMap<String, Vec<Call>> = BTreeMap::new();
        loop {
            let line = workload.answer()?;
            let Some((function, moments)) = line.split_once(' ') else {
                break;
            };
            begun += 1;
            let [before, begin, end, after] = numbers(moments)?;
            if after > 0 {
                returned.entry(function.to_owned()).or_default().push(Call {
                    entry_ns: before..=begin,
                    exit_ns: end..=after,
                });
            }
        }
        for calls in returned.values_mut() {
            calls.sort_unstable_by_key(|call| *call.entry_ns.start());
        }
        Ok(Self { begun, returned })
    }

    /// Those of a function that returned.
    pub(crate) fn of(&self, function: &str) -> &[Call] {
        self.returned.get(function).map_or(&[], Vec::as_slice)
    }

    /// All that returned.
    pub(crate) fn returned(&self) -> impl Iterator<Item = &Call> {
        self.returned.values().flatten()
    }

    /// Compares a function's pairs with its calls. What the program knows of two calls at the same
    /// time may fit the same pair, so as many pairs are right as can have a call of their own.
    pub(crate) fn judge(&self, function: &str, pairs: &[Pair]) -> Verdict {
        let calls = self.of(function);
        let pairs = pairs.iter().filter(|pair| pair.function == function);
        let fitting: Vec<Vec<usize>> = pairs.map(|pair| fitting(pair, calls)).collect();
        let right = matched(&fitting);
        Verdict {
            right,
            wrong: fitting.len() - right,
            certain: fitting.iter().filter(|calls| calls.len() == 1).count(),
        }
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

impl Verdict {
    pub(crate) fn add(&mut self, other: Self) {
        self.right += other.right;
        self.wrong += other.wrong;
        self.certain += other.certain;
    }

    /// A sentence of it, where so many calls returned.
    pub(crate) fn describe(&self, returned: usize) -> String {
        let Self {
            right,
            wrong,
            certain,
        } = self;
        // Rounded down: only all of them are 100 %.
        let share = 10_000 * right / returned.max(1);
        format!(
            "{}.{:02} % of the calls that returned are paired right, {wrong} durations are wrong\n  \
             \x20 ({certain} of {} pairs fit one call and no other)",
            share / 100,
            share % 100,
            right + wrong
        )
    }
}
