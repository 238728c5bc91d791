//! The records in the maps. Times are nanoseconds of the kernel's monotonic clock.

/// How many frames of a goroutine or thread lie in its map entry; deeper ones lie in a second map.
pub const INLINE_FRAMES: usize = 16;

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
    /// The process (thread group) that is watched.
    pub tgid: u32,
    /// One record in so many calls; 0: no records at all.
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
    /// Keeps `record_tokens` away from the line that every hit reads.
    pub padding: [u64; 1],
    /// Records that may be written until the agent refills them.
    pub record_tokens: i64,
}

/// What the agent says of one function.
#[repr(C)]
#[derive(Clone, Copy, Debug, Default)]
pub struct FunctionConfig {
    /// 1 while its hits count.
    pub enabled: u32,
    /// Unused.
    pub padding: u32,
}

/// The exact numbers of one function on one stripe.
#[repr(C, align(64))]
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
    /// Records not written: outside of the asked durations.
    pub filtered_out: u64,
    /// Records not written: no token left.
    pub throttled: u64,
    /// Records not written: the ring was full.
    pub ring_full: u64,
    /// Unused.
    pub padding: u64,
}

/// Names the stack that frames belong to.
#[repr(C)]
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct FrameKey {
    /// The process (thread group).
    pub tgid: u32,
    /// The thread; 0 where frames are named by goroutine.
    pub tid: u32,
    /// The address of the goroutine's `g`; 0 where frames are named by thread.
    pub g: u64,
}

/// A call that has begun and not ended.
#[repr(C)]
#[derive(Clone, Copy, Debug, Default)]
pub struct Frame {
    /// When it began.
    pub entry_ns: u64,
    /// How deep in its stack it lies: grows with every call, whatever way the stack grows, and
    /// survives Go's stack copies.
    pub depth: u64,
    /// The function's slot.
    pub slot: u32,
    /// Unused.
    pub padding: u32,
}

/// The frames of one goroutine or thread, outermost first.
#[repr(C)]
#[derive(Clone, Copy, Debug)]
pub struct Stack {
    /// How many frames there are, those in the second map included.
    pub len: u32,
    /// Unused.
    pub padding: u32,
    /// The outermost frames.
    pub frames: [Frame; INLINE_FRAMES],
}

/// Names a frame that does not lie in its stack's own entry.
#[repr(C)]
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct OverflowKey {
    /// The stack.
    pub stack: FrameKey,
    /// The frame's place in it.
    pub index: u32,
    /// Unused.
    pub padding: u32,
}

/// One completed call, as it travels through the ring.
#[repr(C)]
#[derive(Clone, Copy, Debug, Default)]
pub struct CallRecord {
    /// When it began.
    pub entry_ns: u64,
    /// How long it took.
    pub duration_ns: u64,
    /// The goroutine, or 0.
    pub g: u64,
    /// The function's slot.
    pub slot: u32,
    /// The process.
    pub tgid: u32,
    /// The thread on which it ended.
    pub tid: u32,
    /// Unused.
    pub padding: u32,
}
