//! The shipped recording of the sample service: what it looks like under probes, for those who
//! may not place any.

use crate::recording::{Recording, RecordingError};

static CHECKOUT: &[u8] = include_bytes!("../../demo/checkout.coralrec");

/// The recording.
///
/// # Errors
/// Never, as long as the format can still read what was shipped; a test holds it to that.
pub fn recording() -> Result<Recording, RecordingError> {
    Recording::read(CHECKOUT)
}
