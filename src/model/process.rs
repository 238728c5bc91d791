//! Processes: what the picker shows of each, and what identifies the one that is being watched.

use serde::{Deserialize, Serialize};

use crate::Language;

/// A running process, as the picker lists it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ProcessSummary {
    /// The process id in this node's namespace.
    pub pid: u32,
    /// The user it runs as, by name where there is one.
    pub user: String,
    /// The kernel's short name of it.
    pub name: String,
    /// The command line, arguments separated by spaces; escape it before showing it.
    pub command: String,
    /// The language of its executable, where it could be told.
    pub language: Option<Language>,
    /// When it started, in clock ticks since boot: tells a process id that is used again.
    pub start_ticks: u64,
    /// TCP ports that it listens on.
    pub ports: Vec<u16>,
    /// The container's short id, if it is in one.
    pub container: Option<String>,
    /// Resident memory in bytes.
    pub resident_bytes: u64,
    /// Why it cannot be probed, if it cannot.
    pub refusal: Option<String>,
}

/// The agent that is part of this program, as documents name it.
pub const EMBEDDED_AGENT: &str = "local";

fn embedded_agent() -> String {
    EMBEDDED_AGENT.into()
}

/// The process under observation. Two targets are the same process only if all of this is equal.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Target {
    /// The agent that measures it, as it calls itself; [`EMBEDDED_AGENT`] for this program's own.
    #[serde(default = "embedded_agent")]
    pub agent_id: String,
    /// The service's name: until somebody says otherwise, the executable's file name.
    pub service: String,
    /// The process id in this node's namespace.
    pub pid: u32,
    /// The path of the executable as the process sees it.
    pub exe: String,
    /// The executable's build-id.
    pub build_id: Option<String>,
    /// The executable's language.
    pub language: Language,
    /// When it started, in clock ticks since boot: tells a reused pid.
    pub start_ticks: u64,
}
