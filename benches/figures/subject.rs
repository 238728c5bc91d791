//! The function whose calls are measured: where it lies, and how it is probed.

use std::fs::File;
use std::os::fd::AsRawFd;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use coral_tui::probe::{Engine, EngineSpec, FunctionSites};
use coral_tui::symbols::planner::{Plan, Site, SiteCost, SiteKind};
use coral_tui::symbols::{Image, Symbols};
use iced_x86::{Decoder, DecoderOptions, Mnemonic, Register};

use crate::Result;
use crate::workload::Workload;

/// The one slot of its sessions.
const SLOT: u32 = 0;
/// A record of every call is wanted, as in a session; at this rate the limit allows hardly any, so
/// here it allows none.
const RECORDS: (u32, (u64, u64)) = (1, (0, u64::MAX));
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
        Ok(Self {
            workload: Workload::start(&binary)?,
            name,
            address: function.address,
            end: function.address + function.size,
            plan,
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

    /// Nanoseconds per call under the kernel programs, every one of which must be counted.
    pub(crate) fn run_probed(&mut self, plan: &Plan, fast: bool, calls: u64) -> Result<f64> {
        let mut engine = self.engine()?;
        let sites = self.sites(plan, fast)?;
        let attachment = engine.attach(self.workload.pid(), &self.path(), &sites)?;
        let duration_ns = self.workload.run(calls)?;
        let numbers = engine.function(SLOT);
        if (numbers.calls, numbers.returns) != (calls, calls) {
            return Err(format!("{calls} calls are counted as {numbers:?}").into());
        }
        engine.detach(attachment);
        Ok(duration_ns)
    }

    /// Nanoseconds per call under programs that do nothing.
    pub(crate) fn run_with_empty_programs(&mut self, plan: &Plan, calls: u64) -> Result<f64> {
        let mut engine = self.engine()?;
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

    fn engine(&self) -> Result<Engine> {
        let (sample_rate, record_range_ns) = RECORDS;
        let engine = Engine::load(&EngineSpec {
            sample_rate,
            record_range_ns,
            ..EngineSpec::counting(self.workload.pid(), 1)
        })?;
        engine.set_deadline_ns(u64::MAX);
        Ok(engine)
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
