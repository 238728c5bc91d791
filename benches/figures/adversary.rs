//! The adversarial Go program with probes of two tools at all of its functions.

use std::fs::File;
use std::os::fd::AsRawFd;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use coral_ebpf_common::FunctionConfig;
use coral_tui::probe::{Engine, EngineSpec, FunctionSites};
use coral_tui::symbols::planner::Plan;
use coral_tui::symbols::{Image, Symbols};

use crate::Result;
use crate::bpftrace::Script;
use crate::common::code;
use crate::common::lines::eventually;
use crate::storm::numbers;
use crate::work::NO_LIMIT;
use crate::workload::Workload;

/// Its functions, whose calls it knows; their slots are in this order.
pub(crate) const FUNCTIONS: [&str; 8] = [
    "step", "grow", "move", "spin", "recurse", "fail", "save", "leave",
];

/// A call's entry and exit as a tool has paired them, in nanoseconds on the monotonic clock.
pub(crate) struct Pair {
    pub(crate) function: String,
    pub(crate) entry_ns: u64,
    pub(crate) exit_ns: u64,
}

/// The running program.
pub(crate) struct Adversary {
    pub(crate) workload: Workload,
    binary: PathBuf,
    image: Arc<Image>,
    /// The address and the plan of each function.
    functions: Vec<(u64, Plan)>,
    /// Where a goroutine's number lies in its `g`.
    goid_offset: u32,
}

impl Adversary {
    /// Starts the program and plans its functions.
    pub(crate) fn start(binary: PathBuf) -> Result<Self> {
        let image = Arc::new(Image::open(File::open(&binary)?, binary.to_string_lossy())?);
        let symbols = Symbols::read(Arc::clone(&image))?;
        let mut functions = Vec::new();
        for name in FUNCTIONS {
            let name = format!("main.{name}");
            let function = symbols
                .table()
                .iter()
                .find(|function| function.name == name);
            let function = function.ok_or_else(|| format!("no function {name}"))?;
            let plan = symbols.plan(function.id).ok_or("it is of this table")?;
            let plan = plan.map_err(|reason| format!("{name} {}", reason.text()))?;
            functions.push((function.address, plan));
        }
        Ok(Self {
            workload: Workload::start(&binary)?,
            binary,
            image,
            functions,
            goid_offset: symbols.goid_offset(0).ok_or("a Go that is not known")?,
        })
    }

    /// Starts the script, and waits until all of its probes are there.
    pub(crate) fn start_script(&self) -> Result<Script> {
        let mut text = String::new();
        let mut sites = 0;
        for (slot, (address, plan)) in self.functions.iter().enumerate() {
            let exits = plan.exits.iter().map(|exit| self.probe(exit.address));
            let exits = exits.collect::<Result<Vec<_>>>()?;
            sites += 1 + exits.len();
            text += &format!(
                "{} {{ @s{slot}[tid] = nsecs; }} {} /@s{slot}[tid]/ {{ \
                 printf(\"pair {slot} %llu %llu\\n\", @s{slot}[tid], nsecs); \
                 @pairs = count(); delete(@s{slot}[tid]); }} ",
                self.probe(*address)?,
                exits.join(", ")
            );
        }
        let script = Script::start(&text)?;
        let pid = self.workload.pid();
        if eventually(|| code::changed(pid).len() == sites) {
            Ok(script)
        } else {
            Err(format!("bpftrace attaches {} of {sites}", code::changed(pid).len()).into())
        }
    }

    /// Runs it under coral, which writes a record of every call that returns; how many entries it
    /// counted, and the pairs that it made.
    pub(crate) fn run(&mut self, acts: u64) -> Result<(u64, Vec<Pair>)> {
        let pid = self.workload.pid();
        let mut engine = Engine::load(&EngineSpec {
            sample_rate: 1,
            tree: true,
            ..EngineSpec::counting(pid, FUNCTIONS.len() as u32)
        })?;
        engine.set_deadline_ns(u64::MAX);
        let slots = 0..FUNCTIONS.len() as u32;
        for slot in slots.clone() {
            let goid_offset = self.goid_offset;
            engine.set_function(
                slot,
                FunctionConfig {
                    goid_offset,
                    ..FunctionConfig::default()
                },
            );
            // No call is among the slowest, whose records hold its stack as well.
            engine.set_top_ns(slot, u64::MAX);
            engine.refill_records(slot, NO_LIMIT, 0);
        }
        let path = Path::new("/proc/self/fd").join(self.image.file().as_raw_fd().to_string());
        let attachment = engine.attach(pid, &path, &self.sites()?)?;
        if !attachment.refused.is_empty() {
            return Err(format!("refused: {:?}", attachment.refused).into());
        }
        let mut pairs = Vec::new();
        self.workload.say(&format!("run {acts}"))?;
        self.workload.answer_while_reading(&mut engine, |record| {
            let call = record.call;
            pairs.push(Pair {
                function: FUNCTIONS[call.slot as usize].to_owned(),
                entry_ns: call.entry_ns,
                exit_ns: call.entry_ns + call.duration_ns,
            });
        })?;
        let numbers: Vec<_> = slots.map(|slot| engine.function(slot)).collect();
        let entries = numbers.iter().map(|it| it.calls).sum();
        let returns: u64 = numbers.iter().map(|it| it.returns).sum();
        if returns != pairs.len() as u64 {
            return Err(
                format!("{} records of {returns}: {:?}", pairs.len(), engine.hits()).into(),
            );
        }
        engine.detach(attachment);
        Ok((entries, pairs))
    }

    /// How bpftrace names a place in a binary without symbols.
    fn probe(&self, address: u64) -> Result<String> {
        let offset = self
            .image
            .file_offset(address)
            .ok_or("a site is not in the file")?;
        Ok(format!("uprobe:{}:{offset:#x}", self.binary.display()))
    }

    fn sites(&self) -> Result<Vec<FunctionSites>> {
        let sites = (0..).zip(&self.functions).map(|(slot, (address, plan))| {
            let offset = |address| self.image.file_offset(address);
            FunctionSites::new(slot, *address, plan, false, offset)
        });
        let sites: Option<Vec<_>> = sites.collect();
        Ok(sites.ok_or("a function has no sites")?)
    }
}

/// The pairs that the script has printed, which must be all that it made.
pub(crate) fn pairs_of(printed: &str) -> Result<Vec<Pair>> {
    let mut pairs = Vec::new();
    for line in printed
        .lines()
        .filter_map(|line| line.strip_prefix("pair "))
    {
        let [slot, entry_ns, exit_ns] = numbers(line)?;
        pairs.push(Pair {
            function: FUNCTIONS[slot as usize].to_owned(),
            entry_ns,
            exit_ns,
        });
    }
    let mut lines = printed.lines();
    let made = lines.find_map(|line| line.strip_prefix("@pairs: "));
    let made: usize = made.ok_or("bpftrace has made no pair")?.trim().parse()?;
    if made != pairs.len() {
        return Err(format!("bpftrace has printed {} pairs of {made}", pairs.len()).into());
    }
    Ok(pairs)
}
