//! The programs that run at every probe hit. They pair entries with exits and count, exactly, and
//! lose nothing but single-call records, which they count.
//!
//! Three rules shape every line. A program may be preempted by another task that hits a probe on
//! the same processor, so shared counters are added to atomically, even on a processor's own
//! stripe. A stack's frames are written by one thread at a time, because a goroutine runs on one
//! thread at a time, so they need no lock. And nothing is done for a hit after the lease.
#![no_std]
#![no_main]
#![allow(internal_features)]
#![feature(core_intrinsics)]

mod atomic;
mod count;
mod filter;
mod frames;
mod future;
mod maps;
mod outcome;
mod record;
mod registers;
mod stacks;
mod tree;
mod values;

use aya_ebpf::bindings::{bpf_pidns_info, pt_regs};
use aya_ebpf::helpers::bpf_get_current_pid_tgid;
use aya_ebpf::helpers::generated::{
    bpf_get_attach_cookie, bpf_get_ns_current_pid_tgid, bpf_ktime_get_ns,
};
use aya_ebpf::macros::{uprobe, uretprobe};
use aya_ebpf::programs::{ProbeContext, RetProbeContext};
use coral_ebpf_common::{Config, Cookie, FUNCTION_IS_COUNTED, FrameKey, FunctionConfig, HitKind};

use crate::count::Stripe;

/// Runs at every entry and exit site.
#[uprobe(multi)]
pub fn coral_site(ctx: ProbeContext) -> u32 {
    hit(ctx.regs);
    0
}

/// Runs where the kernel's own return probes catch an exit ("fast returns").
#[uretprobe(multi)]
pub fn coral_return(ctx: RetProbeContext) -> u32 {
    hit(ctx.regs);
    0
}

/// [`coral_site`] for kernels without links for many probes at once.
#[uprobe]
pub fn coral_site_single(ctx: ProbeContext) -> u32 {
    hit(ctx.regs);
    0
}

/// [`coral_return`] for kernels without links for many probes at once.
#[uretprobe]
pub fn coral_return_single(ctx: RetProbeContext) -> u32 {
    hit(ctx.regs);
    0
}

/// Counts entries and nothing else: how often functions are called, before they are measured.
#[uprobe(multi)]
pub fn coral_count(ctx: ProbeContext) -> u32 {
    count(ctx.regs);
    0
}

/// Does nothing: what remains of a hit's cost is the kernel's own. Benchmarks attach it.
#[uprobe(multi)]
pub fn coral_empty(_ctx: ProbeContext) -> u32 {
    0
}

/// A hit, its site and the stack it happened on.
pub(crate) struct Hit {
    pub(crate) regs: *mut pt_regs,
    pub(crate) config: &'static Config,
    pub(crate) function: &'static FunctionConfig,
    pub(crate) cookie: Cookie,
    pub(crate) stripe: Stripe,
    pub(crate) key: FrameKey,
    pub(crate) tid: u32,
    /// When the program began.
    pub(crate) now_ns: u64,
    /// The stack pointer that the function was entered with.
    pub(crate) entry_sp: u64,
    /// The depth that the function's frame has.
    pub(crate) depth: u64,
}

impl Hit {
    /// What the hit costs, by calibration.
    #[inline(always)]
    pub(crate) fn cost_ns(&self) -> u64 {
        u64::from(if self.cookie.is_stepped() {
            self.config.stepped_ns
        } else {
            self.config.emulated_ns
        })
    }
}

#[inline(always)]
fn count(regs: *mut pt_regs) {
    let Some(config) = maps::CONFIG.get(0) else {
        return;
    };
    let (tgid, _) = current_ids(config);
    if unsafe { bpf_ktime_get_ns() } >= config.deadline_ns || !is_target(config, tgid) {
        return;
    }
    let cookie = Cookie(unsafe { bpf_get_attach_cookie(regs.cast()) });
    let stripe = Stripe::of_this_processor(config);
    stripe.count_hit();
    stripe.count_entry(cookie.slot());
}

#[inline(always)]
fn hit(regs: *mut pt_regs) {
    // Taken first, so that a call's duration does not hold what its exit costs.
    let now_ns = unsafe { bpf_ktime_get_ns() };
    let Some(config) = maps::CONFIG.get(0) else {
        return;
    };
    let (tgid, tid) = current_ids(config);
    if now_ns >= config.deadline_ns || !is_target(config, tgid) {
        return;
    }
    let cookie = Cookie(unsafe { bpf_get_attach_cookie(regs.cast()) });
    let function = match maps::FUNCTIONS.get(cookie.slot()) {
        Some(function) if function.enabled != 0 => function,
        _ => return,
    };
    let stripe = Stripe::of_this_processor(config);
    stripe.count_hit();
    if function.flags & FUNCTION_IS_COUNTED != 0 {
        stripe.count_entry(cookie.slot());
        return;
    }
    let entry_sp = unsafe { (*regs).rsp }.wrapping_add(cookie.stack_adjust() as u64);
    let (key, depth) = stacks::locate(regs, entry_sp, cookie, tgid, tid);
    let hit = Hit {
        regs,
        config,
        function,
        cookie,
        stripe,
        key,
        tid,
        now_ns,
        entry_sp,
        depth,
    };
    match cookie.kind() {
        HitKind::Entry => frames::enter(&hit),
        HitKind::Exit => frames::leave(&hit, now_ns),
    }
}

#[inline(always)]
fn is_target(config: &Config, tgid: u32) -> bool {
    if config.tgid != 0 {
        return tgid == config.tgid;
    }
    unsafe { maps::TARGETS.get(&tgid) }.is_some()
}

/// The running process and thread, by the ids that the agent knows them by.
#[inline(always)]
fn current_ids(config: &Config) -> (u32, u32) {
    if config.pid_namespace_inode == 0 {
        let ids = bpf_get_current_pid_tgid();
        return ((ids >> 32) as u32, ids as u32);
    }
    let mut ids = bpf_pidns_info { pid: 0, tgid: 0 };
    // A task outside of the namespace leaves the ids at 0, which no process has.
    unsafe {
        bpf_get_ns_current_pid_tgid(
            config.pid_namespace_device,
            config.pid_namespace_inode,
            &raw mut ids,
            size_of::<bpf_pidns_info>() as u32,
        );
    }
    (ids.tgid, ids.pid)
}

#[cfg(not(test))]
#[panic_handler]
fn panic(_info: &core::panic::PanicInfo<'_>) -> ! {
    loop {}
}

#[unsafe(link_section = "license")]
#[unsafe(no_mangle)]
static LICENSE: [u8; 13] = *b"Dual MIT/GPL\0";
