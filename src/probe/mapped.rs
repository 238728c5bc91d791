//! Array maps of the kernel, mapped into this process: reading them costs no system call.
#![allow(unsafe_code)] // the kernel's border: memory that the kernel programs write

use std::ffi::c_void;
use std::marker::PhantomData;
use std::os::fd::AsFd;
use std::ptr::NonNull;

use coral_ebpf_common::{FUNCTION_HAS_DETAIL, FunctionConfig, FunctionDetail};
use rustix::mm::{MapFlags, ProtFlags, mmap, munmap};

/// An array map whose elements are plain `#[repr(C)]` records of integers.
///
/// Every field is an aligned integer that the kernel programs add to atomically, so that a read
/// sees each field whole; fields of one record may be from moments a few instructions apart.
#[derive(Debug)]
pub(super) struct MappedArray<T> {
    base: NonNull<T>,
    len: usize,
    bytes: usize,
    element: PhantomData<T>,
}

// SAFETY: the mapping belongs to this value alone, and all access is by volatile reads and writes
// of plain integers, from whatever thread owns the value.
unsafe impl<T: Copy + Send> Send for MappedArray<T> {}

impl<T: Copy> MappedArray<T> {
    /// Maps `len` elements of the map behind `map`, which must be an array of at least that many
    /// elements of type `T`, made to be mapped.
    pub(super) fn new(map: impl AsFd, len: usize) -> rustix::io::Result<Self> {
        let page = rustix::param::page_size();
        let bytes = (len * size_of::<T>()).next_multiple_of(page);
        // SAFETY: a new mapping at an address that the kernel chooses touches no other memory.
        let base = unsafe {
            mmap(
                std::ptr::null_mut(),
                bytes,
                ProtFlags::READ | ProtFlags::WRITE,
                MapFlags::SHARED,
                map,
                0,
            )?
        };
        let base = NonNull::new(base.cast::<T>()).ok_or(rustix::io::Errno::NOMEM)?;
        Ok(Self {
            base,
            len,
            bytes,
            element: PhantomData,
        })
    }

    /// The element at `index` as it is now.
    ///
    /// # Panics
    /// If there is no such element: that is an error in this program.
    pub(super) fn read(&self, index: usize) -> T {
        assert!(index < self.len, "element {index} of {}", self.len);
        // SAFETY: the element is inside the mapping, and every bit pattern is a valid `T`.
        unsafe { self.base.add(index).read_volatile() }
    }

    /// Where the element at `index` lies.
    fn pointer(&self, index: usize) -> *mut T {
        assert!(index < self.len, "element {index} of {}", self.len);
        // SAFETY: the element is inside the mapping.
        unsafe { self.base.add(index).as_ptr() }
    }

    /// Writes the element at `index`.
    pub(super) fn write(&self, index: usize, value: T) {
        // SAFETY: the pointer is inside the mapping, which is writable.
        unsafe { self.pointer(index).write_volatile(value) }
    }
}

/// Fields that are written while the kernel programs read, or count down, others of the element.
impl MappedArray<FunctionConfig> {
    pub(super) fn set_enabled(&self, index: usize, enabled: bool) {
        // SAFETY: the pointer is inside the mapping, and the field is an aligned integer.
        unsafe { (&raw mut (*self.pointer(index)).enabled).write_volatile(u32::from(enabled)) }
    }

    pub(super) fn set_has_detail(&self, index: usize) {
        let flags = self.read(index).flags | FUNCTION_HAS_DETAIL;
        // SAFETY: as above.
        unsafe { (&raw mut (*self.pointer(index)).flags).write_volatile(flags) }
    }

    pub(super) fn set_filter(&self, index: usize, filter: u32) {
        // SAFETY: as above.
        unsafe { (&raw mut (*self.pointer(index)).filter).write_volatile(filter) }
    }

    pub(super) fn set_top_ns(&self, index: usize, top_ns: u64) {
        // SAFETY: as above.
        unsafe { (&raw mut (*self.pointer(index)).top_ns).write_volatile(top_ns) }
    }

    pub(super) fn set_tokens(&self, index: usize, records: i64, top: i64) {
        let pointer = self.pointer(index);
        // SAFETY: as above.
        unsafe {
            (&raw mut (*pointer).record_tokens).write_volatile(records);
            (&raw mut (*pointer).top_tokens).write_volatile(top);
        }
    }
}

impl MappedArray<FunctionDetail> {
    pub(super) fn set_arguments_len(&self, index: usize, len: u32) {
        // SAFETY: the pointer is inside the mapping, and the field is an aligned integer.
        unsafe { (&raw mut (*self.pointer(index)).arguments_len).write_volatile(len) }
    }
}

impl<T> Drop for MappedArray<T> {
    fn drop(&mut self) {
        // SAFETY: the range was mapped by `new`, and no reference into it is ever handed out.
        // A failure would leave a mapping behind, which harms nobody.
        let _ = unsafe { munmap(self.base.as_ptr().cast::<c_void>(), self.bytes) };
    }
}
