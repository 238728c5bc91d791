//! The adversarial Go program with probes of two tools at all of its functions.

use std::fs::File;
use std::path::PathBuf;
use std::sync::Arc;

use coral_ebpf_common::FunctionConfig;
use coral_tui::probe::{Engine, EngineSpec, FunctionSites};
use coral_tui::symbols::{Image, Symbols};

use crate::Result;
use crate::bpftrace::Script;
use crate::common::code;
use crate::common::lines::eventually;
use crate::function::Function;
use crate::subject::{file_offset, path};
use crate::work::NO_LIMIT;
use crate::workload::{Workload, numbers};

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
    functions: Vec<Function>,
}

impl Adversary {
    /// Starts the program and plans its functions.
    pub(crate) fn start(binary: PathBuf) -> Result<Self> {
        let image = Arc::new(Image::open(File::open(&binary)?, binary.to_string_lossy())?);
        let symbols = Symbols::read(Arc::clone(&image))?;
        let functions = FUNCTIONS.map(|name| Function::find(&symbols, &format!("main.{name}")));
        symbols.goid_offset(0).ok_or("a Go that is not known")?;
        Ok(Self {
            workload: Workload::start(&binary)?,
            binary,
            image,
            functions: functions.into_iter().collect::<Result<_>>()?,
        })
    }

    /// Starts the script, and waits until all of its probes are there.
    pub(crate) fn start_script(&self) -> Result<Script> {
        let mut text = String::new();
        let mut sites = 0;
        for (slot, function) in self.functions.iter().enumerate() {
            let exits = function
                .plan
                .exits
                .iter()
                .map(|exit| self.probe(exit.address));
            let exits = exits.collect::<Result<Vec<_>>>()?;
            sites += 1 + exits.len();
            text += &format!(
                "{} {{ @s{slot}[tid] = nsecs; }} {} /@s{slot}[tid]/ {{ \
                 printf(\"pair {slot} %llu %llu\\n\", @s{slot}[tid], nsecs); \
                 @pairs = count(); delete(@s{slot}[tid]); }} ",
                self.probe(function.address)?,
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
        for (slot, function) in slots.clone().zip(&self.functions) {
            engine.set_function(
                slot,
                FunctionConfig {
                    goid_offset: function.goid_offset,
                    ..FunctionConfig::default()
                },
            );
            // No call is among the slowest, whose records hold its stack as well.
            engine.set_top_ns(slot, u64::MAX);
            engine.refill_records(slot, NO_LIMIT, 0);
        }
        let attachment = engine.attach(pid, &path(&self.image), &self.sites()?)?;
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
        let offset = file_offset(&self.image, address)?;
        Ok(format!("uprobe:{}:{offset:#x}", self.binary.display()))
    }

    fn sites(&self) -> Result<Vec<FunctionSites>> {
        let functions = (0..).zip(&self.functions);
        functions
            .map(|(slot, function)| function.sites(&self.image, slot, &function.plan, false))
            .collect()
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
