//! Sessions on one node: what may be attached, for how long, and what it has measured.
//!
//! Each session has one thread that owns all of its state: the kernel side, the lease, the
//! numbers. Others talk to it by commands and read the immutable snapshots it publishes, so that
//! nothing is locked and the latest snapshot wins.

mod budget;
mod call_stream;
mod ended_calls;
mod error;
mod estimate;
mod growth;
mod in_flight;
mod inlined;
mod nesting;
mod own_sites;
mod planned;
mod probes;
mod rate;
mod records;
mod request;
mod session;
mod slow_calls;
mod stacks;
mod tally;
mod traces;
mod tree;
mod values;
mod watched;
mod worker;

pub use call_stream::{CallSink, CallStream, call_stream};
pub use error::AgentError;
pub use growth::{GrowthRule, is_same as is_same_program};
pub use request::{AttachRequest, Attached, Refused, TraceRule};
pub use session::{Agent, Session, TracesHandle};
pub use traces::Traces;
pub use watched::Watched;
