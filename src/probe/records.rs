//! What travels through the kernel's maps, as bytes this program can read.
#![allow(unsafe_code)] // the kernel's border: bytes that the kernel programs wrote

use coral_ebpf_common::{CallRecord, Frame, FrameKey, OverflowKey, Stack};

/// Makes a shared record fit for aya's maps.
#[derive(Clone, Copy, Debug)]
#[repr(transparent)]
pub(super) struct Shared<T>(pub(super) T);

// SAFETY: these are `#[repr(C)]` records of integers without implicit padding, so that every bit
// pattern is valid and every byte is initialised.
unsafe impl aya::Pod for Shared<FrameKey> {}
// SAFETY: as above.
unsafe impl aya::Pod for Shared<Stack> {}
// SAFETY: as above.
unsafe impl aya::Pod for Shared<OverflowKey> {}
// SAFETY: as above.
unsafe impl aya::Pod for Shared<Frame> {}

/// The record in an item of the ring, if it has a record's size.
pub(super) fn call_record(item: &[u8]) -> Option<CallRecord> {
    (item.len() >= size_of::<CallRecord>()).then(|| {
        // SAFETY: the length was checked, and every bit pattern is a valid record.
        unsafe { item.as_ptr().cast::<CallRecord>().read_unaligned() }
    })
}
