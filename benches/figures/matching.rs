//! Which of some pairs are of some calls where a pair may fit several: as many as possible, each
//! with a call of its own.

use std::collections::{BTreeMap, VecDeque};

/// A maximum matching, which grows by the shortest augmenting path of one pair after the other.
struct Matching<'a> {
    /// The calls that each pair fits.
    fitting: &'a [Vec<usize>],
    /// The call that each pair has.
    calls: Vec<Option<usize>>,
    /// The pair that has each call.
    owners: BTreeMap<usize, usize>,
}

/// How many pairs get a call of their own, when each fits these calls.
pub(crate) fn matched(fitting: &[Vec<usize>]) -> usize {
    let mut matching = Matching {
        fitting,
        calls: vec![None; fitting.len()],
        owners: BTreeMap::new(),
    };
    (0..fitting.len())
        .filter(|&pair| matching.add(pair))
        .count()
}

impl Matching<'_> {
    /// Gives a pair a call; the one that has it may take another, and so on. Every call is looked
    /// at once.
    fn add(&mut self, pair: usize) -> bool {
        let mut seekers = BTreeMap::new();
        let mut waiting = VecDeque::from([pair]);
        while let Some(seeker) = waiting.pop_front() {
            for &call in &self.fitting[seeker] {
                if seekers.contains_key(&call) {
                    continue;
                }
                seekers.insert(call, seeker);
                match self.owners.get(&call) {
                    Some(&owner) => waiting.push_back(owner),
                    None => {
                        self.hand_over(call, &seekers);
                        return true;
                    }
                }
            }
        }
        false
    }

    /// Gives a free call to its seeker, the seeker's own to the one who sought that, and so on.
    fn hand_over(&mut self, free: usize, seekers: &BTreeMap<usize, usize>) {
        let mut next = Some(free);
        while let Some(call) = next {
            let seeker = seekers[&call];
            self.owners.insert(call, seeker);
            next = self.calls[seeker].replace(call);
        }
    }
}
