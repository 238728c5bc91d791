//! The function whose calls are measured: where it lies, and how it is probed.

use std::fs::File;
use std::os::fd::AsRawFd;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use coral_ebpf_common::ValueSpec;
use coral_tui::probe::{Attachment, Engine, FunctionSites};
use coral_tui::symbols::planner::{Plan, Site, SiteCost, SiteKind};
use coral_tui::symbols::{Image, Symbols};
use iced_x86::{Decoder, DecoderOptions, Mnemonic, Register};

use crate::Result;
use crate::table::median;
use crate::work::Work;
use crate::workload::Workload;

/// The one slot of its sessions.
pub(crate) const SLOT: u32 = 0;
/// So many records fit in the ring, whatever they hold; they are read after so many calls.
const CALLS_PER_READ: u64 = 1_000;
/// The longest encoding of an x86 instruction in bytes.
const INSTRUCTION_BYTES_MAX: u64 = 15;

/// A function of a running program.
pub(crate) struct Subject {
    pub(crate) workload: Workload,
    pub(crate) binary: PathBuf,
    pub(crate) name: &'static str,
    pub(crate) address: u64,
    end: u64,
    pub(crate) plan: Plan,
    /// How its first argument is read, if it has one.
    argument: Option<ValueSpec>,
    image: Arc<Image>,
}

impl Subject {
    /// Starts a binary and plans one of its functions, which must have an entry and exits.
    pub(crate) fn start(binary: PathBuf, name: &'static str) -> Result<Self> {
        let image = Arc::new(Image::open(File::open(&binary)?, binary.to_string_lossy())?);
        let symbols = Symbols::read(Arc::clone(&image))?;
        let function = symbols
            .table()
            .iter()
            .find(|function| function.name == name)
            .ok_or_else(|| format!("no function {name}"))?;
        let plan = symbols.plan(function.id).ok_or("it is of this table")?;
        let plan = plan.map_err(|reason| format!("{name} {}", reason.text()))?;
        if plan.entry.is_none() || plan.exits.is_empty() {
            return Err(format!("{name} cannot be timed").into());
        }
        let arguments = symbols.signature(function.id, &plan).arguments;
        let mut arguments = arguments.into_iter().filter_map(|it| it.read.ok());
        Ok(Self {
            workload: Workload::start(&binary)?,
            name,
            address: function.address,
            end: function.address + function.size,
            plan,
            argument: arguments.next(),
            binary,
            image,
        })
    }

    /// The plan with the entry at the function's first instruction, as if every call passed it
    /// exactly once and the kernel did not care which instruction it is.
    pub(crate) fn plan_at_first_instruction(&self) -> Plan {
        Plan {
            entry: Some(Site {
                address: self.address,
                kind: SiteKind::Entry,
                stack_adjust: 0,
                cost: SiteCost::SingleStepped,
            }),
            entry_may_refire: true,
            ..self.plan.clone()
        }
    }

    /// The plan with the exit at the function's first call instead of its returns, which the kernel
    /// emulates: without single-stepping's noise the programs' own part can be told.
    pub(crate) fn plan_without_single_steps(&self) -> Result<Plan> {
        let mut stack_adjust: u16 = 0;
        let code = self.image.code(self.address..self.end);
        let code = code.ok_or("the function is not in the file")?;
        for instruction in Decoder::with_ip(64, &code, self.address, DecoderOptions::NONE) {
            match instruction.mnemonic() {
                Mnemonic::Push => stack_adjust += 8,
                Mnemonic::Sub if instruction.op0_register() == Register::RSP => {
                    stack_adjust += instruction.immediate(1) as u16;
                }
                Mnemonic::Call => {
                    return Ok(Plan {
                        exits: vec![Site {
                            address: instruction.ip(),
                            kind: SiteKind::Return,
                            stack_adjust,
                            cost: SiteCost::Emulated,
                        }],
                        ..self.plan.clone()
                    });
                }
                _ => {}
            }
        }
        Err("the function calls nothing".into())
    }

    /// Nanoseconds per call under the kernel programs, every one of which must be counted, and have
    /// its record where that is their work.
    pub(crate) fn run_probed(
        &mut self,
        plan: &Plan,
        fast: bool,
        work: Work,
        calls: u64,
    ) -> Result<f64> {
        let (mut engine, attachment) = self.attach(plan, fast, work)?;
        let portion = if work.arguments {
            CALLS_PER_READ
        } else {
            calls
        };
        let mut durations_ns = Vec::new();
        let mut records = 0;
        for _ in 0..calls / portion {
            durations_ns.push(self.workload.run(portion)?);
            engine.drain_records(|_| records += 1);
        }
        let numbers = engine.function(SLOT);
        let wanted = (calls, calls, if work.records { calls } else { 0 });
        if (numbers.calls, numbers.returns, records) != wanted {
            let hits = engine.hits();
            return Err(format!("{wanted:?} and not {records}, {numbers:?}, {hits:?}").into());
        }
        engine.detach(attachment);
        Ok(median(durations_ns))
    }

    /// Lets the kernel programs do that work at the plan's sites.
    pub(crate) fn attach(
        &self,
        plan: &Plan,
        fast: bool,
        work: Work,
    ) -> Result<(Engine, Attachment)> {
        let mut engine = work.engine(self.workload.pid(), self.argument)?;
        let sites = self.sites(plan, fast)?;
        let attachment = engine.attach(self.workload.pid(), &self.path(), &sites)?;
        Ok((engine, attachment))
    }

    /// Nanoseconds per call under programs that do nothing.
    pub(crate) fn run_with_empty_programs(&mut self, plan: &Plan, calls: u64) -> Result<f64> {
        let mut engine = Work::COUNTERS.engine(self.workload.pid(), None)?;
        let sites = self.sites(plan, false)?;
        let attachment = engine.attach_empty(self.workload.pid(), &self.path(), &sites)?;
        let duration_ns = self.workload.run(calls)?;
        engine.detach(attachment);
        Ok(duration_ns)
    }

    /// Where in the binary the code at an address lies.
    pub(crate) fn file_offset(&self, address: u64) -> Result<u64> {
        let offset = self.image.file_offset(address);
        offset.ok_or_else(|| format!("{address:#x} is not in the file").into())
    }

    /// What is under the plan's probes, and how the kernel executes it.
    pub(crate) fn describe(&self, plan: &Plan) -> String {
        let entry = plan.entry.iter().map(|site| self.describe_site(site));
        let exits = plan.exits.iter().map(|site| self.describe_site(site));
        let [entry, exits] = [entry.collect::<Vec<_>>(), exits.collect()].map(|it| it.join(", "));
        format!("entry at {entry}; exits at {exits}")
    }

    /// The instruction at an address, without its operands.
    pub(crate) fn instruction(&self, address: u64) -> String {
        let range = address..self.end.min(address + INSTRUCTION_BYTES_MAX);
        let code = self.image.code(range).unwrap_or_default();
        let instruction = Decoder::with_ip(64, &code, address, DecoderOptions::NONE).decode();
        format!("{:?}", instruction.mnemonic()).to_lowercase()
    }

    fn describe_site(&self, site: &Site) -> String {
        let cost = match site.cost {
            SiteCost::Emulated => "emulated",
            SiteCost::SingleStepped => "single-stepped",
        };
        let distance = site.address - self.address;
        format!("+{distance} {} ({cost})", self.instruction(site.address))
    }

    fn sites(&self, plan: &Plan, fast_returns: bool) -> Result<[FunctionSites; 1]> {
        let offset = |address| self.image.file_offset(address);
        let sites = FunctionSites::new(SLOT, self.address, plan, fast_returns, offset);
        Ok([sites.ok_or("a site is not in the file")?])
    }

    fn path(&self) -> PathBuf {
        Path::new("/proc/self/fd").join(self.image.file().as_raw_fd().to_string())
    }
}
