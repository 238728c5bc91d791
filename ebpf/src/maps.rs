//! The maps. The agent sets the sizes that depend on a session before it loads them, and maps the
//! arrays into its own memory, so that a snapshot costs no system calls.

use aya_ebpf::bindings::{BPF_F_MMAPABLE, BPF_F_NO_PREALLOC};
use aya_ebpf::macros::map;
use aya_ebpf::maps::{Array, HashMap, RingBuf};
use coral_ebpf_common::{
    Config, Frame, FrameKey, FunctionConfig, FunctionCounters, HitCounters, OverflowKey, Stack,
};

/// The session's settings: one element.
#[map]
pub(crate) static CONFIG: Array<Config> = Array::with_max_entries(1, BPF_F_MMAPABLE);

/// By slot.
#[map]
pub(crate) static FUNCTIONS: Array<FunctionConfig> = Array::with_max_entries(1, BPF_F_MMAPABLE);

/// By stripe, then slot.
#[map]
pub(crate) static COUNTERS: Array<FunctionCounters> = Array::with_max_entries(1, BPF_F_MMAPABLE);

/// By stripe.
#[map]
pub(crate) static HITS: Array<HitCounters> = Array::with_max_entries(1, BPF_F_MMAPABLE);

/// By stripe, then slot, then bucket.
#[map]
pub(crate) static HISTOGRAMS: Array<u64> = Array::with_max_entries(1, BPF_F_MMAPABLE);

/// The frames of every goroutine or thread that has passed a probe. Allocated when needed: most
/// sessions see a few hundred.
#[map]
pub(crate) static STACKS: HashMap<FrameKey, Stack> =
    HashMap::with_max_entries(1, BPF_F_NO_PREALLOC);

/// Frames beyond those in their stack's entry.
#[map]
pub(crate) static OVERFLOW: HashMap<OverflowKey, Frame> =
    HashMap::with_max_entries(1, BPF_F_NO_PREALLOC);

/// An empty stack to insert: it is too large for a program's own stack. Never written.
#[map]
pub(crate) static EMPTY_STACK: Array<Stack> = Array::with_max_entries(1, 0);

/// Single-call records on their way to the agent.
#[map]
pub(crate) static RECORDS: RingBuf = RingBuf::with_byte_size(4096, 0);
