//! What the kernel programs and the agent share: the records in the maps, the layout of a probe's
//! cookie, and the bucket a duration is counted in.
//!
//! Everything is `#[repr(C)]` with explicit padding, because both sides are compiled for
//! different machines and read the same bytes.
#![no_std]

mod capture;
mod cookie;
mod filter;
mod frames;
mod histogram;
mod records;

pub use capture::{
    BASE_RESULT, BASE_STACK, Captured, CapturedValues, ErrorTest, Filter, FunctionDetail,
    FutureSpec, PREDICATE_BYTES, PREDICATES_MAX, Predicate, RDI, REGISTERS, STATUS_FAULT,
    STATUS_NULL, STATUS_OK, STATUS_TRUNCATED, STEPS_MAX, Test, VALUE_BYTES, VALUES_MAX, ValueKind,
    ValueSpec,
};
pub use cookie::{Cookie, HitKind};
pub use filter::{filter_decides, filter_matches, predicate_outcome};
pub use frames::{Entered, FrameStack, drop_one, enter, leave, thread_depth};
pub use histogram::{BUCKETS, bucket_of};
pub use records::*;
