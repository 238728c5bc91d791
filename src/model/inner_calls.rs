//! What a call spent its time in: the probed calls that were made inside of it.

use serde::{Deserialize, Serialize};

use crate::{CallValue, FunctionId};

/// The probed calls inside of one call, as far as they made records.
///
/// Its times are exact whatever was not recorded: they add up to the call's duration with the own
/// times of all `calls`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct InnerCalls {
    /// In pre-order: each before those inside of it, in the order in which they began.
    pub calls: Vec<InnerCall>,
    /// How many more made records, at least; these are the longest.
    pub left_out: u64,
    /// What the call took without the probed calls that it made.
    pub self_ns: u64,
    /// What probed calls took that are not among `calls`, those inside of them not counted that are.
    pub missing_ns: u64,
}

/// One call inside of another.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct InnerCall {
    /// The function.
    pub function: FunctionId,
    /// How many of the recorded calls it is inside of, the outermost included: at least 1.
    pub depth: u32,
    /// Whether calls between it and the one that it is inside of made no record.
    #[serde(default)]
    pub parent_missing: bool,
    /// How long after the outermost call it began.
    pub started_after_ns: u64,
    /// How long it took.
    pub duration_ns: u64,
    /// What of that no probed call inside of it took, recorded or not.
    pub self_ns: u64,
    /// Whether it returned an error; `false` too where that cannot be told.
    #[serde(default)]
    pub failed: bool,
    /// What it received, if that was asked for.
    #[serde(default)]
    pub arguments: Vec<CallValue>,
    /// What it returned, if that was asked for.
    #[serde(default)]
    pub results: Vec<CallValue>,
}
