//! One session's kernel side: its programs, its maps, its links.

use std::collections::HashMap as StdHashMap;
use std::os::unix::fs::MetadataExt;
use std::path::Path;

use aya::maps::{HashMap, Map, MapData, RingBuf};
use aya::programs::uprobe::{UProbeAttachLocation, UProbeAttachPoint, UProbeLinkId};
use aya::programs::{ProgramError, UProbe};
use aya::{Ebpf, EbpfLoader};
use coral_ebpf_common::{
    BUCKETS, CallRecord, Config, Frame, FrameKey, FunctionConfig, FunctionCounters, HitCounters,
    INLINE_FRAMES, OverflowKey, Stack,
};
use coral_model::Histogram;

use super::error::ProbeError;
use super::links::Links;
use super::mapped::MappedArray;
use super::numbers::{FunctionNumbers, HitNumbers, Layout};
use super::records::{Shared, call_record};
use super::sites::{Attachment, FunctionSites, Point, RefusedSite};

/// The kernel programs, as `cargo xtask ebpf` built them.
static OBJECT: &[u8] =
    aya::include_bytes_aligned!(concat!(env!("CARGO_MANIFEST_DIR"), "/ebpf/coral.bpf.o"));

/// Goroutines and threads whose frames are held at the same time.
const STACKS_MAX: u32 = 65_536;
/// Frames beyond the ones that lie in their stack's entry.
const OVERFLOW_MAX: u32 = 65_536;
/// Room for the records of several reader ticks at the highest rate that is allowed.
const RING_BYTES: u32 = 256 << 10;
/// Counters are spread over at most so many stripes; more would cost memory and win nothing.
const STRIPES_MAX: usize = 16;
/// What the stripes may take together; a large session has fewer of them.
const COUNTERS_BYTES_MAX: usize = 12 << 20;
/// What the kernel needs for an element of a hash map beside key and value, about.
const HASH_ELEMENT_BYTES: u64 = 64;

/// What an engine is made for.
#[derive(Clone, Copy, Debug)]
pub struct EngineSpec {
    /// The process (thread group) that is watched.
    pub tgid: u32,
    /// How many functions may be attached over its life.
    pub capacity: u32,
    /// One single-call record in so many calls; 0 for none.
    pub sample_rate: u32,
    /// Durations that make a record, in nanoseconds.
    pub record_range_ns: (u64, u64),
}

/// Which of the programs a link belongs to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Program {
    Site,
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
            Self::Return => "coral_return",
            Self::Empty => "coral_empty",
        }
    }
}

/// One session's kernel side. Dropping it detaches everything.
pub struct Engine {
    // The first field, so that no program runs any more when the maps go.
    ebpf: Ebpf,
    config: MappedArray<Config>,
    functions: MappedArray<FunctionConfig>,
    counters: MappedArray<FunctionCounters>,
    hits: MappedArray<HitCounters>,
    histograms: MappedArray<u64>,
    stacks: HashMap<MapData, Shared<FrameKey>, Shared<Stack>>,
    overflow: HashMap<MapData, Shared<OverflowKey>, Shared<Frame>>,
    ring: RingBuf<MapData>,
    layout: Layout,
    tgid: u32,
    /// How many probes are live.
    probes: usize,
}

impl EngineSpec {
    fn layout(&self) -> Layout {
        let processors = std::thread::available_parallelism().map_or(1, usize::from);
        let function_bytes = size_of::<FunctionCounters>() + BUCKETS as usize * size_of::<u64>();
        let stripe_bytes = self.capacity as usize * function_bytes;
        let mut stripes = processors.next_power_of_two().min(STRIPES_MAX);
        while stripes > 1 && stripes * stripe_bytes > COUNTERS_BYTES_MAX {
            stripes /= 2;
        }
        Layout {
            stripes,
            capacity: self.capacity as usize,
        }
    }

    /// The most kernel memory that the session can take, in bytes.
    pub fn memory_bytes(&self) -> u64 {
        let layout = self.layout();
        let arrays = layout.function_elements() * size_of::<FunctionCounters>()
            + layout.histogram_elements() * size_of::<u64>();
        let stacks = u64::from(STACKS_MAX)
            * (size_of::<FrameKey>() as u64 + size_of::<Stack>() as u64 + HASH_ELEMENT_BYTES);
        let overflow = u64::from(OVERFLOW_MAX)
            * (size_of::<OverflowKey>() as u64 + size_of::<Frame>() as u64 + HASH_ELEMENT_BYTES);
        arrays as u64 + stacks + overflow + u64::from(RING_BYTES)
    }
}

impl Engine {
    /// Loads programs and maps; nothing is attached, and the lease is zero.
    ///
    /// # Errors
    /// If the kernel refuses a program or a map: a right or a feature is missing.
    pub fn load(spec: &EngineSpec) -> Result<Self, ProbeError> {
        let layout = spec.layout();
        let mut ebpf = EbpfLoader::new()
            .map_max_entries("FUNCTIONS", spec.capacity)
            .map_max_entries("COUNTERS", layout.function_elements() as u32)
            .map_max_entries("HITS", layout.stripes as u32)
            .map_max_entries("HISTOGRAMS", layout.histogram_elements() as u32)
            .map_max_entries("STACKS", STACKS_MAX)
            .map_max_entries("OVERFLOW", OVERFLOW_MAX)
            .map_max_entries("RECORDS", RING_BYTES)
            .load(OBJECT)?;
        for program in [Program::Site, Program::Return] {
            uprobe(&mut ebpf, program)?
                .load()
                .map_err(ProbeError::Program)?;
        }
        let engine = Self {
            config: mapped(&mut ebpf, "CONFIG", 1)?,
            functions: mapped(&mut ebpf, "FUNCTIONS", spec.capacity as usize)?,
            counters: mapped(&mut ebpf, "COUNTERS", layout.function_elements())?,
            hits: mapped(&mut ebpf, "HITS", layout.stripes)?,
            histograms: mapped(&mut ebpf, "HISTOGRAMS", layout.histogram_elements())?,
            stacks: HashMap::try_from(take(&mut ebpf, "STACKS")?)?,
            overflow: HashMap::try_from(take(&mut ebpf, "OVERFLOW")?)?,
            ring: RingBuf::try_from(take(&mut ebpf, "RECORDS")?)?,
            ebpf,
            layout,
            tgid: spec.tgid,
            probes: 0,
        };
        let (pid_namespace_device, pid_namespace_inode) = pid_namespace();
        engine.config.write(
            0,
            Config {
                pid_namespace_device,
                pid_namespace_inode,
                record_min_ns: spec.record_range_ns.0,
                record_max_ns: spec.record_range_ns.1,
                tgid: spec.tgid,
                sample_rate: spec.sample_rate,
                stripe_mask: layout.stripes as u32 - 1,
                capacity: spec.capacity,
                ..Config::default()
            },
        );
        Ok(engine)
    }

    /// Sets the moment from which the programs do nothing, on the monotonic clock.
    pub fn set_deadline_ns(&self, deadline_ns: u64) {
        let mut config = self.config.read(0);
        config.deadline_ns = deadline_ns;
        self.config.write(0, config);
    }

    /// Allows `tokens` more single-call records, but never more than `burst` at once.
    ///
    /// Records that are written at this very moment may be forgotten in the balance: a rate limit
    /// need not be exact, the count of what it throttles is.
    pub fn refill_records(&self, tokens: u32, burst: u32) {
        let mut config = self.config.read(0);
        config.record_tokens =
            (config.record_tokens.max(0) + i64::from(tokens)).min(i64::from(burst));
        self.config.write(0, config);
    }

    /// Attaches functions of the file at `path`, all at once or not at all, except for functions
    /// of which the kernel refuses a site: those are named and left out whole.
    ///
    /// Their hits count from the moment that every site of them is live.
    ///
    /// # Errors
    /// If the kernel refuses for a reason that is no single site's, or takes fewer probes.
    pub fn attach(
        &mut self,
        path: &Path,
        functions: &[FunctionSites],
    ) -> Result<Attachment, ProbeError> {
        self.attach_programs(&[Program::Site, Program::Return], path, functions)
    }

    /// Attaches a program that does nothing to the same sites: what a hit costs without coral. For
    /// benchmarks.
    ///
    /// # Errors
    /// As for [`Engine::attach`].
    pub fn attach_empty(
        &mut self,
        path: &Path,
        functions: &[FunctionSites],
    ) -> Result<Attachment, ProbeError> {
        match uprobe(&mut self.ebpf, Program::Empty)?.load() {
            Ok(()) | Err(ProgramError::AlreadyLoaded) => {}
            Err(error) => return Err(ProbeError::Program(error)),
        }
        self.attach_programs(&[Program::Empty], path, functions)
    }

    fn attach_programs(
        &mut self,
        programs: &[Program],
        path: &Path,
        functions: &[FunctionSites],
    ) -> Result<Attachment, ProbeError> {
        let asked: usize = functions.iter().map(FunctionSites::probes).sum();
        Links::of_this_kernel().check(self.probes + asked)?;
        let mut accepted = functions.to_vec();
        let mut refused = Vec::new();
        let links = loop {
            match self.link_all(programs, path, &accepted) {
                Ok(links) => break links,
                Err(error) => {
                    let sites = self.all_refused(programs, path, &accepted);
                    if sites.is_empty() {
                        return Err(self.explain(error));
                    }
                    // A refused site takes its whole function out, and then the rest is tried.
                    accepted.retain(|function| sites.iter().all(|site| site.slot != function.slot));
                    refused.extend(sites);
                }
            }
        };
        for function in &accepted {
            self.set_enabled(function.slot, true);
        }
        let probes: usize = accepted.iter().map(FunctionSites::probes).sum();
        self.probes += probes;
        Ok(Attachment {
            links,
            probes: probes as u32,
            slots: accepted.iter().map(|function| function.slot).collect(),
            refused,
        })
    }

    /// Stops counting a function's hits; its sites stay until their attachment is detached.
    pub fn set_enabled(&self, slot: u32, enabled: bool) {
        self.functions.write(
            slot as usize,
            FunctionConfig {
                enabled: u32::from(enabled),
                padding: 0,
            },
        );
    }

    /// Takes an attachment's probes out. When this returns, none of them runs any more.
    pub fn detach(&mut self, mut attachment: Attachment) {
        for &slot in &attachment.slots {
            self.set_enabled(slot, false);
        }
        self.unlink(std::mem::take(&mut attachment.links));
        self.probes -= attachment.probes as usize;
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
    pub fn drain_records(&mut self, mut each: impl FnMut(CallRecord)) {
        while let Some(item) = self.ring.next() {
            if let Some(record) = call_record(&item) {
                each(record);
            }
        }
    }

    /// Drops the frames of threads that are gone, and counts them by slot: nothing can leave them
    /// any more, and nothing else would ever drop them.
    pub fn sweep_threads(&mut self, is_alive: impl Fn(u32) -> bool) -> StdHashMap<u32, u64> {
        let dead: Vec<Shared<FrameKey>> = self
            .stacks
            .keys()
            .filter_map(Result::ok)
            .filter(|key| key.0.tid != 0 && !is_alive(key.0.tid))
            .collect();
        let mut dropped = StdHashMap::new();
        for key in dead {
            for slot in self.frames_of(&key) {
                *dropped.entry(slot).or_default() += 1;
            }
            // A failure means that it is gone already.
            let _ = self.stacks.remove(&key);
        }
        dropped
    }

    /// The calls that have begun and not ended, counted by slot.
    pub fn in_flight(&self) -> StdHashMap<u32, u64> {
        let mut frames = StdHashMap::new();
        for key in self.stacks.keys().filter_map(Result::ok) {
            for slot in self.frames_of(&key) {
                *frames.entry(slot).or_default() += 1;
            }
        }
        frames
    }

    fn frames_of(&self, key: &Shared<FrameKey>) -> Vec<u32> {
        let Ok(Shared(stack)) = self.stacks.get(key, 0) else {
            return Vec::new();
        };
        let inline = (stack.len as usize).min(INLINE_FRAMES);
        let mut slots: Vec<u32> = stack.frames[..inline]
            .iter()
            .map(|frame| frame.slot)
            .collect();
        for index in inline as u32..stack.len {
            let key = Shared(OverflowKey {
                stack: key.0,
                index,
                padding: 0,
            });
            slots.extend(self.overflow.get(&key, 0).map(|frame| frame.0.slot));
        }
        slots
    }

    /// A link for each program that has sites, or none at all.
    fn link_all(
        &mut self,
        programs: &[Program],
        path: &Path,
        functions: &[FunctionSites],
    ) -> Result<Vec<(Program, UProbeLinkId)>, ProbeError> {
        let mut links = Vec::new();
        for &program in programs {
            let points = points_of(functions, program);
            if points.is_empty() {
                continue;
            }
            match self.link(program, path, &points) {
                Ok(link) => links.push((program, link)),
                Err(error) => {
                    self.unlink(links);
                    return Err(error);
                }
            }
        }
        Ok(links)
    }

    fn all_refused(
        &mut self,
        programs: &[Program],
        path: &Path,
        functions: &[FunctionSites],
    ) -> Vec<RefusedSite> {
        let mut refused = Vec::new();
        for &program in programs {
            let points = points_of(functions, program);
            if !points.is_empty() {
                refused.extend(self.refused(program, path, &points));
            }
        }
        refused
    }

    fn link(
        &mut self,
        program: Program,
        path: &Path,
        points: &[(u32, Point)],
    ) -> Result<UProbeLinkId, ProbeError> {
        let scope = Links::of_this_kernel().scope(self.tgid);
        let points = points.iter().map(|(_, point)| UProbeAttachPoint {
            location: UProbeAttachLocation::AbsoluteOffset(point.file_offset),
            cookie: Some(point.cookie.0),
        });
        uprobe(&mut self.ebpf, program)?
            .attach(points, path, scope)
            .map_err(ProbeError::Program)
    }

    /// The sites that the kernel refuses one by one: one refused site fails a whole link, so the
    /// link is tried in halves.
    fn refused(
        &mut self,
        program: Program,
        path: &Path,
        points: &[(u32, Point)],
    ) -> Vec<RefusedSite> {
        match self.link(program, path, points) {
            Ok(link) => {
                if let Ok(program) = uprobe(&mut self.ebpf, program) {
                    // It was attached a moment ago.
                    let _ = program.detach(link);
                }
                Vec::new()
            }
            Err(error) if points.len() == 1 => points
                .iter()
                .map(|(slot, point)| RefusedSite {
                    slot: *slot,
                    file_offset: point.file_offset,
                    reason: error.to_string(),
                })
                .collect(),
            Err(_) if !self.target_exists() => Vec::new(),
            Err(_) => {
                let (left, right) = points.split_at(points.len() / 2);
                let mut refused = self.refused(program, path, left);
                refused.extend(self.refused(program, path, right));
                refused
            }
        }
    }

    fn target_exists(&self) -> bool {
        Path::new("/proc").join(self.tgid.to_string()).exists()
    }

    fn explain(&self, error: ProbeError) -> ProbeError {
        if self.target_exists() {
            error
        } else {
            ProbeError::TargetGone
        }
    }

    fn unlink(&mut self, links: Vec<(Program, UProbeLinkId)>) {
        for (program, link) in links {
            if let Ok(program) = uprobe(&mut self.ebpf, program) {
                // An error means that the link is gone already.
                let _ = program.detach(link);
            }
        }
    }
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

fn points_of(functions: &[FunctionSites], program: Program) -> Vec<(u32, Point)> {
    functions
        .iter()
        .flat_map(|function| {
            let points = match program {
                Program::Site | Program::Empty => function.points.as_slice(),
                Program::Return => function.return_point.as_slice(),
            };
            points.iter().map(|point| (function.slot, *point))
        })
        .collect()
}

fn uprobe(ebpf: &mut Ebpf, program: Program) -> Result<&mut UProbe, ProbeError> {
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
