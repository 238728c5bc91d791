//! What coral talks about: functions, probes, sessions, latency and units.
//!
//! Everything here is a plain value: no I/O, no async, no screen. Every other room imports this
//! one, and it imports none of them.

mod call_tree;
mod comparison;
mod cost;
mod diagnostic;
pub mod filter;
mod function;
mod glob;
mod histogram;
mod history;
mod inner_calls;
pub mod logic;
pub mod merge;
mod outlier;
mod pattern;
mod process;
mod redaction;
mod replica;
mod service;
mod session;
mod settings;
mod snapshot;
mod sql;
mod text;
mod trace;
mod units;

pub use call_tree::{CallNode, CallTree};
pub use comparison::{Verdict, compare_percentile};
pub use cost::ExpectedCost;
pub use diagnostic::{Diagnostic, ExitStatus};
pub use function::{
    Function, FunctionId, FunctionTable, FunctionTableBuilder, Language, Module, NewFunction,
    ProbeReason, ProbeSummary, Probeability, SymbolSource,
};
pub use glob::glob_matches;
pub use histogram::{Bucket, Histogram, PERCENTILES, Percentiles, bucket_range_ns};
pub use history::SessionSummary;
pub use inner_calls::{InnerCall, InnerCalls};
pub use outlier::{Outlier, outliers};
pub use pattern::{Pattern, PatternError};
pub use process::{EMBEDDED_AGENT, ProcessSummary, Target};
pub use redaction::{
    KnownSecret, REDACTED, REDACTION_RULES_MAX, Redaction, RedactionError, RedactionRule,
};
pub use replica::{Replica, ReplicaState};
pub use service::{AgentSummary, Service, ServiceReplica};
pub use session::{EndReason, ExitProbe, Limits, SessionId, SessionInfo, SessionState};
pub use settings::{
    BudgetError, Capture, ImpossibleDurations, SessionSettings, format_budget, parse_budget,
};
pub use snapshot::{
    Accounting, CallRecord, CallValue, FunctionStats, InFlightCall, JoinedCalls, Overhead,
    SessionNotice, Snapshot, StackFrame,
};
pub use sql::{SqlColumn, SqlResult, SqlSchema, SqlTable};
pub use text::{Escaped, escape};
pub use trace::{
    Analysis, SlowestNode, Trace, TraceBuilder, TraceCall, TraceLosses, TraceNode, TraceRecord,
    TraceSummary, TraceTree,
};
pub use units::{
    DurationError, format_bytes, format_count, format_duration, format_duration_exactly,
    format_duration_ns, parse_duration,
};
