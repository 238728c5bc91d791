//! The session file: a session as it went on, frame by frame, to be replayed on the same screens.
//!
//! It is JSON lines under gzip. The first line names the target and its functions; each further
//! line is a [`Snapshot`](coral_model::Snapshot) with the time at which it was taken, without what
//! is as it was in the line before. The same input gives the same bytes.

mod check;
mod format;
mod read;
mod write;

pub use read::{Recording, RecordingError};
pub use write::Recorder;

#[cfg(test)]
mod tests;
