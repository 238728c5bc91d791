//! Keeps what probes cost below a share of a core: warns, then stops recording single calls of
//! the dearest function, then detaches it alone.

use std::time::Duration;

use super::rate::RATE_WINDOW;

/// From this part of the budget on there is a warning.
const WARN_SHARE: f64 = 0.5;
/// From this part on the dearest function makes no single-call records.
const THROTTLE_SHARE: f64 = 0.8;

/// What to do.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Action {
    /// Say that probes cost so much of a core.
    Warn { percent: f64 },
    /// Record no single calls of that slot for now.
    Throttle { slot: u32 },
    /// Detach that slot, which costs so much of a core, while all together cost `total_percent`.
    Detach {
        slot: u32,
        percent: f64,
        total_percent: f64,
    },
}

/// The budget of a session.
#[derive(Debug)]
pub(super) struct Budget {
    /// Percent of a core.
    percent: f64,
    has_warned: bool,
}

impl Budget {
    /// A budget in percent of a core.
    pub(super) fn new(percent: f64) -> Self {
        Self {
            percent,
            has_warned: false,
        }
    }

    pub(super) fn percent(&self) -> f64 {
        self.percent
    }

    /// What to do when the attached slots have cost so many nanoseconds each within the last
    /// second.
    ///
    /// The allowance of a second may be spent at once: probes that have spent it in a tenth are
    /// over it then, and not only at the second's end.
    pub(super) fn check(&mut self, costs_ns: &[(u32, f64)]) -> Vec<Action> {
        let percent_of = |cost_ns: f64| cost_ns / RATE_WINDOW.as_nanos() as f64 * 100.0;
        let mut costs: Vec<(u32, f64)> = costs_ns
            .iter()
            .map(|&(slot, cost_ns)| (slot, percent_of(cost_ns)))
            .collect();
        costs.sort_by(|(_, a), (_, b)| a.total_cmp(b));
        let mut total: f64 = costs.iter().map(|(_, percent)| percent).sum();
        let mut actions = Vec::new();
        if total >= self.percent * WARN_SHARE && !self.has_warned {
            self.has_warned = true;
            actions.push(Action::Warn { percent: total });
        }
        while total > self.percent {
            let Some((slot, percent)) = costs.pop() else {
                break;
            };
            actions.push(Action::Detach {
                slot,
                percent,
                total_percent: total,
            });
            total -= percent;
        }
        if total >= self.percent * THROTTLE_SHARE
            && let Some(&(slot, _)) = costs.last()
        {
            actions.push(Action::Throttle { slot });
        }
        actions
    }
}

/// How often the budget is looked at.
pub(super) const CHECK_INTERVAL: Duration = Duration::from_millis(60);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_dearest_goes_first_and_the_others_stay() {
        let mut budget = Budget::new(2.0);
        // 0.4 % and 0.5 % of a core.
        assert_eq!(budget.check(&[(0, 4e6), (1, 5e6)]), []);
        assert_eq!(
            budget.check(&[(0, 4e6), (1, 7e6)]),
            [Action::Warn { percent: 1.1 }]
        );
        assert_eq!(
            budget.check(&[(0, 8e6), (1, 9e6)]),
            [Action::Throttle { slot: 1 }],
            "a warning is given once"
        );
        assert_eq!(
            budget.check(&[(0, 4e6), (1, 830e6), (2, 5e6)]),
            [Action::Detach {
                slot: 1,
                percent: 83.0,
                total_percent: 83.9
            }]
        );
        assert_eq!(
            budget.check(&[(0, 30e6), (2, 25e6)]),
            [
                Action::Detach {
                    slot: 0,
                    percent: 3.0,
                    total_percent: 5.5
                },
                Action::Detach {
                    slot: 2,
                    percent: 2.5,
                    total_percent: 2.5
                }
            ]
        );
    }
}
