//! One of several processes that a session measures, with its own numbers.

use std::sync::Arc;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::{Accounting, EndReason, FunctionStats, SessionId, Target};

/// A replica of a service in a session, and what was measured in it alone.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Replica {
    /// The process, and the agent of its node.
    pub target: Target,
    /// The session of its agent; `None` where there is none.
    pub session: Option<SessionId>,
    /// Whether it is measured.
    pub state: ReplicaState,
    /// Why it is not measured, or since when nothing is heard of it.
    pub trouble: Option<String>,
    /// How long it has measured.
    pub elapsed: Duration,
    /// Where its hits went.
    pub accounting: Accounting,
    /// What measuring costs it, in percent of a core.
    pub cpu_percent: Option<f64>,
    /// Its functions, each at the place that it has among those of the snapshot; `None` where this
    /// replica has not such a function.
    pub functions: Vec<Option<Arc<FunctionStats>>>,
}

/// Whether a replica is measured.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ReplicaState {
    /// Its probes are live.
    Measuring,
    /// Nothing is heard of it: its numbers are old, and its probes end with their lease.
    Silent,
    /// It was not attached to.
    Refused,
    /// It is over, and its numbers are final.
    Ended(EndReason),
}

impl Replica {
    /// A process of which nothing was measured yet.
    pub fn new(target: Target, state: ReplicaState) -> Self {
        Self {
            target,
            session: None,
            state,
            trouble: None,
            elapsed: Duration::ZERO,
            accounting: Accounting::default(),
            cpu_percent: None,
            functions: Vec::new(),
        }
    }

    /// Its numbers of the function at that place of the snapshot.
    pub fn function(&self, place: usize) -> Option<&Arc<FunctionStats>> {
        self.functions.get(place)?.as_ref()
    }
}
