//! What goes over the wire arrives as it was, whatever is left out and however it is split; and
//! whatever arrives does no harm.
#![allow(clippy::unwrap_used)] // all of this is tests

mod hostile;
mod limits;
mod listings;
mod round_trip;
mod tape;
