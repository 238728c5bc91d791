//! The agent's calls, and what they are asked for.

use coral_proto::agent::v1 as wire;

pub(crate) use crate::grpc::{Answer, Call, code_of};

impl Call {
    /// All calls of `coral.agent.v1.Agent`.
    pub(crate) fn all() -> Vec<Self> {
        Self::all_of("coral.agent.v1", "Agent")
    }

    /// The one of that name.
    pub(crate) fn of_name(name: &str) -> Self {
        let mut all = Self::all().into_iter();
        all.find(|call| call.name == name)
            .unwrap_or_else(|| panic!("there is no call {name}"))
    }
}

/// A process by its id.
pub(crate) fn target(pid: u32) -> Option<wire::TargetRef> {
    Some(wire::TargetRef {
        pids: vec![pid],
        ..wire::TargetRef::default()
    })
}

/// So many seconds on the wire.
pub(crate) fn seconds(seconds: i64) -> Option<prost_types::Duration> {
    Some(prost_types::Duration { seconds, nanos: 0 })
}

/// A session on functions of a process.
pub(crate) fn session_on(pid: u32, patterns: &[&str]) -> wire::StartSessionRequest {
    wire::StartSessionRequest {
        target: target(pid),
        patterns: patterns.iter().map(|&pattern| pattern.to_owned()).collect(),
        settings: Some(wire::SessionSettings {
            duration: seconds(300),
            no_budget: true,
            ..wire::SessionSettings::default()
        }),
        ..wire::StartSessionRequest::default()
    }
}
