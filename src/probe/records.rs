//! What travels through the kernel's maps, as bytes this program can read.
#![allow(unsafe_code)] // the kernel's border: bytes that the kernel programs wrote

use coral_ebpf_common::{
    CallRecord, DetailRecord, Frame, FrameKey, PlaceKey, RECORD_HAS_DETAIL, Stack,
};

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
unsafe impl aya::Pod for Shared<PlaceKey> {}
// SAFETY: as above.
unsafe impl aya::Pod for Shared<Frame> {}

/// A completed call, as the kernel wrote it.
#[derive(Clone, Debug)]
pub struct KernelRecord {
    /// The call.
    pub call: CallRecord,
    /// What else is known of it.
    pub detail: Option<Box<DetailRecord>>,
}

/// The record in an item of the ring, if it has a record's size.
pub(super) fn kernel_record(item: &[u8]) -> Option<KernelRecord> {
    let call = read::<CallRecord>(item)?;
    let detail = if call.flags & RECORD_HAS_DETAIL != 0 {
        Some(Box::new(read::<DetailRecord>(item)?))
    } else {
        None
    };
    Some(KernelRecord { call, detail })
}

/// For `#[repr(C)]` records of integers only.
fn read<T: Copy>(item: &[u8]) -> Option<T> {
    (item.len() >= size_of::<T>()).then(|| {
        // SAFETY: the length was checked, and every bit pattern is a valid record.
        unsafe { item.as_ptr().cast::<T>().read_unaligned() }
    })
}
