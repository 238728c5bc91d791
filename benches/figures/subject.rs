//! A running program with a function whose calls are measured.

use std::fs::File;
use std::os::fd::AsRawFd;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use coral_tui::probe::{Attachment, Engine, FunctionSites};
use coral_tui::symbols::planner::Plan;
use coral_tui::symbols::{Image, Symbols};

use crate::Result;
use crate::function::Function;
use crate::table::median;
use crate::work::Work;
use crate::workload::Workload;

/// The slot of the function.
pub(crate) const SLOT: u32 = 0;
/// The slot of the function that is called in turn with it.
pub(crate) const SLOT_IN_TURN: u32 = 1;

/// A running program with a function to be measured.
pub(crate) struct Subject {
    pub(crate) workload: Workload,
    pub(crate) binary: PathBuf,
    pub(crate) function: Function,
    /// What the program can call in turn with it.
    in_turn: Option<Function>,
    image: Arc<Image>,
}

impl Subject {
    /// Starts a binary and plans one of its functions, and maybe the one that it can call in turn.
    /// They must have an entry and exits.
    pub(crate) fn start(
        binary: PathBuf,
        name: &'static str,
        in_turn: Option<&'static str>,
    ) -> Result<Self> {
        let image = Arc::new(Image::open(File::open(&binary)?, binary.to_string_lossy())?);
        let symbols = Symbols::read(Arc::clone(&image))?;
        let in_turn = in_turn.map(|name| Function::find(&symbols, name));
        Ok(Self {
            workload: Workload::start(&binary)?,
            binary,
            function: Function::find(&symbols, name)?,
            in_turn: in_turn.transpose()?,
            image,
        })
    }

    /// Nanoseconds per call under the kernel programs, every one of which must be counted, and in
    /// the tree and have its record where that is their work.
    pub(crate) fn run_probed(
        &mut self,
        plan: &Plan,
        fast: bool,
        work: Work,
        calls: u64,
    ) -> Result<f64> {
        let (mut engine, attachment) = self.attach(plan, fast, work)?;
        let portion = work.calls_per_read().min(calls);
        let mut durations_ns = Vec::new();
        let mut records = 0;
        for _ in 0..calls / portion {
            durations_ns.push(if work.in_turn {
                self.workload.run_in_turn(portion)?
            } else {
                self.workload.run(portion)?
            });
            engine.drain_records(|_| records += 1);
        }
        let slots = [SLOT, SLOT_IN_TURN].map(|slot| engine.function(slot));
        let nodes = engine.tree();
        let counted = (
            slots.iter().map(|it| it.calls).sum::<u64>(),
            slots.iter().map(|it| it.returns).sum::<u64>(),
            nodes.iter().map(|it| it.returns).sum::<u64>(),
            records,
        );
        let all_if = |is_wanted| if is_wanted { calls } else { 0 };
        let wanted = (calls, calls, all_if(work.tree), all_if(work.records));
        if counted != wanted {
            return Err(format!("{wanted:?} and not {counted:?}: {:?}", engine.hits()).into());
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
        let mut engine = work.engine(self.workload.pid(), &self.function)?;
        let sites = self.sites(plan, fast, work.in_turn)?;
        let attachment = engine.attach(self.workload.pid(), &path(&self.image), &sites)?;
        Ok((engine, attachment))
    }

    /// Nanoseconds per call under programs that do nothing.
    pub(crate) fn run_with_empty_programs(&mut self, plan: &Plan, calls: u64) -> Result<f64> {
        let mut engine = Work::COUNTERS.engine(self.workload.pid(), &self.function)?;
        let sites = self.sites(plan, false, false)?;
        let attachment = engine.attach_empty(self.workload.pid(), &path(&self.image), &sites)?;
        let duration_ns = self.workload.run(calls)?;
        engine.detach(attachment);
        Ok(duration_ns)
    }

    /// See [`Function::plan_without_single_steps`].
    pub(crate) fn plan_without_single_steps(&self) -> Result<Plan> {
        self.function.plan_without_single_steps(&self.image)
    }

    /// What is under the plan's probes, and how the kernel executes it.
    pub(crate) fn describe(&self) -> String {
        self.function.describe(&self.image)
    }

    /// Where in the binary the code at an address lies.
    pub(crate) fn file_offset(&self, address: u64) -> Result<u64> {
        file_offset(&self.image, address)
    }

    /// Where the function and the one in turn are probed; the latter's exits are not single-stepped.
    fn sites(&self, plan: &Plan, fast_returns: bool, in_turn: bool) -> Result<Vec<FunctionSites>> {
        let image = &self.image;
        let mut sites = vec![self.function.sites(image, SLOT, plan, fast_returns)?];
        if in_turn {
            let other = self.in_turn.as_ref().ok_or("nothing is called in turn")?;
            let plan = other.plan_without_single_steps(image)?;
            sites.push(other.sites(image, SLOT_IN_TURN, &plan, false)?);
        }
        Ok(sites)
    }
}

/// The opened file, as the kernel takes it.
pub(crate) fn path(image: &Image) -> PathBuf {
    Path::new("/proc/self/fd").join(image.file().as_raw_fd().to_string())
}

/// Where in its file the code at an address lies.
pub(crate) fn file_offset(image: &Image, address: u64) -> Result<u64> {
    let offset = image.file_offset(address);
    offset.ok_or_else(|| format!("{address:#x} is not in the file").into())
}
