//! What has been measured, for other programs and for people: JSON documents, CSV, plain text, and
//! the files they are written to. Text from a target leaves here escaped, in every format.

mod calls;
pub mod csv;
pub mod file;
mod functions;
mod session;
mod table;
pub mod text;

pub use functions::{FunctionsDocument, functions_document};
pub use session::{SessionDocument, session_document};

#[cfg(test)]
mod fixture;
