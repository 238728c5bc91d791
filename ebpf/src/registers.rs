//! The registers of the interrupted code, by their DWARF numbers.

use core::mem::offset_of;

use aya_ebpf::bindings::pt_regs;
use aya_ebpf::cty::c_void;
use aya_ebpf::helpers::generated::{bpf_probe_read_kernel, bpf_probe_read_user};
use coral_ebpf_common::REGISTERS;

/// Writes all of them to where they can be asked for by number.
#[inline(always)]
pub(crate) fn write_all(regs: *const pt_regs, to: *mut [u64; REGISTERS]) {
    // SAFETY: the kernel passes its own record of the registers; `to` is in a map or in the ring.
    unsafe {
        let regs = &*regs;
        (*to)[0] = regs.rax;
        (*to)[1] = regs.rdx;
        (*to)[2] = regs.rcx;
        (*to)[3] = regs.rbx;
        (*to)[4] = regs.rsi;
        (*to)[5] = regs.rdi;
        (*to)[6] = regs.rbp;
        (*to)[7] = regs.rsp;
        (*to)[8] = regs.r8;
        (*to)[9] = regs.r9;
        (*to)[10] = regs.r10;
        (*to)[11] = regs.r11;
        (*to)[12] = regs.r12;
        (*to)[13] = regs.r13;
        (*to)[14] = regs.r14;
        (*to)[15] = regs.r15;
    }
}

/// One that arguments and results are in, or the stack pointer.
///
/// The kernel forbids to choose a place in its record of the registers at run time, but not to
/// copy from there.
#[inline(always)]
pub(crate) fn one(regs: *const pt_regs, number: u8) -> Option<u64> {
    let offset = match number {
        0 => offset_of!(pt_regs, rax),
        1 => offset_of!(pt_regs, rdx),
        2 => offset_of!(pt_regs, rcx),
        3 => offset_of!(pt_regs, rbx),
        4 => offset_of!(pt_regs, rsi),
        5 => offset_of!(pt_regs, rdi),
        7 => offset_of!(pt_regs, rsp),
        8 => offset_of!(pt_regs, r8),
        9 => offset_of!(pt_regs, r9),
        10 => offset_of!(pt_regs, r10),
        11 => offset_of!(pt_regs, r11),
        _ => return None,
    };
    let mut word = 0u64;
    // SAFETY: the offset is that of a register.
    let result = unsafe {
        let from = regs.byte_add(offset).cast::<c_void>();
        bpf_probe_read_kernel((&raw mut word).cast::<c_void>(), 8, from)
    };
    (result == 0).then_some(word)
}

/// Reads `len` bytes of the target's memory to `to`; whether it could be read.
#[inline(always)]
pub(crate) fn read_user(to: *mut u8, len: u32, address: u64) -> bool {
    // SAFETY: the verifier checks that `to` has room.
    unsafe { bpf_probe_read_user(to.cast::<c_void>(), len, address as *const c_void) == 0 }
}

/// The 8 bytes at an address of the target's memory.
#[inline(always)]
pub(crate) fn word_at(address: u64) -> Option<u64> {
    let mut word = 0u64;
    read_user((&raw mut word).cast(), 8, address).then_some(word)
}

/// The lowest `size` bytes of a word.
#[inline(always)]
pub(crate) fn lowest(word: u64, size: u32) -> u64 {
    match size {
        1 => word & 0xff,
        2 => word & 0xffff,
        4 => word & 0xffff_ffff,
        _ => word,
    }
}

/// The same, with the sign extended.
#[inline(always)]
pub(crate) fn lowest_signed(word: u64, size: u32) -> u64 {
    match size {
        1 => (((word << 56) as i64) >> 56) as u64,
        2 => (((word << 48) as i64) >> 48) as u64,
        4 => (((word << 32) as i64) >> 32) as u64,
        _ => word,
    }
}
