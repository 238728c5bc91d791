//! What has been measured, for other programs and for people: JSON documents, CSV, plain text, and
//! the files they are written to. Text from a target leaves here escaped, in every format.

mod calls;
pub mod csv;
pub mod file;
mod functions;
pub mod history;
mod inlined;
mod inner_calls;
mod names;
mod replicas;
mod session;
mod table;
pub mod text;
mod trace;

pub use functions::{FunctionsDocument, functions_document};
pub use inlined::{InlinedCall, InlinedCalls};
pub use session::{SessionDocument, session_document};
pub use trace::{TraceDocument, TraceReport, trace_document};

#[cfg(test)]
mod fixture;
#[cfg(test)]
mod trace_fixture;
