//! The probes of a session: from functions that were asked for to links in the kernel, and back.

use std::collections::HashSet;
use std::os::fd::AsRawFd;
use std::path::PathBuf;
use std::sync::Arc;

use coral_ebpf_common::{
    FUNCTION_HAS_DETAIL, FUNCTION_IS_COUNTED, FUNCTION_IS_ROOT, FunctionConfig,
};
use coral_model::FunctionId;

use super::error::AgentError;
use super::own_sites::{OwnSite, OwnSites};
use super::planned::Planned;
use super::request::{AttachRequest, Attached, TraceRule};
use super::tally::{NewTracked, Tally};
use super::values::{Reading, Values, is_root};
use super::watched::Watched;
use crate::probe::{Attachment, Engine, FunctionSites, Links, Replaced};
use crate::symbols::signature::SignatureReader;
use crate::symbols::{Image, MappedCode, Process};

/// What of a session is in the kernel.
pub(super) struct Probes {
    pub(super) engine: Engine,
    pub(super) live: Vec<Live>,
    pub(super) own_sites: OwnSites,
    pub(super) values: Values,
    trace: Option<TraceRule>,
    fast_returns: bool,
    /// How many functions the engine has slots for.
    room: usize,
    /// Whether entries are counted, and nothing else.
    only_counts: bool,
}

/// Probes in one file of one process, attached together.
pub(super) struct Live {
    pub(super) pid: u32,
    pub(super) module: u16,
    /// Kept open: its links are made through it, so that no other file can take its place.
    pub(super) image: Arc<Image>,
    pub(super) attachment: Attachment,
    pub(super) functions: Vec<LiveFunction>,
}

/// A function in one process.
pub(super) struct LiveFunction {
    pub(super) id: FunctionId,
    pub(super) sites: FunctionSites,
    pub(super) own_sites: Vec<OwnSite>,
}

impl Live {
    fn path(&self) -> PathBuf {
        path_of(&self.image)
    }
}

pub(super) fn path_of(image: &Image) -> PathBuf {
    format!("/proc/self/fd/{}", image.file().as_raw_fd()).into()
}

impl Probes {
    pub(super) fn new(
        engine: Engine,
        own_sites: OwnSites,
        values: Values,
        request: &AttachRequest,
        room: usize,
    ) -> Self {
        Self {
            engine,
            live: Vec::new(),
            own_sites,
            values,
            trace: request.trace.clone(),
            fast_returns: request.fast_returns,
            room,
            only_counts: false,
        }
    }

    /// Probes that count entries and do nothing else.
    pub(super) fn counting(
        engine: Engine,
        own_sites: OwnSites,
        request: &AttachRequest,
        watched: &Watched,
    ) -> Self {
        let values = Values::new(request, watched);
        let room = request.functions.len();
        Self {
            only_counts: true,
            ..Self::new(engine, own_sites, values, request, room)
        }
    }

    /// How many probes are live.
    pub(super) fn count(&self) -> u32 {
        self.live.iter().map(|live| live.attachment.probes).sum()
    }

    /// How many roots of traces have begun and not ended. Without traces nothing is a root, and no
    /// stack is looked at.
    pub(super) fn open_roots(&self) -> u64 {
        match self.trace {
            Some(_) => self.engine.open_roots(),
            None => 0,
        }
    }

    /// Attaches functions that are not attached yet, in every process, each file's in one link.
    ///
    /// # Errors
    /// If there is no room, nothing can be probed, or the kernel refuses; then nothing of the
    /// request stays attached.
    pub(super) fn attach(
        &mut self,
        watched: &Watched,
        tally: &mut Tally,
        functions: &[FunctionId],
    ) -> Result<Attached, AgentError> {
        let mut attached = Attached::default();
        let before = self.live.len();
        for module in 0..watched.table().modules().len() as u16 {
            let is_of_module = |id: &FunctionId| {
                let function = watched.table().get(*id);
                function.is_some_and(|function| function.module == module)
            };
            let of_module = functions.iter().copied().filter(is_of_module).collect();
            let result = self
                .attach_module(watched, tally, module, of_module, &mut attached)
                .and_then(|()| self.check_root(&attached));
            if let Err(error) = result {
                for live in self.live.split_off(before) {
                    self.take_out(tally, live);
                }
                return Err(error);
            }
        }
        if attached.functions.is_empty() {
            let reason = attached.refused.into_iter().next().map_or_else(
                || "they are no functions of this target".into(),
                |refused| refused.reason,
            );
            return Err(AgentError::NothingToProbe { reason });
        }
        Ok(attached)
    }

    /// Without their root there are no traces, whatever else is attached.
    fn check_root(&self, attached: &Attached) -> Result<(), AgentError> {
        let is_root = |id| is_root(self.trace.as_ref(), id);
        match attached.refused.iter().find(|it| is_root(it.function)) {
            Some(root) if !self.only_counts => Err(AgentError::TraceRoot {
                reason: root.reason.clone(),
            }),
            _ => Ok(()),
        }
    }

    /// Attaches functions in another process. Functions that it does not have, or
    /// that must not be probed there, are left out. `parents` are those that it was forked from.
    ///
    /// # Errors
    /// If the kernel refuses.
    pub(super) fn add_process(
        &mut self,
        watched: &Watched,
        tally: &mut Tally,
        process: &Process,
        parents: &[u32],
        functions: &[FunctionId],
    ) -> Result<(), AgentError> {
        self.engine.add_target(process.pid())?;
        let pids = [&[process.pid()], parents].concat();
        let modules = watched.table().modules().len() as u16;
        for module in 0..modules {
            let of_module = functions.iter().filter(|id| {
                let function = watched.table().get(**id);
                function.is_some_and(|function| function.module == module)
            });
            let planned: Vec<Planned> = of_module
                .filter_map(|&id| Planned::new(watched, id).ok())
                .collect();
            let Some(image) = watched.image_in(process, module) else {
                continue;
            };
            let mapped = MappedCode::of(process, &image)?;
            let fit = planned.iter().filter(|function| {
                let checked = function.check(&pids, &image, &mapped, &self.own_sites);
                checked.is_ok()
            });
            let fit: Vec<&Planned> = fit.collect();
            self.link(tally, process.pid(), module, &image, &fit, &mut Vec::new())?;
        }
        Ok(())
    }

    /// Detaches functions, in every process; what was attached together with them stays, and
    /// loses no hit.
    pub(super) fn detach(&mut self, tally: &mut Tally, functions: &[FunctionId]) {
        let mut gone = HashSet::new();
        for &id in functions {
            let Some(slot) = tally.slot(id) else { continue };
            self.engine.set_enabled(slot, false);
            tally.set_attached(slot, false);
            gone.insert(slot);
        }
        for live in std::mem::take(&mut self.live) {
            let stays = |function: &&LiveFunction| !gone.contains(&function.sites.slot);
            let staying = live.functions.iter().filter(stays).count();
            if staying == 0 {
                self.take_out(tally, live);
            } else if staying == live.functions.len() {
                self.live.push(live);
            } else {
                self.reduce(live, &gone);
            }
        }
    }

    /// Takes functions out of a link, by a link without them that takes its place.
    fn reduce(&mut self, live: Live, gone: &HashSet<u32>) {
        let path = live.path();
        let (going, staying): (Vec<_>, Vec<_>) = live
            .functions
            .into_iter()
            .partition(|function| gone.contains(&function.sites.slot));
        let sites: Vec<FunctionSites> = staying
            .iter()
            .map(|function| function.sites.clone())
            .collect();
        let replaced = self
            .engine
            .replace(live.pid, &path, live.attachment, &sites);
        let (attachment, functions) = match replaced {
            Replaced::New(attachment) => {
                for function in &going {
                    self.own_sites.remove(&function.own_sites);
                }
                (attachment, staying)
            }
            // The old link stays whole; what goes is no longer counted.
            Replaced::Old(attachment) => (attachment, staying.into_iter().chain(going).collect()),
        };
        self.live.push(Live {
            pid: live.pid,
            module: live.module,
            image: live.image,
            attachment,
            functions,
        });
    }

    /// Detaches everything. When this returns, no probe of the session runs any more.
    pub(super) fn detach_all(&mut self, tally: &mut Tally) {
        for live in std::mem::take(&mut self.live) {
            self.take_out(tally, live);
        }
    }

    /// What is attached, in whatever process.
    pub(super) fn functions(&self) -> Vec<FunctionId> {
        let live = self.live.iter();
        let mut ids: Vec<FunctionId> = live
            .flat_map(|live| live.functions.iter().map(|function| function.id))
            .collect();
        ids.sort_unstable();
        ids.dedup();
        ids
    }

    /// Takes the probes of a process out that is gone.
    pub(super) fn forget_process(&mut self, pid: u32) {
        let (gone, live) = std::mem::take(&mut self.live)
            .into_iter()
            .partition(|live| live.pid == pid);
        self.live = live;
        let gone: Vec<Live> = gone;
        for live in gone {
            for function in &live.functions {
                self.own_sites.remove(&function.own_sites);
            }
            self.engine.unlink_attachment(live.attachment);
        }
    }

    fn take_out(&mut self, tally: &mut Tally, live: Live) {
        for function in &live.functions {
            tally.set_attached(function.sites.slot, false);
            self.own_sites.remove(&function.own_sites);
        }
        self.engine.detach(live.attachment);
    }

    fn attach_module(
        &mut self,
        watched: &Watched,
        tally: &mut Tally,
        module: u16,
        functions: Vec<FunctionId>,
        attached: &mut Attached,
    ) -> Result<(), AgentError> {
        let mut planned = Vec::new();
        for id in functions {
            if tally.slot(id).is_some_and(|slot| tally.is_attached(slot)) {
                attached.functions.push(id);
                continue;
            }
            match Planned::new(watched, id) {
                Ok(function) => planned.push(function),
                Err(reason) => attached.refuse(id, reason),
            }
        }
        let processes: Vec<&Arc<Process>> = watched.processes().collect();
        let images: Vec<Option<Arc<Image>>> = processes
            .iter()
            .map(|process| watched.image_in(process, module))
            .collect();
        // A function that must not be probed in one of the processes is probed in none: its
        // numbers would be of some only.
        for (process, image) in processes.iter().zip(&images) {
            let Some(image) = image else { continue };
            if planned.is_empty() {
                return Ok(());
            }
            let mapped = MappedCode::of(process, image)?;
            planned.retain(|function| {
                let checked = function.check(&[process.pid()], image, &mapped, &self.own_sites);
                checked
                    .map_err(|reason| attached.refuse(function.id, reason))
                    .is_ok()
            });
        }
        self.give_slots(watched, tally, &mut planned, attached)?;
        let planned: Vec<&Planned> = planned.iter().collect();
        for (process, image) in processes.iter().zip(&images) {
            let Some(image) = image else { continue };
            let mut refused = Vec::new();
            let probes = self.link(tally, process.pid(), module, image, &planned, &mut refused)?;
            attached.probes += probes;
            for (id, reason) in refused {
                attached.refuse(id, reason);
            }
        }
        let is_live = |id: &FunctionId| tally.slot(*id).is_some_and(|slot| tally.is_attached(slot));
        attached
            .functions
            .extend(planned.iter().map(|function| function.id).filter(is_live));
        Ok(())
    }

    /// Gives planned functions that have none their slots. The root of traces whose path cannot be
    /// compared is left out.
    fn give_slots(
        &mut self,
        watched: &Watched,
        tally: &mut Tally,
        planned: &mut Vec<Planned>,
        attached: &mut Attached,
    ) -> Result<(), AgentError> {
        let mut reader = SignatureReader::new(&watched.symbols);
        let mut readings = Vec::new();
        planned.retain(|function| {
            if tally.slot(function.id).is_some() {
                return true;
            }
            let reading = if self.only_counts {
                Ok(Reading::default())
            } else {
                self.values.reading(&mut reader, function)
            };
            match reading {
                Ok(reading) => {
                    let tracked = function.tracked(watched, self.fast_returns, &reading.detail);
                    readings.push((tracked, reading));
                    true
                }
                Err(reason) => {
                    attached.refuse(function.id, reason);
                    false
                }
            }
        });
        let slots = |(tracked, _): &(NewTracked, _)| 1 + usize::from(tracked.polls_future);
        let asked = tally.len() + readings.iter().map(slots).sum::<usize>();
        if asked > self.engine.capacity() {
            return Err(AgentError::Room {
                room: self.room,
                asked,
            });
        }
        let modules = 0..watched.table().modules().len() as u16;
        let goid_offsets: Vec<u32> = modules
            .map(|module| watched.symbols.goid_offset(module).unwrap_or(0))
            .collect();
        for (tracked, reading) in readings {
            let is_root = is_root(self.trace.as_ref(), tracked.id);
            let function = watched.table().get(tracked.id);
            let goid_offset = function.map_or(0, |it| goid_offsets[usize::from(it.module)]);
            let slot = tally.track(tracked);
            let mut flags = if self.only_counts {
                FUNCTION_IS_COUNTED
            } else {
                0
            };
            if reading.is_needed() {
                flags |= FUNCTION_HAS_DETAIL;
            }
            if is_root {
                flags |= FUNCTION_IS_ROOT;
            }
            // The slot behind the function's own is that of its joined calls, where it has any.
            let function = FunctionConfig {
                flags,
                call_slot: slot + 1,
                goid_offset,
                ..FunctionConfig::default()
            };
            self.engine.set_function(slot, function);
            self.engine.set_detail(slot, reading.detail);
            self.engine.set_filter(slot, reading.filter.as_ref());
            self.values.keep(slot, reading);
        }
        Ok(())
    }

    /// Whether the probes of another process are in this one too, as on kernels that cannot tell
    /// processes of one file apart.
    fn is_shared(&self, pid: u32, module: u16, functions: &[LiveFunction]) -> bool {
        Links::of_this_kernel().changed_process(pid).is_none()
            && self.live.iter().any(|live| {
                live.module == module
                    && live.pid != pid
                    && live.functions.iter().any(|live| live.id == functions[0].id)
            })
    }

    /// Attaches functions that have slots in one file of one process; returns how many probes
    /// that are.
    fn link(
        &mut self,
        tally: &mut Tally,
        pid: u32,
        module: u16,
        image: &Arc<Image>,
        planned: &[&Planned],
        refused: &mut Vec<(FunctionId, String)>,
    ) -> Result<u32, AgentError> {
        let mut functions: Vec<LiveFunction> = planned
            .iter()
            .filter_map(|function| {
                let slot = tally.slot(function.id)?;
                let sites = function.sites(slot, image, self.fast_returns)?;
                Some(LiveFunction {
                    id: function.id,
                    sites: if self.only_counts {
                        sites.entry_only()
                    } else {
                        sites
                    },
                    own_sites: function.own_sites(pid, image),
                })
            })
            .collect();
        if functions.is_empty() || self.is_shared(pid, module, &functions) {
            return Ok(0);
        }
        let sites: Vec<FunctionSites> = functions
            .iter()
            .map(|function| function.sites.clone())
            .collect();
        let attachment = self.engine.attach(pid, &path_of(image), &sites)?;
        for &slot in &attachment.slots {
            tally.set_attached(slot, true);
        }
        for site in &attachment.refused {
            let reason = format!(
                "the kernel refused its site at file offset {:#x}: {}",
                site.file_offset, site.reason
            );
            refused.extend(tally.id(site.slot).map(|id| (id, reason)));
        }
        functions.retain(|function| attachment.slots.contains(&function.sites.slot));
        for function in &functions {
            self.own_sites.add(&function.own_sites);
        }
        let probes = attachment.probes;
        self.live.push(Live {
            pid,
            module,
            image: Arc::clone(image),
            attachment,
            functions,
        });
        Ok(probes)
    }
}
