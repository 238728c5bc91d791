//! The one place that turns wire types into those of the model, and back.
//!
//! What becomes a value of the other side as it is has `From` or `TryFrom`. What takes more than
//! one message has a type on each side: a session is sent by [`SessionUpdates`] and put together by
//! [`Assembled`], a function table is sent by [`function_page`] and put together by
//! [`FunctionPages`].
//!
//! Senders never fail: what is too large is cut and says so. Receivers trust nothing: they fail
//! with a [`ConvertError`] or give values with which the rest of the program can reckon.

mod assembled;
mod calls;
mod cost;
mod error;
mod fit;
mod function;
mod held;
mod histogram;
mod number;
mod packer;
mod pages;
mod process;
mod replicas;
mod session;
mod stats;
mod text;
mod totals;
mod tree;
mod updates;

pub use assembled::{Assembled, SESSION_BYTES_MAX};
pub use calls::journal_call;
pub use error::ConvertError;
pub use function::new_function;
pub use histogram::{histogram_from_wire, histogram_to_wire};
pub use number::{duration_from_wire, duration_to_wire, timestamp_from_wire, timestamp_to_wire};
pub use pages::{FunctionPages, TABLE_BYTES_MAX, function_page};
pub use process::{fit_processes, joined_services};
pub use session::{OTHER_PIDS_MAX, settings_from_wire};
pub use text::{TEXT_BYTES_MAX, TRUNCATED};
pub use updates::SessionUpdates;

/// What an item of a list needs in a message beside itself, in bytes: its field's tag and its
/// length.
pub const ITEM_BYTES: usize = 8;
