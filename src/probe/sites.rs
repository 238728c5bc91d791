//! Probe sites of functions, as the kernel takes them.

use coral_ebpf_common::{Cookie, HitKind};

use crate::symbols::planner::{FrameKey, Plan, Site, SiteCost, SiteKind};

/// A function to attach: its slot in the session's maps, and where its probes go.
#[derive(Clone, Debug)]
pub struct FunctionSites {
    /// The slot, below the engine's capacity.
    pub slot: u32,
    /// The probes, each by its offset in the file.
    pub points: Vec<Point>,
    /// Where the kernel's return probe goes, instead of probes on the exits.
    pub return_point: Option<Point>,
}

/// One place in a file and what a hit there means.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Point {
    /// The offset in the file.
    pub file_offset: u64,
    /// What the kernel hands to the program.
    pub cookie: Cookie,
}

/// Sites that are attached together and can be detached together.
#[derive(Debug)]
pub struct Attachment {
    pub(super) links: Vec<(super::engine::Program, aya::programs::uprobe::UProbeLinkId)>,
    /// How many probes it holds.
    pub probes: u32,
    /// The slots that are attached.
    pub slots: Vec<u32>,
    /// The functions that the kernel refused, each with the site it refused.
    pub refused: Vec<RefusedSite>,
}

/// A site that the kernel did not accept.
#[derive(Clone, Debug)]
pub struct RefusedSite {
    /// The function's slot.
    pub slot: u32,
    /// The offset in the file.
    pub file_offset: u64,
    /// What the kernel said.
    pub reason: String,
}

impl FunctionSites {
    /// The sites of the function that begins at `address`, or `None` if one is not in the file.
    ///
    /// With `fast_returns` the kernel's return probe takes the place of the exits' own probes.
    pub fn new(
        slot: u32,
        address: u64,
        plan: &Plan,
        fast_returns: bool,
        file_offset: impl Fn(u64) -> Option<u64>,
    ) -> Option<Self> {
        let goroutine = plan.key == FrameKey::Goroutine;
        let point = |site: &Site| {
            let kind = match site.kind {
                SiteKind::Entry => HitKind::Entry,
                SiteKind::Return | SiteKind::TailCall => HitKind::Exit,
            };
            let may_refire = plan.entry_may_refire && kind == HitKind::Entry;
            let stack_adjust = i16::try_from(site.stack_adjust).ok()?;
            let mut cookie = Cookie::new(slot, kind, goroutine, may_refire, stack_adjust);
            if site.kind == SiteKind::TailCall {
                cookie = cookie.tail_call();
            }
            Some(Point {
                file_offset: file_offset(site.address)?,
                cookie: match site.cost {
                    SiteCost::Emulated => cookie,
                    SiteCost::SingleStepped => cookie.stepped(),
                },
            })
        };
        let entry = plan.entry.as_ref()?;
        let mut points = vec![point(entry)?];
        let mut return_point = None;
        if fast_returns && !goroutine && !plan.exits.is_empty() {
            // The return address is already off the stack when the kernel's probe fires.
            return_point = Some(Point {
                file_offset: file_offset(address)?,
                cookie: Cookie::new(slot, HitKind::Exit, false, false, -8),
            });
        } else {
            for exit in &plan.exits {
                points.push(point(exit)?);
            }
        }
        Some(Self {
            slot,
            points,
            return_point,
        })
    }

    /// The entry alone.
    pub fn entry_only(mut self) -> Self {
        self.points.truncate(1);
        self.return_point = None;
        self
    }

    /// How many probes the function needs.
    pub fn probes(&self) -> usize {
        self.points.len() + usize::from(self.return_point.is_some())
    }
}
