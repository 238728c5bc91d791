//! A function on its way to the kernel: planned, and its code in memory compared with its file.

use std::ops::Range;

use coral_ebpf_common::FunctionDetail;
use coral_model::{ExitProbe, FunctionId, Probeability};

use super::own_sites::{OwnSite, OwnSites};
use super::tally::NewTracked;
use super::watched::Watched;
use crate::probe::{FunctionSites, Links, SiteCosts};
use crate::symbols::planner::{FrameKey, Plan};
use crate::symbols::{Image, MappedCode};

/// A function whose sites are known and safe.
pub(super) struct Planned {
    pub(super) id: FunctionId,
    range: Range<u64>,
    pub(super) plan: Plan,
}

impl Planned {
    /// Plans a function of the target.
    ///
    /// # Errors
    /// Why it cannot be probed, as a phrase.
    pub(super) fn new(watched: &Watched, id: FunctionId) -> Result<Self, String> {
        const UNKNOWN: &str = "it is no function of this target";
        let symbols = &watched.symbols;
        let function = symbols.table().get(id).ok_or(UNKNOWN)?;
        let plan = symbols
            .plan(id)
            .ok_or(UNKNOWN)?
            .map_err(|reason| format!("it {}", reason.text()))?;
        Ok(Self {
            id,
            range: function.address..function.address + function.size,
            plan,
        })
    }

    /// Holds its code in a process's memory against its file.
    ///
    /// # Errors
    /// Why it must not be probed there, as a phrase.
    pub(super) fn check(
        &self,
        pid: u32,
        image: &Image,
        mapped: &MappedCode<'_>,
        own_sites: &OwnSites,
    ) -> Result<(), String> {
        let differences = mapped
            .differences(self.range.clone())
            .map_err(|error| error.to_string())?;
        let site = |address| OwnSite {
            pid: Links::of_this_kernel().changed_process(pid),
            file: image.identity(),
            address,
        };
        match differences
            .iter()
            .find(|difference| !own_sites.holds(&site(difference.address)))
        {
            None => Ok(()),
            Some(difference) if difference.is_breakpoint => Err(format!(
                "another tracer (a debugger, or another coral) has a breakpoint in it, at {:#x}",
                difference.address
            )),
            Some(difference) => Err(format!(
                "its code in memory is not its file's, from {:#x} on",
                difference.address
            )),
        }
    }

    /// Its sites in a slot; `None` if they are not in the file.
    pub(super) fn sites(
        &self,
        slot: u32,
        image: &Image,
        fast_returns: bool,
    ) -> Option<FunctionSites> {
        FunctionSites::new(
            slot,
            self.range.start,
            &self.plan,
            fast_returns,
            |address| image.file_offset(address),
        )
    }

    /// What its probes change in the target's code.
    pub(super) fn own_sites(&self, pid: u32, image: &Image) -> Vec<OwnSite> {
        let plan = &self.plan;
        let sites = plan.entry.iter().chain(&plan.exits);
        sites
            .map(|site| site.address)
            // The kernel's return probe stands on the first instruction.
            .chain([self.range.start])
            .map(|address| OwnSite {
                pid: Links::of_this_kernel().changed_process(pid),
                file: image.identity(),
                address,
            })
            .collect()
    }

    /// What the session's numbers are kept under.
    pub(super) fn tracked(
        &self,
        watched: &Watched,
        fast_returns: bool,
        detail: &FunctionDetail,
    ) -> NewTracked {
        let function = watched.table().get(self.id);
        let exit_probe = match self.plan.summary.probe {
            Probeability::Full if fast_returns && self.plan.key == FrameKey::Thread => {
                ExitProbe::Uretprobe
            }
            Probeability::Full => ExitProbe::ReturnSites,
            Probeability::EntryOnly | Probeability::None => ExitProbe::None,
        };
        NewTracked {
            id: self.id,
            name: function
                .map(|function| function.name.to_owned())
                .unwrap_or_default(),
            file: function.and_then(|function| function.file.map(str::to_owned)),
            line: function.and_then(|function| function.line),
            exit_probe,
            reason: self.reason(),
            costs: SiteCosts::of(&self.plan, exit_probe),
            tells_errors: exit_probe != ExitProbe::None && detail.error.kind != 0,
            is_counted: false,
            polls_future: exit_probe != ExitProbe::None && detail.future.enabled != 0,
        }
    }

    fn reason(&self) -> Option<String> {
        if let Some(reason) = self.plan.summary.reason {
            return Some(reason.text().into());
        }
        (self.plan.tail_calls > 0).then(|| {
            format!(
                "{} of {} exits jump to another function: the time there is not included",
                self.plan.tail_calls,
                self.plan.exits.len()
            )
        })
    }
}
