//! Functions that were inlined: their calls are counted where they were inlined, and not timed.

use std::sync::Arc;

use coral_ebpf_common::{Cookie, FUNCTION_IS_COUNTED, FunctionConfig, HitKind};
use coral_model::{ExitProbe, FunctionId};

use super::error::AgentError;
use super::own_sites::OwnSite;
use super::probes::{Live, LiveFunction, Probes, path_of};
use super::request::Attached;
use super::tally::{NewTracked, Tally};
use super::watched::Watched;
use crate::probe::{FunctionSites, Links, Point, SiteCosts};
use crate::symbols::{Image, InlinedFunction, MappedCode, Process};

impl Probes {
    /// Counts the calls of functions where they were inlined, in every process.
    ///
    /// # Errors
    /// If there is no room, or the kernel refuses.
    pub(super) fn attach_inlined(
        &mut self,
        watched: &Watched,
        tally: &mut Tally,
        inlined: &[InlinedFunction],
        attached: &mut Attached,
    ) -> Result<(), AgentError> {
        let asked = tally.len() + inlined.len();
        if asked > self.engine.capacity() {
            return Err(AgentError::Room {
                room: self.engine.capacity(),
                asked,
            });
        }
        // They are no functions of the table: their ids lie behind its own.
        let first = watched.table().len() as u32 + tally.len() as u32;
        let mut slots = Vec::new();
        for (id, function) in (first..).zip(inlined) {
            let slot = tally.track(tracked(FunctionId(id), function));
            let function = FunctionConfig {
                flags: FUNCTION_IS_COUNTED,
                ..FunctionConfig::default()
            };
            self.engine.set_function(slot, function);
            slots.push(slot);
        }
        for module in 0..watched.table().modules().len() as u16 {
            for process in watched.processes() {
                let Some(image) = watched.image_in(process, module) else {
                    continue;
                };
                let functions = self.countable(process, &image, module, inlined, &slots)?;
                attached.probes +=
                    self.link_counted(tally, process.pid(), module, image, functions)?;
            }
        }
        let is_live = |slot: &&u32| tally.is_attached(**slot);
        let live = slots
            .iter()
            .filter(is_live)
            .filter_map(|&slot| tally.id(slot));
        attached.functions.extend(live);
        Ok(())
    }

    /// Where the functions are counted in one file of one process: every place whose code in
    /// memory is the file's.
    fn countable(
        &self,
        process: &Process,
        image: &Arc<Image>,
        module: u16,
        inlined: &[InlinedFunction],
        slots: &[u32],
    ) -> Result<Vec<LiveFunction>, AgentError> {
        let mapped = MappedCode::of(process, image)?;
        let mut functions = Vec::new();
        for (function, &slot) in inlined.iter().zip(slots) {
            let of_module = function
                .instances
                .iter()
                .filter(|place| place.module == module);
            let mut points = Vec::new();
            let mut own_sites = Vec::new();
            for address in of_module.map(|place| place.entry_address) {
                let own_site = OwnSite {
                    pid: Links::of_this_kernel().changed_process(process.pid()),
                    file: image.identity(),
                    address,
                };
                let differences = mapped.differences(address..address + 1);
                let is_as_in_file = differences.is_ok_and(|differences| {
                    differences.is_empty() || self.own_sites.holds(&own_site)
                });
                let Some(file_offset) = image.file_offset(address).filter(|_| is_as_in_file) else {
                    continue;
                };
                points.push(Point {
                    file_offset,
                    cookie: Cookie::new(slot, HitKind::Entry, false, false, 0),
                });
                own_sites.push(own_site);
            }
            if !points.is_empty() {
                functions.push(LiveFunction {
                    id: FunctionId(u32::MAX),
                    sites: FunctionSites {
                        slot,
                        points,
                        return_point: None,
                    },
                    own_sites,
                });
            }
        }
        Ok(functions)
    }

    fn link_counted(
        &mut self,
        tally: &mut Tally,
        pid: u32,
        module: u16,
        image: Arc<Image>,
        functions: Vec<LiveFunction>,
    ) -> Result<u32, AgentError> {
        if functions.is_empty() {
            return Ok(0);
        }
        let sites: Vec<FunctionSites> = functions
            .iter()
            .map(|function| function.sites.clone())
            .collect();
        let attachment = self.engine.attach(pid, &path_of(&image), &sites)?;
        for &slot in &attachment.slots {
            tally.set_attached(slot, true);
        }
        for function in &functions {
            self.own_sites.add(&function.own_sites);
        }
        let probes = attachment.probes;
        self.live.push(Live {
            pid,
            module,
            image,
            attachment,
            functions,
        });
        Ok(probes)
    }
}

fn tracked(id: FunctionId, function: &InlinedFunction) -> NewTracked {
    let places = function.instances.len();
    let unsure = function
        .instances
        .iter()
        .filter(|place| !place.is_exact)
        .count();
    let mut reason = format!("inlined at {places} places, where it is counted and not timed");
    if unsure > 0 {
        reason += &format!(
            "; at {unsure} of them the optimiser may have merged or copied calls, so the count is an estimate"
        );
    }
    if function.uncountable > 0 {
        reason += &format!("; at {} others it cannot be counted", function.uncountable);
    }
    NewTracked {
        id,
        name: format!("{} (inlined)", function.name),
        file: function.file.clone(),
        line: function.line,
        exit_probe: ExitProbe::None,
        reason: Some(reason),
        costs: SiteCosts::single_stepped(),
        tells_errors: false,
        polls_future: false,
        is_counted: true,
    }
}
