//! Probes in the kernel: attaches them, names the sites that the kernel refuses, takes them out.

use std::path::Path;

use aya::programs::uprobe::{UProbeAttachLocation, UProbeAttachPoint, UProbeLinkId};

use super::engine::{Engine, Program, uprobe};
use super::error::ProbeError;
use super::links::Links;
use super::sites::{Attachment, FunctionSites, Point, RefusedSite};

/// What is attached after an attachment was to be replaced.
pub enum Replaced {
    /// The new one.
    New(Attachment),
    /// The kernel refused the new one, and the old one stays.
    Old(Attachment),
}

impl Engine {
    /// Attaches functions of the file at `path` in one process, all at once or not at all, except for functions
    /// of which the kernel refuses a site: those are named and left out whole.
    ///
    /// Their hits count from the moment that every site of them is live.
    ///
    /// # Errors
    /// If the kernel refuses for a reason that is no single site's.
    pub fn attach(
        &mut self,
        pid: u32,
        path: &Path,
        functions: &[FunctionSites],
    ) -> Result<Attachment, ProbeError> {
        let programs = [self.entry_program(), Program::Return];
        self.attach_programs(&programs, pid, path, functions)
    }

    /// Attaches a program that does nothing to the same sites: what a hit costs without coral. For
    /// benchmarks.
    ///
    /// # Errors
    /// As for [`Engine::attach`].
    pub fn attach_empty(
        &mut self,
        pid: u32,
        path: &Path,
        functions: &[FunctionSites],
    ) -> Result<Attachment, ProbeError> {
        self.attach_programs(&[Program::Empty], pid, path, functions)
    }

    fn attach_programs(
        &mut self,
        programs: &[Program],
        pid: u32,
        path: &Path,
        functions: &[FunctionSites],
    ) -> Result<Attachment, ProbeError> {
        let asked: usize = functions.iter().map(FunctionSites::probes).sum();
        Links::of_this_kernel().check(self.probes + asked)?;
        for &program in programs {
            if !points_of(functions, program).is_empty() {
                self.load_program(program)?;
            }
        }
        let mut accepted = functions.to_vec();
        let mut refused = Vec::new();
        let links = loop {
            match self.link_all(programs, pid, path, &accepted) {
                Ok(links) => break links,
                Err(error) => {
                    let sites = self.all_refused(programs, pid, path, &accepted);
                    if sites.is_empty() {
                        return Err(explain(pid, error));
                    }
                    // A refused site takes its whole function out, and then the rest is tried.
                    accepted.retain(|function| sites.iter().all(|site| site.slot != function.slot));
                    refused.extend(sites);
                }
            }
        };
        for function in &accepted {
            self.set_enabled(function.slot, true);
        }
        let probes: usize = accepted.iter().map(FunctionSites::probes).sum();
        self.probes += probes;
        Ok(Attachment {
            links,
            probes: probes as u32,
            slots: accepted.iter().map(|function| function.slot).collect(),
            refused,
        })
    }

    /// Puts other probes in the place of an attachment's, of the same functions or fewer, without
    /// losing or doubling a hit: while both stand, every hit comes twice and counts once. Returns
    /// what is attached now, which is the old one where the kernel refuses the new one.
    pub fn replace(
        &mut self,
        pid: u32,
        path: &Path,
        old: Attachment,
        functions: &[FunctionSites],
    ) -> Replaced {
        self.set_handover(true);
        let replaced = match self.attach(pid, path, functions) {
            Ok(new) => {
                self.unlink_attachment(old);
                Replaced::New(new)
            }
            Err(_) => Replaced::Old(old),
        };
        self.set_handover(false);
        replaced
    }

    /// Takes an attachment's probes out; its functions count on where others hold them.
    pub fn unlink_attachment(&mut self, attachment: Attachment) {
        self.probes -= attachment.probes as usize;
        self.unlink(attachment.links);
    }

    /// Takes an attachment's probes out. When this returns, none of them runs any more.
    pub fn detach(&mut self, attachment: Attachment) {
        for &slot in &attachment.slots {
            self.set_enabled(slot, false);
        }
        self.unlink_attachment(attachment);
    }

    /// A link for each program that has sites, or none at all.
    fn link_all(
        &mut self,
        programs: &[Program],
        pid: u32,
        path: &Path,
        functions: &[FunctionSites],
    ) -> Result<Vec<(Program, UProbeLinkId)>, ProbeError> {
        let mut links = Vec::new();
        for &program in programs {
            let points = points_of(functions, program);
            if points.is_empty() {
                continue;
            }
            match self.link(program, pid, path, &points) {
                Ok(link) => links.push((program, link)),
                Err(error) => {
                    self.unlink(links);
                    return Err(error);
                }
            }
        }
        Ok(links)
    }

    fn all_refused(
        &mut self,
        programs: &[Program],
        pid: u32,
        path: &Path,
        functions: &[FunctionSites],
    ) -> Vec<RefusedSite> {
        let mut refused = Vec::new();
        for &program in programs {
            let points = points_of(functions, program);
            if !points.is_empty() {
                refused.extend(self.refused(program, pid, path, &points));
            }
        }
        refused
    }

    fn link(
        &mut self,
        program: Program,
        pid: u32,
        path: &Path,
        points: &[(u32, Point)],
    ) -> Result<UProbeLinkId, ProbeError> {
        let scope = Links::of_this_kernel().scope(pid);
        let points = points.iter().map(|(_, point)| UProbeAttachPoint {
            location: UProbeAttachLocation::AbsoluteOffset(point.file_offset),
            cookie: Some(point.cookie.0),
        });
        uprobe(&mut self.ebpf, program)?
            .attach(points, path, scope)
            .map_err(ProbeError::Program)
    }

    /// The sites that the kernel refuses one by one: one refused site fails a whole link, so the
    /// link is tried in halves.
    fn refused(
        &mut self,
        program: Program,
        pid: u32,
        path: &Path,
        points: &[(u32, Point)],
    ) -> Vec<RefusedSite> {
        match self.link(program, pid, path, points) {
            Ok(link) => {
                if let Ok(program) = uprobe(&mut self.ebpf, program) {
                    // It was attached a moment ago.
                    let _ = program.detach(link);
                }
                Vec::new()
            }
            Err(error) if points.len() == 1 => points
                .iter()
                .map(|(slot, point)| RefusedSite {
                    slot: *slot,
                    file_offset: point.file_offset,
                    reason: error.to_string(),
                })
                .collect(),
            Err(_) if !exists(pid) => Vec::new(),
            Err(_) => {
                let (left, right) = points.split_at(points.len() / 2);
                let mut refused = self.refused(program, pid, path, left);
                refused.extend(self.refused(program, pid, path, right));
                refused
            }
        }
    }

    fn unlink(&mut self, links: Vec<(Program, UProbeLinkId)>) {
        for (program, link) in links {
            if let Ok(program) = uprobe(&mut self.ebpf, program) {
                // An error means that the link is gone already.
                let _ = program.detach(link);
            }
        }
    }
}

fn points_of(functions: &[FunctionSites], program: Program) -> Vec<(u32, Point)> {
    functions
        .iter()
        .flat_map(|function| {
            let points = match program {
                Program::Site | Program::Count | Program::Empty => function.points.as_slice(),
                Program::Return => function.return_point.as_slice(),
            };
            points.iter().map(|point| (function.slot, *point))
        })
        .collect()
}

fn exists(pid: u32) -> bool {
    Path::new("/proc").join(pid.to_string()).exists()
}

fn explain(pid: u32, error: ProbeError) -> ProbeError {
    if exists(pid) {
        error
    } else {
        ProbeError::TargetGone
    }
}
