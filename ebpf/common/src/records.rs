//! The records in the maps. Times are nanoseconds of the kernel's monotonic clock.

use crate::CapturedValues;

/// How many frames of a goroutine or thread lie in its map entry; deeper ones lie in a second map.
pub const INLINE_FRAMES: usize = 16;
/// How many return addresses a record holds.
pub const STACK_ADDRESSES: usize = 24;
/// The calls of one trace that make records; what a longer one calls is counted as missing.
pub const TRACE_CALLS_MAX: u32 = 10_000;

/// The session's settings; the agent writes them while the programs run.
#[repr(C)]
#[derive(Clone, Copy, Debug, Default)]
pub struct Config {
    /// The lease: from this moment on the programs do nothing.
    pub deadline_ns: u64,
    /// Durations below this make no record.
    pub record_min_ns: u64,
    /// Durations above this make no record.
    pub record_max_ns: u64,
    /// Calls that take at least this long make a record even if they are not sampled.
    pub slow_ns: u64,
    /// The process (thread group) that is watched; 0: those in the map of targets.
    pub tgid: u32,
    /// Calls of one in so many trees make records; 0: no call does.
    pub sample_rate: u32,
    /// Counter stripes minus one; stripes are a power of two, and a processor uses the stripe of
    /// its number.
    pub stripe_mask: u32,
    /// Functions for which the maps have room.
    pub capacity: u32,
    /// The pid namespace that process and thread ids are of, as device and inode; an inode of 0
    /// is the kernel's own, which costs less to ask.
    pub pid_namespace_device: u64,
    /// See `pid_namespace_device`.
    pub pid_namespace_inode: u64,
    /// What a hit on an emulated instruction costs; 0 while that is not known.
    pub emulated_ns: u32,
    /// What a hit on a single-stepped instruction costs; 0 while that is not known.
    pub stepped_ns: u32,
    /// Nodes for which the call tree has room; 0: no tree.
    pub nodes: u32,
    /// How many of them, from the first on, have a histogram.
    pub node_histograms: u32,
    /// 1: direct recursion is one node.
    pub fold_recursion: u32,
    /// 1: the tree and the records are of calls below a matching root only.
    pub trace: u32,
    /// 1 while two sets of probes stand on the same sites, so that every hit comes twice.
    pub handover: u32,
    /// Unused.
    pub padding: u32,
}

/// The call is in the part of the function's configuration that [`crate::FunctionDetail`] holds.
pub const FUNCTION_HAS_DETAIL: u32 = 1;
/// A trace begins at the function.
pub const FUNCTION_IS_ROOT: u32 = 2;
/// Its calls are counted at their entries, and have no frames: an inlined instance.
pub const FUNCTION_IS_COUNTED: u32 = 4;

/// What the agent says of one function.
#[repr(C, align(64))]
#[derive(Clone, Copy, Debug, Default)]
pub struct FunctionConfig {
    /// 1 while its hits count.
    pub enabled: u32,
    /// The `FUNCTION_` constants.
    pub flags: u32,
    /// Which of the filters its calls pass, plus 1; 0 for none.
    pub filter: u32,
    /// The slot that its polls are joined into calls under, where it polls futures.
    pub call_slot: u32,
    /// A call that takes at least this long is among the slowest, and makes a record.
    pub top_ns: u64,
    /// Records that it may still write until the agent refills them.
    pub record_tokens: i64,
    /// The same for calls that are among the slowest.
    pub top_tokens: i64,
    /// Where a goroutine's number lies in its `g`; 0 where that is not known.
    pub goid_offset: u32,
    /// Unused.
    pub padding: [u32; 5],
}

/// The exact numbers of one function on one stripe.
#[repr(C, align(128))]
#[derive(Clone, Copy, Debug, Default)]
pub struct FunctionCounters {
    /// Entries.
    pub calls: u64,
    /// Exits that were paired with their entry.
    pub returns: u64,
    /// Frames that were found left without passing an exit.
    pub unwound: u64,
    /// Exits whose entry was not seen.
    pub unmatched_exits: u64,
    /// Entries that found no room for their frame.
    pub map_full: u64,
    /// The sum of the durations of the paired calls.
    pub total_ns: u64,
    /// The longest of them.
    pub max_ns: u64,
    /// The bitwise complement of the shortest of them, so that zero means none.
    pub min_complement_ns: u64,
    /// Paired calls that returned an error.
    pub errors: u64,
    /// What the paired calls took without the probed calls that they made.
    pub self_ns: u64,
    /// What probes inside of the paired calls cost, by calibration.
    pub probes_ns: u64,
    /// The longest call that was wanted as one of the slowest and made no record.
    pub missed_max_ns: u64,
    /// Of joined calls: the sum of the durations of their polls.
    pub busy_ns: u64,
    /// Of joined calls: how many polls they took.
    pub polls: u64,
    /// Unused.
    pub padding: [u64; 2],
}

/// Where the hits of a session went, on one stripe.
#[repr(C, align(64))]
#[derive(Clone, Copy, Debug, Default)]
pub struct HitCounters {
    /// Hits within the lease.
    pub hits: u64,
    /// Hits at entries that were the same call again.
    pub refired: u64,
    /// Records written.
    pub records: u64,
    /// Records not written: sampled out.
    pub sampled_out: u64,
    /// Records not written: outside of the asked durations, or not passing the filter.
    pub filtered_out: u64,
    /// Records not written: no token left.
    pub throttled: u64,
    /// Records not written: the ring was full.
    pub ring_full: u64,
    /// Calls whose place in the call tree found no room.
    pub tree_full: u64,
    /// Roots of traces that were left without passing an exit.
    pub roots_unwound: u64,
}

/// The parent of nodes that have none.
pub const NODE_NONE: u32 = 0;
/// Where calls are counted whose own node found no room.
pub const NODE_LOST: u32 = 1;
/// The first node of a path.
pub const NODE_FIRST: u32 = 2;
/// Longer paths find no room: a mutual recursion must not take all of it.
pub const NODE_DEPTH_MAX: u32 = 250;

/// A path of calls.
#[repr(C)]
#[derive(Clone, Copy, Debug, Default)]
pub struct Node {
    /// The path without its last call.
    pub parent: u32,
    /// The function of its last call.
    pub slot: u32,
    /// How many calls it has.
    pub depth: u32,
    /// Unused.
    pub padding: u32,
    /// The child that was asked for last: its slot in the upper half, its node in the lower.
    pub last_child: u64,
}

/// The exact numbers of one node on one stripe.
#[repr(C, align(64))]
#[derive(Clone, Copy, Debug, Default)]
pub struct NodeCounters {
    /// Entries.
    pub calls: u64,
    /// Exits that were paired with their entry.
    pub returns: u64,
    /// Frames that were found left without passing an exit.
    pub unwound: u64,
    /// Paired calls that returned an error.
    pub errors: u64,
    /// The sum of the durations of the paired calls; of a recursion, of the outermost ones.
    pub total_ns: u64,
    /// What the paired calls took without the probed calls that they made.
    pub self_ns: u64,
    /// The longest of them.
    pub max_ns: u64,
    /// What probes inside of the paired calls cost, by calibration.
    pub probes_ns: u64,
}

/// How many nodes the call tree has.
#[repr(C)]
#[derive(Clone, Copy, Debug, Default)]
pub struct TreeState {
    /// The next node that is not used.
    pub next: u64,
}

/// Names the stack that frames belong to.
#[repr(C)]
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct FrameKey {
    /// The process (thread group).
    pub tgid: u32,
    /// The thread; 0 where frames are named by goroutine.
    pub tid: u32,
    /// The address of the goroutine's `g`; where frames are named by thread, 0 for the stack that
    /// it was first seen on, and the end of any other.
    pub g: u64,
}

/// The calls of this frame's tree make records.
pub const FRAME_IS_SAMPLED: u32 = 1;
/// It passes its function's filter.
pub const FRAME_MATCHES: u32 = 2;
/// It is of a trace.
pub const FRAME_IS_TRACED: u32 = 4;
/// It is the root of a trace.
pub const FRAME_IS_ROOT: u32 = 8;
/// A call of the same node is below it.
pub const FRAME_RECURS: u32 = 16;
/// Its arguments were captured.
pub const FRAME_HAS_VALUES: u32 = 32;

/// A call that has begun and not ended.
#[repr(C)]
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Frame {
    /// When it began.
    pub entry_ns: u64,
    /// How deep in its stack it lies: grows with every call, whatever way the stack grows, and
    /// survives Go's stack copies.
    pub depth: u64,
    /// What the probed calls that it made took.
    pub children_ns: u64,
    /// What probes inside of it cost, by calibration.
    pub probes_ns: u64,
    /// Where the future lies that it polls; of other functions, where a result in memory will be.
    pub address: u64,
    /// The function's slot.
    pub slot: u32,
    /// Its path in the call tree.
    pub node: u32,
    /// The `FRAME_` constants.
    pub flags: u32,
    /// Unused.
    pub padding: u32,
}

/// The frames of one goroutine or thread, outermost first.
#[repr(C)]
#[derive(Clone, Copy, Debug)]
pub struct Stack {
    /// How many frames there are, those in the second map included.
    pub len: u32,
    /// How many calls the trace has that is going on.
    pub trace_calls: u32,
    /// The number of the goroutine that its frames are of: a `g` is used for one after the other.
    pub goid: u64,
    /// The trace that is going on: when its root began.
    pub trace_id: u64,
    /// The depth of the exit that came last, and its slot: what comes twice during a handover.
    pub last_exit_depth: u64,
    /// See `last_exit_depth`.
    pub last_exit_slot: u32,
    /// Unused.
    pub padding: u32,
    /// The bounds of a thread's stack; zeros while they are not known.
    pub low: u64,
    /// See `low`.
    pub high: u64,
    /// The outermost frames.
    pub frames: [Frame; INLINE_FRAMES],
}

/// Names a frame by its place in its stack.
#[repr(C)]
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct PlaceKey {
    /// The stack.
    pub stack: FrameKey,
    /// The frame's place in it.
    pub index: u32,
    /// Unused.
    pub padding: u32,
}

/// Names a future that is being polled.
#[repr(C)]
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct FutureKey {
    /// Where it lies.
    pub address: u64,
    /// The process.
    pub tgid: u32,
    /// The slot of the function that polls it.
    pub slot: u32,
}

/// A future that was polled and is not done.
#[repr(C)]
#[derive(Clone, Copy, Debug, Default)]
pub struct FutureState {
    /// When its first poll began.
    pub first_poll_ns: u64,
    /// The sum of the durations of its polls.
    pub busy_ns: u64,
    /// How many there were.
    pub polls: u64,
}

/// The call was sampled.
pub const RECORD_IS_SAMPLED: u32 = FRAME_IS_SAMPLED;
/// The call is of a trace.
pub const RECORD_IS_TRACED: u32 = FRAME_IS_TRACED;
/// The call is the root of its trace: the last record of it.
pub const RECORD_IS_ROOT: u32 = FRAME_IS_ROOT;
/// The call returned an error.
pub const RECORD_FAILED: u32 = 64;
/// The record is a [`DetailRecord`].
pub const RECORD_HAS_DETAIL: u32 = 128;
/// The call was among the slowest when it ended.
pub const RECORD_IS_TOP: u32 = 256;

/// One completed call, as it travels through the ring.
#[repr(C)]
#[derive(Clone, Copy, Debug, Default)]
pub struct CallRecord {
    /// When it began.
    pub entry_ns: u64,
    /// How long it took.
    pub duration_ns: u64,
    /// What the probed calls that it made took.
    pub children_ns: u64,
    /// The goroutine, by its number, or by the address of its `g` where that is not known; or 0.
    pub goroutine: u64,
    /// The trace that it is of: when its root began.
    pub trace_id: u64,
    /// The function's slot.
    pub slot: u32,
    /// The process.
    pub tgid: u32,
    /// The thread on which it ended.
    pub tid: u32,
    /// The `RECORD_` constants.
    pub flags: u32,
    /// How many probed calls it was inside of.
    pub frame_index: u32,
    /// With a root: how many calls its trace had.
    pub trace_calls: u32,
}

/// A completed call with what else is known of it.
#[repr(C)]
#[derive(Clone, Copy, Debug)]
pub struct DetailRecord {
    /// The call.
    pub call: CallRecord,
    /// How many of `stack` there are.
    pub stack_len: u32,
    /// Unused.
    pub padding: u32,
    /// The instruction it ended at, and the return addresses of its callers, innermost first.
    pub stack: [u64; STACK_ADDRESSES],
    /// What it received.
    pub arguments: CapturedValues,
    /// What it returned.
    pub results: CapturedValues,
}
