//! What an engine is made for, and what its maps take.

use coral_ebpf_common::{
    BUCKETS, CallRecord, CapturedValues, DetailRecord, Filter, Frame, FrameKey, FunctionCounters,
    FunctionDetail, FutureKey, FutureState, Node, NodeCounters, PlaceKey, Stack,
};

use super::numbers::Layout;

/// Goroutines and threads whose frames are held at the same time.
pub(super) const STACKS_MAX: u32 = 131_072;
/// Frames beyond the ones that lie in their stack's entry.
pub(super) const OVERFLOW_MAX: u32 = 65_536;
/// Calls whose arguments are held at the same time.
const VALUES_MAX: u32 = 16_384;
/// Futures that are polled at the same time.
const FUTURES_MAX: u32 = 65_536;
/// Processes of one session.
pub(super) const TARGETS_MAX: u32 = 256;
/// Counters are spread over at most so many stripes; more would cost memory and win nothing.
const STRIPES_MAX: usize = 16;
/// What the stripes may take together; a large session has fewer of them.
const COUNTERS_BYTES_MAX: usize = 12 << 20;
/// What the kernel needs for an element of a hash map beside key and value, about.
const HASH_ELEMENT_BYTES: u64 = 64;
/// A tree has room for so many paths for each function, within the bounds below.
const NODES_PER_FUNCTION: u32 = 64;
const NODES_MIN: u32 = 1_024;
const NODES_MAX: u32 = 16_384;
/// How many of them have a histogram: 5 MB.
const NODE_HISTOGRAMS: u32 = 1_024;

/// What an engine is made for.
#[derive(Clone, Debug)]
pub struct EngineSpec {
    /// The processes (thread groups) that are watched; more can be added up to a limit.
    pub targets: Vec<u32>,
    /// How many functions may be attached over its life.
    pub capacity: u32,
    /// Single-call records of one in so many call trees; 0 for none.
    pub sample_rate: u32,
    /// Durations that make a record, in nanoseconds.
    pub record_range_ns: (u64, u64),
    /// Calls that take at least this long make a record even if they are not sampled.
    pub slow_ns: u64,
    /// Whether the call tree is counted.
    pub tree: bool,
    /// Whether direct recursion is one node of it.
    pub fold_recursion: bool,
    /// Whether arguments, results or outcomes of any function will be read.
    pub details: bool,
    /// Whether entries are counted, and nothing else.
    pub only_counts: bool,
    /// Whether the tree and the records are of calls below matching roots only.
    pub trace: bool,
}

impl EngineSpec {
    /// An engine that counts the functions of one process and nothing else.
    pub fn counting(pid: u32, capacity: u32) -> Self {
        Self {
            targets: vec![pid],
            capacity,
            sample_rate: 0,
            record_range_ns: (0, u64::MAX),
            slow_ns: u64::MAX,
            tree: false,
            fold_recursion: true,
            details: false,
            only_counts: false,
            trace: false,
        }
    }

    /// How many nodes the call tree has room for; 0 for no tree.
    pub(super) fn nodes(&self) -> u32 {
        if self.tree {
            (self.capacity.saturating_mul(NODES_PER_FUNCTION)).clamp(NODES_MIN, NODES_MAX)
        } else {
            0
        }
    }

    /// How many nodes have a histogram.
    pub(super) fn node_histograms(&self) -> u32 {
        self.nodes().min(NODE_HISTOGRAMS)
    }

    pub(super) fn details_len(&self) -> u32 {
        if self.details { self.capacity } else { 1 }
    }

    /// Two for each slot, because one that is in use is never written.
    pub(super) fn filters_len(&self) -> u32 {
        if self.details { 2 * self.capacity } else { 1 }
    }

    pub(super) fn values_len(&self) -> u32 {
        if self.details { VALUES_MAX } else { 1 }
    }

    pub(super) fn futures_len(&self) -> u32 {
        if self.details { FUTURES_MAX } else { 1 }
    }

    /// Room for the records of several reader ticks at the highest rate that is allowed.
    pub(super) fn ring_bytes(&self) -> u32 {
        if self.details || self.trace {
            4 << 20
        } else {
            1 << 20
        }
    }

    pub(super) fn layout(&self) -> Layout {
        let processors = std::thread::available_parallelism().map_or(1, usize::from);
        let function_bytes = size_of::<FunctionCounters>() + BUCKETS as usize * size_of::<u64>();
        let stripe_bytes = self.capacity as usize * function_bytes
            + self.nodes() as usize * size_of::<NodeCounters>();
        let mut stripes = processors.next_power_of_two().min(STRIPES_MAX);
        while stripes > 1 && stripes * stripe_bytes > COUNTERS_BYTES_MAX {
            stripes /= 2;
        }
        Layout {
            stripes,
            capacity: self.capacity as usize,
            nodes: self.nodes() as usize,
        }
    }

    /// The most kernel memory that the session can take, in bytes.
    pub fn memory_bytes(&self) -> u64 {
        let layout = self.layout();
        let histogram_bytes = BUCKETS as usize * size_of::<u64>();
        let arrays = layout.function_elements() * size_of::<FunctionCounters>()
            + layout.histogram_elements() * size_of::<u64>()
            + layout.node_elements() * size_of::<NodeCounters>()
            + self.nodes() as usize * size_of::<Node>()
            + self.node_histograms() as usize * histogram_bytes
            + self.details_len() as usize * size_of::<FunctionDetail>()
            + self.filters_len() as usize * size_of::<Filter>();
        let hashes = hash_bytes::<FrameKey, Stack>(STACKS_MAX)
            + hash_bytes::<PlaceKey, Frame>(OVERFLOW_MAX)
            + hash_bytes::<u64, u32>(self.nodes())
            + hash_bytes::<PlaceKey, CapturedValues>(self.values_len())
            + hash_bytes::<FutureKey, FutureState>(self.futures_len());
        arrays as u64 + hashes + u64::from(self.ring_bytes())
    }
}

fn hash_bytes<K, V>(elements: u32) -> u64 {
    u64::from(elements) * (size_of::<K>() as u64 + size_of::<V>() as u64 + HASH_ELEMENT_BYTES)
}

const _: () = assert!(
    size_of::<DetailRecord>() > size_of::<CallRecord>(),
    "records are told apart by their sizes"
);
