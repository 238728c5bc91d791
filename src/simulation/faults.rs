//! What can go wrong between agents and their colony, and for how long.

use std::time::Duration;

use fastrand::Rng;
use turmoil::Sim;

use crate::node::simulated::Crash;

pub(super) const COLONY: &str = "colony";

/// A fault of one agent, or of the way to it.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum Fault {
    /// What is sent waits.
    Held,
    /// What is sent is lost.
    Cut,
    /// What the agent sends is lost.
    CutFrom,
    /// What is sent to the agent is lost.
    CutTo,
    /// Some of what is sent is lost, in one of so many messages.
    Lossy(u32),
    /// What is sent takes up to so many milliseconds.
    Slow(u64),
    /// The agent is killed.
    Agent(Crash),
    /// The colony is killed.
    Colony,
}

impl Fault {
    /// Any of them, and how long it lasts.
    pub(super) fn any(random: &mut Rng) -> (Self, Duration) {
        let fault = match random.u32(..16) {
            0 | 1 => Self::Held,
            2 | 3 => Self::Cut,
            4 => Self::CutFrom,
            5 => Self::CutTo,
            6 | 7 => Self::Lossy(random.u32(10..500)),
            8 => Self::Slow(random.u64(50..3_000)),
            9 | 10 => Self::Agent(Crash::Agent),
            11 | 12 => Self::Agent(Crash::Machine),
            _ => Self::Colony,
        };
        // Most are over before a silent link is found, and some after it.
        let most_ms = if random.bool() { 3_000 } else { 16_000 };
        (fault, Duration::from_millis(random.u64(1..most_ms)))
    }

    /// What it is about, of which there is one at a time.
    pub(super) fn place(self, agent: usize) -> Place {
        match self {
            Self::Agent(_) => Place::Agent(agent),
            Self::Colony => Place::Colony,
            _ => Place::Way(agent),
        }
    }

    /// Whether nothing of what is sent arrives before it is over, one way at least.
    pub(super) fn is_cut(self) -> bool {
        matches!(self, Self::Held | Self::Cut | Self::CutFrom | Self::CutTo)
    }

    pub(super) fn begin(self, sim: &mut Sim<'_>, agent: &str) {
        match self {
            Self::Held => sim.hold(agent, COLONY),
            Self::Cut => sim.partition(agent, COLONY),
            Self::CutFrom => sim.partition_oneway(agent, COLONY),
            Self::CutTo => sim.partition_oneway(COLONY, agent),
            Self::Lossy(one_of) => {
                sim.set_link_fail_rate(agent, COLONY, 1.0 / f64::from(one_of));
            }
            Self::Slow(ms) => {
                sim.set_link_max_message_latency(agent, COLONY, Duration::from_millis(ms));
            }
            Self::Agent(_) => sim.crash(agent),
            Self::Colony => sim.crash(COLONY),
        }
    }

    pub(super) fn end(self, sim: &mut Sim<'_>, agent: &str) {
        match self {
            Self::Held => sim.release(agent, COLONY),
            Self::Cut => sim.repair(agent, COLONY),
            Self::CutFrom => sim.repair_oneway(agent, COLONY),
            Self::CutTo => sim.repair_oneway(COLONY, agent),
            Self::Lossy(_) => {
                sim.set_link_fail_rate(agent, COLONY, 0.0);
                sim.repair(agent, COLONY);
            }
            Self::Slow(_) => {
                sim.set_link_max_message_latency(agent, COLONY, super::world::LATENCY_MAX);
            }
            Self::Agent(_) => sim.bounce(agent),
            Self::Colony => sim.bounce(COLONY),
        }
    }
}

/// Where a fault is; by the agent's place.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Place {
    Agent(usize),
    Way(usize),
    Colony,
}
