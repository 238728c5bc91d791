//! A function whose calls are measured: where it lies, and how it is probed.

use coral_ebpf_common::ValueSpec;
use coral_tui::probe::FunctionSites;
use coral_tui::symbols::planner::{Plan, Site, SiteCost, SiteKind};
use coral_tui::symbols::{Image, Symbols};
use iced_x86::{Decoder, DecoderOptions, Mnemonic, Register};

use crate::Result;

/// The longest encoding of an x86 instruction in bytes.
const INSTRUCTION_BYTES_MAX: u64 = 15;

/// A function with an entry and exits.
pub(crate) struct Function {
    pub(crate) name: String,
    pub(crate) address: u64,
    end: u64,
    pub(crate) plan: Plan,
    /// How its first argument is read, if it has one.
    pub(crate) argument: Option<ValueSpec>,
    /// Where a goroutine's number lies in its `g`; 0 where there are none.
    pub(crate) goid_offset: u32,
}

impl Function {
    /// The function of that name.
    pub(crate) fn find(symbols: &Symbols, name: &str) -> Result<Self> {
        let mut functions = symbols.table().iter();
        let function = functions
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
            name: name.to_owned(),
            address: function.address,
            end: function.address + function.size,
            plan,
            argument: arguments.next(),
            goid_offset: symbols.goid_offset(function.module).unwrap_or(0),
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
    pub(crate) fn plan_without_single_steps(&self, image: &Image) -> Result<Plan> {
        let mut stack_adjust: u16 = 0;
        let code = image.code(self.address..self.end);
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

    /// The plan's sites, for that slot.
    pub(crate) fn sites(
        &self,
        image: &Image,
        slot: u32,
        plan: &Plan,
        fast_returns: bool,
    ) -> Result<FunctionSites> {
        let offset = |address| image.file_offset(address);
        let sites = FunctionSites::new(slot, self.address, plan, fast_returns, offset);
        Ok(sites.ok_or("a site is not in the file")?)
    }

    /// What is under the plan's probes, and how the kernel executes it; what it begins with.
    pub(crate) fn describe(&self, image: &Image) -> String {
        let describe = |site: &Site| {
            let cost = match site.cost {
                SiteCost::Emulated => "emulated",
                SiteCost::SingleStepped => "single-stepped",
            };
            let distance = site.address - self.address;
            format!(
                "+{distance} {} ({cost})",
                self.instruction(image, site.address)
            )
        };
        let entry: Vec<String> = self.plan.entry.iter().map(describe).collect();
        let exits: Vec<String> = self.plan.exits.iter().map(describe).collect();
        format!(
            "{} begins with {}; entry at {}; exits at {}",
            self.name,
            self.instruction(image, self.address),
            entry.join(", "),
            exits.join(", ")
        )
    }

    /// The instruction at an address, without its operands.
    fn instruction(&self, image: &Image, address: u64) -> String {
        let range = address..self.end.min(address + INSTRUCTION_BYTES_MAX);
        let code = image.code(range).unwrap_or_default();
        let instruction = Decoder::with_ip(64, &code, address, DecoderOptions::NONE).decode();
        format!("{:?}", instruction.mnemonic()).to_lowercase()
    }
}
