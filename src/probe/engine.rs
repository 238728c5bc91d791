//! One session's kernel side: its programs, its maps and its settings. What is attached is in
//! `links`, what is read out of the maps in `numbers`, `tree` and `frames`.

use std::os::unix::fs::MetadataExt;

use aya::maps::{HashMap, Map, MapData, RingBuf};
use aya::programs::{ProgramError, UProbe};
use aya::{Ebpf, EbpfLoader};
use coral_ebpf_common::{
    BUCKETS, Config, Filter, Frame, FrameKey, FunctionConfig, FunctionCounters, FunctionDetail,
    HitCounters, Node, NodeCounters, PlaceKey, Stack, TreeState,
};
use coral_model::Histogram;

use super::error::ProbeError;
use super::links::Links;
use super::mapped::MappedArray;
use super::numbers::{FunctionNumbers, HitNumbers, Layout};
use super::records::{KernelRecord, Shared, kernel_record};
use super::spec::{EngineSpec, OVERFLOW_MAX, STACKS_MAX, TARGETS_MAX};

/// The kernel programs, as `cargo xtask ebpf` built them.
static OBJECT: &[u8] =
    aya::include_bytes_aligned!(concat!(env!("CARGO_MANIFEST_DIR"), "/ebpf/coral.bpf.o"));

/// Which of the programs a link belongs to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Program {
    Site,
    /// Takes the place of `Site` where entries are counted and nothing else: it is loaded in a
    /// moment, the other takes the kernel a tenth of a second to check.
    Count,
    Return,
    /// Does nothing; attached by benchmarks only, and loaded when they ask for it.
    Empty,
}

impl Program {
    fn name(self) -> &'static str {
        let single = Links::of_this_kernel() == Links::Perf;
        match self {
            Self::Site if single => "coral_site_single",
            Self::Return if single => "coral_return_single",
            Self::Site => "coral_site",
            Self::Count => "coral_count",
            Self::Return => "coral_return",
            Self::Empty => "coral_empty",
        }
    }
}

/// One session's kernel side. Dropping it detaches everything.
pub struct Engine {
    // The first field, so that no program runs any more when the maps go.
    pub(super) ebpf: Ebpf,
    config: MappedArray<Config>,
    targets: HashMap<MapData, u32, u32>,
    functions: MappedArray<FunctionConfig>,
    details: MappedArray<FunctionDetail>,
    details_len: u32,
    filters: MappedArray<Filter>,
    counters: MappedArray<FunctionCounters>,
    hits: MappedArray<HitCounters>,
    histograms: MappedArray<u64>,
    pub(super) tree: MappedArray<TreeState>,
    pub(super) nodes: MappedArray<Node>,
    pub(super) node_counters: MappedArray<NodeCounters>,
    pub(super) node_histograms: MappedArray<u64>,
    pub(super) node_histograms_len: u32,
    pub(super) stacks: HashMap<MapData, Shared<FrameKey>, Shared<Stack>>,
    pub(super) overflow: HashMap<MapData, Shared<PlaceKey>, Shared<Frame>>,
    ring: RingBuf<MapData>,
    pub(super) layout: Layout,
    pub(super) only_counts: bool,
    /// How many probes are live.
    pub(super) probes: usize,
}

impl Engine {
    /// Loads programs and maps; nothing is attached, and the lease is zero.
    ///
    /// # Errors
    /// If the kernel refuses a program or a map: a right or a feature is missing.
    pub fn load(spec: &EngineSpec) -> Result<Self, ProbeError> {
        let layout = spec.layout();
        let mut ebpf = loader(spec, layout).load(OBJECT)?;
        let nodes = layout.nodes.max(1);
        let node_histograms_len = spec.node_histograms();
        let node_buckets = (node_histograms_len * BUCKETS).max(1) as usize;
        let mut engine = Self {
            config: mapped(&mut ebpf, "CONFIG", 1)?,
            targets: HashMap::try_from(take(&mut ebpf, "TARGETS")?)?,
            functions: mapped(&mut ebpf, "FUNCTIONS", spec.capacity as usize)?,
            details: mapped(&mut ebpf, "DETAILS", spec.details_len() as usize)?,
            details_len: if spec.details { spec.capacity } else { 0 },
            filters: mapped(&mut ebpf, "FILTERS", spec.filters_len() as usize)?,
            counters: mapped(&mut ebpf, "COUNTERS", layout.function_elements())?,
            hits: mapped(&mut ebpf, "HITS", layout.stripes)?,
            histograms: mapped(&mut ebpf, "HISTOGRAMS", layout.histogram_elements())?,
            tree: mapped(&mut ebpf, "TREE", 1)?,
            nodes: mapped(&mut ebpf, "NODES", nodes)?,
            node_counters: mapped(&mut ebpf, "NODE_COUNTERS", layout.node_elements().max(1))?,
            node_histograms: mapped(&mut ebpf, "NODE_HISTOGRAMS", node_buckets)?,
            node_histograms_len,
            stacks: HashMap::try_from(take(&mut ebpf, "STACKS")?)?,
            overflow: HashMap::try_from(take(&mut ebpf, "OVERFLOW")?)?,
            ring: RingBuf::try_from(take(&mut ebpf, "RECORDS")?)?,
            ebpf,
            layout,
            only_counts: spec.only_counts && Links::of_this_kernel() != Links::Perf,
            probes: 0,
        };
        engine.configure(spec);
        for &pid in &spec.targets {
            engine.add_target(pid)?;
        }
        engine.load_program(engine.entry_program())?;
        Ok(engine)
    }

    /// The program at entries and exits.
    pub(super) fn entry_program(&self) -> Program {
        if self.only_counts {
            Program::Count
        } else {
            Program::Site
        }
    }

    /// Loads a program, unless it is loaded.
    pub(super) fn load_program(&mut self, program: Program) -> Result<(), ProbeError> {
        match uprobe(&mut self.ebpf, program)?.load() {
            Ok(()) | Err(ProgramError::AlreadyLoaded) => Ok(()),
            Err(error) => Err(ProbeError::Program(error)),
        }
    }

    fn configure(&self, spec: &EngineSpec) {
        let (pid_namespace_device, pid_namespace_inode) = pid_namespace();
        self.config.write(
            0,
            Config {
                pid_namespace_device,
                pid_namespace_inode,
                record_min_ns: spec.record_range_ns.0,
                record_max_ns: spec.record_range_ns.1,
                slow_ns: spec.slow_ns,
                // One process is compared with, several are looked up.
                tgid: match spec.targets.as_slice() {
                    [pid] => *pid,
                    _ => 0,
                },
                sample_rate: spec.sample_rate,
                stripe_mask: self.layout.stripes as u32 - 1,
                capacity: spec.capacity,
                nodes: spec.nodes(),
                node_histograms: self.node_histograms_len,
                fold_recursion: u32::from(spec.fold_recursion),
                trace: u32::from(spec.trace),
                ..Config::default()
            },
        );
    }

    /// How many slots there are.
    pub fn capacity(&self) -> usize {
        self.layout.capacity
    }

    /// Watches another process from now on.
    ///
    /// # Errors
    /// If there are too many.
    pub fn add_target(&mut self, pid: u32) -> Result<(), ProbeError> {
        self.targets.insert(&pid, &1, 0)?;
        let mut config = self.config.read(0);
        if config.tgid != 0 && config.tgid != pid {
            config.tgid = 0;
            self.config.write(0, config);
        }
        Ok(())
    }

    /// Sets the moment from which the programs do nothing, on the monotonic clock.
    pub fn set_deadline_ns(&self, deadline_ns: u64) {
        self.change(|config| config.deadline_ns = deadline_ns);
    }

    /// Sets what a hit costs, so that the cost of probes inside of calls can be told.
    pub fn set_costs_ns(&self, emulated_ns: u32, stepped_ns: u32) {
        self.change(|config| {
            config.emulated_ns = emulated_ns;
            config.stepped_ns = stepped_ns;
        });
    }

    /// From now until it is unset, a hit may come twice, from the old and the new probe of a site.
    pub(super) fn set_handover(&self, is_on: bool) {
        self.change(|config| config.handover = u32::from(is_on));
    }

    /// The kernel only reads the settings, so that they can be written whole.
    fn change(&self, change: impl FnOnce(&mut Config)) {
        let mut config = self.config.read(0);
        change(&mut config);
        self.config.write(0, config);
    }

    /// Sets up a slot before its function is attached: its flags, the slot that its polls are
    /// joined under, and where a goroutine's number lies. Everything else of it is 0.
    pub fn set_function(&self, slot: u32, function: FunctionConfig) {
        self.functions.write(slot as usize, function);
    }

    /// Sets what is read of a function's calls, before it is attached. Without effect where the
    /// engine was made without details.
    pub fn set_detail(&self, slot: u32, detail: FunctionDetail) {
        if slot < self.details_len {
            self.details.write(slot as usize, detail);
        }
    }

    /// Sets how many arguments of a function's calls are read from now on, of those that
    /// [`Engine::set_detail`] has said how to read. Without effect where the engine was made
    /// without details.
    pub fn set_arguments_len(&self, slot: u32, arguments_len: u32) {
        if slot < self.details_len {
            self.details.set_arguments_len(slot as usize, arguments_len);
            self.functions.set_has_detail(slot as usize);
        }
    }

    /// Lets a function's calls pass that filter from now on; `None` lets all pass. Without effect
    /// where the engine was made without details.
    pub fn set_filter(&self, slot: u32, filter: Option<&Filter>) {
        if slot >= self.details_len {
            return;
        }
        let now = self.functions.read(slot as usize).filter;
        let number = match filter {
            Some(filter) => {
                // The one of its two places that is not in use.
                let place = 2 * slot + u32::from(now == 2 * slot + 1);
                self.filters.write(place as usize, *filter);
                place + 1
            }
            None => 0,
        };
        self.functions.set_filter(slot as usize, number);
    }

    /// Starts or stops counting a function's hits; its sites stay until they are detached.
    pub fn set_enabled(&self, slot: u32, enabled: bool) {
        self.functions.set_enabled(slot as usize, enabled);
    }

    /// Sets from which duration on a function's calls are among its slowest.
    pub fn set_top_ns(&self, slot: u32, top_ns: u64) {
        self.functions.set_top_ns(slot as usize, top_ns);
    }

    /// Allows a function's calls `records` single-call records, and `top` beside them for its
    /// slowest calls.
    ///
    /// Records that are written at this very moment may be forgotten in the balance: a rate limit
    /// need not be exact, the count of what it throttles is.
    pub fn refill_records(&self, slot: u32, records: i64, top: i64) {
        self.functions.set_tokens(slot as usize, records, top);
    }

    /// How many of the records that a function's calls were allowed are left.
    pub fn records_left(&self, slot: u32) -> i64 {
        self.functions.read(slot as usize).record_tokens.max(0)
    }

    /// The numbers of a function as they are now.
    pub fn function(&self, slot: u32) -> FunctionNumbers {
        self.layout.function(&self.counters, slot)
    }

    /// The durations of a function, with the exact figures of `numbers` beside them.
    pub fn histogram(&self, slot: u32, numbers: &FunctionNumbers) -> Histogram {
        self.layout.histogram(&self.histograms, slot, numbers)
    }

    /// Where the session's hits went so far.
    pub fn hits(&self) -> HitNumbers {
        self.layout.hits(&self.hits)
    }

    /// Hands over every record that is in the ring.
    pub fn drain_records(&mut self, mut each: impl FnMut(KernelRecord)) {
        while let Some(item) = self.ring.next() {
            if let Some(record) = kernel_record(&item) {
                each(record);
            }
        }
    }
}

fn loader(spec: &EngineSpec, layout: Layout) -> EbpfLoader<'static> {
    let nodes = (layout.nodes as u32).max(1);
    let mut loader = EbpfLoader::new();
    for (map, elements) in [
        ("TARGETS", TARGETS_MAX),
        ("FUNCTIONS", spec.capacity),
        ("DETAILS", spec.details_len()),
        ("FILTERS", spec.filters_len()),
        ("COUNTERS", layout.function_elements() as u32),
        ("HITS", layout.stripes as u32),
        ("HISTOGRAMS", layout.histogram_elements() as u32),
        ("NODES", nodes),
        ("PATHS", nodes),
        ("NODE_COUNTERS", (layout.node_elements() as u32).max(1)),
        ("NODE_HISTOGRAMS", (spec.node_histograms() * BUCKETS).max(1)),
        ("STACKS", STACKS_MAX),
        ("OVERFLOW", OVERFLOW_MAX),
        ("VALUES", spec.values_len()),
        ("FUTURES", spec.futures_len()),
        ("RECORDS", spec.ring_bytes()),
    ] {
        loader.map_max_entries(map, elements);
    }
    loader
}

/// The pid namespace of this program, as device and inode; zeros for the kernel's own.
fn pid_namespace() -> (u64, u64) {
    /// The inode of the kernel's own pid namespace, on every kernel (`PROC_PID_INIT_INO`).
    const INITIAL_INODE: u64 = 0xefff_fffc;
    match std::fs::metadata("/proc/self/ns/pid") {
        Ok(metadata) if metadata.ino() != INITIAL_INODE => (metadata.dev(), metadata.ino()),
        _ => (0, 0),
    }
}

pub(super) fn uprobe(ebpf: &mut Ebpf, program: Program) -> Result<&mut UProbe, ProbeError> {
    ebpf.program_mut(program.name())
        .ok_or(ProbeError::MissingPart(program.name()))?
        .try_into()
        .map_err(ProbeError::Program)
}

fn take(ebpf: &mut Ebpf, name: &'static str) -> Result<Map, ProbeError> {
    ebpf.take_map(name).ok_or(ProbeError::MissingPart(name))
}

fn mapped<T: Copy>(
    ebpf: &mut Ebpf,
    name: &'static str,
    len: usize,
) -> Result<MappedArray<T>, ProbeError> {
    let Some(Map::Array(data)) = ebpf.map(name) else {
        return Err(ProbeError::MissingPart(name));
    };
    MappedArray::new(data.fd(), len).map_err(|error| ProbeError::Mapping(error.into()))
}

const _: () = assert!(
    BUCKETS <= u16::MAX as u32,
    "bucket indices are 16 bits wide"
);
