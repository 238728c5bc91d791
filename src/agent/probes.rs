//! The probes of a session: from functions that were asked for to links in the kernel, and back.

use std::os::fd::AsRawFd;
use std::path::Path;
use std::sync::Arc;

use coral_model::FunctionId;

use super::error::AgentError;
use super::own_sites::{OwnSite, OwnSites};
use super::planned::Planned;
use super::request::{Attached, Refused};
use super::tally::Tally;
use super::watched::Watched;
use crate::probe::{Attachment, Engine};
use crate::symbols::{Image, MappedCode};

/// What of a session is in the kernel.
pub(super) struct Probes {
    pub(super) engine: Engine,
    live: Vec<Live>,
    watched: Arc<Watched>,
    own_sites: OwnSites,
    fast_returns: bool,
    /// How many functions the engine has slots for.
    room: usize,
}

/// Probes that were attached together.
struct Live {
    attachment: Attachment,
    own_sites: Vec<OwnSite>,
}

impl Probes {
    pub(super) fn new(
        engine: Engine,
        watched: Arc<Watched>,
        own_sites: OwnSites,
        fast_returns: bool,
        room: usize,
    ) -> Self {
        Self {
            engine,
            live: Vec::new(),
            watched,
            own_sites,
            fast_returns,
            room,
        }
    }

    /// How many probes are live.
    pub(super) fn count(&self) -> u32 {
        self.live.iter().map(|live| live.attachment.probes).sum()
    }

    /// Attaches functions that are not attached yet, each module's in one link.
    ///
    /// # Errors
    /// If there is no room, nothing can be probed, or the kernel refuses; then nothing of the
    /// request stays attached.
    pub(super) fn attach(
        &mut self,
        tally: &mut Tally,
        functions: &[FunctionId],
    ) -> Result<Attached, AgentError> {
        let mut attached = Attached::default();
        let before = self.live.len();
        let modules = self.watched.table().modules().len() as u16;
        for module in 0..modules {
            let of_module: Vec<FunctionId> = functions
                .iter()
                .copied()
                .filter(|&id| self.module_of(id) == Some(module))
                .collect();
            let result = self.attach_module(tally, module, &of_module, &mut attached);
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

    /// Detaches functions. A link is one thing to the kernel: when others of it stay, it stays,
    /// and the functions that go are only no longer counted.
    pub(super) fn detach(&mut self, tally: &mut Tally, functions: &[FunctionId]) {
        for &id in functions {
            if let Some(slot) = tally.slot(id) {
                self.engine.set_enabled(slot, false);
                tally.set_attached(slot, false);
            }
        }
        let is_idle = |live: &Live| {
            let mut slots = live.attachment.slots.iter();
            slots.all(|&slot| !tally.is_attached(slot))
        };
        let (idle, busy): (Vec<_>, Vec<_>) = self.live.drain(..).partition(is_idle);
        self.live = busy;
        for live in idle {
            self.take_out(tally, live);
        }
    }

    /// Detaches everything. When this returns, no probe of the session runs any more.
    pub(super) fn detach_all(&mut self, tally: &mut Tally) {
        for live in std::mem::take(&mut self.live) {
            self.take_out(tally, live);
        }
    }

    fn take_out(&mut self, tally: &mut Tally, live: Live) {
        for &slot in &live.attachment.slots {
            tally.set_attached(slot, false);
        }
        self.engine.detach(live.attachment);
        self.own_sites.remove(&live.own_sites);
    }

    fn module_of(&self, id: FunctionId) -> Option<u16> {
        self.watched.table().get(id).map(|function| function.module)
    }

    fn attach_module(
        &mut self,
        tally: &mut Tally,
        module: u16,
        functions: &[FunctionId],
        attached: &mut Attached,
    ) -> Result<(), AgentError> {
        let watched = Arc::clone(&self.watched);
        let Some(image) = watched.symbols.image(module) else {
            return Ok(());
        };
        if functions.is_empty() {
            return Ok(());
        }
        let mapped = MappedCode::of(&watched.process, image)?;
        let mut planned = Vec::new();
        for &id in functions {
            if tally.slot(id).is_some_and(|slot| tally.is_attached(slot)) {
                attached.functions.push(id);
                continue;
            }
            match Planned::new(&watched, id, &mapped, &self.own_sites) {
                Ok(function) => planned.push(function),
                Err(reason) => attached.refused.push(Refused {
                    function: id,
                    reason,
                }),
            }
        }
        if planned.is_empty() {
            return Ok(());
        }
        self.link(tally, image, &planned, attached)
    }

    /// Gives planned functions their slots, and attaches them in one link.
    fn link(
        &mut self,
        tally: &mut Tally,
        image: &Image,
        planned: &[Planned],
        attached: &mut Attached,
    ) -> Result<(), AgentError> {
        let is_new = |function: &&Planned| tally.slot(function.id).is_none();
        let asked = tally.len() + planned.iter().filter(is_new).count();
        if asked > self.room {
            return Err(AgentError::Room {
                room: self.room,
                asked,
            });
        }
        let mut sites = Vec::new();
        let mut own_sites = Vec::new();
        for function in planned {
            let slot = tally
                .slot(function.id)
                .unwrap_or_else(|| tally.track(function.tracked(&self.watched, self.fast_returns)));
            sites.extend(function.sites(slot, self.fast_returns));
            own_sites.extend(function.own_sites(self.watched.target.pid));
        }
        // Through the open file, so that no other file can take its place.
        let path = format!("/proc/self/fd/{}", image.file().as_raw_fd());
        let attachment = self.engine.attach(Path::new(&path), &sites)?;
        for &slot in &attachment.slots {
            tally.set_attached(slot, true);
            attached.functions.extend(tally.id(slot));
        }
        for site in &attachment.refused {
            let reason = format!(
                "the kernel refused its site at file offset {:#x}: {}",
                site.file_offset, site.reason
            );
            let function = tally.id(site.slot);
            attached
                .refused
                .extend(function.map(|function| Refused { function, reason }));
        }
        attached.probes += attachment.probes;
        self.own_sites.add(&own_sites);
        self.live.push(Live {
            attachment,
            own_sites,
        });
        Ok(())
    }
}
