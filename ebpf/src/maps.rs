//! The maps. The agent sets the sizes that depend on a session before it loads them, and maps the
//! arrays into its own memory, so that a snapshot costs no system calls.

use aya_ebpf::bindings::{BPF_F_MMAPABLE, BPF_F_NO_PREALLOC};
use aya_ebpf::macros::map;
use aya_ebpf::maps::{Array, HashMap, RingBuf};
use coral_ebpf_common::{
    CapturedValues, Config, Filter, Frame, FrameKey, FunctionConfig, FunctionCounters,
    FunctionDetail, FutureKey, FutureState, HitCounters, Node, NodeCounters, PlaceKey, Stack,
    TreeState,
};

/// The session's settings: one element.
#[map]
pub(crate) static CONFIG: Array<Config> = Array::with_max_entries(1, BPF_F_MMAPABLE);

/// The processes that are watched, where there are several.
#[map]
pub(crate) static TARGETS: HashMap<u32, u32> = HashMap::with_max_entries(1, BPF_F_NO_PREALLOC);

/// By slot.
#[map]
pub(crate) static FUNCTIONS: Array<FunctionConfig> = Array::with_max_entries(1, BPF_F_MMAPABLE);

/// By slot; as long as the session captures anything.
#[map]
pub(crate) static DETAILS: Array<FunctionDetail> = Array::with_max_entries(1, BPF_F_MMAPABLE);

/// Two for each slot; one that is in use is never written: a changed filter is the other one.
#[map]
pub(crate) static FILTERS: Array<Filter> = Array::with_max_entries(1, BPF_F_MMAPABLE);

/// By stripe, then slot.
#[map]
pub(crate) static COUNTERS: Array<FunctionCounters> = Array::with_max_entries(1, BPF_F_MMAPABLE);

/// By stripe.
#[map]
pub(crate) static HITS: Array<HitCounters> = Array::with_max_entries(1, BPF_F_MMAPABLE);

/// By stripe, then slot, then bucket.
#[map]
pub(crate) static HISTOGRAMS: Array<u64> = Array::with_max_entries(1, BPF_F_MMAPABLE);

/// How many nodes there are: one element.
#[map]
pub(crate) static TREE: Array<TreeState> = Array::with_max_entries(1, BPF_F_MMAPABLE);

/// The paths of the call tree, by node.
#[map]
pub(crate) static NODES: Array<Node> = Array::with_max_entries(1, BPF_F_MMAPABLE);

/// From a parent's node (upper half) and a slot to the child's node.
#[map]
pub(crate) static PATHS: HashMap<u64, u32> = HashMap::with_max_entries(1, BPF_F_NO_PREALLOC);

/// By stripe, then node.
#[map]
pub(crate) static NODE_COUNTERS: Array<NodeCounters> = Array::with_max_entries(1, BPF_F_MMAPABLE);

/// By node, then bucket; the first nodes only.
#[map]
pub(crate) static NODE_HISTOGRAMS: Array<u64> = Array::with_max_entries(1, BPF_F_MMAPABLE);

/// The frames of every goroutine or thread that has passed a probe. Allocated when needed: most
/// sessions see a few hundred.
#[map]
pub(crate) static STACKS: HashMap<FrameKey, Stack> =
    HashMap::with_max_entries(1, BPF_F_NO_PREALLOC);

/// Frames beyond those in their stack's entry.
#[map]
pub(crate) static OVERFLOW: HashMap<PlaceKey, Frame> =
    HashMap::with_max_entries(1, BPF_F_NO_PREALLOC);

/// What the calls that go on have received.
#[map]
pub(crate) static VALUES: HashMap<PlaceKey, CapturedValues> =
    HashMap::with_max_entries(1, BPF_F_NO_PREALLOC);

/// The futures that were polled and are not done.
#[map]
pub(crate) static FUTURES: HashMap<FutureKey, FutureState> =
    HashMap::with_max_entries(1, BPF_F_NO_PREALLOC);

/// An empty stack to insert: it is too large for a program's own stack. Never written.
#[map]
pub(crate) static EMPTY_STACK: Array<Stack> = Array::with_max_entries(1, 0);

/// The same for values.
#[map]
pub(crate) static EMPTY_VALUES: Array<CapturedValues> = Array::with_max_entries(1, 0);

/// Single-call records on their way to the agent.
#[map]
pub(crate) static RECORDS: RingBuf = RingBuf::with_byte_size(4096, 0);
