//! What a hit costs on this machine, measured and not assumed.
//!
//! This program probes two tiny functions of its own with the very programs that sessions use and
//! calls them: one entry on an instruction that the kernel emulates, one on an instruction that it
//! single-steps. Nothing else on the machine is touched.
#![allow(unsafe_code)] // naked functions, whose instructions are known, and calls of them

use std::sync::OnceLock;
use std::time::Instant;

use coral_ebpf_common::{Cookie, HitKind};
use coral_model::ExitProbe;

use super::engine::Engine;
use super::error::ProbeError;
use super::sites::{FunctionSites, Point};
use super::spec::EngineSpec;
use crate::symbols::planner::{Plan, Site, SiteCost};

/// The measured cost of one hit, program included, in nanoseconds.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Calibration {
    /// At an instruction that the kernel emulates.
    pub emulated_ns: f64,
    /// At an instruction that it executes out of line.
    pub single_stepped_ns: f64,
}

/// What the sites of a function cost to hit.
#[derive(Clone, Copy, Debug)]
pub struct SiteCosts {
    entry: SiteCost,
    exit: SiteCost,
}

/// Calls in one measurement.
const CALLS: u32 = 50;
/// Measurements, of which the fastest counts: the others were disturbed.
const MEASUREMENTS: u32 = 20;

static CALIBRATION: OnceLock<Option<Calibration>> = OnceLock::new();

impl SiteCosts {
    /// The costs where every site is executed out of line, as some of many may be.
    pub fn single_stepped() -> Self {
        Self {
            entry: SiteCost::SingleStepped,
            exit: SiteCost::SingleStepped,
        }
    }

    /// The costs of a plan's sites; where exits differ, the dearer kind counts.
    pub fn of(plan: &Plan, exit_probe: ExitProbe) -> Self {
        Self {
            entry: dearest(plan.entry.as_slice()),
            exit: match exit_probe {
                // The kernel's return probe steps nothing.
                ExitProbe::Uretprobe => SiteCost::Emulated,
                ExitProbe::ReturnSites | ExitProbe::None => dearest(&plan.exits),
            },
        }
    }
}

fn dearest(sites: &[Site]) -> SiteCost {
    if sites
        .iter()
        .any(|site| site.cost == SiteCost::SingleStepped)
    {
        SiteCost::SingleStepped
    } else {
        SiteCost::Emulated
    }
}

impl Calibration {
    /// The calibration of this machine, if it was measured.
    pub fn get() -> Option<Self> {
        CALIBRATION.get().copied().flatten()
    }

    /// Measures, unless that was done already; takes some tens of milliseconds.
    pub fn measure_once() -> Option<Self> {
        // Without a calibration the cost is shown as unknown; attaching itself will say why.
        *CALIBRATION.get_or_init(|| measure().ok())
    }

    /// What so many entries and exits of a function have cost, in nanoseconds.
    pub fn cost_ns(&self, costs: SiteCosts, entries: u64, exits: u64) -> f64 {
        self.hit_ns(costs.entry) * entries as f64 + self.hit_ns(costs.exit) * exits as f64
    }

    fn hit_ns(&self, cost: SiteCost) -> f64 {
        match cost {
            SiteCost::Emulated => self.emulated_ns,
            SiteCost::SingleStepped => self.single_stepped_ns,
        }
    }
}

#[cfg(target_arch = "x86_64")]
fn measure() -> Result<Calibration, ProbeError> {
    let mut engine = Engine::load(&EngineSpec {
        tree: true,
        ..EngineSpec::counting(std::process::id(), 2)
    })?;
    engine.set_deadline_ns(u64::MAX);
    Ok(Calibration {
        emulated_ns: cost_of(&mut engine, 0, begins_with_push)?,
        single_stepped_ns: cost_of(&mut engine, 1, begins_with_lea)?,
    })
}

#[cfg(not(target_arch = "x86_64"))]
fn measure() -> Result<Calibration, ProbeError> {
    Err(ProbeError::MissingPart("calibration for this processor"))
}

/// The time that a probe on the first instruction of `function` adds to a call.
fn cost_of(engine: &mut Engine, slot: u32, function: extern "C" fn()) -> Result<f64, ProbeError> {
    let site = FunctionSites {
        slot,
        points: vec![Point {
            file_offset: own_file_offset(function as usize as u64)?,
            cookie: Cookie::new(slot, HitKind::Entry, false, false, 0),
        }],
        return_point: None,
    };
    let bare_ns = fastest_call_ns(function);
    let attachment = engine.attach(std::process::id(), "/proc/self/exe".as_ref(), &[site])?;
    let probed_ns = fastest_call_ns(function);
    engine.detach(attachment);
    Ok((probed_ns - bare_ns).max(0.0))
}

fn fastest_call_ns(function: extern "C" fn()) -> f64 {
    (0..MEASUREMENTS)
        .map(|_| {
            let begin = Instant::now();
            for _ in 0..CALLS {
                std::hint::black_box(function)();
            }
            begin.elapsed().as_nanos() as f64 / f64::from(CALLS)
        })
        .fold(f64::INFINITY, f64::min)
}

/// Where an address of this program lies in its file.
fn own_file_offset(address: u64) -> Result<u64, ProbeError> {
    let maps = std::fs::read_to_string("/proc/self/maps").map_err(ProbeError::Mapping)?;
    maps.lines()
        .find_map(|line| {
            let mut fields = line.split_whitespace();
            let (start, end) = fields.next()?.split_once('-')?;
            let offset = u64::from_str_radix(fields.nth(1)?, 16).ok()?;
            let start = u64::from_str_radix(start, 16).ok()?;
            let end = u64::from_str_radix(end, 16).ok()?;
            (start..end)
                .contains(&address)
                .then(|| address - start + offset)
        })
        .ok_or(ProbeError::MissingPart("this program's own code"))
}

/// Its first instruction is emulated by the kernel.
#[cfg(target_arch = "x86_64")]
#[unsafe(naked)]
extern "C" fn begins_with_push() {
    std::arch::naked_asm!("push rbp", "pop rbp", "ret")
}

/// Its first instruction is executed out of line.
#[cfg(target_arch = "x86_64")]
#[unsafe(naked)]
extern "C" fn begins_with_lea() {
    std::arch::naked_asm!("lea rax, [rsp]", "nop", "ret")
}
